// Whether a packet of the stack is the one that the script expects. The answer is a list of what differs, in words.

import { ipv4HeaderLength, PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/ipv4.ts'
import { IPV6_HEADER } from '../wire/ipv6.ts'
import type { Seq } from '../wire/sequence.ts'
import {
  ACK,
  PSH,
  RST,
  SYN,
  TCP_HEADER,
  tcpAck,
  tcpHeaderLength,
  tcpSeq,
  tcpUrgentPointer,
  tcpWindow,
} from '../wire/tcp.ts'
import { UDP_HEADER } from '../wire/udp.ts'
import type { Flow } from './flow.ts'
import { codeNumber, icmpRest, typeNumber } from './icmp-names.ts'
import type { Level } from './levels.ts'
import { flagsOf, hasGoodHeader, isIcmp, type LivePacket, payloadAt, payloadLength } from './live-packet.ts'
import { flagsText, scriptAck, scriptSeq } from './notation.ts'
import { optionLength } from './packet-parser.ts'
import type { IcmpBody, IpInfo, ScriptOption, ScriptPacket, TcpBody } from './script.ts'

const ICMP_HEADER = 8

export interface CompareOptions {
  readonly level: Level
  /** Microseconds of one tick of the script's time stamps; 0: they are not compared. */
  readonly stampTick: number
  readonly toleranceMicros: number
}

/** What differs; empty: nothing. The flow learns numbers that it did not know. */
export function differences(packet: ScriptPacket, live: LivePacket, flow: Flow, options: CompareOptions): string[] {
  const { body } = packet
  const found: string[] = []
  compareIp(packet.ip, live, flow, found)
  if (body.kind === 'icmp') return isIcmp(live) ? compareIcmp(body, live, flow, found) : ['it is no ICMP message']
  if (body.kind === 'udp') {
    if (live.protocol !== PROTOCOL_UDP) return ['it is no UDP datagram']
    same(found, 'length', body.length, payloadLength(live))
    return found
  }
  if (live.protocol !== PROTOCOL_TCP) return ['it is no TCP segment']
  compareTcp(body, live, flow, options, found)
  return found
}

function same(found: string[], what: string, expected: number | string, seen: number | string): void {
  if (expected !== seen) found.push(`${what} ${expected} was expected, ${seen} seen`)
}

function compareIp(ip: IpInfo, live: LivePacket, flow: Flow, found: string[]): void {
  if (!hasGoodHeader(live)) found.push('the IP header checksum is wrong')
  const ecn = live.trafficClass & 3
  if (ip.ecn === 'ect01') {
    if (ecn !== 1 && ecn !== 2) found.push(`ECN ect0 or ect1 was expected, ${ecn} seen`)
  } else if (ip.ecn !== undefined) same(found, 'ECN', ip.ecn, ecn)
  if (ip.tos !== undefined) same(found, 'tos', ip.tos, live.trafficClass)
  if (ip.flowLabel !== undefined && !flow.hasLabel(ip.flowLabel, live.flowLabel)) {
    found.push(`another flow label than the last time was seen, 0x${live.flowLabel.toString(16)}`)
  }
  if (ip.ttl !== undefined) same(found, 'ttl', ip.ttl, live.ttl)
}

function compareIcmp(body: IcmpBody, live: LivePacket, flow: Flow, found: string[]): string[] {
  const { octets, transportAt } = live
  const { view } = octets
  same(found, 'ICMP type', typeNumber(body.type, flow.family), view.getUint8(transportAt))
  same(found, 'ICMP code', codeNumber(body.type, body.code, flow.family), view.getUint8(transportAt + 1))
  if (body.mtu !== null) same(found, 'mtu', icmpRest(body, flow.family), view.getUint32(transportAt + 4))
  if (body.id !== null) same(found, 'id', body.id, view.getUint16(transportAt + 4))
  if (body.quote !== null) compareQuote(body.quote, live, flow, found)
  return found
}

/** What an error of the stack quotes: a packet of the script's. */
function compareQuote(quote: NonNullable<IcmpBody['quote']>, live: LivePacket, flow: Flow, found: string[]): void {
  const { view } = live.octets
  const at = live.transportAt + ICMP_HEADER
  if (quote.kind === 'raw') return same(found, 'the length quoted', quote.length, live.length - at)
  const isV4 = flow.family === 4
  const transportAt = at + (isV4 ? ipv4HeaderLength(view, at) : IPV6_HEADER)
  same(
    found,
    'the protocol quoted',
    quote.kind === 'tcp' ? PROTOCOL_TCP : PROTOCOL_UDP,
    view.getUint8(at + (isV4 ? 9 : 6)),
  )
  if (quote.kind === 'tcp') {
    same(found, 'the seq quoted', quote.seq, flow.remoteToScript(view.getInt32(transportAt + 4) as Seq))
  } else same(found, 'the length quoted', quote.length + UDP_HEADER, view.getUint16(transportAt + 4))
}

function compareTcp(body: TcpBody, live: LivePacket, flow: Flow, options: CompareOptions, found: string[]): void {
  const { view } = live.octets
  const at = live.transportAt
  const { level } = options
  const mask = level === 'strict' ? 0x1ff : 0x1ff & ~PSH
  same(found, 'flags', flagsText(body.flags & mask), flagsText(flagsOf(live) & mask))
  const isSyn = (body.flags & flagsOf(live) & SYN) !== 0
  const isNew = flow.localStart === null || flow.connection?.snd.iss === tcpSeq(view, at)
  if (isSyn && isNew) flow.noteLocalSyn(tcpSeq(view, at), body.seq)
  if (body.absolute) same(found, 'seq', body.seq, tcpSeq(view, at) >>> 0)
  else if (!body.anySeq) same(found, 'seq', body.seq, scriptSeq(live, flow))
  same(found, 'length', body.length, payloadLength(live))
  if ((body.flags & ACK) !== 0) {
    same(found, 'ack', body.ack ?? 0, body.absolute ? tcpAck(view, at) >>> 0 : scriptAck(live, flow))
  }
  const windowCounts = level === 'strict' || (level === 'portable' && (body.flags & RST) !== 0)
  if (body.window !== null && windowCounts) same(found, 'win', body.window, tcpWindow(view, at))
  if (body.urgent !== null || level === 'strict') same(found, 'urg', body.urgent ?? 0, tcpUrgentPointer(view, at))
  if (body.options !== 'any') {
    if (level === 'portable') comparePortable(body.options, live, flow, found)
    else compareOptions(body.options, live, flow, options, found)
  }
  comparePayload(live, found)
}

/** Payload is all zero, both ways. */
function comparePayload(live: LivePacket, found: string[]): void {
  for (let at = payloadAt(live); at < live.length; at++) {
    if (live.octets.bytes[at] === 0) continue
    found.push('the payload is not what was written')
    return
  }
}

function compareOptions(
  expected: readonly ScriptOption[],
  live: LivePacket,
  flow: Flow,
  options: CompareOptions,
  found: string[],
): void {
  const { view } = live.octets
  let at = live.transportAt + TCP_HEADER
  const end = live.transportAt + tcpHeaderLength(view, live.transportAt)
  const length = expected.reduce((sum, option) => sum + optionLength(option), 0)
  if (length !== end - at) {
    found.push(`${length} bytes of options were expected, ${end - at} seen`)
    return
  }
  for (const option of expected) {
    compareOption(option, live, at, flow, options, found)
    at += optionLength(option)
  }
}

const KINDS: Readonly<Record<string, number>> = { eol: 0, nop: 1, mss: 2, wscale: 3, sackOK: 4, sack: 5, TS: 8 }

function compareOption(
  option: ScriptOption,
  live: LivePacket,
  at: number,
  flow: Flow,
  options: CompareOptions,
  found: string[],
): void {
  const { bytes, view } = live.octets
  if (option.kind === 'bytes') {
    if (option.bytes.some((byte, index) => bytes[at + index] !== byte))
      found.push(`the option ${option.text} was expected`)
    return
  }
  if (bytes[at] !== KINDS[option.kind] || (KINDS[option.kind]! > 1 && bytes[at + 1] !== optionLength(option))) {
    found.push(`the option ${option.kind} was expected in its place`)
    return
  }
  switch (option.kind) {
    case 'mss':
      same(found, 'mss', option.value, view.getUint16(at + 2))
      return
    case 'wscale':
      if (options.level === 'strict') same(found, 'wscale', option.value, view.getUint8(at + 2))
      return
    case 'sack':
      compareBlocks(option.blocks, view, at, flow, found)
      return
    case 'TS':
      compareStamps(option, view, at, flow, options, found)
  }
}

function compareBlocks(
  blocks: readonly (readonly [left: number, right: number])[],
  view: DataView,
  at: number,
  flow: Flow,
  found: string[],
): void {
  for (const [index, [left, right]] of blocks.entries()) {
    const block = at + 2 + 8 * index
    const seenLeft = flow.remoteToScript(view.getInt32(block) as Seq)
    const seenRight = flow.remoteToScript(view.getInt32(block + 4) as Seq)
    same(found, 'sack', `${left}:${right}`, `${seenLeft}:${seenRight}`)
  }
}

function compareStamps(
  option: ScriptOption & { kind: 'TS' },
  view: DataView,
  at: number,
  flow: Flow,
  { level, stampTick, toleranceMicros }: CompareOptions,
  found: string[],
): void {
  const live = view.getInt32(at + 2)
  // What is echoed is the script's own number: nothing lies between the two.
  if (stampTick > 0 || level === 'strict') same(found, 'TS ecr', option.echo, view.getUint32(at + 6))
  if (stampTick > 0) {
    const seen = flow.stampToScript(live, option.value)
    const late = Math.abs((seen - option.value) | 0) * stampTick
    if (late > toleranceMicros || (level === 'strict' && late === toleranceMicros)) {
      same(found, 'TS val', option.value, seen)
    }
  }
  flow.learnStamp(option.value, live)
}

/** Of a SYN, which options there are; of others, what SACK says. */
function comparePortable(expected: readonly ScriptOption[], live: LivePacket, flow: Flow, found: string[]): void {
  const { view } = live.octets
  const isSyn = (flagsOf(live) & SYN) !== 0
  const end = live.transportAt + tcpHeaderLength(view, live.transportAt)
  const seen = new Set<number>()
  for (let at = live.transportAt + TCP_HEADER; at < end; ) {
    const kind = view.getUint8(at)
    if (kind < 2) {
      at++
      continue
    }
    seen.add(kind)
    for (const option of expected) {
      if (option.kind === 'sack' && kind === 5) compareBlocks(option.blocks, view, at, flow, found)
      if (option.kind === 'TS' && kind === 8) flow.learnStamp(option.value, view.getInt32(at + 2))
    }
    at += Math.max(1, view.getUint8(at + 1))
  }
  const kinds = isSyn ? ['mss', 'wscale', 'sackOK', 'TS'] : ['sack']
  for (const kind of kinds) {
    const wanted = expected.some((option) => option.kind === kind)
    if (wanted !== seen.has(KINDS[kind]!)) found.push(`the option ${kind} was ${wanted ? '' : 'not '}expected`)
  }
}
