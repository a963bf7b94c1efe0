// System calls of a script and the expressions they are made of.

import { IpAddress } from '../wire/address.ts'
import type { Call, Expression, When } from './script.ts'
import type { Tokens } from './tokens.ts'

export function parseCall(tokens: Tokens, end: When | null): Call {
  const { text: name, line } = tokens.takeKind('word', 'the name of a call')
  const args = parseArguments(tokens)
  tokens.expect('=')
  const result = parseExpression(tokens)
  let errno: string | null = null
  if (tokens.peek().kind === 'word' && /^E[A-Z0-9]+$/.test(tokens.peek().text)) errno = tokens.take().text
  if (tokens.is('(')) skipNote(tokens)
  return { line, name, args, end, result, errno }
}

/** `(Operation now in progress)`: for people. */
function skipNote(tokens: Tokens): void {
  tokens.expect('(')
  for (let depth = 1; depth > 0; tokens.take()) {
    if (tokens.peek().kind === 'end') tokens.expected("')'")
    if (tokens.is('(')) depth++
    else if (tokens.is(')')) depth--
  }
}

function parseArguments(tokens: Tokens): Expression[] {
  const args: Expression[] = []
  tokens.expect('(')
  if (tokens.accept(')')) return args
  do args.push(parseExpression(tokens))
  while (tokens.accept(','))
  tokens.expect(')')
  return args
}

export function parseExpression(tokens: Tokens): Expression {
  let left = parseTerm(tokens)
  while (tokens.accept('|')) left = { kind: 'or', left, right: parseTerm(tokens) }
  return left
}

function parseTerm(tokens: Tokens): Expression {
  const token = tokens.peek()
  switch (token.kind) {
    case 'ellipsis':
      tokens.take()
      return { kind: 'ellipsis' }
    case 'integer':
    case 'hex':
      tokens.take()
      return { kind: 'number', value: Number(token.text) }
    case 'string':
      return parseString(tokens)
    case 'ipv4':
    case 'ipv6': {
      tokens.take()
      return { kind: 'address', address: IpAddress.from(token.text) }
    }
    case 'word':
      tokens.take()
      return tokens.is('(')
        ? { kind: 'function', name: token.text, args: tokens.within(() => parseArguments(tokens)) }
        : { kind: 'word', name: token.text }
    case 'mark':
      if (token.text === '[') return { kind: 'list', items: tokens.within(() => parseItems(tokens, '[', ']')) }
      if (token.text === '{') return tokens.within(() => parseRecord(tokens))
      break
  }
  return tokens.expected('an argument')
}

/** C's rule: strings side by side are one. */
function parseString(tokens: Tokens): Expression {
  let value = ''
  while (tokens.peek().kind === 'string') value += tokens.take().text
  if (tokens.peek().kind === 'ellipsis') tokens.take()
  return { kind: 'string', value: unescaped(value) }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', 0: '\0', '\\': '\\', '"': '"' }

const unescaped = (text: string): string =>
  text.replace(/\\(x[0-9a-fA-F]{2}|.)/g, (_match, escaped: string) =>
    escaped.length === 3 ? String.fromCharCode(Number.parseInt(escaped.slice(1), 16)) : (ESCAPES[escaped] ?? escaped),
  )

function parseItems(tokens: Tokens, open: string, close: string): Expression[] {
  const items: Expression[] = []
  tokens.expect(open)
  if (tokens.accept(close)) return items
  do items.push(parseExpression(tokens))
  while (tokens.accept(','))
  tokens.expect(close)
  return items
}

/** `{name=expression, ...}`, a name perhaps with what stands for its length in brackets; or a plain list in braces. */
function parseRecord(tokens: Tokens): Expression {
  const fields = new Map<string, Expression>()
  const items: Expression[] = []
  tokens.expect('{')
  while (!tokens.accept('}')) {
    const isField = tokens.peek().kind === 'word' && (tokens.is('=', 1) || tokens.is('(', 1))
    if (isField) {
      const name = tokens.peek().text
      const isPlain = tokens.is('=', 1)
      const term = isPlain ? null : parseTerm(tokens)
      if (isPlain) tokens.take()
      if (isPlain || tokens.is('=')) {
        tokens.expect('=')
        fields.set(name, parseExpression(tokens))
      } else if (term !== null) items.push(term)
    } else items.push(parseExpression(tokens))
    if (!tokens.is('}')) tokens.expect(',')
  }
  return { kind: 'record', fields, items }
}
