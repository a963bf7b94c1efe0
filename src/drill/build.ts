// Packets that the script gives to the stack: from notation to bytes, with the flow's numbers and right checksums.

import { complement, type Octets, sumOctets } from '../wire/checksum.ts'
import { emitIcmp } from '../wire/icmp4.ts'
import {
  emitIpv4,
  IPV4_HEADER,
  PROTOCOL_ICMP4,
  PROTOCOL_ICMP6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  pseudoHeaderSum,
} from '../wire/ipv4.ts'
import { emitIpv6, IPV6_HEADER } from '../wire/ipv6.ts'
import { type Seq, seq } from '../wire/sequence.ts'
import { ACK, emitTcp, SYN, TCP_CHECKSUM_AT, TCP_HEADER } from '../wire/tcp.ts'
import { emitUdp, UDP_HEADER } from '../wire/udp.ts'
import type { Flow } from './flow.ts'
import { codeNumber, icmpRest, typeNumber } from './icmp-names.ts'
import { makeOctets } from './live-packet.ts'
import { optionLength } from './packet-parser.ts'
import {
  type IcmpBody,
  type IpInfo,
  NotRunError,
  type ScriptOption,
  type ScriptPacket,
  type TcpBody,
  type UdpBody,
} from './script.ts'

const INBOUND_TTL = 255
/** With the two NOPs before them. */
const TIMESTAMPS_LENGTH = 12

/** The whole IP packet. A string: what is wrong with the script. */
export function buildPacket(packet: ScriptPacket, flow: Flow, scaledEcho: boolean): Uint8Array | string {
  const { body } = packet
  if (body.kind === 'tcp') return buildTcp(packet.ip, body, flow, scaledEcho)
  return body.kind === 'udp' ? buildUdp(packet.ip, body, flow) : buildIcmp(packet.ip, body, flow)
}

const headerBytes = (flow: Flow): number => (flow.family === 4 ? IPV4_HEADER : IPV6_HEADER)

function buildTcp(ip: IpInfo, body: TcpBody, flow: Flow, scaledEcho: boolean): Uint8Array | string {
  const { options } = body
  if (options === 'any') return 'options of a packet for the stack must be given'
  const optionBytes = options.reduce((sum, option) => sum + optionLength(option), 0)
  const length = TCP_HEADER + optionBytes + body.length
  const octets = makeOctets(headerBytes(flow) + length)
  const at = headerBytes(flow)
  const isSyn = (body.flags & SYN) !== 0
  emitTcp(octets.view, at, {
    sourcePort: flow.remotePort,
    destinationPort: flow.localPort,
    seq: isSyn || body.absolute ? seq(body.seq) : flow.remoteToWire(body.seq),
    ack: (body.flags & ACK) !== 0 ? ackToWire(body, flow) : seq(body.ack ?? 0),
    headerLength: TCP_HEADER + optionBytes,
    flags: body.flags,
    window: body.window ?? 0,
    checksum: 0,
    urgentPointer: body.urgent ?? 0,
  })
  let next = at + TCP_HEADER
  for (const option of options) {
    const wrong = writeOption(octets, next, option, flow, scaledEcho)
    if (wrong !== null) return wrong
    next += optionLength(option)
  }
  return finish(octets, ip, flow, PROTOCOL_TCP, length, at + TCP_CHECKSUM_AT)
}

const ackToWire = (body: TcpBody, flow: Flow): Seq =>
  body.absolute ? seq(body.ack ?? 0) : flow.localToWire(body.ack ?? 0)

/** Null, or what is wrong. */
function writeOption(octets: Octets, at: number, option: ScriptOption, flow: Flow, scaledEcho: boolean): string | null {
  const { bytes, view } = octets
  switch (option.kind) {
    case 'nop':
    case 'eol':
      bytes[at] = option.kind === 'nop' ? 1 : 0
      return null
    case 'mss':
      view.setUint32(at, (2 << 24) | (4 << 16) | option.value)
      return null
    case 'wscale':
      bytes.set([3, 3, option.value], at)
      return null
    case 'sackOK':
      bytes.set([4, 2], at)
      return null
    case 'sack':
      bytes.set([5, optionLength(option)], at)
      for (const [index, [left, right]] of option.blocks.entries()) {
        view.setInt32(at + 2 + 8 * index, flow.localToWire(left))
        view.setInt32(at + 6 + 8 * index, flow.localToWire(right))
      }
      return null
    case 'TS': {
      const echo = option.absolute ? option.echo : flow.echoToWire(option.echo)
      if (echo === null && !scaledEcho) return `no packet of the stack had TS val ${option.echo}, so none can echo it`
      bytes.set([8, 10], at)
      view.setUint32(at + 2, option.value)
      view.setInt32(at + 6, echo ?? flow.echoByOffset(option.echo))
      return null
    }
    default:
      bytes.set(option.bytes, at)
      return null
  }
}

function buildUdp(ip: IpInfo, body: UdpBody, flow: Flow): Uint8Array {
  const length = UDP_HEADER + body.length
  const octets = makeOctets(headerBytes(flow) + length)
  const at = headerBytes(flow)
  emitUdp(octets.view, at, { sourcePort: flow.remotePort, destinationPort: flow.localPort, length, checksum: 0 })
  return finish(octets, ip, flow, PROTOCOL_UDP, length, at + 6)
}

function buildIcmp(ip: IpInfo, body: IcmpBody, flow: Flow): Uint8Array {
  const type = typeNumber(body.type, flow.family)
  const code = codeNumber(body.type, body.code, flow.family)
  const quoted = body.quote === null ? 0 : headerBytes(flow) + 8
  const rawLength = body.quote?.kind === 'raw' ? body.quote.length : quoted
  const length = 8 + (body.quote?.kind === 'raw' ? rawLength : quoted)
  const octets = makeOctets(headerBytes(flow) + length)
  const at = headerBytes(flow)
  if (body.quote !== null && body.quote.kind !== 'raw') writeQuote(octets, at + 8, body.quote, flow)
  emitIcmp(octets.view, at, type, code, icmpRest(body, flow.family))
  return finish(octets, ip, flow, flow.family === 4 ? PROTOCOL_ICMP4 : PROTOCOL_ICMP6, length, at + 2)
}

/** The IP header of a packet of ours, and eight bytes behind it. */
function writeQuote(octets: Octets, at: number, quote: NonNullable<IcmpBody['quote']>, flow: Flow): void {
  const transport = at + headerBytes(flow)
  const protocol = quote.kind === 'tcp' ? PROTOCOL_TCP : PROTOCOL_UDP
  const payload = quote.kind === 'tcp' ? TCP_HEADER + quotedBytes(quote.length, flow) : UDP_HEADER + quote.length
  writeIpHeader(octets, at, {}, flow, protocol, payload, true)
  octets.view.setUint16(transport, flow.localPort)
  octets.view.setUint16(transport + 2, flow.remotePort)
  if (quote.kind === 'tcp') octets.view.setInt32(transport + 4, flow.localToWire(quote.seq))
  else octets.view.setUint16(transport + 4, payload)
}

/** The payload of a quoted segment: where the script does not say, it was a full one. */
function quotedBytes(stated: number | null, { connection }: Flow): number {
  if (stated !== null || connection === null) return stated ?? 0
  return connection.snd.mss + (connection.timestampsOn ? TIMESTAMPS_LENGTH : 0)
}

function finish(
  octets: Octets,
  ip: IpInfo,
  flow: Flow,
  protocol: number,
  length: number,
  checksumAt: number,
): Uint8Array {
  const at = headerBytes(flow)
  writeIpHeader(octets, 0, ip, flow, protocol, length, false)
  const pseudo = protocol === PROTOCOL_ICMP4 ? 0 : pseudoHeaderSum(flow.remote, flow.local, protocol, length)
  octets.view.setUint16(checksumAt, 0)
  octets.view.setUint16(checksumAt, complement(sumOctets(octets, at, length) + pseudo))
  return octets.bytes.subarray(0, at + length)
}

function writeIpHeader(
  octets: Octets,
  at: number,
  ip: IpInfo,
  flow: Flow,
  protocol: number,
  payload: number,
  ofOurs: boolean,
): void {
  if (ip.ecn === 'ect01') throw new NotRunError('ect01 in a packet for the stack')
  const trafficClass = ip.tos ?? ip.ecn ?? 0
  const ttl = ip.ttl ?? (ofOurs ? 64 : INBOUND_TTL)
  const source = ofOurs ? flow.local : flow.remote
  const destination = ofOurs ? flow.remote : flow.local
  if (flow.family === 4) {
    const totalLength = IPV4_HEADER + payload
    const fields = {
      trafficClass,
      totalLength,
      identification: 0,
      flagsAndOffset: 0,
      ttl,
      protocol,
      source,
      destination,
    }
    emitIpv4(octets, at, { ...fields, headerLength: IPV4_HEADER })
  } else {
    const flowLabel = ip.flowLabel ?? 0
    emitIpv6(octets.view, at, {
      trafficClass,
      flowLabel,
      payloadLength: payload,
      nextHeader: protocol,
      hopLimit: ttl,
      source,
      destination,
    })
  }
}
