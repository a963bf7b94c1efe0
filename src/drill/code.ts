// What %{ }% holds: assertions about tcp_info in the part of Python that scripts use: assert, assignments, print,
// comparisons (chained), and, or, not, arithmetic, bits. Evaluated here, at its time; no Python, no eval.

import { NotRunError } from './script.ts'

export type Value = number | string | boolean | null

type Lookup = (name: string) => Value | undefined

const TOKEN =
  /\s*(?:(\d+\.\d*|\.\d+|0x[0-9a-fA-F]+|\d+)|([A-Za-z_]\w*)|("[^"]*"|'[^']*')|(==|!=|<=|>=|<<|>>|\/\/|\*\*|\+=|-=|[-+*/%&|^~()<>=,])|(.))/y

interface Word {
  readonly kind: 'number' | 'name' | 'string' | 'mark'
  readonly text: string
}

/** Brackets within brackets. */
const MAX_DEPTH = 50
/** What may be a variable of a real machine: that there is none of the name here is no mistake of the script. */
const OF_A_MACHINE = /^(tcpi_|tcpv_|bbr_|dctcp_|vegas_|SK_|TCP_|TCPI_|BPF_)/

/** What would end a Python as well. */
class CodeError extends Error {
  override readonly name = 'CodeError'
}

/** Runs a block; the message of the first assertion that fails, or null. Variables that it sets go to `variables`. */
export function runCode(code: string, variables: Map<string, Value>, lookup: Lookup): string | null {
  try {
    for (const statement of statementsOf(code)) {
      const failure = new Evaluator(statement, variables, lookup).statement()
      if (failure !== null) return failure
    }
  } catch (error) {
    if (error instanceof CodeError) return error.message
    throw error
  }
  return null
}

/** Lines and semicolons end statements, but not within brackets or after a backslash. */
function statementsOf(code: string): string[] {
  const statements: string[] = []
  let current = ''
  let depth = 0
  for (const line of code.split('\n')) {
    for (const part of line.replace(/#.*$/, '').split(';')) {
      current += ` ${part.trim().replace(/\\$/, '')}`
      for (const character of part) depth += character === '(' ? 1 : character === ')' ? -1 : 0
      if (depth > 0 || line.trimEnd().endsWith('\\')) continue
      if (current.trim() !== '') statements.push(current.trim())
      current = ''
    }
  }
  if (current.trim() !== '') throw new CodeError(`'${current.trim()}' does not end`)
  return statements
}

class Evaluator {
  private readonly source: string
  private readonly words: Word[] = []
  private readonly variables: Map<string, Value>
  private readonly lookup: Lookup
  private at = 0
  private depth = 0
  /** More than 0 where the value does not matter, as behind `0 and`. */
  private idle = 0

  constructor(source: string, variables: Map<string, Value>, lookup: Lookup) {
    this.source = source
    this.variables = variables
    this.lookup = lookup
    TOKEN.lastIndex = 0
    while (TOKEN.lastIndex < source.trimEnd().length) {
      const match = TOKEN.exec(source)
      if (match === null || match[5] !== undefined) throw new NotRunError(`Python like '${source}'`)
      const [, number, name, text, mark] = match
      if (number !== undefined) this.words.push({ kind: 'number', text: number })
      else if (name !== undefined) this.words.push({ kind: 'name', text: name })
      else if (text !== undefined) this.words.push({ kind: 'string', text: text.slice(1, -1) })
      else this.words.push({ kind: 'mark', text: mark! })
    }
  }

  statement(): string | null {
    if (this.accept('assert')) return this.assertion()
    if (this.accept('print') || this.accept('pass')) return null
    if (this.accept('import') || this.accept('def') || this.accept('if') || this.accept('for')) this.unknown()
    const name = this.words[0]
    const operator = this.words[1]?.text ?? ''
    if (name?.kind === 'name' && ['=', '+=', '-='].includes(operator)) {
      this.at = 2
      const value = this.expression()
      const before = operator === '=' ? 0 : Number(this.named(name.text))
      this.variables.set(name.text, operator === '=' ? value : before + (operator === '+=' ? 1 : -1) * Number(value))
    } else this.expression()
    this.end()
    return null
  }

  private assertion(): string | null {
    const value = this.expression()
    const hasMessage = this.accept(',')
    const message = hasMessage ? String(this.expression()) : ''
    this.end()
    if (isTrue(value)) return null
    const names = new Set(this.words.filter(({ kind }) => kind === 'name').map(({ text }) => text))
    const values: string[] = []
    for (const name of names) {
      const known = this.variables.get(name) ?? this.lookup(name)
      if (known !== undefined && name.startsWith('tcpi_')) values.push(`${name} is ${known}`)
    }
    const why = values.length > 0 ? `: ${values.join(', ')}` : ''
    return `${this.source} does not hold${why}${message === '' ? '' : ` (${message})`}`
  }

  private expression(): Value {
    if (++this.depth > MAX_DEPTH) throw new CodeError(`more than ${MAX_DEPTH} brackets within each other`)
    let left = this.conjunction()
    while (this.accept('or')) {
      const decided = isTrue(left)
      const right = this.passOver(decided, () => this.conjunction())
      left = decided ? left : right
    }
    this.depth--
    return left
  }

  private conjunction(): Value {
    let left = this.negation()
    while (this.accept('and')) {
      const decided = !isTrue(left)
      const right = this.passOver(decided, () => this.negation())
      left = decided ? left : right
    }
    return left
  }

  private passOver(decided: boolean, evaluate: () => Value): Value {
    if (decided) this.idle++
    const value = evaluate()
    if (decided) this.idle--
    return value
  }

  private negation(): Value {
    let negations = 0
    while (this.accept('not')) negations++
    const value = this.comparison()
    return negations === 0 ? value : isTrue(value) === (negations % 2 === 0)
  }

  private comparison(): Value {
    let left = this.binary(0)
    let result: Value = left
    let chained = false
    for (let operator = this.comparator(); operator !== null; operator = this.comparator()) {
      const right = this.binary(0)
      const holds = compare(operator, left, right)
      result = chained ? isTrue(result) && holds : holds
      chained = true
      left = right
    }
    return result
  }

  private comparator(): string | null {
    for (const operator of ['==', '!=', '<=', '>=', '<', '>']) if (this.accept(operator)) return operator
    if (this.accept('is')) return this.accept('not') ? '!=' : '=='
    return null
  }

  /** Operators by precedence, the loosest first. */
  private static readonly LEVELS = [['|'], ['^'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '//', '/', '%']]

  private binary(level: number): Value {
    const operators = Evaluator.LEVELS[level]
    if (operators === undefined) return this.unary()
    let left = this.binary(level + 1)
    for (;;) {
      const operator = operators.find((candidate) => this.accept(candidate))
      if (operator === undefined) return left
      const right = Number(this.binary(level + 1))
      if (right === 0 && this.idle === 0 && ['/', '//', '%'].includes(operator)) {
        throw new CodeError(`${this.source} divides by zero`)
      }
      left = calculate(operator, Number(left), right)
    }
  }

  private unary(): Value {
    const signs: string[] = []
    for (let sign = this.sign(); sign !== null; sign = this.sign()) signs.push(sign)
    const value = this.operand()
    if (signs.length === 0) return value
    return signs.reduceRight(
      (number, sign) => (sign === '-' ? -number : sign === '~' ? ~number : number),
      Number(value),
    )
  }

  private sign(): string | null {
    return ['-', '+', '~'].find((candidate) => this.accept(candidate)) ?? null
  }

  private operand(): Value {
    const word = this.words[this.at++]
    if (word === undefined) return this.unknown()
    if (word.kind === 'number') return Number(word.text)
    if (word.kind === 'string') return word.text
    if (word.kind === 'name') return this.words[this.at]?.text === '(' ? this.call(word.text) : this.named(word.text)
    if (word.text !== '(') return this.unknown()
    const value = this.expression()
    if (!this.accept(')')) this.unknown()
    return value
  }

  private call(name: string): Value {
    this.at++
    const args: number[] = []
    while (!this.accept(')')) {
      args.push(Number(this.expression()))
      if (!this.accept(',') && this.words[this.at]?.text !== ')') this.unknown()
    }
    if (name === 'abs') return Math.abs(args[0] ?? 0)
    if (name === 'min') return Math.min(...args)
    if (name === 'max') return Math.max(...args)
    if (name === 'int') return Math.trunc(args[0] ?? 0)
    return this.unknown()
  }

  private named(name: string): Value {
    if (name === 'True') return true
    if (name === 'False') return false
    if (name === 'None') return null
    const value = this.variables.get(name) ?? this.lookup(name)
    if (value !== undefined) return value
    if (OF_A_MACHINE.test(name)) throw new NotRunError(`the variable ${name}`)
    if (this.idle > 0) return 0
    throw new CodeError(`${this.source}: there is no variable ${name}`)
  }

  private accept(text: string): boolean {
    const word = this.words[this.at]
    if (word === undefined || word.kind === 'string' || word.text !== text) return false
    this.at++
    return true
  }

  private end(): void {
    if (this.at < this.words.length) this.unknown()
  }

  private unknown(): never {
    throw new NotRunError(`Python like '${this.source}'`)
  }
}

const isTrue = (value: Value): boolean => value !== false && value !== 0 && value !== null && value !== ''

function compare(operator: string, a: Value, b: Value): boolean {
  const left = typeof a === 'boolean' ? Number(a) : a
  const right = typeof b === 'boolean' ? Number(b) : b
  if (operator === '==') return left === right
  if (operator === '!=') return left !== right
  if (left === null || right === null) return false
  if (operator === '<') return left < right
  if (operator === '>') return left > right
  return operator === '<=' ? left <= right : left >= right
}

function calculate(operator: string, a: number, b: number): number {
  switch (operator) {
    case '|':
      return a | b
    case '^':
      return a ^ b
    case '&':
      return a & b
    case '<<':
      return a << b
    case '>>':
      return a >> b
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '//':
      return Math.floor(a / b)
    case '/':
      return a / b
    default:
      return a - b * Math.floor(a / b)
  }
}
