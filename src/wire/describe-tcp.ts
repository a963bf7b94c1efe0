// What tcpdump prints of TCP, for describe.ts. Sequence numbers come absolute, or relative to the start of
// their connection where the caller keeps a TcpFlows.

import type { IpAddress } from './address.ts'
import { type Seq, seqAdd, seqDiff, seqText } from './sequence.ts'
import {
  ACK,
  CWR,
  ECE,
  FIN,
  PSH,
  RST,
  SYN,
  TCP_HEADER,
  tcpAck,
  tcpFlags,
  tcpHeaderLength,
  tcpSeq,
  tcpUrgentPointer,
  tcpWindow,
  URG,
} from './tcp.ts'

/** How many connections a TcpFlows remembers; then it forgets the oldest. */
const MAX_FLOWS = 4096

const ORIGIN = 0 as Seq

interface Flow {
  /** From which the numbers of this direction, and those of the other, are counted. */
  own: Seq
  peer: Seq
}

/** The initial sequence numbers seen so far, so that later ones can be printed relative to them. */
export class TcpFlows {
  readonly #flows = new Map<string, Flow>()

  /** Where this direction's numbers begin; null for the packet that starts the count, which is printed as it is. */
  origins(from: string, to: string, flags: number, seq: Seq, ack: Seq): Flow | null {
    const key = `${from} ${to}`
    const flow = this.#flows.get(key)
    if (flow !== undefined && (flags & SYN) === 0) return flow
    const own = seq
    const peer = seqAdd(ack, -1)
    this.#flows.set(key, { own, peer })
    this.#flows.set(`${to} ${from}`, { own: peer, peer: own })
    if (this.#flows.size > 2 * MAX_FLOWS) this.#forgetOldest()
    return null
  }

  #forgetOldest(): void {
    let left = 2
    for (const key of this.#flows.keys()) {
      if (left-- === 0) return
      this.#flows.delete(key)
    }
  }
}

/** `10.0.0.1.80 > 10.0.0.2.40000`; without addresses (behind extension headers) only the ports. */
export function portsText(source: IpAddress | null, destination: IpAddress | null, from: number, to: number): string {
  return source === null ? `${from} > ${to}` : `${source}.${from} > ${destination}.${to}`
}

/** The segment at `at`, of which the bytes before `end` are there; `length` is what IP says it has. */
export function describeTcp(view: DataView, at: number, end: number, length: number, flow: Flow | null): string {
  if (end - at < TCP_HEADER) return '[|tcp]'
  const headerLength = tcpHeaderLength(view, at)
  const payload = length - headerLength
  if (headerLength < TCP_HEADER)
    return `tcp ${length - headerLength} [bad hdr length ${headerLength} - too short, < 20]`
  const flags = tcpFlags(view, at)
  let text = `Flags [${flagsText(flags)}]`
  if (payload < 0) return `${text} [bad hdr length ${headerLength} - too long, > ${length}]`
  const own = flow?.own ?? ORIGIN
  const peer = flow?.peer ?? ORIGIN
  if (payload > 0 || (flags & (SYN | FIN | RST)) !== 0) {
    const seq = relative(tcpSeq(view, at), own)
    text += payload > 0 ? `, seq ${seqText(seq)}:${seqText(seqAdd(seq, payload))}` : `, seq ${seqText(seq)}`
  }
  if ((flags & ACK) !== 0) text += `, ack ${seqText(relative(tcpAck(view, at), peer))}`
  text += `, win ${tcpWindow(view, at)}`
  if ((flags & URG) !== 0) text += `, urg ${tcpUrgentPointer(view, at)}`
  if (headerLength > TCP_HEADER) {
    if (at + headerLength > end) return `${text}, options [|tcp]`
    const options = optionsText(view, at + TCP_HEADER, at + headerLength, peer)
    text += `, options [${options}]`
    if (options.endsWith(BAD_OPTION)) return text
  }
  return `${text}, length ${payload}`
}

const relative = (a: Seq, origin: Seq): Seq => seqDiff(a, origin) as Seq

const FLAG_LETTERS: readonly [flag: number, letter: string][] = [
  [FIN, 'F'],
  [SYN, 'S'],
  [RST, 'R'],
  [PSH, 'P'],
  [ACK, '.'],
  [URG, 'U'],
  [ECE, 'E'],
  [CWR, 'W'],
]

function flagsText(flags: number): string {
  let text = ''
  for (const [flag, letter] of FLAG_LETTERS) if ((flags & flag) !== 0) text += letter
  return text === '' ? 'none' : text
}

const BAD_OPTION = '[bad opt]'

function optionsText(view: DataView, at: number, end: number, peer: Seq): string {
  const texts: string[] = []
  let option = at
  while (option < end) {
    const kind = view.getUint8(option)
    if (kind === 0) {
      texts.push('eol')
      break
    }
    if (kind === 1) {
      texts.push('nop')
      option++
      continue
    }
    const length = option + 1 < end ? view.getUint8(option + 1) : 0
    if (length < 2 || option + length > end) {
      texts.push(BAD_OPTION)
      break
    }
    const text = optionText(view, option, kind, length, peer)
    texts.push(text)
    if (text.endsWith(BAD_OPTION)) break
    option += length
  }
  return texts.join(',')
}

function optionText(view: DataView, at: number, kind: number, length: number, peer: Seq): string {
  switch (kind) {
    case 2:
      return length === 4 ? `mss ${view.getUint16(at + 2)}` : `mss,${BAD_OPTION}`
    case 3:
      return length === 3 ? `wscale ${view.getUint8(at + 2)}` : `wscale,${BAD_OPTION}`
    case 4:
      return length === 2 ? 'sackOK' : `sackOK,${BAD_OPTION}`
    case 5:
      return sackText(view, at, length, peer)
    case 8:
      if (length !== 10) return `TS,${BAD_OPTION}`
      return `TS val ${view.getUint32(at + 2)} ecr ${view.getUint32(at + 6)}`
    case 28:
      return length === 4 ? `uto 0x${view.getUint16(at + 2).toString(16)}` : `uto,${BAD_OPTION}`
    default:
      return `unknown-${kind}${bytesText(view, at + 2, length - 2)}`
  }
}

function sackText(view: DataView, at: number, length: number, peer: Seq): string {
  if ((length - 2) % 8 !== 0) return 'sack invalid sack'
  let text = `sack ${(length - 2) >>> 3} `
  for (let edge = at + 2; edge < at + length; edge += 8) {
    const left = relative(view.getInt32(edge) as Seq, peer)
    const right = relative(view.getInt32(edge + 4) as Seq, peer)
    text += `{${seqText(left)}:${seqText(right)}}`
  }
  return text
}

function bytesText(view: DataView, at: number, length: number): string {
  if (length === 0) return ''
  let text = ' 0x'
  for (let index = 0; index < length; index++) {
    text += view
      .getUint8(at + index)
      .toString(16)
      .padStart(2, '0')
  }
  return text
}
