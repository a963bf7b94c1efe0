// IPv4 in and out (RFC 791, RFC 1122 §3.2). Interfaces hand packets to receive(), which validates, decides
// whose they are, reassembles, and gives them to a transport or to the forwarder; transports and ICMP call
// resolve() and send().

import type { Packet } from '../buf/packet.ts'
import type { Drop } from '../counters.ts'
import type { Micros } from '../time.ts'
import { ANY4, type IpAddress, LOOPBACK4 } from '../wire/address.ts'
import { ICMP4_PARAMETER_PROBLEM, ICMP4_UNREACHABLE, UNREACHABLE4_PORT, UNREACHABLE4_PROTOCOL } from '../wire/icmp4.ts'
import {
  checkIpv4,
  checkIpv4Options,
  completeIpv4Checksum,
  DONT_FRAGMENT,
  emitIpv4,
  IPV4_HEADER,
  IPV4_MAX_HEADER,
  IPV4_MAX_PACKET,
  ipv4Destination,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Identification,
  ipv4MoreFragments,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  malformedOptionAt,
  ROUTER_ALERT_OPTION,
} from '../wire/ipv4.ts'
import { discard, type IpContext, leaksLoopback } from './context.ts'
import type { FragmentInfo } from './datagram.ts'
import { fragment4 } from './fragment.ts'
import type { IcmpReporter } from './icmp-report.ts'
import { Identification } from './identification.ts'
import type { Forwarder, Interface, NetworkLayer } from './interface.ts'
import type { Reassembly } from './reassembly.ts'
import type { GroupMembership, IpOutput, NoWay, SendOptions, SendResult, Transport, Way, WayOptions } from './seams.ts'
import type { Ways } from './ways.ts'

const ROUTER_ALERT_LENGTH = 4

export class Ipv4 implements NetworkLayer, IpOutput {
  /** Index: protocol number. */
  readonly protocols: (Transport | null)[] = new Array<Transport | null>(256).fill(null)
  /** Set by stack.ts once ICMP exists. */
  reporter: IcmpReporter | null = null
  forwarder: Forwarder | null = null
  private readonly context: IpContext
  private readonly ways: Ways
  private readonly reassembly: Reassembly
  private readonly groups: GroupMembership
  private readonly identification: Identification
  private readonly fields = {
    trafficClass: 0,
    totalLength: 0,
    identification: 0,
    flagsAndOffset: 0,
    ttl: 0,
    protocol: 0,
    source: ANY4,
    destination: ANY4,
    headerLength: IPV4_HEADER,
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
    counters.IpInReceives++
    counters.IpExtInOctets += packet.length
    if (!packet.linearize(Math.min(packet.length, IPV4_MAX_HEADER))) return discard(this.context, packet, 'noBuffer')
    const headerDrop = checkIpv4(packet.page, packet.data, packet.headLength, packet.length)
    if (headerDrop !== undefined) {
      counters.IpInHdrErrors++
      return discard(this.context, packet, headerDrop)
    }
    const { view } = packet.page
    const at = packet.data
    packet.networkAt = at
    packet.trim(ipv4TotalLength(view, at))
    const source = ipv4Source(view, at)
    const destination = ipv4Destination(view, at)
    const arrival = from.isLoopback ? (interfaces.byIndex(packet.interfaceIndex) ?? from) : from
    const addressDrop =
      this.checkSource(from, packet, source) ?? this.checkDestination(from, arrival, packet, destination)
    if (addressDrop !== undefined) {
      // A group that nobody here joined is no error: switches flood such packets.
      if (addressDrop !== 'multicastNotJoined') counters.IpInAddrErrors++
      return discard(this.context, packet, addressDrop)
    }
    const isForUs = this.isForUs(arrival, destination)
    if (isForUs || this.context.forwarding) {
      const optionDrop = this.checkOptions(packet, now)
      if (optionDrop !== undefined) {
        counters.IpInHdrErrors++
        return discard(this.context, packet, optionDrop)
      }
    }
    if (isForUs) return this.receiveLocal(packet, source, destination, now)
    if (this.forwarder === null || !this.context.forwarding) {
      counters.IpInAddrErrors++
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
    // A loopback device has a greater one than a header can tell.
    return Math.min(this.context.pathMtu.get(way.destination, way.linkMtu), IPV4_MAX_PACKET)
  }

  send(packet: Packet, way: Way, options: SendOptions, now: Micros): SendResult {
    const { counters, interfaces } = this.context
    const outgoing = interfaces.byIndex(way.interfaceIndex)
    counters.IpOutRequests++
    if (outgoing === undefined || !packet.unshare()) {
      counters.IpOutDiscards++
      discard(this.context, packet, outgoing === undefined ? 'noRoute' : 'noBuffer')
      return outgoing === undefined ? 'no-route' : 'no-buffer'
    }
    const headerLength = IPV4_HEADER + (options.routerAlert ? ROUTER_ALERT_LENGTH : 0)
    const mtu = this.mtu(way)
    const length = packet.length + headerLength
    const isSuper = packet.segmentBytes > 0
    if (length > IPV4_MAX_PACKET || (length > mtu && options.dontFragment && !isSuper)) {
      counters.IpFragFails++
      discard(this.context, packet, 'packetTooBig')
      return 'too-big'
    }
    this.pushHeader(packet, way, options, headerLength, length)
    packet.interfaceIndex = 0
    packet.linkCast = 'host'
    if (!outgoing.isLoopback && this.loopsBack(outgoing, way.destination, options)) this.loopBack(packet, outgoing, now)
    if (length <= mtu || isSuper) {
      outgoing.send(packet, way.nextHop, now)
      return 'sent'
    }
    return this.sendFragments(packet, mtu, outgoing, way.nextHop, now)
  }

  private checkOptions(packet: Packet, now: Micros): Drop | undefined {
    const { page, networkAt: at } = packet
    const headerLength = ipv4HeaderLength(page.view, at)
    if (headerLength === IPV4_HEADER) return undefined
    const optionDrop = checkIpv4Options(page.view, at, headerLength)
    if (optionDrop === 'ipOptionMalformed') {
      const pointer = malformedOptionAt(page.view, at, headerLength) - at
      this.reporter?.report(packet, ICMP4_PARAMETER_PROBLEM, 0, (pointer << 24) >>> 0, now)
    }
    return optionDrop
  }

  /** Martians and our own addresses coming back from outside (RFC 1122 §3.2.1.3, RFC 1812 §5.3.7). */
  private checkSource(from: Interface, packet: Packet, source: IpAddress): Drop | undefined {
    if (source.isMulticast || source.isReserved4 || from.isBroadcast(source)) return 'martianSource'
    if (from.isLoopback) return undefined
    if (source.isLoopback) return 'martianSource'
    if (source.isThisNetwork4) {
      // A host that does not know its address yet (DHCP, IGMP) may send to its link, to nobody else.
      if (!source.isUnspecified || packet.linkCast === 'host') return 'martianSource'
    }
    const own = this.context.interfaces.find(source)
    return own?.entry.usable ? 'spoofedSource' : undefined
  }

  private checkDestination(
    from: Interface,
    arrival: Interface,
    packet: Packet,
    destination: IpAddress,
  ): Drop | undefined {
    if (destination.isThisNetwork4 || (destination.isReserved4 && !destination.isLimitedBroadcast)) {
      return 'martianDestination'
    }
    if (destination.isLoopback && !from.isLoopback) return 'martianDestination'
    if (destination.isMulticast) {
      return this.groups.isMember(arrival, destination) ? undefined : 'multicastNotJoined'
    }
    // RFC 1122 §3.3.6: a unicast packet in a broadcast frame is not for anybody.
    if (packet.linkCast !== 'host' && !arrival.isBroadcast(destination)) return 'martianDestination'
    const own = this.context.interfaces.find(destination)
    return own !== undefined && !own.entry.usable ? 'tentativeAddress' : undefined
  }

  private isForUs(arrival: Interface, destination: IpAddress): boolean {
    return this.context.interfaces.isLocal(destination) || destination.isMulticast || arrival.isBroadcast(destination)
  }

  private receiveLocal(packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): void {
    const { view } = packet.page
    const at = packet.networkAt
    const protocol = ipv4Protocol(view, at)
    const isFragment = ipv4MoreFragments(view, at) || ipv4FragmentOffset(view, at) > 0
    packet.pull(ipv4HeaderLength(view, at))
    if (!isFragment) return this.deliver(packet, source, destination, protocol, now)
    const { counters } = this.context
    counters.IpReasmReqds++
    const info: FragmentInfo = {
      source,
      destination,
      protocol,
      identification: ipv4Identification(view, at),
      offset: ipv4FragmentOffset(view, at),
      more: ipv4MoreFragments(view, at),
    }
    const whole = this.reassembly.insert(packet, info, now)
    if (whole === null) return
    counters.IpReasmOKs++
    // A datagram of 65,536 bytes and more cannot be (its fragments were within the limit, its header was not counted).
    const headerLength = whole.data - whole.networkAt
    if (whole.length + headerLength > IPV4_MAX_PACKET) return discard(this.context, whole, 'fragmentTooLong')
    if (!whole.unshare()) return discard(this.context, whole, 'noBuffer')
    whole.page.view.setUint16(whole.networkAt + 2, whole.length + headerLength)
    whole.page.view.setUint16(whole.networkAt + 6, 0)
    completeIpv4Checksum(whole.page, whole.networkAt)
    this.deliver(whole, source, destination, protocol, now)
  }

  private deliver(packet: Packet, source: IpAddress, destination: IpAddress, protocol: number, now: Micros): void {
    const { counters } = this.context
    packet.transportAt = packet.data
    const transport = this.protocols[protocol] ?? null
    if (transport === null) {
      counters.IpInUnknownProtos++
      this.reporter?.report(packet, ICMP4_UNREACHABLE, UNREACHABLE4_PROTOCOL, 0, now)
      return discard(this.context, packet, 'unknownProtocol')
    }
    counters.IpInDelivers++
    const drop = transport.receive(packet, source, destination, now)
    if (drop === undefined) return
    if (drop === 'udpNoPort') this.reporter?.report(packet, ICMP4_UNREACHABLE, UNREACHABLE4_PORT, 0, now)
    discard(this.context, packet, drop)
  }

  private pushHeader(packet: Packet, way: Way, options: SendOptions, headerLength: number, length: number): void {
    const { fields } = this
    const at = packet.push(headerLength)
    packet.networkAt = at
    packet.transportAt = at + headerLength
    if (options.routerAlert) packet.page.view.setUint32(at + IPV4_HEADER, ROUTER_ALERT_OPTION)
    fields.trafficClass = options.trafficClass
    fields.totalLength = length
    // RFC 6864 §4.1: of an atomic datagram the field has no meaning; a super-segment is cut into several.
    const isAtomic = options.dontFragment && packet.segmentBytes === 0
    fields.identification = isAtomic ? 0 : this.identification.next(way.source, way.destination) & 0xffff
    fields.flagsAndOffset = options.dontFragment ? DONT_FRAGMENT : 0
    fields.ttl = options.hopLimit || this.context.hopLimit
    fields.protocol = options.protocol
    fields.source = way.source
    fields.destination = way.destination
    fields.headerLength = headerLength
    emitIpv4(packet.page, at, fields)
  }

  private sendFragments(packet: Packet, mtu: number, outgoing: Interface, nextHop: IpAddress, now: Micros): SendResult {
    const { counters, pool } = this.context
    const count = fragment4(packet, mtu, pool, (part) => outgoing.send(part, nextHop, now))
    if (count === 0) {
      counters.IpFragFails++
      counters.drops.noBuffer++
      return 'no-buffer'
    }
    counters.IpFragOKs++
    counters.IpFragCreates += count
    return 'sent'
  }

  /** Whether a copy of what is sent there is for this host as well. */
  private loopsBack(outgoing: Interface, destination: IpAddress, options: SendOptions): boolean {
    if (destination.isMulticast) return options.multicastLoop && this.groups.isMember(outgoing, destination)
    return outgoing.isEthernet && outgoing.isBroadcast(destination)
  }

  private loopBack(packet: Packet, outgoing: Interface, now: Micros): void {
    const loopback = this.context.interfaces.all.find((candidate) => candidate.isLoopback)
    const twin = loopback === undefined ? null : packet.copy(this.context.pool)
    if (twin === null) return
    // Received on the loopback device, it counts as having come in by the interface it went out of.
    twin.interfaceIndex = outgoing.index
    loopback!.send(twin, LOOPBACK4, now)
  }
}
