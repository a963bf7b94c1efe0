// IPv6 in and out (RFC 8200): as ipv4.ts, with extension headers on the way in, and fragments made by the source
// alone.

import type { Packet } from '../buf/packet.ts'
import type { Drop } from '../counters.ts'
import type { Micros } from '../time.ts'
import { ANY6, type IpAddress, LOOPBACK6 } from '../wire/address.ts'
import {
  ICMP6_PARAMETER_PROBLEM,
  ICMP6_UNREACHABLE,
  PROBLEM6_HEADER,
  PROBLEM6_INCOMPLETE_CHAIN,
  PROBLEM6_NEXT_HEADER,
  UNREACHABLE6_PORT,
} from '../wire/icmp6.ts'
import { IPV4_MAX_PACKET, PROTOCOL_ICMP6, PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/ipv4.ts'
import {
  checkIpv6,
  emitIpv6,
  IPV6_HEADER,
  type Ipv6Fields,
  ipv6Destination,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6Source,
} from '../wire/ipv6.ts'
import {
  ExtensionWalk,
  emitRouterAlertHopByHop,
  FRAGMENT_HEADER,
  fragment6Identification,
  fragment6More,
  fragment6Offset,
  fragmentNextHeader,
  NEXT_FRAGMENT,
  NEXT_HOP_BY_HOP,
  NEXT_NONE,
  ROUTER_ALERT_HEADER,
  walkExtensions,
} from '../wire/ipv6-extensions.ts'
import { TCP_HEADER } from '../wire/tcp.ts'
import { UDP_HEADER } from '../wire/udp.ts'
import { discard, type IpContext, leaksLoopback } from './context.ts'
import type { FragmentInfo } from './datagram.ts'
import { fragment6 } from './fragment.ts'
import type { IcmpReporter } from './icmp-report.ts'
import { Identification } from './identification.ts'
import type { Forwarder, Interface, NetworkLayer } from './interface.ts'
import type { Reassembly } from './reassembly.ts'
import type { GroupMembership, IpOutput, NoWay, SendOptions, SendResult, Transport, Way, WayOptions } from './seams.ts'
import type { Ways } from './ways.ts'

/** Headers beyond this are not looked at (RFC 8504 §5.3); linear in one page with what follows. */
const HEADER_CHAIN_BYTES = 512
const NEXT_HEADER_AT = 6

export class Ipv6 implements NetworkLayer, IpOutput {
  /** Index: next header. */
  readonly protocols: (Transport | null)[] = new Array<Transport | null>(256).fill(null)
  /** Set by stack.ts once ICMP exists. */
  reporter: IcmpReporter | null = null
  forwarder: Forwarder | null = null
  private readonly context: IpContext
  private readonly ways: Ways
  private readonly reassembly: Reassembly
  private readonly groups: GroupMembership
  private readonly identification: Identification
  private readonly walk = new ExtensionWalk()
  private readonly fields: Ipv6Fields = {
    trafficClass: 0,
    flowLabel: 0,
    payloadLength: 0,
    nextHeader: 0,
    hopLimit: 0,
    source: ANY6,
    destination: ANY6,
  }

  constructor(context: IpContext, ways: Ways, reassembly: Reassembly, groups: GroupMembership) {
    this.context = context
    this.ways = ways
    this.reassembly = reassembly
    this.groups = groups
    this.identification = new Identification(context.random)
  }

  receive(from: Interface, packet: Packet, now: Micros): void {
    const { counters, interfaces } = this.context
    counters.Ip6InReceives++
    counters.Ip6InOctets += packet.length
    if (!packet.linearize(Math.min(packet.length, HEADER_CHAIN_BYTES))) return discard(this.context, packet, 'noBuffer')
    const headerDrop = checkIpv6(packet.page.view, packet.data, packet.headLength, packet.length)
    if (headerDrop !== undefined) {
      counters.Ip6InHdrErrors++
      return discard(this.context, packet, headerDrop)
    }
    const { view } = packet.page
    const at = packet.data
    packet.networkAt = at
    packet.trim(IPV6_HEADER + ipv6PayloadLength(view, at))
    const source = ipv6Source(view, at)
    const destination = ipv6Destination(view, at)
    const arrival = from.isLoopback ? (interfaces.byIndex(packet.interfaceIndex) ?? from) : from
    const addressDrop = this.checkSource(from, source) ?? this.checkDestination(from, arrival, packet, destination)
    if (addressDrop !== undefined) {
      // A group that nobody here joined is no error: switches flood such packets.
      if (addressDrop !== 'multicastNotJoined') counters.Ip6InAddrErrors++
      return discard(this.context, packet, addressDrop)
    }
    if (this.isForUs(from, arrival, destination)) {
      packet.pull(IPV6_HEADER)
      return this.receiveLocal(packet, source, destination, ipv6NextHeader(view, at), at + NEXT_HEADER_AT, now)
    }
    if (this.forwarder === null || !this.context.forwarding) {
      counters.Ip6InAddrErrors++
      return discard(this.context, packet, 'forwardingOff')
    }
    this.forwarder.forward(arrival, packet, source, destination, now)
  }

  resolve(destination: IpAddress, options: WayOptions): Way | NoWay {
    const way = this.ways.resolve(destination, options)
    return typeof way !== 'string' && leaksLoopback(way, this.context) ? 'no-source' : way
  }

  isFresh(way: Way): boolean {
    return this.ways.isFresh(way)
  }

  mtu(way: Way): number {
    return this.context.pathMtu.get(way.destination, way.linkMtu)
  }

  send(packet: Packet, way: Way, options: SendOptions, now: Micros): SendResult {
    const { counters, interfaces } = this.context
    const outgoing = interfaces.byIndex(way.interfaceIndex)
    counters.Ip6OutRequests++
    if (outgoing === undefined || !packet.unshare()) {
      counters.Ip6OutDiscards++
      discard(this.context, packet, outgoing === undefined ? 'noRoute' : 'noBuffer')
      return outgoing === undefined ? 'no-route' : 'no-buffer'
    }
    const mtu = this.mtu(way)
    const length = packet.length + IPV6_HEADER + (options.routerAlert ? ROUTER_ALERT_HEADER : 0)
    const isSuper = packet.segmentBytes > 0
    if (length - IPV6_HEADER > IPV4_MAX_PACKET || (length > mtu && options.dontFragment && !isSuper)) {
      counters.Ip6FragFails++
      discard(this.context, packet, 'packetTooBig')
      return 'too-big'
    }
    this.pushHeader(packet, way, options, outgoing)
    packet.interfaceIndex = 0
    packet.linkCast = 'host'
    const loops = !outgoing.isLoopback && options.multicastLoop && way.destination.isMulticast
    if (loops && this.groups.isMember(outgoing, way.destination)) this.loopBack(packet, outgoing, now)
    if (length <= mtu || isSuper) {
      outgoing.send(packet, way.nextHop, now)
      return 'sent'
    }
    return this.sendFragments(packet, mtu, way, outgoing, now)
  }

  private checkSource(from: Interface, source: IpAddress): Drop | undefined {
    if (source.isMulticast || source.isMapped4) return 'martianSource'
    if (from.isLoopback) return undefined
    if (source.isLoopback) return 'martianSource'
    // A link-local address is one of this link; another host on another link may have the same.
    const own = source.isLinkLocal ? from.find(source) : this.context.interfaces.find(source)?.entry
    return own?.usable === true ? 'spoofedSource' : undefined
  }

  private checkDestination(
    from: Interface,
    arrival: Interface,
    packet: Packet,
    destination: IpAddress,
  ): Drop | undefined {
    if (destination.isUnspecified || destination.isMapped4) return 'martianDestination'
    if (destination.isLoopback && !from.isLoopback) return 'martianDestination'
    if (destination.isMulticast) {
      // RFC 4291 §2.7: of scope 0 there is none, and scope 1 does not leave its interface.
      if (destination.scope < 2 && !from.isLoopback) return 'martianDestination'
      return this.groups.isMember(arrival, destination) ? undefined : 'multicastNotJoined'
    }
    if (packet.linkCast !== 'host') return 'martianDestination'
    const own = arrival.find(destination)
    return own !== undefined && !own.usable ? 'tentativeAddress' : undefined
  }

  private isForUs(from: Interface, arrival: Interface, destination: IpAddress): boolean {
    if (destination.isMulticast) return true
    // A link-local address is one of this link (RFC 4007 §6).
    if (destination.isLinkLocal && !from.isLoopback) return arrival.find(destination)?.usable === true
    return this.context.interfaces.isLocal(destination)
  }

  /** The packet's data is at the header of type `nextHeader`, which the byte at `namedAt` names. */
  private receiveLocal(
    packet: Packet,
    source: IpAddress,
    destination: IpAddress,
    nextHeader: number,
    namedAt: number,
    now: Micros,
  ): void {
    const { walk } = this
    const drop = walkExtensions(packet.page.view, packet.networkAt, nextHeader, namedAt, packet.data, packet.tail, walk)
    if (drop !== undefined) return this.reject(packet, destination, drop, now)
    packet.pull(walk.at - packet.data)
    if (walk.nextHeader === NEXT_FRAGMENT) {
      // One in another is nobody's honest packet, and would let a packet be walked without end.
      if (namedAt !== packet.networkAt + NEXT_HEADER_AT)
        return this.reject(packet, destination, 'fragmentMalformed', now)
      return this.receiveFragment(packet, source, destination, now)
    }
    this.deliver(packet, source, destination, walk.nextHeader, now)
  }

  private reject(packet: Packet, destination: IpAddress, drop: Drop, now: Micros): void {
    const { walk } = this
    this.context.counters.Ip6InHdrErrors++
    if (walk.problemCode >= 0 && (!destination.isMulticast || walk.problemToMulticast)) {
      this.reporter?.report(packet, ICMP6_PARAMETER_PROBLEM, walk.problemCode, walk.problemPointer, now)
    }
    discard(this.context, packet, drop)
  }

  private receiveFragment(packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): void {
    const { counters } = this.context
    const { view } = packet.page
    const at = packet.data
    const upper = fragmentNextHeader(view, at)
    const offset = fragment6Offset(view, at)
    const more = fragment6More(view, at)
    counters.Ip6ReasmReqds++
    packet.pull(FRAGMENT_HEADER)
    // RFC 8200 §4.5: a length that is no multiple of 8 is told, with a pointer at the payload length.
    if (more && (packet.length & 7) !== 0) {
      this.reporter?.report(packet, ICMP6_PARAMETER_PROBLEM, PROBLEM6_HEADER, 4, now)
      return discard(this.context, packet, 'fragmentMalformed')
    }
    const extensionBytes = at - packet.networkAt - IPV6_HEADER
    if (extensionBytes + offset + packet.length > IPV4_MAX_PACKET) {
      this.reporter?.report(packet, ICMP6_PARAMETER_PROBLEM, PROBLEM6_HEADER, at + 2 - packet.networkAt, now)
      return discard(this.context, packet, 'fragmentTooLong')
    }
    // RFC 6946: an atomic fragment is whole by itself, whatever else carries its identification.
    if (offset === 0 && !more) return this.receiveLocal(packet, source, destination, upper, at, now)
    // RFC 8200 §4.5: the first fragment has all headers up to the transport's, so that filters can see them.
    if (offset === 0 && !this.holdsAllHeaders(packet, upper, at)) {
      this.reporter?.report(packet, ICMP6_PARAMETER_PROBLEM, PROBLEM6_INCOMPLETE_CHAIN, 0, now)
      return discard(this.context, packet, 'fragmentMalformed')
    }
    const info: FragmentInfo = {
      source,
      destination,
      protocol: 0,
      identification: fragment6Identification(view, at),
      offset,
      more,
    }
    const whole = this.reassembly.insert(packet, info, now)
    if (whole === null) return
    counters.Ip6ReasmOKs++
    this.receiveWhole(whole, source, destination, now)
  }

  private holdsAllHeaders(packet: Packet, upper: number, namedAt: number): boolean {
    const { walk } = this
    const { view } = packet.page
    const drop = walkExtensions(view, packet.networkAt, upper, namedAt, packet.data, packet.tail, walk)
    // What is wrong with a header is told when the packet is whole.
    if (drop !== undefined) return walk.problemCode >= 0 || drop !== 'ipExtensionMalformed'
    const { nextHeader } = walk
    const isKnown = nextHeader === PROTOCOL_UDP || nextHeader === PROTOCOL_ICMP6
    const least = nextHeader === PROTOCOL_TCP ? TCP_HEADER : isKnown ? UDP_HEADER : 0
    return walk.at + least <= packet.data + packet.length
  }

  /** A reassembled packet: headers as in its first fragment, data behind the fragment header. */
  private receiveWhole(whole: Packet, source: IpAddress, destination: IpAddress, now: Micros): void {
    if (!whole.linearize(Math.min(whole.length, HEADER_CHAIN_BYTES))) return discard(this.context, whole, 'noBuffer')
    const fragmentAt = whole.data - FRAGMENT_HEADER
    const upper = fragmentNextHeader(whole.page.view, fragmentAt)
    this.receiveLocal(whole, source, destination, upper, fragmentAt, now)
  }

  private deliver(packet: Packet, source: IpAddress, destination: IpAddress, protocol: number, now: Micros): void {
    const { counters } = this.context
    packet.transportAt = packet.data
    const transport = this.protocols[protocol] ?? null
    if (transport === null) {
      if (protocol !== NEXT_NONE) {
        counters.Ip6InUnknownProtos++
        const pointer = this.walk.nextHeaderFieldAt - packet.networkAt
        this.reporter?.report(packet, ICMP6_PARAMETER_PROBLEM, PROBLEM6_NEXT_HEADER, pointer, now)
      }
      return discard(this.context, packet, 'unknownProtocol')
    }
    counters.Ip6InDelivers++
    const drop = transport.receive(packet, source, destination, now)
    if (drop === undefined) return
    if (drop === 'udpNoPort') this.reporter?.report(packet, ICMP6_UNREACHABLE, UNREACHABLE6_PORT, 0, now)
    discard(this.context, packet, drop)
  }

  private pushHeader(packet: Packet, way: Way, options: SendOptions, outgoing: Interface): void {
    const { fields } = this
    let nextHeader = options.protocol
    packet.transportAt = packet.data
    if (options.routerAlert) {
      const at = packet.push(ROUTER_ALERT_HEADER)
      emitRouterAlertHopByHop(packet.page.view, at, nextHeader)
      nextHeader = NEXT_HOP_BY_HOP
    }
    fields.payloadLength = Math.min(packet.length, IPV4_MAX_PACKET)
    const at = packet.push(IPV6_HEADER)
    packet.networkAt = at
    fields.trafficClass = options.trafficClass
    fields.nextHeader = nextHeader
    fields.hopLimit = options.hopLimit || outgoing.hopLimit || this.context.hopLimit
    fields.source = way.source
    fields.destination = way.destination
    emitIpv6(packet.page.view, at, fields)
  }

  private sendFragments(packet: Packet, mtu: number, way: Way, outgoing: Interface, now: Micros): SendResult {
    const { counters, pool } = this.context
    const identification = this.identification.next(way.source, way.destination)
    const count = fragment6(packet, mtu, identification, pool, (part) => outgoing.send(part, way.nextHop, now))
    if (count === 0) {
      counters.Ip6FragFails++
      counters.drops.noBuffer++
      return 'no-buffer'
    }
    counters.Ip6FragOKs++
    counters.Ip6FragCreates += count
    return 'sent'
  }

  private loopBack(packet: Packet, outgoing: Interface, now: Micros): void {
    const loopback = this.context.interfaces.all.find((candidate) => candidate.isLoopback)
    const twin = loopback === undefined ? null : packet.copy(this.context.pool)
    if (twin === null) return
    // Received on the loopback device, it counts as having come in by the interface it went out of.
    twin.interfaceIndex = outgoing.index
    loopback!.send(twin, LOOPBACK6, now)
  }
}
