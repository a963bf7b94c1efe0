// What tcpdump prints of ICMPv6, NDP and MLD, for describe.ts.

import { IpAddress } from './address.ts'
import { echoIdentifier, echoSequence, ICMP4_HEADER, icmpCode, icmpType } from './icmp4.ts'
import {
  ICMP6_ECHO_REPLY,
  ICMP6_ECHO_REQUEST,
  ICMP6_MLD_DONE,
  ICMP6_MLD_QUERY,
  ICMP6_MLD_REPORT,
  ICMP6_MLDV2_REPORT,
  ICMP6_NEIGHBOR_ADVERTISEMENT,
  ICMP6_NEIGHBOR_SOLICITATION,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_PARAMETER_PROBLEM,
  ICMP6_REDIRECT,
  ICMP6_ROUTER_ADVERTISEMENT,
  ICMP6_ROUTER_SOLICITATION,
  ICMP6_TIME_EXCEEDED,
  ICMP6_UNREACHABLE,
  icmp6Word,
  PROBLEM6_HEADER,
  PROBLEM6_NEXT_HEADER,
  PROBLEM6_OPTION,
  UNREACHABLE6_ADDRESS,
  UNREACHABLE6_BEYOND_SCOPE,
  UNREACHABLE6_NO_ROUTE,
  UNREACHABLE6_PORT,
  UNREACHABLE6_PROHIBITED,
} from './icmp6.ts'
import { PROTOCOL_TCP, PROTOCOL_UDP } from './ipv4.ts'
import { IPV6_HEADER, ipv6Destination, ipv6NextHeader, ipv6Source } from './ipv6.ts'
import { MLD_HEADER, MLDV2_QUERY_HEADER, mldGroup } from './mld.ts'
import {
  advertisementOverride,
  advertisementRouter,
  advertisementSolicited,
  NEIGHBOR_HEADER,
  ndpTarget,
  nextNdpOption,
  PREFIX_OPTION,
  REDIRECT_HEADER,
  ROUTER_ADVERTISEMENT_HEADER,
  readPrefixInformation,
  readRouterAdvertisement,
  redirectDestination,
} from './ndp.ts'

const TRUNCATED = '[|icmp6]'

/** The message at `at`, of which the bytes before `end` are there; `length` is what IP says it has. */
export function describeIcmp6(view: DataView, at: number, end: number, length: number, verbose: boolean): string {
  if (end - at < ICMP4_HEADER) return TRUNCATED
  const text = messageText(view, at, end, verbose)
  if (text.endsWith(TRUNCATED)) return `ICMP6, ${text}`
  return `ICMP6, ${text}, length ${length}`
}

function messageText(view: DataView, at: number, end: number, verbose: boolean): string {
  const type = icmpType(view, at)
  const code = icmpCode(view, at)
  switch (type) {
    case ICMP6_UNREACHABLE:
      return `destination unreachable, ${unreachableText(view, at + ICMP4_HEADER, end, code)}`
    case ICMP6_PACKET_TOO_BIG:
      return `packet too big, mtu ${icmp6Word(view, at)}`
    case ICMP6_TIME_EXCEEDED:
      if (code === 1) return 'time exceeded in-transit (reassembly)'
      if (code > 1) return `time exceeded in-transit, unknown code (${code})`
      return `time exceeded in-transit for ${quotedDestination(view, at + ICMP4_HEADER, end)}`
    case ICMP6_PARAMETER_PROBLEM:
      return `parameter problem, ${problemText(code, icmp6Word(view, at))}`
    case ICMP6_ECHO_REQUEST:
      return `echo request, id ${echoIdentifier(view, at)}, seq ${echoSequence(view, at)}`
    case ICMP6_ECHO_REPLY:
      return `echo reply, id ${echoIdentifier(view, at)}, seq ${echoSequence(view, at)}`
    case ICMP6_MLD_QUERY:
      return end - at > MLD_HEADER ? mldQuery2Text(view, at, end) : mldText(view, at, end, 'query')
    case ICMP6_MLD_REPORT:
      return mldText(view, at, end, 'report')
    case ICMP6_MLD_DONE:
      return mldText(view, at, end, 'done')
    case ICMP6_MLDV2_REPORT:
      return `multicast listener report v2, ${view.getUint16(at + 6)} group record(s)`
    default:
      return ndpText(view, at, end, type, verbose)
  }
}

function unreachableText(view: DataView, quoted: number, end: number, code: number): string {
  const destination = quotedDestination(view, quoted, end)
  switch (code) {
    case UNREACHABLE6_NO_ROUTE:
      return `unreachable route ${destination}`
    case UNREACHABLE6_PROHIBITED:
      return `unreachable prohibited ${destination}`
    case UNREACHABLE6_BEYOND_SCOPE: {
      if (end - quoted < IPV6_HEADER) return `beyond scope ${TRUNCATED}`
      return `beyond scope ${destination}, source address ${ipv6Source(view, quoted)}`
    }
    case UNREACHABLE6_ADDRESS:
      return `unreachable address ${destination}`
    case UNREACHABLE6_PORT: {
      if (end - quoted < IPV6_HEADER + 4) return `unreachable port ${TRUNCATED}`
      const port = view.getUint16(quoted + IPV6_HEADER + 2)
      const protocol = ipv6NextHeader(view, quoted)
      if (protocol === PROTOCOL_TCP) return `unreachable port, ${destination} tcp port ${port}`
      if (protocol === PROTOCOL_UDP) return `unreachable port, ${destination} udp port ${port}`
      return `unreachable port, ${destination} protocol ${protocol} port ${port} unreachable`
    }
    default:
      return `unknown unreach code (${code})`
  }
}

const quotedDestination = (view: DataView, quoted: number, end: number): string =>
  end - quoted < IPV6_HEADER ? TRUNCATED : ipv6Destination(view, quoted).toString()

function problemText(code: number, pointer: number): string {
  if (code === PROBLEM6_HEADER) return `erroneous - octet ${pointer}`
  if (code === PROBLEM6_NEXT_HEADER) return `next header - octet ${pointer}`
  if (code === PROBLEM6_OPTION) return `option - octet ${pointer}`
  // RFC 7112 §5.
  return code === 3 ? `incomplete header chain - octet ${pointer}` : `code-#${code}`
}

function mldText(view: DataView, at: number, end: number, kind: string): string {
  if (end - at < MLD_HEADER) return `multicast listener ${kind} ${TRUNCATED}`
  return `multicast listener ${kind} max resp delay: ${view.getUint16(at + 4)} addr: ${mldGroup(view, at)}`
}

function mldQuery2Text(view: DataView, at: number, end: number): string {
  if (end - at < MLDV2_QUERY_HEADER) return `multicast listener query ${TRUNCATED}`
  const sources = view.getUint16(at + 26)
  return `multicast listener query v2 [gaddr ${mldGroup(view, at)}${sources > 0 ? `, ${sources} source(s)` : ''}]`
}

function ndpText(view: DataView, at: number, end: number, type: number, verbose: boolean): string {
  switch (type) {
    case ICMP6_ROUTER_SOLICITATION:
      return 'router solicitation'
    case ICMP6_ROUTER_ADVERTISEMENT:
      if (end - at < ROUTER_ADVERTISEMENT_HEADER) return `router advertisement ${TRUNCATED}`
      return `router advertisement${verbose ? advertisementText(view, at, end) : ''}`
    case ICMP6_NEIGHBOR_SOLICITATION:
      if (end - at < NEIGHBOR_HEADER) return `neighbor solicitation ${TRUNCATED}`
      return `neighbor solicitation, who has ${ndpTarget(view, at)}`
    case ICMP6_NEIGHBOR_ADVERTISEMENT:
      if (end - at < NEIGHBOR_HEADER) return `neighbor advertisement ${TRUNCATED}`
      return `neighbor advertisement, tgt is ${ndpTarget(view, at)}${verbose ? neighborFlags(view, at) : ''}`
    case ICMP6_REDIRECT:
      if (end - at < REDIRECT_HEADER) return `redirect ${TRUNCATED}`
      return `redirect, ${redirectDestination(view, at)} to ${IpAddress.read6(view, at + 8)}`
    default:
      return `unknown icmp6 type (${type})`
  }
}

function neighborFlags(view: DataView, at: number): string {
  const flags: string[] = []
  if (advertisementRouter(view, at)) flags.push('router')
  if (advertisementSolicited(view, at)) flags.push('solicited')
  if (advertisementOverride(view, at)) flags.push('override')
  return `, Flags [${flags.length === 0 ? 'none' : flags.join(', ')}]`
}

const PREFERENCES: readonly string[] = ['low', 'medium', 'high']

function advertisementText(view: DataView, at: number, end: number): string {
  const said = readRouterAdvertisement(view, at, end)
  const flags = [said.managed ? 'managed' : '', said.otherConfiguration ? 'other stateful' : ''].filter(Boolean)
  let text = `, hop limit ${said.hopLimit}, Flags [${flags.join(', ') || 'none'}]`
  text += `, pref ${PREFERENCES[said.preference + 1]}, router lifetime ${said.lifetime}s`
  text += `, reachable time ${said.reachableTime}ms, retrans timer ${said.retransmitTime}ms`
  if (said.sourceMac !== null) text += `, source link-address ${said.sourceMac}`
  if (said.mtu !== 0) text += `, mtu ${said.mtu}`
  const options = at + ROUTER_ADVERTISEMENT_HEADER
  for (let option = options; option + PREFIX_OPTION <= end; option = nextNdpOption(view, option, end)) {
    const info = readPrefixInformation(view, option)
    if (info !== null) text += `, prefix ${info.prefix}/${info.length}`
  }
  return text
}
