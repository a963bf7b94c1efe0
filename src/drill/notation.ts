// A packet of the stack in a script's own notation, with the flow's numbers.

import { PROTOCOL_TCP } from '../wire/ipv4.ts'
import { type Seq, seqText } from '../wire/sequence.ts'
import {
  ACK,
  AE,
  CWR,
  ECE,
  FIN,
  PSH,
  RST,
  SYN,
  TCP_HEADER,
  tcpAck,
  tcpHeaderLength,
  tcpSeq,
  tcpUrgentPointer,
  tcpWindow,
  URG,
} from '../wire/tcp.ts'
import type { Flow } from './flow.ts'
import { flagsOf, isIcmp, type LivePacket, payloadLength } from './live-packet.ts'

const LETTERS: readonly [flag: number, letter: string][] = [
  [FIN, 'F'],
  [SYN, 'S'],
  [RST, 'R'],
  [PSH, 'P'],
  [URG, 'U'],
  [ECE, 'E'],
  [CWR, 'W'],
  [AE, 'A'],
  [ACK, '.'],
]

export function flagsText(flags: number): string {
  const text = LETTERS.filter(([flag]) => (flags & flag) !== 0).map(([, letter]) => letter)
  return text.length === 0 ? '-' : text.join('')
}

/** The sequence number of a segment as the script counts: that of a SYN from the script's own initial one. */
export function scriptSeq(live: LivePacket, flow: Flow): number {
  const number = tcpSeq(live.octets.view, live.transportAt)
  if (flow.localStart === null) return (flagsOf(live) & SYN) !== 0 ? flow.scriptStart : number >>> 0
  const relative = flow.localToScript(number)
  return (flagsOf(live) & SYN) !== 0 ? (relative + flow.scriptStart) >>> 0 : relative
}

export function scriptAck(live: LivePacket, flow: Flow): number {
  return flow.remoteToScript(tcpAck(live.octets.view, live.transportAt))
}

export function notationOf(live: LivePacket, flow: Flow): string {
  const { octets, transportAt } = live
  const { view } = octets
  if (isIcmp(live)) return `> icmp type_${view.getUint8(transportAt)} code_${view.getUint8(transportAt + 1)}`
  if (live.protocol !== PROTOCOL_TCP) return `> udp (${payloadLength(live)})`
  const flags = flagsOf(live)
  const seq = scriptSeq(live, flow)
  const length = payloadLength(live)
  let text = `> ${flagsText(flags)} ${seq}:${(seq + length) >>> 0}(${length})`
  if ((flags & ACK) !== 0) text += ` ack ${scriptAck(live, flow)}`
  text += ` win ${tcpWindow(view, transportAt)}`
  if ((flags & URG) !== 0) text += ` urg ${tcpUrgentPointer(view, transportAt)}`
  const options = optionTexts(live, flow)
  return options.length === 0 ? text : `${text} <${options.join(',')}>`
}

function optionTexts(live: LivePacket, flow: Flow): string[] {
  const { view } = live.octets
  const texts: string[] = []
  const end = live.transportAt + tcpHeaderLength(view, live.transportAt)
  let at = live.transportAt + TCP_HEADER
  while (at < end) {
    const kind = view.getUint8(at)
    if (kind < 2) {
      texts.push(kind === 0 ? 'eol' : 'nop')
      at++
      continue
    }
    const length = view.getUint8(at + 1)
    texts.push(optionText(view, at, kind, length, flow))
    if (length < 2) break
    at += length
  }
  return texts
}

function optionText(view: DataView, at: number, kind: number, length: number, flow: Flow): string {
  switch (kind) {
    case 2:
      return `mss ${view.getUint16(at + 2)}`
    case 3:
      return `wscale ${view.getUint8(at + 2)}`
    case 4:
      return 'sackOK'
    case 5: {
      let text = 'sack'
      for (let block = at + 2; block < at + length; block += 8) {
        text += ` ${blockEdge(view, block, flow)}:${blockEdge(view, block + 4, flow)}`
      }
      return text
    }
    case 8:
      return `TS val ${flow.stampToScript(view.getInt32(at + 2), 0)} ecr ${view.getUint32(at + 6)}`
    default:
      return `gen-${kind}`
  }
}

const blockEdge = (view: DataView, at: number, flow: Flow): string =>
  seqText(flow.remoteToScript(view.getInt32(at) as Seq) as Seq)
