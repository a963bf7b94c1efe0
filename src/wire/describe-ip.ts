// What tcpdump prints of IPv4 and IPv6 packets and of what is in them, for describe.ts.

import type { IpAddress } from './address.ts'
import { describeIcmp4, describeIgmp } from './describe-icmp4.ts'
import { describeIcmp6 } from './describe-icmp6.ts'
import { describeTcp, portsText, type TcpFlows } from './describe-tcp.ts'
import { ICMP4_HEADER, icmpType, isIcmp4Error } from './icmp4.ts'
import { isIcmp6Error } from './icmp6.ts'
import {
  DONT_FRAGMENT,
  IPV4_HEADER,
  ipVersion,
  ipv4Destination,
  ipv4FlagsAndOffset,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Identification,
  ipv4MoreFragments,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  ipv4TrafficClass,
  ipv4Ttl,
  PROTOCOL_ICMP4,
  PROTOCOL_ICMP6,
  PROTOCOL_IGMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from './ipv4.ts'
import {
  IPV6_HEADER,
  ipv6Destination,
  ipv6FlowLabel,
  ipv6HopLimit,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6Source,
  ipv6TrafficClass,
} from './ipv6.ts'
import {
  FRAGMENT_HEADER,
  fragment6More,
  fragment6Offset,
  fragmentNextHeader,
  MAX_EXTENSIONS,
  NEXT_DESTINATION,
  NEXT_FRAGMENT,
  NEXT_HOP_BY_HOP,
  NEXT_NONE,
  NEXT_ROUTING,
} from './ipv6-extensions.ts'
import { TCP_HEADER, tcpAck, tcpFlags, tcpSeq } from './tcp.ts'
import { UDP_HEADER, udpLength } from './udp.ts'

/** How descriptions are to look. */
export interface Style {
  /** IP's fields, and the packet that an ICMP error quotes. */
  readonly verbose: boolean
  /** Null: absolute sequence numbers. */
  readonly flows: TcpFlows | null
}

/** An upper-layer header and what is known about it. */
interface Upper {
  readonly view: DataView
  readonly at: number
  /** Where the bytes that are there end. */
  readonly end: number
  /** What IP says it has. */
  readonly length: number
  readonly protocol: number
  readonly source: IpAddress
  readonly destination: IpAddress
  /** Nothing printed stands between the addresses and this header. */
  readonly direct: boolean
  /** More of it is in other fragments. */
  readonly partial: boolean
  /** It stands in an ICMP error already. */
  readonly quoted: boolean
}

/** The packet without the word `IP` that comes first. */
export function describeIpv4(view: DataView, at: number, end: number, style: Style, quoted = false): string {
  if (end - at < IPV4_HEADER) return '[|ip]'
  if (ipVersion(view, at) !== 4) return `[version ${ipVersion(view, at)}]`
  const headerLength = ipv4HeaderLength(view, at)
  if (headerLength < IPV4_HEADER) return `[bad-hlen ${headerLength}]`
  const totalLength = ipv4TotalLength(view, at)
  if (totalLength < headerLength) return `[bad-len ${totalLength}]`
  if (at + headerLength > end) return '[|ip]'
  const source = ipv4Source(view, at)
  const destination = ipv4Destination(view, at)
  const protocol = ipv4Protocol(view, at)
  const missing = at + totalLength - end
  let text = missing > 0 && !quoted ? `truncated-ip - ${missing} bytes missing! ` : ''
  if (style.verbose) text += `(${ipv4Fields(view, at)}) `
  if (ipv4FragmentOffset(view, at) > 0) return `${text}${source} > ${destination}: ip-proto-${protocol}`
  return (
    text +
    describeUpper(
      {
        view,
        at: at + headerLength,
        end: Math.min(end, at + totalLength),
        length: totalLength - headerLength,
        protocol,
        source,
        destination,
        direct: true,
        partial: ipv4MoreFragments(view, at) || quoted,
        quoted,
      },
      style,
    )
  )
}

function ipv4Fields(view: DataView, at: number): string {
  const flagsAndOffset = ipv4FlagsAndOffset(view, at)
  const flags: string[] = []
  if (ipv4MoreFragments(view, at)) flags.push('+')
  if ((flagsAndOffset & DONT_FRAGMENT) !== 0) flags.push('DF')
  const protocol = ipv4Protocol(view, at)
  return (
    `tos 0x${ipv4TrafficClass(view, at).toString(16)}, ttl ${ipv4Ttl(view, at)}, id ${ipv4Identification(view, at)}, ` +
    `offset ${ipv4FragmentOffset(view, at)}, flags [${flags.join(', ') || 'none'}], ` +
    `proto ${protocolName(protocol)} (${protocol}), length ${ipv4TotalLength(view, at)}`
  )
}

/** The packet without the word `IP6` that comes first. */
export function describeIpv6(view: DataView, at: number, end: number, style: Style, quoted = false): string {
  if (end - at < IPV6_HEADER) return '[|ip6]'
  if (ipVersion(view, at) !== 6) return `[version ${ipVersion(view, at)}]`
  const source = ipv6Source(view, at)
  const destination = ipv6Destination(view, at)
  const stated = at + IPV6_HEADER + ipv6PayloadLength(view, at)
  let text = stated > end && !quoted ? `truncated-ip6 - ${stated - end} bytes missing!` : ''
  if (style.verbose) text += `(${ipv6Fields(view, at)}) `
  const between = `${source} > ${destination}:`
  let extensions = ''
  let next = at + IPV6_HEADER
  let protocol = ipv6NextHeader(view, at)
  let partial = quoted
  const last = Math.min(end, stated)
  for (let count = 0; isExtension(protocol); count++) {
    if (count > MAX_EXTENSIONS) return `${text}${between}${extensions} [too many extension headers]`
    const length = extensionLength(view, next, last, protocol)
    if (next + length > last) return `${text}${between}${extensions} [|${extensionName(protocol)}]`
    extensions += extensionText(view, next, stated, protocol)
    if (protocol === NEXT_FRAGMENT) {
      if (fragment6Offset(view, next) > 0) return `${text}${between}${extensions}`
      partial ||= fragment6More(view, next)
    }
    protocol = fragmentNextHeader(view, next)
    next += length
  }
  const upper = describeUpper(
    {
      view,
      at: next,
      end: last,
      length: stated - next,
      protocol,
      source,
      destination,
      direct: extensions === '',
      partial,
      quoted,
    },
    style,
  )
  return extensions === '' ? text + upper : `${text}${between}${extensions} ${upper}`
}

function ipv6Fields(view: DataView, at: number): string {
  const flow = ipv6FlowLabel(view, at)
  const trafficClass = ipv6TrafficClass(view, at)
  const next = ipv6NextHeader(view, at)
  return (
    (trafficClass === 0 ? '' : `class 0x${trafficClass.toString(16).padStart(2, '0')}, `) +
    (flow === 0 ? '' : `flowlabel 0x${flow.toString(16).padStart(5, '0')}, `) +
    `hlim ${ipv6HopLimit(view, at)}, next-header ${protocolName(next)} (${next}) ` +
    `payload length: ${ipv6PayloadLength(view, at)}`
  )
}

const isExtension = (protocol: number): boolean =>
  protocol === NEXT_HOP_BY_HOP ||
  protocol === NEXT_DESTINATION ||
  protocol === NEXT_ROUTING ||
  protocol === NEXT_FRAGMENT

/** At least 8, also where the byte that tells is missing. */
const extensionLength = (view: DataView, at: number, end: number, protocol: number): number =>
  protocol === NEXT_FRAGMENT || end - at < 2 ? FRAGMENT_HEADER : (view.getUint8(at + 1) + 1) << 3

function extensionName(protocol: number): string {
  if (protocol === NEXT_HOP_BY_HOP) return 'hbhopt'
  if (protocol === NEXT_DESTINATION) return 'dstopt'
  return protocol === NEXT_ROUTING ? 'srcrt' : 'frag6'
}

function extensionText(view: DataView, at: number, packetEnd: number, protocol: number): string {
  if (protocol === NEXT_HOP_BY_HOP) return ' HBH'
  if (protocol === NEXT_DESTINATION) return ' DSTOPT'
  if (protocol === NEXT_FRAGMENT) return ` frag (${fragment6Offset(view, at)}|${packetEnd - at - FRAGMENT_HEADER})`
  return ` RT6 (len=${view.getUint8(at + 1)}, type=${view.getUint8(at + 2)}, segleft=${view.getUint8(at + 3)})`
}

function describeUpper(upper: Upper, style: Style): string {
  const { view, at, end, length, source, destination } = upper
  const between = upper.direct ? `${source} > ${destination}: ` : ''
  switch (upper.protocol) {
    case PROTOCOL_TCP:
      return end - at < 4 ? `${between}[|tcp]` : tcpText(upper, style)
    case PROTOCOL_UDP:
      return end - at < 4 ? `${between}[|udp]` : udpText(upper)
    case PROTOCOL_ICMP4:
      if (source.family === 6) break
      return between + describeIcmp4(view, at, end, length) + quotedText(upper, style)
    case PROTOCOL_IGMP:
      if (source.family === 6) break
      return between + describeIgmp(view, at, end)
    case PROTOCOL_ICMP6:
      if (source.family === 4) break
      return between + describeIcmp6(view, at, end, length, style.verbose) + quotedText(upper, style)
    case NEXT_NONE:
      if (source.family === 4) break
      return `${between}no next header`
  }
  return `${between}ip-proto-${upper.protocol} ${length}`
}

function portsOf(upper: Upper): string {
  const { view, at, direct } = upper
  return portsText(
    direct ? upper.source : null,
    direct ? upper.destination : null,
    view.getUint16(at),
    view.getUint16(at + 2),
  )
}

function tcpText(upper: Upper, style: Style): string {
  const { view, at, end, length } = upper
  const tracked = style.flows !== null && !upper.quoted && end - at >= TCP_HEADER
  const flow = tracked
    ? style.flows.origins(
        `${upper.source}.${view.getUint16(at)}`,
        `${upper.destination}.${view.getUint16(at + 2)}`,
        tcpFlags(view, at),
        tcpSeq(view, at),
        tcpAck(view, at),
      )
    : null
  return `${portsOf(upper)}: ${describeTcp(view, at, end, length, flow)}`
}

function udpText(upper: Upper): string {
  const { view, at, end, length } = upper
  const ports = portsOf(upper)
  if (end - at < UDP_HEADER) return `${ports}: [|udp]`
  const stated = udpLength(view, at)
  if (stated < UDP_HEADER) return `${ports}: [bad udp length ${stated}]`
  if (stated > length && !upper.partial)
    return `${ports}: UDP, bad length ${stated - UDP_HEADER} > ${length - UDP_HEADER}`
  return `${ports}: UDP, length ${stated - UDP_HEADER}`
}

/** The packet that an ICMP error is about, once: what that one quotes is left out. */
function quotedText(upper: Upper, style: Style): string {
  const { view, at, end, source } = upper
  if (!style.verbose || upper.quoted || end - at < ICMP4_HEADER) return ''
  const type = icmpType(view, at)
  const quotedAt = at + ICMP4_HEADER
  if (source.family === 4) return isIcmp4Error(type) ? ` IP ${describeIpv4(view, quotedAt, end, style, true)}` : ''
  return isIcmp6Error(type) ? ` IP6 ${describeIpv6(view, quotedAt, end, style, true)}` : ''
}

function protocolName(protocol: number): string {
  switch (protocol) {
    case PROTOCOL_TCP:
      return 'TCP'
    case PROTOCOL_UDP:
      return 'UDP'
    case PROTOCOL_ICMP4:
      return 'ICMP'
    case PROTOCOL_IGMP:
      return 'IGMP'
    case PROTOCOL_ICMP6:
      return 'ICMPv6'
    case NEXT_HOP_BY_HOP:
      return 'Options'
    case NEXT_FRAGMENT:
      return 'Fragment'
    default:
      return 'unknown'
  }
}
