// ICMPv6 (RFC 4443): as icmp4.ts, and the door through which neighbour discovery and multicast listener
// discovery come in.

import { copyHead, Packet } from '../buf/packet.ts'
import type { Drop } from '../counters.ts'
import { sumFrom } from '../link/segmentation.ts'
import { RateLimiter } from '../rate-limit.ts'
import type { Micros } from '../time.ts'
import type { IpAddress } from '../wire/address.ts'
import { complement, fold, updateChecksum } from '../wire/checksum.ts'
import {
  checkIcmp,
  echoIdentifier,
  emitIcmp,
  ICMP4_HEADER as ICMP_HEADER,
  icmpCode,
  icmpType,
  TIME_EXCEEDED_REASSEMBLY,
} from '../wire/icmp4.ts'
import {
  ICMP6_ECHO_REPLY,
  ICMP6_ECHO_REQUEST,
  ICMP6_MLD_DONE,
  ICMP6_MLD_QUERY,
  ICMP6_MLD_REPORT,
  ICMP6_MLDV2_REPORT,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_PARAMETER_PROBLEM,
  ICMP6_REDIRECT,
  ICMP6_ROUTER_SOLICITATION,
  ICMP6_TIME_EXCEEDED,
  ICMP6_UNREACHABLE,
  icmp6Word,
  isIcmp6Error,
  PROBLEM6_NEXT_HEADER,
  PROBLEM6_OPTION,
  UNREACHABLE6_ADDRESS,
  UNREACHABLE6_POLICY,
  UNREACHABLE6_PORT,
  UNREACHABLE6_PROHIBITED,
} from '../wire/icmp6.ts'
import { ipVersion, PROTOCOL_ICMP6, pseudoHeaderSum } from '../wire/ipv4.ts'
import {
  IPV6_HEADER,
  IPV6_MIN_MTU,
  ipv6Destination,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6Source,
} from '../wire/ipv6.ts'
import {
  ExtensionWalk,
  FRAGMENT_HEADER,
  fragment6Offset,
  fragmentNextHeader,
  NEXT_FRAGMENT,
  walkExtensions,
} from '../wire/ipv6-extensions.ts'
import { type IpContext, isOwn } from './context.ts'
import { EchoClients } from './echo-clients.ts'
import { ICMP_ERROR_BURST, ICMP_ERRORS_PER_SECOND, type IcmpReporter } from './icmp-report.ts'
import type { Ipv6 } from './ipv6.ts'
import type { IcmpError, IcmpErrorKind, SendOptions, Transport } from './seams.ts'

/** RFC 4443 §2.4 c: as much of the packet as fits into the minimum MTU. */
const QUOTE_BYTES = IPV6_MIN_MTU - IPV6_HEADER - ICMP_HEADER
/** How many are remembered who were sent an echo reply larger than the minimum MTU. */
const LARGE_REPLIES = 16
/** Enough of a quoted packet to reach its transport header. */
const QUOTED_HEADER_BYTES = 512

/** What takes neighbour discovery and multicast listener messages; the packet stays the caller's. */
export interface Icmp6Listener {
  receiveIcmp6(type: number, packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): Drop | undefined
}

export class Icmp6 implements Transport, IcmpReporter {
  readonly echoes: EchoClients
  /** Set by stack.ts. */
  neighborDiscovery: Icmp6Listener | null = null
  listenerDiscovery: Icmp6Listener | null = null
  private readonly context: IpContext
  private readonly ipv6: Ipv6
  private readonly errorBucket = new RateLimiter(ICMP_ERRORS_PER_SECOND, ICMP_ERROR_BURST)
  private readonly options: SendOptions
  private readonly walk = new ExtensionWalk()
  /** To whom the last echo replies went that some link may not take whole. */
  private readonly largeReplies: IpAddress[] = []

  constructor(context: IpContext, ipv6: Ipv6) {
    this.context = context
    this.ipv6 = ipv6
    this.echoes = new EchoClients(context.random, context.calls)
    this.options = {
      protocol: PROTOCOL_ICMP6,
      hopLimit: 0,
      trafficClass: 0,
      dontFragment: false,
      routerAlert: false,
      multicastLoop: true,
    }
  }

  receive(packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): Drop | undefined {
    const { counters } = this.context
    counters.Icmp6InMsgs++
    if (!packet.linearize(Math.min(packet.length, ICMP_HEADER))) return 'noBuffer'
    const malformed = checkIcmp(packet.headLength)
    if (malformed !== undefined) return this.inError(malformed)
    const pseudo = pseudoHeaderSum(source, destination, PROTOCOL_ICMP6, packet.length)
    if (packet.checksum !== 'verified' && packet.checksum !== 'partial') {
      if (fold(sumFrom(packet, packet.data) + pseudo) !== 0xffff) {
        counters.Icmp6InCsumErrors++
        return this.inError('icmpChecksum')
      }
    }
    const type = icmpType(packet.page.view, packet.data)
    if (type === ICMP6_ECHO_REQUEST) return this.answerEcho(packet, source, destination, now)
    if (type === ICMP6_ECHO_REPLY) {
      counters.Icmp6InEchoReplies++
      return this.echoes.reply(packet, source, destination, now)
    }
    if (isIcmp6Error(type)) return this.receiveError(packet, source, now)
    return this.receiveDiscovery(type, packet, source, destination, now)
  }

  /** An error about an ICMPv6 message of ours: an echo request, a large reply that did not fit, or nothing. */
  error(packet: Packet, error: IcmpError, now: Micros): boolean {
    const { view } = packet.page
    const type = icmpType(view, packet.data)
    if (type === ICMP6_ECHO_REPLY && error.kind === 'packet-too-big') {
      return this.largeReplies.some((address) => address.equals(error.destination))
    }
    if (type !== ICMP6_ECHO_REQUEST) return false
    return this.echoes.error(echoIdentifier(view, packet.data), packet, error, now)
  }

  report(packet: Packet, type: number, code: number, rest: number, now: Micros): void {
    const { counters } = this.context
    const at = packet.networkAt
    const source = ipv6Source(packet.page.view, at)
    const destination = ipv6Destination(packet.page.view, at)
    if (!this.mayReport(packet, source, destination, type, code)) return
    if (!this.errorBucket.take(now)) {
      counters.Icmp6OutRateLimitGlobal++
      return
    }
    const own = this.context.interfaces.isLocal(destination) ? destination : null
    const interfaceIndex = source.isLinkLocal ? packet.interfaceIndex : 0
    const way = this.ipv6.resolve(source, { source: own, interfaceIndex })
    if (typeof way === 'string') return
    const error = Packet.allocate(this.context.pool, QUOTE_BYTES + ICMP_HEADER)
    if (error === null) return
    const to = error.put(ICMP_HEADER)
    emitIcmp(error.page.view, to, type, code, rest)
    error.put(copyHead(packet, at, QUOTE_BYTES, error.page.bytes, error.tail))
    const pseudo = pseudoHeaderSum(way.source, way.destination, PROTOCOL_ICMP6, error.length)
    error.page.view.setUint16(to + 2, complement(sumFrom(error, to) + pseudo))
    error.note = `ICMPv6 type ${type} code ${code}: tells ${source} of a packet to ${destination}`
    this.countError(type)
    this.ipv6.send(error, way, this.options, now)
  }

  /** A packet of ours could not be resolved on its first link: the transport hears of it as if a router had said so. */
  tellUnreachable(packet: Packet, now: Micros): void {
    const source = ipv6Source(packet.page.view, packet.networkAt)
    const destination = ipv6Destination(packet.page.view, packet.networkAt)
    if (!this.context.interfaces.isLocal(source)) {
      return this.report(packet, ICMP6_UNREACHABLE, UNREACHABLE6_ADDRESS, 0, now)
    }
    const transport = this.pullToTransport(packet)
    if (transport === null) return
    const error: IcmpError = {
      kind: 'host-unreachable',
      type: ICMP6_UNREACHABLE,
      code: UNREACHABLE6_ADDRESS,
      mtu: 0,
      reporter: source,
      source,
      destination,
    }
    transport.error(packet, error, now)
  }

  /** A datagram was not whole in time; its first fragment came (RFC 8200 §4.5). */
  tellReassemblyTimeout(first: Packet, now: Micros): void {
    this.report(first, ICMP6_TIME_EXCEEDED, TIME_EXCEEDED_REASSEMBLY, 0, now)
  }

  /** RFC 4443 §2.4 e. */
  private mayReport(packet: Packet, source: IpAddress, destination: IpAddress, type: number, code: number): boolean {
    const tellsMulticast =
      type === ICMP6_PACKET_TOO_BIG || (type === ICMP6_PARAMETER_PROBLEM && code === PROBLEM6_OPTION)
    if (!tellsMulticast && (packet.linkCast !== 'host' || destination.isMulticast)) return false
    if (source.isUnspecified || source.isMulticast) return false
    const { view } = packet.page
    const at = packet.networkAt
    const drop = walkExtensions(view, at, ipv6NextHeader(view, at), at + 6, at + IPV6_HEADER, packet.tail, this.walk)
    // Headers that cannot be followed do not hide an ICMP error from a node that could read them.
    if (drop !== undefined) return true
    let upperAt = this.walk.at
    let upper = this.walk.nextHeader
    if (upper === NEXT_FRAGMENT) {
      const isFirst = fragment6Offset(view, upperAt) === 0
      upper = fragmentNextHeader(view, upperAt)
      upperAt += FRAGMENT_HEADER
      // Of a later one only what is wrong with it is told: what it is a part of cannot be known.
      if (!isFirst)
        return upper !== PROTOCOL_ICMP6 && (type === ICMP6_PARAMETER_PROBLEM || type === ICMP6_PACKET_TOO_BIG)
    }
    if (upper !== PROTOCOL_ICMP6) return true
    if (upperAt >= packet.tail) return false
    const inner = icmpType(view, upperAt)
    return !isIcmp6Error(inner) && inner !== ICMP6_REDIRECT
  }

  private answerEcho(packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): Drop | undefined {
    const { counters } = this.context
    counters.Icmp6InEchos++
    if (source.isUnspecified) return 'martianSource'
    // RFC 4443 §4.2: an echo to a group is answered from a unicast address.
    const own = destination.isMulticast ? null : destination
    const interfaceIndex = source.isLinkLocal || destination.isLinkLocal ? packet.interfaceIndex : 0
    const way = this.ipv6.resolve(source, { source: own, interfaceIndex })
    if (typeof way === 'string') return 'noRoute'
    if (!packet.unshare()) return 'noBuffer'
    const { view } = packet.page
    const at = packet.data
    const before = view.getUint16(at)
    view.setUint8(at, ICMP6_ECHO_REPLY)
    let checksum = updateChecksum(view.getUint16(at + 2), before, view.getUint16(at))
    // Swapping the addresses leaves the sum as it was; answering for a group does not.
    if (own === null) checksum = updateChecksum(checksum, fold(destination.sum), fold(way.source.sum))
    view.setUint16(at + 2, checksum)
    packet.checksum = 'complete'
    counters.Icmp6OutMsgs++
    counters.Icmp6OutEchoReplies++
    if (packet.length + IPV6_HEADER > IPV6_MIN_MTU) this.rememberLargeReply(source)
    this.ipv6.send(packet, way, this.options, now)
    return undefined
  }

  private rememberLargeReply(to: IpAddress): void {
    if (this.largeReplies.some((address) => address.equals(to))) return
    if (this.largeReplies.length === LARGE_REPLIES) this.largeReplies.shift()
    this.largeReplies.push(to)
  }

  private receiveError(packet: Packet, reporter: IpAddress, now: Micros): Drop | undefined {
    if (!packet.linearize(Math.min(packet.length, QUOTED_HEADER_BYTES))) return 'noBuffer'
    const { view } = packet.page
    const at = packet.data
    const type = icmpType(view, at)
    const code = icmpCode(view, at)
    this.countReceivedError(type)
    const kind = kindOf(type, code)
    if (kind === null) return 'icmpUnknownType'
    const quote = packet.pull(ICMP_HEADER)
    if (packet.headLength < IPV6_HEADER || ipVersion(view, quote) !== 6) return this.inError('icmpMalformed')
    const error: IcmpError = {
      kind,
      type,
      code,
      mtu: kind === 'packet-too-big' ? icmp6Word(view, at) : 0,
      reporter,
      source: ipv6Source(view, quote),
      destination: ipv6Destination(view, quote),
    }
    const size = IPV6_HEADER + ipv6PayloadLength(view, quote)
    if (!isOwn(error.source, packet, this.context)) return 'icmpErrorUnmatched'
    packet.networkAt = quote
    const transport = this.pullToTransport(packet)
    if (transport === null || !transport.error(packet, error, now)) return 'icmpErrorUnmatched'
    // RFC 8201 §4: an MTU below the minimum is no reason to send less.
    if (kind === 'packet-too-big') this.context.pathMtu.reduce(error.destination, error.mtu, size, now)
    packet.release()
    return undefined
  }

  /** Pulls from the IPv6 header at networkAt to the transport's, of which 8 bytes are linear; null: there is no such transport. */
  private pullToTransport(packet: Packet): Transport | null {
    if (!packet.linearize(Math.min(packet.length, QUOTED_HEADER_BYTES))) return null
    const { view } = packet.page
    const at = packet.networkAt
    const { walk } = this
    if (walkExtensions(view, at, ipv6NextHeader(view, at), at + 6, at + IPV6_HEADER, packet.tail, walk) !== undefined) {
      return null
    }
    let upper = walk.nextHeader
    let upperAt = walk.at
    if (upper === NEXT_FRAGMENT) {
      if (fragment6Offset(view, upperAt) > 0) return null
      upper = fragmentNextHeader(view, upperAt)
      upperAt += FRAGMENT_HEADER
    }
    if (upperAt + 8 > packet.tail) return null
    packet.pull(upperAt - packet.data)
    return this.ipv6.protocols[upper] ?? null
  }

  private receiveDiscovery(
    type: number,
    packet: Packet,
    source: IpAddress,
    destination: IpAddress,
    now: Micros,
  ): Drop | undefined {
    if (!packet.linearize(packet.length)) return 'noBuffer'
    let listener: Icmp6Listener | null = null
    if (type >= ICMP6_ROUTER_SOLICITATION && type <= ICMP6_REDIRECT) listener = this.neighborDiscovery
    else if (type === ICMP6_MLD_QUERY || type === ICMP6_MLD_REPORT) listener = this.listenerDiscovery
    else if (type === ICMP6_MLD_DONE || type === ICMP6_MLDV2_REPORT) listener = this.listenerDiscovery
    if (listener === null) return 'icmpUnknownType'
    const drop = listener.receiveIcmp6(type, packet, source, destination, now)
    if (drop !== undefined) return this.inError(drop)
    packet.release()
    return undefined
  }

  private countReceivedError(type: number): void {
    const { counters } = this.context
    if (type === ICMP6_UNREACHABLE) counters.Icmp6InDestUnreachs++
    else if (type === ICMP6_PACKET_TOO_BIG) counters.Icmp6InPktTooBigs++
    else if (type === ICMP6_TIME_EXCEEDED) counters.Icmp6InTimeExcds++
    else if (type === ICMP6_PARAMETER_PROBLEM) counters.Icmp6InParmProblems++
  }

  private countError(type: number): void {
    const { counters } = this.context
    counters.Icmp6OutMsgs++
    counters.Icmp6OutErrors++
    if (type === ICMP6_UNREACHABLE) counters.Icmp6OutDestUnreachs++
    else if (type === ICMP6_PACKET_TOO_BIG) counters.Icmp6OutPktTooBigs++
    else if (type === ICMP6_TIME_EXCEEDED) counters.Icmp6OutTimeExcds++
    else if (type === ICMP6_PARAMETER_PROBLEM) counters.Icmp6OutParmProblems++
  }

  private inError(drop: Drop): Drop {
    this.context.counters.Icmp6InErrors++
    return drop
  }
}

/** What type and code say; null: nothing known, which is ignored. */
function kindOf(type: number, code: number): IcmpErrorKind | null {
  switch (type) {
    case ICMP6_PACKET_TOO_BIG:
      return 'packet-too-big'
    case ICMP6_TIME_EXCEEDED:
      return code === TIME_EXCEEDED_REASSEMBLY ? 'reassembly-timeout' : 'hop-limit-exceeded'
    case ICMP6_PARAMETER_PROBLEM:
      return code === PROBLEM6_NEXT_HEADER ? 'protocol-unreachable' : 'parameter-problem'
    case ICMP6_UNREACHABLE:
      if (code === UNREACHABLE6_PORT) return 'port-unreachable'
      if (code === UNREACHABLE6_ADDRESS) return 'host-unreachable'
      return code === UNREACHABLE6_PROHIBITED || code === UNREACHABLE6_POLICY ? 'admin-prohibited' : 'net-unreachable'
    default:
      return null
  }
}
