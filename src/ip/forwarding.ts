// Passing on what is for others (RFC 1812 §5, RFC 8200 §3): the hop limit, the next hop, the MTU of the next link,
// and the ICMP errors that tell the sender what went wrong. One forwarder for each family.

import type { Packet } from '../buf/packet.ts'
import type { Drop } from '../counters.ts'
import { segment } from '../link/segmentation.ts'
import type { Micros } from '../time.ts'
import type { IpAddress } from '../wire/address.ts'
import { updateChecksum } from '../wire/checksum.ts'
import {
  ICMP4_TIME_EXCEEDED,
  ICMP4_UNREACHABLE,
  TIME_EXCEEDED_HOPS,
  UNREACHABLE4_ADMIN_PROHIBITED,
  UNREACHABLE4_FRAGMENTATION_NEEDED,
  UNREACHABLE4_NET,
} from '../wire/icmp4.ts'
import {
  ICMP6_PACKET_TOO_BIG,
  ICMP6_TIME_EXCEEDED,
  ICMP6_UNREACHABLE,
  UNREACHABLE6_BEYOND_SCOPE,
  UNREACHABLE6_NO_ROUTE,
  UNREACHABLE6_PROHIBITED,
} from '../wire/icmp6.ts'
import { ipv4Checksum, ipv4DontFragment, ipv4HeaderLength, ipv4Ttl } from '../wire/ipv4.ts'
import { IPV6_HEADER, ipv6HopLimit } from '../wire/ipv6.ts'
import { tcpHeaderLength } from '../wire/tcp.ts'
import { UDP_HEADER } from '../wire/udp.ts'
import { discard, type IpContext } from './context.ts'
import { fragment4 } from './fragment.ts'
import type { IcmpReporter } from './icmp-report.ts'
import type { Forwarder, Interface } from './interface.ts'
import type { Route } from './routes.ts'
import type { Ways } from './ways.ts'

const TTL_AT = 8
const CHECKSUM_AT = 10
const HOP_LIMIT_AT = 7

/** Where a packet goes on to, or why it does not. */
interface Onward {
  readonly route: Route
  readonly outgoing: Interface
}

/** What both families ask before they pass a packet on. */
function findOnward(
  context: IpContext,
  ways: Ways,
  arrivalIndex: number,
  source: IpAddress,
  destination: IpAddress,
): Onward | Drop {
  if (source.isLinkLocal || destination.isLinkLocal || source.isUnspecified || destination.isMulticast) {
    return 'forwardLinkScope'
  }
  if (context.reversePathFilter !== 'off') {
    const back = ways.route(source, 0)
    if (back === null || back.kind !== 'unicast') return 'reversePath'
    if (context.reversePathFilter === 'strict' && back.interfaceIndex !== arrivalIndex) {
      // One of several equally good ways back is good enough (RFC 3704 §2.3).
      const other = ways.route(source, arrivalIndex)
      if (other === null || other.metric !== back.metric || other.prefix.length !== back.prefix.length) {
        return 'reversePath'
      }
    }
  }
  const route = ways.route(destination, 0)
  if (route === null) return 'noRoute'
  if (route.kind === 'blackhole') return 'routeBlackhole'
  if (route.kind === 'prohibit') return 'routePolicy'
  const outgoing = context.interfaces.byIndex(route.interfaceIndex)
  return outgoing === undefined ? 'noRoute' : { route, outgoing }
}

/** What the packet counts as on the next link: a super-segment as its largest segment. */
function largestSegment(packet: Packet, headerLength: number): number {
  const { segmentBytes, segmentKind, networkAt } = packet
  if (segmentBytes === 0) return packet.length
  // What cuts it must know where the transport header is; only a partial checksum tells.
  const transportAt = packet.checksum === 'partial' ? packet.checksumStart : networkAt + headerLength
  packet.transportAt = transportAt
  const transportLength = segmentKind === 'udp' ? UDP_HEADER : tcpHeaderLength(packet.page.view, transportAt)
  return Math.min(packet.length, transportAt - networkAt + transportLength + segmentBytes)
}

export class Forwarding4 implements Forwarder {
  private readonly context: IpContext
  private readonly ways: Ways
  private readonly reporter: IcmpReporter

  constructor(context: IpContext, ways: Ways, reporter: IcmpReporter) {
    this.context = context
    this.ways = ways
    this.reporter = reporter
  }

  forward(arrival: Interface, packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): void {
    const { counters } = this.context
    const onward = findOnward(this.context, this.ways, arrival.index, source, destination)
    if (typeof onward === 'string') return this.refuse(packet, onward, now)
    const { page, networkAt: at } = packet
    if (ipv4Ttl(page.view, at) <= 1) {
      counters.IpInHdrErrors++
      this.reporter.report(packet, ICMP4_TIME_EXCEEDED, TIME_EXCEEDED_HOPS, 0, now)
      return discard(this.context, packet, 'hopLimitExceeded')
    }
    const { outgoing, route } = onward
    const tooBig = largestSegment(packet, ipv4HeaderLength(page.view, at)) > outgoing.mtu
    if (tooBig && ipv4DontFragment(page.view, at)) {
      counters.IpFragFails++
      this.reporter.report(packet, ICMP4_UNREACHABLE, UNREACHABLE4_FRAGMENTATION_NEEDED, outgoing.mtu, now)
      return discard(this.context, packet, 'packetTooBig')
    }
    if (!packet.unshare()) return discard(this.context, packet, 'noBuffer')
    decrementTtl(packet)
    packet.interfaceIndex = 0
    packet.linkCast = 'host'
    counters.IpForwDatagrams++
    const nextHop = route.gateway ?? destination
    if (!tooBig) return outgoing.send(packet, nextHop, now)
    const emit = (part: Packet): void => this.sendFragments(part, outgoing, nextHop, now)
    if (packet.segmentBytes === 0) emit(packet)
    else if (!segment(packet, this.context.pool, emit)) counters.drops.noBuffer++
  }

  private sendFragments(packet: Packet, outgoing: Interface, nextHop: IpAddress, now: Micros): void {
    const { counters, pool } = this.context
    const count = fragment4(packet, outgoing.mtu, pool, (part) => outgoing.send(part, nextHop, now))
    if (count === 0) {
      counters.IpFragFails++
      counters.drops.noBuffer++
      return
    }
    counters.IpFragOKs++
    counters.IpFragCreates += count
  }

  private refuse(packet: Packet, drop: Drop, now: Micros): void {
    if (drop === 'noRoute') {
      this.context.counters.IpOutNoRoutes++
      this.reporter.report(packet, ICMP4_UNREACHABLE, UNREACHABLE4_NET, 0, now)
    } else if (drop === 'routePolicy') {
      this.reporter.report(packet, ICMP4_UNREACHABLE, UNREACHABLE4_ADMIN_PROHIBITED, 0, now)
    }
    discard(this.context, packet, drop)
  }
}

/** RFC 1624: only the word with the TTL changes, so the checksum is brought up to date, not computed. */
function decrementTtl(packet: Packet): void {
  const { view } = packet.page
  const at = packet.networkAt
  const before = view.getUint16(at + TTL_AT)
  view.setUint16(at + TTL_AT, before - 0x100)
  view.setUint16(at + CHECKSUM_AT, updateChecksum(ipv4Checksum(view, at), before, before - 0x100))
}

export class Forwarding6 implements Forwarder {
  private readonly context: IpContext
  private readonly ways: Ways
  private readonly reporter: IcmpReporter

  constructor(context: IpContext, ways: Ways, reporter: IcmpReporter) {
    this.context = context
    this.ways = ways
    this.reporter = reporter
  }

  forward(arrival: Interface, packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): void {
    const { counters } = this.context
    const onward = findOnward(this.context, this.ways, arrival.index, source, destination)
    if (typeof onward === 'string') return this.refuse(packet, onward, now)
    const { page, networkAt: at } = packet
    const hopLimit = ipv6HopLimit(page.view, at)
    if (hopLimit <= 1) {
      counters.Ip6InHdrErrors++
      this.reporter.report(packet, ICMP6_TIME_EXCEEDED, TIME_EXCEEDED_HOPS, 0, now)
      return discard(this.context, packet, 'hopLimitExceeded')
    }
    const { outgoing, route } = onward
    if (largestSegment(packet, IPV6_HEADER) > outgoing.mtu) {
      this.reporter.report(packet, ICMP6_PACKET_TOO_BIG, 0, outgoing.mtu, now)
      return discard(this.context, packet, 'packetTooBig')
    }
    if (!packet.unshare()) return discard(this.context, packet, 'noBuffer')
    packet.page.view.setUint8(packet.networkAt + HOP_LIMIT_AT, hopLimit - 1)
    packet.interfaceIndex = 0
    packet.linkCast = 'host'
    counters.Ip6OutForwDatagrams++
    outgoing.send(packet, route.gateway ?? destination, now)
  }

  private refuse(packet: Packet, drop: Drop, now: Micros): void {
    const { counters } = this.context
    if (drop === 'noRoute') {
      counters.Ip6OutNoRoutes++
      this.reporter.report(packet, ICMP6_UNREACHABLE, UNREACHABLE6_NO_ROUTE, 0, now)
    } else if (drop === 'routePolicy') {
      this.reporter.report(packet, ICMP6_UNREACHABLE, UNREACHABLE6_PROHIBITED, 0, now)
    } else if (drop === 'forwardLinkScope') {
      this.reporter.report(packet, ICMP6_UNREACHABLE, UNREACHABLE6_BEYOND_SCOPE, 0, now)
    }
    discard(this.context, packet, drop)
  }
}
