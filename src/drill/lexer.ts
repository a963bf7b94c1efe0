// The words of a packet script. Nothing but quotes spans more than one token, and white space does not matter; the
// longest match wins. Symbols that the user defined are replaced here.

import { UsageError } from '../errors.ts'

export type TokenKind =
  | 'integer'
  | 'hex'
  | 'float'
  | 'word'
  | 'string'
  | 'shell'
  | 'code'
  | 'option'
  | 'ipv4'
  | 'ipv6'
  | 'ellipsis'
  | 'mark'
  | 'end'

export interface Token {
  readonly kind: TokenKind
  /** Of quotes, what is between them. */
  readonly text: string
  readonly line: number
  /** Where it begins and ends in the script. */
  readonly at: number
  readonly end: number
}

/** Characters of a message about a script that is none. */
const MOST_SAID = 300

/** A wrong script: the message says file, line and what was expected. What was found may be anything: it is told on one line, and shortened. */
export function scriptError(file: string, line: number, message: string): UsageError {
  const said = message.length > MOST_SAID ? `${message.slice(0, MOST_SAID)}…` : message
  return new UsageError(`${file}:${line}: ${said.replace(/\p{Cc}/gu, escaped)}`)
}

const escaped = (character: string): string => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`

/** In order of precedence: the first that matches is the longest. */
const PATTERNS: readonly [kind: TokenKind, pattern: RegExp][] = [
  ['option', /--[a-zA-Z0-9_]+/y],
  ['ellipsis', /\.\.\./y],
  ['ipv4', /\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w.])/y],
  ['ipv6', /(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(?!\w)|[0-9a-fA-F:]*::[0-9a-fA-F:.]*[0-9a-fA-F]|::(?![\w:])/y],
  ['hex', /0x[0-9a-fA-F]+/y],
  ['float', /-?\d*\.\d+/y],
  ['word', /(?:gen|exp|EXP)-[0-9a-zA-Z]+|(?=\w*[a-zA-Z_])\w+/y],
  ['integer', /-?\d+/y],
  ['mark', /[^\s]/y],
]

const QUOTES: readonly [kind: TokenKind, open: string, close: string][] = [
  ['string', '"', '"'],
  ['shell', '`', '`'],
  ['code', '%{', '}%'],
]

export class Lexer {
  readonly file: string
  private readonly text: string
  private readonly symbols: Map<string, string>
  private at = 0
  private line = 1
  /** Inside `#ifdef` of a symbol that is defined: its `#endif` is nothing but a mark. */
  private conditional = false

  constructor(file: string, text: string, symbols: ReadonlyMap<string, string>) {
    this.file = file
    // A byte order mark is no character of the script.
    this.text = text.startsWith('\ufeff') ? text.slice(1) : text
    this.symbols = new Map(symbols)
  }

  /** A symbol from here on; the script's own go before those of the user. */
  define(symbol: string, value: string): void {
    this.symbols.set(symbol, value)
  }

  next(): Token {
    this.skipBlank()
    const { at, line, text } = this
    if (at >= text.length) return { kind: 'end', text: 'the end of the script', line, at, end: at }
    for (const [kind, open, close] of QUOTES) if (text.startsWith(open, at)) return this.quoted(kind, open, close)
    for (const [kind, pattern] of PATTERNS) {
      pattern.lastIndex = at
      const match = pattern.exec(text)
      if (match === null) continue
      this.at = at + match[0].length
      const token: Token = { kind, text: match[0], line, at, end: this.at }
      return kind === 'word' ? this.replaced(token) : token
    }
    throw scriptError(this.file, line, `a character that no script has: '${text[at]}'`)
  }

  slice(at: number, end: number): string {
    return this.text.slice(at, end)
  }

  private quoted(kind: TokenKind, open: string, close: string): Token {
    const { at, line, text } = this
    let end = at + open.length
    while (end < text.length && !text.startsWith(close, end)) end += kind === 'string' && text[end] === '\\' ? 2 : 1
    if (end >= text.length) throw scriptError(this.file, line, `expected ${close}, which ends what ${open} began`)
    const inner = text.slice(at + open.length, end)
    this.at = end + close.length
    for (const character of inner) if (character === '\n') this.line++
    return { kind, text: inner, line, at, end: this.at }
  }

  private replaced(token: Token): Token {
    const value = this.symbols.get(token.text)
    if (value === undefined) return token
    const quote = value[0]
    if (value.length > 1 && (quote === '"' || quote === '`') && value.endsWith(quote)) {
      return { ...token, kind: quote === '"' ? 'string' : 'shell', text: value.slice(1, -1) }
    }
    return { ...token, kind: /^-?\d+$/.test(value) ? 'integer' : 'word', text: value }
  }

  private skipBlank(): void {
    const { text } = this
    for (;;) {
      const character = text[this.at]
      if (character === '\n') this.line++
      if (character === ' ' || character === '\t' || character === '\r' || character === '\n') this.at++
      else if (text.startsWith('//', this.at)) this.skipTo('\n', 0)
      else if (text.startsWith('/*', this.at)) this.skipTo('*/', 2)
      else if (text.startsWith('#ifdef', this.at)) this.beginConditional()
      else if (text.startsWith('#endif', this.at) && this.conditional) {
        this.conditional = false
        this.at += 6
      } else return
    }
  }

  private beginConditional(): void {
    const match = /^#ifdef\s+(\w+)/.exec(this.text.slice(this.at, this.at + 200))
    if (match === null) throw scriptError(this.file, this.line, 'expected a name after #ifdef')
    if (this.symbols.has(match[1]!)) {
      this.conditional = true
      this.at += match[0].length
    } else this.skipTo('#endif', 6)
  }

  private skipTo(mark: string, consume: number): void {
    const end = this.text.indexOf(mark, this.at)
    if (end < 0 && consume > 0) throw scriptError(this.file, this.line, `expected ${mark}`)
    const to = end < 0 ? this.text.length : end + consume
    for (let at = this.at; at < to; at++) if (this.text[at] === '\n') this.line++
    this.at = to
  }
}
