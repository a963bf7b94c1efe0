// What tcpdump prints of ICMP and IGMP, for describe.ts.

import { IpAddress } from './address.ts'
import {
  echoIdentifier,
  echoSequence,
  fragmentationNeededMtu,
  ICMP4_ECHO,
  ICMP4_ECHO_REPLY,
  ICMP4_HEADER,
  ICMP4_PARAMETER_PROBLEM,
  ICMP4_REDIRECT,
  ICMP4_SOURCE_QUENCH,
  ICMP4_TIME_EXCEEDED,
  ICMP4_TIMESTAMP,
  ICMP4_TIMESTAMP_REPLY,
  ICMP4_UNREACHABLE,
  icmpCode,
  icmpType,
  parameterProblem4Pointer,
  TIME_EXCEEDED_HOPS,
  TIME_EXCEEDED_REASSEMBLY,
  UNREACHABLE4_FRAGMENTATION_NEEDED,
  UNREACHABLE4_PORT,
  UNREACHABLE4_PROTOCOL,
} from './icmp4.ts'
import {
  floatingCode8,
  IGMP_HEADER,
  IGMP_QUERY,
  IGMPV1_REPORT,
  IGMPV2_LEAVE,
  IGMPV2_REPORT,
  IGMPV3_QUERY_HEADER,
  IGMPV3_REPORT,
  igmpGroup,
  igmpType,
} from './igmp.ts'
import { IPV4_HEADER, ipv4Destination, ipv4HeaderLength, ipv4Protocol, PROTOCOL_TCP, PROTOCOL_UDP } from './ipv4.ts'

/** By code; `@` is the quoted packet's destination. */
const UNREACHABLE_TEXT: readonly string[] = [
  'net @ unreachable',
  'host @ unreachable',
  '',
  '',
  '',
  '@ unreachable - source route failed',
  'net @ unreachable - unknown',
  'host @ unreachable - unknown',
  '@ unreachable - source host isolated',
  'net @ unreachable - admin prohibited',
  'host @ unreachable - admin prohibited',
  'net @ unreachable - tos prohibited',
  'host @ unreachable - tos prohibited',
  'host @ unreachable - admin prohibited filter',
  'host @ unreachable - host precedence violation',
  'host @ unreachable - precedence cutoff',
]

const REDIRECT_TEXT: readonly string[] = [
  'redirect @ to net ',
  'redirect @ to host ',
  'redirect-tos @ to net ',
  'redirect-tos @ to host ',
]

const TRUNCATED = '[|icmp]'

/** The message at `at`, of which the bytes before `end` are there; `length` is what IP says it has. */
export function describeIcmp4(view: DataView, at: number, end: number, length: number): string {
  if (end - at < ICMP4_HEADER) return TRUNCATED
  const text = messageText(view, at, end)
  return text === '' ? TRUNCATED : `ICMP ${text}, length ${length}`
}

/** '' where bytes are missing. */
function messageText(view: DataView, at: number, end: number): string {
  const type = icmpType(view, at)
  const code = icmpCode(view, at)
  switch (type) {
    case ICMP4_ECHO:
    case ICMP4_ECHO_REPLY: {
      const kind = type === ICMP4_ECHO ? 'request' : 'reply'
      return `echo ${kind}, id ${echoIdentifier(view, at)}, seq ${echoSequence(view, at)}`
    }
    case ICMP4_UNREACHABLE:
      return unreachableText(view, at, end, code)
    case ICMP4_SOURCE_QUENCH:
      return 'source quench'
    case ICMP4_REDIRECT: {
      const gateway = IpAddress.read4(view, at + 4)
      const quoted = at + ICMP4_HEADER
      if (end - quoted < IPV4_HEADER) return ''
      const text = REDIRECT_TEXT[code] ?? `redirect-#${code} @ to `
      return text.replace('@', ipv4Destination(view, quoted).toString()) + gateway
    }
    case 9:
      return 'router advertisement'
    case 10:
      return 'router solicitation'
    case ICMP4_TIME_EXCEEDED:
      if (code === TIME_EXCEEDED_HOPS) return 'time exceeded in-transit'
      return code === TIME_EXCEEDED_REASSEMBLY ? 'ip reassembly time exceeded' : `time exceeded-#${code}`
    case ICMP4_PARAMETER_PROBLEM:
      return `parameter problem - ${code === 0 ? `octet ${parameterProblem4Pointer(view, at)}` : `code ${code}`}`
    case ICMP4_TIMESTAMP:
      return `time stamp query id ${echoIdentifier(view, at)} seq ${echoSequence(view, at)}`
    case ICMP4_TIMESTAMP_REPLY:
      return end - at < 20 ? '' : timestampReplyText(view, at)
    default:
      return `type-#${type}`
  }
}

function unreachableText(view: DataView, at: number, end: number, code: number): string {
  const quoted = at + ICMP4_HEADER
  if (end - quoted < IPV4_HEADER) return ''
  const destination = ipv4Destination(view, quoted).toString()
  const protocol = ipv4Protocol(view, quoted)
  if (code === UNREACHABLE4_PROTOCOL) return `${destination} protocol ${protocol} unreachable`
  if (code === UNREACHABLE4_FRAGMENTATION_NEEDED) {
    const mtu = fragmentationNeededMtu(view, at)
    return `${destination} unreachable - need to frag${mtu > 0 ? ` (mtu ${mtu})` : ''}`
  }
  if (code === UNREACHABLE4_PORT) {
    const transport = quoted + ipv4HeaderLength(view, quoted)
    if (transport + 4 > end) return ''
    const port = view.getUint16(transport + 2)
    if (protocol === PROTOCOL_TCP) return `${destination} tcp port ${port} unreachable`
    if (protocol === PROTOCOL_UDP) return `${destination} udp port ${port} unreachable`
    return `${destination} protocol ${protocol} port ${port} unreachable`
  }
  return (UNREACHABLE_TEXT[code] ?? `@ unreachable - #${code}`).replace('@', destination)
}

function timestampReplyText(view: DataView, at: number): string {
  const [originate, receive, transmit] = [8, 12, 16].map((offset) => timeOfDay(view.getUint32(at + offset)))
  const echo = `id ${echoIdentifier(view, at)} seq ${echoSequence(view, at)}`
  return `time stamp reply ${echo}: org ${originate}, recv ${receive}, xmit ${transmit}`
}

/** Milliseconds since midnight, as a clock. */
function timeOfDay(millis: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  const fraction = String(millis % 1_000).padStart(3, '0')
  return `${two(millis / 3_600_000)}:${two((millis / 60_000) % 60)}:${two((millis / 1_000) % 60)}.${fraction}`
}

const IGMP_TRUNCATED = '[|igmp]'
/** A query's usual response time of 10 s, in tenths: not worth printing. */
const DEFAULT_RESPONSE = 100

export function describeIgmp(view: DataView, at: number, end: number): string {
  if (end - at < IGMP_HEADER) return IGMP_TRUNCATED
  switch (igmpType(view, at)) {
    case IGMP_QUERY:
      return end - at >= IGMPV3_QUERY_HEADER ? query3Text(view, at) : query2Text(view, at)
    case IGMPV1_REPORT:
      return `igmp v1 report ${igmpGroup(view, at)}`
    case IGMPV2_REPORT:
      return `igmp v2 report ${igmpGroup(view, at)}`
    case IGMPV2_LEAVE:
      return `igmp leave ${igmpGroup(view, at)}`
    case IGMPV3_REPORT:
      return `igmp v3 report, ${view.getUint16(at + 6)} group record(s)`
    default:
      return `igmp-${igmpType(view, at)}`
  }
}

function query2Text(view: DataView, at: number): string {
  const code = view.getUint8(at + 1)
  const group = igmpGroup(view, at)
  const time = code === 0 || code === DEFAULT_RESPONSE ? '' : ` [max resp time ${code}]`
  return `igmp query v${code === 0 ? 1 : 2}${time}${group.isUnspecified ? '' : ` [gaddr ${group}]`}`
}

function query3Text(view: DataView, at: number): string {
  const tenths = floatingCode8(view.getUint8(at + 1))
  const time = tenths === DEFAULT_RESPONSE ? '' : ` [max resp time ${durationText(tenths)}]`
  const group = igmpGroup(view, at)
  const sources = view.getUint16(at + 10)
  if (group.isUnspecified) return `igmp query v3${time}`
  return `igmp query v3${time} [gaddr ${group}${sources > 0 ? `, ${sources} source(s)` : ''}]`
}

function durationText(tenths: number): string {
  if (tenths < 600) return `${(tenths / 10).toFixed(1)}s`
  const left = Math.floor((tenths % 600) / 10)
  return `${Math.floor(tenths / 600)}m${left > 0 ? `${left}s` : ''}`
}
