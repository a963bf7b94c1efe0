// The structure of a packet script: options, events, their times. Packets and calls have parsers of their own.

import { type Micros, seconds } from '../time.ts'
import { parseCall } from './call-parser.ts'
import type { Lexer } from './lexer.ts'
import { parsePacket } from './packet-parser.ts'
import type { Action, Event, Script, Shell, When } from './script.ts'
import { checkEnds, checkOption } from './script-options.ts'
import { Tokens } from './tokens.ts'

/** Some thirty years: microseconds of it are whole numbers still. */
const MAX_SECONDS = 1_000_000_000

/** Throws UsageError for a wrong script, NotRunError for a right one that asks for what does not exist here. */
export function parseScript(lexer: Lexer): Script {
  const tokens = new Tokens(lexer)
  const options = parseOptions(tokens)
  const before = parseShell(tokens)
  const events: Event[] = []
  while (startsEvent(tokens)) events.push(parseEvent(tokens, events[events.length - 1] ?? null))
  if (events.length === 0) tokens.expected('an event: a time, then a packet, a call, a command or code')
  const after = parseShell(tokens)
  if (tokens.peek().kind !== 'end') tokens.expected('a time, or the end of the script')
  return { file: lexer.file, options, before, after, events }
}

function parseOptions(tokens: Tokens): Map<string, string> {
  const options = new Map<string, string>()
  const { line: first } = tokens.peek()
  while (tokens.peek().kind === 'option') {
    const { text, line } = tokens.take()
    const name = text.slice(2)
    const value = tokens.accept('=') ? parseOptionValue(tokens, name) : ''
    checkOption(tokens.file, line, name, value)
    options.set(name, value)
  }
  checkEnds(tokens.file, first, options)
  return options
}

function parseOptionValue(tokens: Tokens, name: string): string {
  const { kind, line } = tokens.peek()
  if (kind === 'end' || kind === 'mark') tokens.expected(`a value for --${name}`)
  if (name !== 'define') return kind === 'string' ? tokens.take().text : tokens.takeRun()
  const value = tokens.takeRun()
  const at = value.indexOf('=')
  if (at <= 0) tokens.fail(line, `expected --define=SYMBOL=VALUE, found '${value}'`)
  tokens.define(value.slice(0, at), value.slice(at + 1))
  return value
}

function parseShell(tokens: Tokens): Shell | null {
  if (tokens.peek().kind !== 'shell') return null
  const { text, line } = tokens.take()
  return { command: text, line }
}

function startsEvent(tokens: Tokens): boolean {
  const { kind, text } = tokens.peek()
  return kind === 'integer' || kind === 'float' || (kind === 'mark' && (text === '+' || text === '*'))
}

function parseEvent(tokens: Tokens, previous: Event | null): Event {
  const { line } = tokens.peek()
  const { when, end } = parseTime(tokens)
  if (previous === null && (when.kind === 'any' || when.from !== 0))
    tokens.fail(line, 'the first event must be at time 0')
  const isBack = when.kind === 'absolute' && previous?.when.kind === 'absolute' && when.from < previous.when.from
  if (isBack) tokens.fail(line, 'time goes back: expected no less than the time of the event before')
  const action = parseAction(tokens, end)
  const isOutbound = action.kind === 'packet' && !action.packet.inbound
  if (!isOutbound && (when.kind === 'any' || when.to !== when.from)) {
    tokens.fail(line, 'only packets that the stack sends may have a time range or *')
  }
  return { line, when, action }
}

function parseAction(tokens: Tokens, end: When | null): Action {
  const token = tokens.peek()
  if (end !== null || (token.kind === 'word' && token.text !== 'end')) {
    return { kind: 'call', call: parseCall(tokens, end) }
  }
  if (token.kind === 'shell') return { kind: 'shell', command: tokens.take().text }
  if (token.kind === 'code') return { kind: 'code', code: tokens.take().text }
  if (tokens.accept('<')) return { kind: 'packet', packet: parsePacket(tokens, true, token.line) }
  if (tokens.accept('>')) return { kind: 'packet', packet: parsePacket(tokens, false, token.line) }
  return tokens.expected('<, >, a call, a `command` or %{ code }%')
}

function parseTime(tokens: Tokens): { when: When; end: When | null } {
  if (tokens.accept('*')) return { when: { kind: 'any', from: 0 as Micros, to: 0 as Micros }, end: null }
  const kind = tokens.accept('+') ? 'relative' : 'absolute'
  const { line } = tokens.peek()
  const from = parseSeconds(tokens)
  if (tokens.accept('~')) {
    tokens.accept('+')
    const to = parseSeconds(tokens)
    if (to < from) tokens.fail(line, 'expected a range that does not end before it begins')
    return { when: { kind, from, to }, end: null }
  }
  const when: When = { kind, from, to: from }
  if (tokens.peek().kind !== 'ellipsis') return { when, end: null }
  tokens.take()
  tokens.accept('+')
  const to = parseSeconds(tokens)
  if (to < from) tokens.fail(line, 'expected a call that does not end before it begins')
  return { when, end: { kind, from: to, to } }
}

function parseSeconds(tokens: Tokens): Micros {
  const token = tokens.peek()
  if (token.kind !== 'integer' && token.kind !== 'float') tokens.expected('a time in seconds')
  if (token.text.startsWith('-')) tokens.expected('a time that is not negative')
  if (Number(token.text) > MAX_SECONDS) tokens.expected(`a time of ${MAX_SECONDS} seconds at most`)
  return seconds(Number(tokens.take().text))
}
