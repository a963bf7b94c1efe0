// ICMP for IPv4 (RFC 792, RFC 1122 §3.2.2): answers echoes, reports errors, and hands errors about our own
// packets to the transport they concern. A transport to Ipv4, a reporter to whoever drops a packet.

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
  fragmentationNeededMtu,
  ICMP4_ECHO,
  ICMP4_ECHO_REPLY,
  ICMP4_HEADER,
  ICMP4_PARAMETER_PROBLEM,
  ICMP4_TIME_EXCEEDED,
  ICMP4_TIMESTAMP,
  ICMP4_UNREACHABLE,
  icmpCode,
  icmpType,
  isIcmp4Error,
  TIME_EXCEEDED_REASSEMBLY,
  UNREACHABLE4_ADMIN_PROHIBITED,
  UNREACHABLE4_FRAGMENTATION_NEEDED,
  UNREACHABLE4_HOST,
  UNREACHABLE4_HOST_PROHIBITED,
  UNREACHABLE4_HOST_UNKNOWN,
  UNREACHABLE4_NET_PROHIBITED,
  UNREACHABLE4_PORT,
  UNREACHABLE4_PROTOCOL,
  UNREACHABLE4_SOURCE_ROUTE_FAILED,
} from '../wire/icmp4.ts'
import {
  IPV4_HEADER,
  IPV4_MIN_REASSEMBLY,
  ipVersion,
  ipv4Destination,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  PROTOCOL_ICMP4,
} from '../wire/ipv4.ts'
import { type IpContext, isOwn } from './context.ts'
import { EchoClients } from './echo-clients.ts'
import { ICMP_ERROR_BURST, ICMP_ERRORS_PER_SECOND, type IcmpReporter } from './icmp-report.ts'
import type { Ipv4 } from './ipv4.ts'
import type { IcmpError, IcmpErrorKind, SendOptions, Transport } from './seams.ts'

/** RFC 1812 §4.3.2.3: as much of the packet as fits into 576 bytes. */
const QUOTE_BYTES = IPV4_MIN_REASSEMBLY - IPV4_HEADER - ICMP4_HEADER
/** Network control precedence for errors (RFC 1812 §4.3.2.5). */
const ERROR_TRAFFIC_CLASS = 0xc0
/** Timestamp messages are not answered (RFC 1122 §3.2.2.8 leaves it open): they tell a stranger our clock. */
const UNANSWERED = ICMP4_TIMESTAMP

export class Icmp4 implements Transport, IcmpReporter {
  readonly echoes: EchoClients
  private readonly context: IpContext
  private readonly ipv4: Ipv4
  private readonly errorBucket = new RateLimiter(ICMP_ERRORS_PER_SECOND, ICMP_ERROR_BURST)
  private readonly replyOptions: SendOptions
  private readonly errorOptions: SendOptions

  constructor(context: IpContext, ipv4: Ipv4) {
    this.context = context
    this.ipv4 = ipv4
    this.echoes = new EchoClients(context.random, context.calls)
    const common = {
      protocol: PROTOCOL_ICMP4,
      hopLimit: context.hopLimit,
      dontFragment: false,
      routerAlert: false,
      multicastLoop: true,
    }
    this.replyOptions = { ...common, trafficClass: 0 }
    this.errorOptions = { ...common, trafficClass: ERROR_TRAFFIC_CLASS }
  }

  receive(packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): Drop | undefined {
    const { counters } = this.context
    counters.IcmpInMsgs++
    if (!packet.linearize(Math.min(packet.length, ICMP4_HEADER))) return 'noBuffer'
    const malformed = checkIcmp(packet.headLength)
    if (malformed !== undefined) return this.inError(malformed)
    if (fold(sumFrom(packet, packet.data)) !== 0xffff) {
      counters.IcmpInCsumErrors++
      return this.inError('icmpChecksum')
    }
    const type = icmpType(packet.page.view, packet.data)
    if (type === ICMP4_ECHO) return this.answerEcho(packet, source, destination, now)
    if (type === ICMP4_ECHO_REPLY) {
      counters.IcmpInEchoReps++
      return this.echoes.reply(packet, source, destination, now)
    }
    if (isIcmp4Error(type)) return this.receiveError(packet, source, now)
    return type === UNANSWERED ? 'icmpEchoIgnored' : 'icmpUnknownType'
  }

  /** An error about an ICMP message of ours: an echo request, or nothing (RFC 1122 §3.2.2: no errors about errors). */
  error(packet: Packet, error: IcmpError, now: Micros): boolean {
    const { view } = packet.page
    if (icmpType(view, packet.data) !== ICMP4_ECHO) return false
    return this.echoes.error(echoIdentifier(view, packet.data), packet, error, now)
  }

  report(packet: Packet, type: number, code: number, rest: number, now: Micros): void {
    const { counters } = this.context
    const at = packet.networkAt
    const source = ipv4Source(packet.page.view, at)
    if (!this.mayReport(packet, source)) return
    if (!this.errorBucket.take(now)) {
      counters.IcmpOutRateLimitGlobal++
      return
    }
    const destination = ipv4Destination(packet.page.view, at)
    const own = this.context.interfaces.isLocal(destination) ? destination : null
    const way = this.ipv4.resolve(source, { source: own, interfaceIndex: 0 })
    if (typeof way === 'string') return
    const error = Packet.allocate(this.context.pool, QUOTE_BYTES + ICMP4_HEADER)
    if (error === null) return
    const to = error.put(ICMP4_HEADER)
    emitIcmp(error.page.view, to, type, code, rest)
    const quoted = copyHead(packet, at, QUOTE_BYTES, error.page.bytes, error.tail)
    error.put(quoted)
    error.page.view.setUint16(to + 2, complement(sumFrom(error, to)))
    error.note = `ICMP type ${type} code ${code}: tells ${source} of a packet to ${destination}`
    this.countError(type)
    this.ipv4.send(error, way, this.errorOptions, now)
  }

  /** RFC 1122 §3.2.2: never about an ICMP error, to or from more than one host, or a fragment but the first. */
  private mayReport(packet: Packet, source: IpAddress): boolean {
    const { view } = packet.page
    const at = packet.networkAt
    const destination = ipv4Destination(view, at)
    const arrival = this.context.interfaces.byIndex(packet.interfaceIndex)
    if (packet.linkCast !== 'host' || destination.isMulticast || arrival?.isBroadcast(destination)) return false
    if (source.isUnspecified || source.isMulticast || source.isReserved4 || source.isThisNetwork4) return false
    if (arrival?.isBroadcast(source)) return false
    if (source.isLoopback && !arrival?.isLoopback) return false
    if (ipv4FragmentOffset(view, at) > 0) return false
    if (ipv4Protocol(view, at) !== PROTOCOL_ICMP4) return true
    const icmpAt = at + ipv4HeaderLength(view, at)
    return icmpAt < packet.tail && !isIcmp4Error(icmpType(view, icmpAt))
  }

  private answerEcho(packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): Drop | undefined {
    const { counters } = this.context
    counters.IcmpInEchos++
    // RFC 1122 §3.2.2.6 lets a host ignore echoes to more than one host: they amplify floods.
    if (packet.linkCast !== 'host' || !this.context.interfaces.isLocal(destination)) return 'icmpEchoIgnored'
    if (source.isUnspecified) return 'martianSource'
    const way = this.ipv4.resolve(source, { source: destination, interfaceIndex: 0 })
    if (typeof way === 'string') return 'noRoute'
    if (!packet.unshare()) return 'noBuffer'
    const { view } = packet.page
    const at = packet.data
    const before = view.getUint16(at)
    view.setUint8(at, ICMP4_ECHO_REPLY)
    view.setUint16(at + 2, updateChecksum(view.getUint16(at + 2), before, view.getUint16(at)))
    packet.checksum = 'complete'
    counters.IcmpOutMsgs++
    counters.IcmpOutEchoReps++
    this.ipv4.send(packet, way, this.replyOptions, now)
    return undefined
  }

  private receiveError(packet: Packet, reporter: IpAddress, now: Micros): Drop | undefined {
    const { counters } = this.context
    if (!packet.linearize(Math.min(packet.length, ICMP4_HEADER + IPV4_HEADER + 64))) return 'noBuffer'
    const { view } = packet.page
    const at = packet.data
    const type = icmpType(view, at)
    const code = icmpCode(view, at)
    if (type === ICMP4_UNREACHABLE) counters.IcmpInDestUnreachs++
    else if (type === ICMP4_TIME_EXCEEDED) counters.IcmpInTimeExcds++
    else if (type === ICMP4_PARAMETER_PROBLEM) counters.IcmpInParmProbs++
    const kind = kindOf(type, code)
    if (kind === null) return 'icmpUnknownType'
    const quote = packet.pull(ICMP4_HEADER)
    const isIpv4 = packet.headLength >= IPV4_HEADER && ipVersion(view, quote) === 4
    const headerLength = isIpv4 ? ipv4HeaderLength(view, quote) : 0
    if (headerLength < IPV4_HEADER || headerLength + 8 > packet.headLength) return this.inError('icmpMalformed')
    const error: IcmpError = {
      kind,
      type,
      code,
      mtu: kind === 'packet-too-big' ? fragmentationNeededMtu(view, at) : 0,
      reporter,
      source: ipv4Source(view, quote),
      destination: ipv4Destination(view, quote),
    }
    const size = ipv4TotalLength(view, quote)
    const transport = this.ipv4.protocols[ipv4Protocol(view, quote)] ?? null
    if (transport === null || !isOwn(error.source, packet, this.context)) return 'icmpErrorUnmatched'
    if (ipv4FragmentOffset(view, quote) > 0) return 'icmpErrorUnmatched'
    packet.pull(headerLength)
    const isOurs = transport.error(packet, error, now)
    if (!isOurs) return 'icmpErrorUnmatched'
    if (kind === 'packet-too-big') this.context.pathMtu.reduce(error.destination, error.mtu, size, now)
    packet.release()
    return undefined
  }

  /** A packet of ours could not be resolved on its first link: the transport hears of it as if a router had said so. */
  tellUnreachable(packet: Packet, now: Micros): void {
    const { view } = packet.page
    const at = packet.networkAt
    const source = ipv4Source(view, at)
    if (!this.context.interfaces.isLocal(source)) {
      return this.report(packet, ICMP4_UNREACHABLE, UNREACHABLE4_HOST, 0, now)
    }
    const transport = this.ipv4.protocols[ipv4Protocol(view, at)] ?? null
    const headerLength = ipv4HeaderLength(view, at)
    if (transport === null || ipv4FragmentOffset(view, at) > 0) return
    if (!packet.linearize(Math.min(packet.length, headerLength + 8)) || packet.headLength < headerLength + 8) return
    packet.pull(headerLength)
    const error: IcmpError = {
      kind: 'host-unreachable',
      type: ICMP4_UNREACHABLE,
      code: UNREACHABLE4_HOST,
      mtu: 0,
      reporter: source,
      source,
      destination: ipv4Destination(packet.page.view, packet.networkAt),
    }
    transport.error(packet, error, now)
  }

  /** A datagram was not whole in time; its first fragment came (RFC 792, RFC 1122 §3.3.2). */
  tellReassemblyTimeout(first: Packet, now: Micros): void {
    this.report(first, ICMP4_TIME_EXCEEDED, TIME_EXCEEDED_REASSEMBLY, 0, now)
  }

  private countError(type: number): void {
    const { counters } = this.context
    counters.IcmpOutMsgs++
    counters.IcmpOutErrors++
    if (type === ICMP4_UNREACHABLE) counters.IcmpOutDestUnreachs++
    else if (type === ICMP4_TIME_EXCEEDED) counters.IcmpOutTimeExcds++
    else if (type === ICMP4_PARAMETER_PROBLEM) counters.IcmpOutParmProbs++
  }

  private inError(drop: Drop): Drop {
    this.context.counters.IcmpInErrors++
    return drop
  }
}

/** What the code says; null: nothing that a transport could use (source quench, redirects). */
function kindOf(type: number, code: number): IcmpErrorKind | null {
  if (type === ICMP4_TIME_EXCEEDED) {
    return code === TIME_EXCEEDED_REASSEMBLY ? 'reassembly-timeout' : 'hop-limit-exceeded'
  }
  if (type === ICMP4_PARAMETER_PROBLEM) return 'parameter-problem'
  if (type !== ICMP4_UNREACHABLE) return null
  switch (code) {
    case UNREACHABLE4_PORT:
      return 'port-unreachable'
    case UNREACHABLE4_PROTOCOL:
      return 'protocol-unreachable'
    case UNREACHABLE4_FRAGMENTATION_NEEDED:
      return 'packet-too-big'
    case UNREACHABLE4_SOURCE_ROUTE_FAILED:
      return 'source-route-failed'
    case UNREACHABLE4_HOST:
    case UNREACHABLE4_HOST_UNKNOWN:
      return 'host-unreachable'
    case UNREACHABLE4_NET_PROHIBITED:
    case UNREACHABLE4_HOST_PROHIBITED:
    case UNREACHABLE4_ADMIN_PROHIBITED:
      return 'admin-prohibited'
    default:
      return 'net-unreachable'
  }
}
