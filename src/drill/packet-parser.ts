// Packets of a script: what the stack is given (<) and what it must send (>).

import { ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG } from '../wire/tcp.ts'
import { TCP_MAX_OPTIONS } from '../wire/tcp-options.ts'
import {
  type IcmpBody,
  type IpInfo,
  NotRunError,
  type Ports,
  type ScriptOption,
  type ScriptPacket,
  type TcpBody,
} from './script.ts'
import type { Tokens } from './tokens.ts'

const FLAGS: Readonly<Record<string, number>> = { F: FIN, S: SYN, R: RST, P: PSH, U: URG, E: ECE, W: CWR, A: AE }
const ELSEWHERE = ['gre', 'mpls', 'ipv4', 'ipv6', 'sctp', 'udplite', 'psp', 'encap']
const ECN: Readonly<Record<string, NonNullable<IpInfo['ecn']>>> = { noecn: 0, ect1: 1, ect0: 2, ce: 3, ect01: 'ect01' }

export function parsePacket(tokens: Tokens, inbound: boolean, line: number): ScriptPacket {
  const start = tokens.peek().at
  const packet = parseBody(tokens, inbound, parseIpInfo(tokens), line)
  return { ...packet, text: `${inbound ? '<' : '>'} ${tokens.textFrom(start)}` }
}

function parseBody(tokens: Tokens, inbound: boolean, ip: IpInfo, line: number): Omit<ScriptPacket, 'text'> {
  const word = tokens.peek()
  if (word.kind === 'word' && ELSEWHERE.includes(word.text)) throw new NotRunError(`packets of ${word.text}`)
  if (tokens.accept('udp')) {
    const ports = parsePorts(tokens)
    return { line, inbound, ip, body: { kind: 'udp', ports, length: parseLength(tokens) } }
  }
  if (tokens.is('[') || tokens.is('icmp')) return { line, inbound, ip, body: parseIcmp(tokens) }
  return { line, inbound, ip, body: parseTcp(tokens, inbound, line) }
}

function parseIpInfo(tokens: Tokens): IpInfo {
  // In old scripts [ also begins what an ICMP packet quotes.
  const closing = tokens.is('(') ? ')' : tokens.is('[') && tokens.peek(1).kind === 'word' ? ']' : ''
  if (closing === '') return {}
  tokens.take()
  const info: { -readonly [Name in keyof IpInfo]: IpInfo[Name] } = {}
  while (!tokens.accept(closing)) {
    if (tokens.accept(',')) continue
    const { text } = tokens.takeKind('word', 'ecn, tos, ttl or flowlabel')
    if (text === 'tos' || text === 'class') info.tos = tokens.number('a traffic class', 255)
    else if (text === 'ttl' || text === 'hlim') info.ttl = tokens.number('a hop limit', 255)
    else if (text === 'flowlabel') info.flowLabel = tokens.number('a flow label', 0xf_ffff)
    else if (text !== 'ecn') {
      const ecn = ECN[text]
      if (ecn === undefined) throw new NotRunError(`the IP header's ${text}`)
      info.ecn = ecn
    }
  }
  return info
}

function parsePorts(tokens: Tokens): Ports | null {
  if (!tokens.is('>', 1)) return null
  const source = tokens.number('a port', 65_535)
  tokens.expect('>')
  return { source, destination: tokens.number('a port', 65_535) }
}

function parseLength(tokens: Tokens): number {
  tokens.expect('(')
  const length = tokens.number('a length', 65_535)
  tokens.expect(')')
  return length
}

function parseTcp(tokens: Tokens, inbound: boolean, line: number): TcpBody {
  const ports = parsePorts(tokens)
  const flags = parseFlags(tokens)
  const seq = parseSequence(tokens, inbound)
  const ack = tokens.accept('ack') ? tokens.number('a sequence number') : null
  const window = tokens.accept('win') ? tokens.number('a window', 65_535) : null
  const urgent = tokens.accept('urg') ? tokens.number('an urgent pointer', 65_535) : null
  if (inbound && window === null) tokens.fail(line, 'expected win: a packet for the stack needs a window')
  if ((flags & ACK) !== 0 && ack === null) tokens.fail(line, "expected ack: the flags have '.'")
  if ((flags & (ACK | RST)) === 0 && ack !== null) tokens.fail(line, "expected no ack: the flags have no '.'")
  const options = tokens.is('<') ? parseOptions(tokens, inbound) : []
  if (tokens.is('/')) throw new NotRunError('TCP within UDP')
  return { kind: 'tcp', ports, flags, ...seq, ack, window, urgent, options }
}

function parseFlags(tokens: Tokens): number {
  let flags = 0
  let end = -1
  for (;;) {
    const token = tokens.peek()
    if (end >= 0 && token.at !== end) return flags
    if (token.kind === 'mark' && token.text === '-' && end < 0) {
      tokens.take()
      return 0
    }
    const isDot = token.kind === 'mark' && token.text === '.'
    const isCount =
      (token.kind === 'float' && /^\.[0-7]$/.test(token.text)) || (token.kind === 'word' && /\d/.test(token.text))
    if (isDot) flags |= ACK
    else if (isCount) throw new NotRunError('AccECN counts')
    else if (token.kind === 'word') flags |= parseLetters(tokens)
    else if (end < 0) tokens.expected('flags, like S. or P. or -')
    else return flags
    end = token.end
    tokens.take()
  }
}

function parseLetters(tokens: Tokens): number {
  let flags = 0
  for (const letter of tokens.peek().text) {
    const flag = FLAGS[letter]
    if (flag === undefined || (flags & flag) !== 0) tokens.expected('flags, each of F S R P U E W A once')
    flags |= flag!
  }
  return flags
}

function parseSequence(tokens: Tokens, inbound: boolean): Pick<TcpBody, 'seq' | 'absolute' | 'anySeq' | 'length'> {
  if (tokens.peek().kind === 'ellipsis') {
    if (inbound) tokens.expected('a sequence number')
    tokens.take()
    return { seq: 0, absolute: false, anySeq: true, length: parseLength(tokens) }
  }
  const seq = tokens.number('a sequence number')
  tokens.expect(':')
  const { line } = tokens.peek()
  const end = tokens.number('a sequence number')
  const length = parseLength(tokens)
  if (end !== (seq + length) % 0x1_0000_0000)
    tokens.fail(line, `expected ${seq + length}: ${seq} and ${length} bytes, found '${end}'`)
  return { seq, absolute: tokens.accept('!'), anySeq: false, length }
}

function parseOptions(tokens: Tokens, inbound: boolean): readonly ScriptOption[] | 'any' {
  const { line } = tokens.peek()
  tokens.expect('<')
  if (tokens.peek().kind === 'ellipsis') {
    if (inbound) tokens.expected('options')
    tokens.take()
    tokens.expect('>')
    return 'any'
  }
  const options: ScriptOption[] = []
  do options.push(parseOption(tokens))
  while (tokens.accept(','))
  tokens.expect('>')
  const length = options.reduce((sum, option) => sum + optionLength(option), 0)
  if (length % 4 !== 0) tokens.fail(line, `expected options of a multiple of 4 bytes, found ${length}: pad with nop`)
  if (length > TCP_MAX_OPTIONS)
    tokens.fail(line, `expected ${TCP_MAX_OPTIONS} bytes of options at most, found ${length}`)
  return options
}

export function optionLength(option: ScriptOption): number {
  switch (option.kind) {
    case 'nop':
    case 'eol':
      return 1
    case 'sackOK':
      return 2
    case 'wscale':
      return 3
    case 'mss':
      return 4
    case 'TS':
      return 10
    case 'sack':
      return 2 + 8 * option.blocks.length
    default:
      return option.bytes.length
  }
}

function parseOption(tokens: Tokens): ScriptOption {
  const { text, line } = tokens.peek()
  if (tokens.peek().kind === 'end' || tokens.peek().kind === 'mark') tokens.expected('a TCP option')
  tokens.take()
  switch (text) {
    case 'nop':
    case 'eol':
    case 'sackOK':
      return { kind: text }
    case 'NOP':
    case 'EOL':
      return { kind: text === 'NOP' ? 'nop' : 'eol' }
    case 'mss':
      return { kind: 'mss', value: tokens.number('an MSS', 65_535) }
    case 'wscale':
      return { kind: 'wscale', value: tokens.number('a shift', 255) }
    case 'sack':
      return { kind: 'sack', blocks: parseBlocks(tokens) }
    case 'TS':
      return parseTimestamps(tokens)
    case 'md5':
      return hexOption(tokens, 'md5', [19])
    case 'FO':
      return hexOption(tokens, 'FO', [34])
    case 'FOEXP':
      return hexOption(tokens, 'FOEXP', [254], [0xf9, 0x89])
  }
  const numbered = /^gen-(\d+)$/.exec(text)
  if (numbered !== null) return hexOption(tokens, text, [Number(numbered[1])])
  const experiment = /^exp-([0-9a-fA-F]{4})$/.exec(text)
  if (experiment !== null) return hexOption(tokens, text, [254], hexBytes(experiment[1]!))
  if (/^(ECN|AccECN|exp|EXP)/.test(text)) throw new NotRunError(`the TCP option ${text}`)
  return tokens.fail(line, `expected a TCP option, found '${text}'`)
}

function parseTimestamps(tokens: Tokens): ScriptOption {
  tokens.expect('val')
  if (tokens.peek().kind === 'ellipsis') throw new NotRunError('TS val ...')
  const value = tokens.number('a time stamp')
  tokens.expect('ecr')
  const echo = tokens.number('a time stamp')
  return { kind: 'TS', value, echo, absolute: tokens.accept('!') }
}

function parseBlocks(tokens: Tokens): [number, number][] {
  const blocks: [number, number][] = []
  while (tokens.peek().kind === 'integer') {
    const left = tokens.number('a sequence number')
    tokens.expect(':')
    blocks.push([left, tokens.number('a sequence number')])
  }
  if (blocks.length === 0) tokens.expected('a block, like 1001:2001')
  return blocks
}

function hexOption(tokens: Tokens, name: string, head: number[], tail: number[] = []): ScriptOption {
  const token = tokens.peek()
  const isHex =
    (token.kind === 'word' || token.kind === 'integer' || token.kind === 'hex') &&
    /^(0x)?([0-9a-fA-F]{2})+$/.test(token.text)
  const value = isHex ? hexBytes(tokens.take().text.replace('0x', '')) : []
  const bytes = [...head, head.length + 1 + tail.length + value.length, ...tail, ...value]
  return { kind: 'bytes', text: isHex ? `${name} ${token.text}` : name, bytes }
}

function hexBytes(text: string): number[] {
  const bytes: number[] = []
  for (let at = 0; at < text.length; at += 2) bytes.push(Number.parseInt(text.slice(at, at + 2), 16))
  return bytes
}

function parseIcmp(tokens: Tokens): IcmpBody {
  // Old scripts quote first.
  const early = tokens.is('[') ? parseQuote(tokens) : null
  tokens.expect('icmp')
  const type = tokens.takeKind('word', 'an ICMP type').text
  const isCode = tokens.peek().kind === 'word' && !['mtu', 'id'].includes(tokens.peek().text)
  const code = isCode ? tokens.take().text : null
  const mtu = tokens.accept('mtu') ? tokens.number('an MTU', 65_535) : null
  const id = tokens.accept('id') ? tokens.number('an identifier', 65_535) : null
  const quote = early ?? (tokens.is('[') ? parseQuote(tokens) : null)
  return { kind: 'icmp', type, code, mtu, id, quote }
}

function parseQuote(tokens: Tokens): IcmpBody['quote'] {
  tokens.expect('[')
  let quote: IcmpBody['quote']
  if (tokens.is('udp') || tokens.is('raw')) {
    const kind = tokens.take().text === 'udp' ? 'udp' : 'raw'
    quote = { kind, length: parseLength(tokens) }
  } else {
    const seq = tokens.number('a sequence number')
    let length: number | null = null
    if (tokens.accept(':')) {
      tokens.number('a sequence number')
      length = parseLength(tokens)
    }
    quote = { kind: 'tcp', seq, length }
  }
  tokens.expect(']')
  return quote
}
