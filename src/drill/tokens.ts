// Tokens with some lookahead, and the messages of a parser that finds something else than it expected.

import { type Lexer, scriptError, type Token, type TokenKind } from './lexer.ts'

/** Brackets within brackets: deeper ones are no script that a person wrote. */
const MAX_DEPTH = 50

export class Tokens {
  private readonly lexer: Lexer
  private depth = 0
  private readonly ahead: Token[] = []
  /** Where the token that was taken last ends. */
  private lastEnd = 0

  constructor(lexer: Lexer) {
    this.lexer = lexer
  }

  peek(distance = 0): Token {
    while (this.ahead.length <= distance) this.ahead.push(this.lexer.next())
    return this.ahead[distance]!
  }

  take(): Token {
    const token = this.peek()
    this.ahead.shift()
    this.lastEnd = token.end
    return token
  }

  /** Takes the mark or word if it comes next. */
  accept(text: string): boolean {
    if (!this.is(text)) return false
    this.take()
    return true
  }

  is(text: string, distance = 0): boolean {
    const token = this.peek(distance)
    return (token.kind === 'mark' || token.kind === 'word') && token.text === text
  }

  expect(text: string): void {
    if (!this.accept(text)) this.expected(`'${text}'`)
  }

  /** The script from `at` to the end of what was taken last, on one line. */
  textFrom(at: number): string {
    return this.lexer.slice(at, this.lastEnd).replace(/\s+/g, ' ')
  }

  /** What comes up to the next blank, as it is written. */
  takeRun(): string {
    const { at } = this.take()
    while (this.peek().kind !== 'end' && this.peek().at === this.lastEnd) this.take()
    return this.textFrom(at)
  }

  define(symbol: string, value: string): void {
    this.lexer.define(symbol, value)
  }

  takeKind(kind: TokenKind, what: string): Token {
    if (this.peek().kind !== kind) this.expected(what)
    return this.take()
  }

  /** An integer of at most `most`, not negative. */
  number(what: string, most = 0xffff_ffff): number {
    const token = this.peek()
    const value = Number(token.text)
    if ((token.kind !== 'integer' && token.kind !== 'hex') || value < 0 || value > most) {
      this.expected(`${what}, from 0 to ${most}`)
    }
    this.take()
    return value
  }

  get file(): string {
    return this.lexer.file
  }

  /** Runs a parser of what is in brackets. */
  within<T>(parse: () => T): T {
    if (++this.depth > MAX_DEPTH) this.expected(`no more than ${MAX_DEPTH} brackets within each other`)
    const result = parse()
    this.depth--
    return result
  }

  expected(what: string): never {
    const { line, text } = this.peek()
    return this.fail(line, `expected ${what}, found '${text}'`)
  }

  fail(line: number, message: string): never {
    throw scriptError(this.lexer.file, line, message)
  }
}
