// Errors as Node 20 makes them: class, code, message, and the own properties in their order. Whoever looks at
// `error.code`, at `String(error)` or at its keys sees no difference.

import { constants } from 'node:os'
import { format, getSystemErrorMap, inspect } from 'node:util'

type ErrorClass = new (message: string) => Error

/** libuv's numbers for what errno(3) does not have. */
const RESOLVER_ERRNO: Readonly<Record<string, number>> = { ENOTFOUND: -3008, EAI_AGAIN: -3001 }
const SHOWN_VALUE = 128
const SHOWN_TYPE = 28

/** The negative number that Node puts into `errno`; undefined: the code has none. */
export function errnoOf(code: string): number | undefined {
  const known = (constants.errno as Readonly<Record<string, number>>)[code]
  return known === undefined ? RESOLVER_ERRNO[code] : -known
}

/** What errors of Node's own inherit, by their class: only toString() differs from it. */
const prototypes = new Map<ErrorClass, object>()

function prototypeOf(kind: ErrorClass): object {
  const known = prototypes.get(kind)
  if (known !== undefined) return known
  const describe = function (this: NodeJS.ErrnoException): string {
    return `${this.name} [${this.code}]: ${this.message}`
  }
  const made = Object.create(kind.prototype, {
    toString: { value: describe, enumerable: false, configurable: true, writable: true },
  }) as object
  prototypes.set(kind, made)
  return made
}

/** An error of Node's own, `TypeError [ERR_…]: message`. */
export function codedError(kind: ErrorClass, code: string, message: string): NodeJS.ErrnoException {
  const error = new kind(message) as NodeJS.ErrnoException
  Object.setPrototypeOf(error, prototypeOf(kind))
  // The head of the stack is written when it is first looked at: it shall name the code, the error's name shall not.
  Object.defineProperty(error, 'name', { value: `${error.name} [${code}]`, configurable: true })
  Error.captureStackTrace(error, codedError)
  void error.stack
  Reflect.deleteProperty(error, 'name')
  error.code = code
  return error
}

interface SystemErrorInfo {
  readonly errno: number | undefined
  readonly code: string
  readonly message: string
  readonly syscall: string
}

/** `SystemError [ERR_SOCKET_BUFFER_SIZE]`: what the system said is in `info`. */
export function bufferSizeError(code: string, syscall: string): NodeJS.ErrnoException {
  const errno = errnoOf(code)
  const text = getSystemErrorMap().get(errno ?? 0)?.[1] ?? ''
  const info: SystemErrorInfo = { errno, code, message: text, syscall }
  const message = `Could not get or set buffer size: ${syscall} returned ${code} (${text})`
  const error = codedError(Error, 'ERR_SOCKET_BUFFER_SIZE', message)
  Object.defineProperty(error, 'name', { value: 'SystemError', enumerable: false, configurable: true, writable: true })
  return Object.assign(error, { info, errno, syscall })
}

/** `bind EINVAL`: a system call failed. */
export function errnoError(code: string, syscall: string): NodeJS.ErrnoException {
  const error = new Error(`${syscall} ${code}`) as NodeJS.ErrnoException
  Error.captureStackTrace(error, errnoError)
  error.errno = errnoOf(code)
  error.code = code
  error.syscall = syscall
  return error
}

export interface HostPortError extends NodeJS.ErrnoException {
  address?: string | undefined
  port?: number
}

const detailsOf = (address: string | null | undefined, port: number | undefined): string =>
  port !== undefined && port > 0 ? ` ${address}:${port}` : address ? ` ${address}` : ''

/** `connect ECONNREFUSED 10.0.0.1:80 - Local (10.0.0.2:4711)`: a system call about an address failed. A port of 0 is not named. */
export function hostPortError(
  code: string,
  syscall: string,
  address: string | undefined,
  port: number | undefined,
  local?: string,
): HostPortError {
  const details = detailsOf(address, port) + (local === undefined ? '' : ` - Local (${local})`)
  const error = new Error(`${syscall} ${code}${details}`) as HostPortError
  Error.captureStackTrace(error, hostPortError)
  error.errno = errnoOf(code)
  error.code = code
  error.syscall = syscall
  error.address = address
  if (port) error.port = port
  return error
}

/** `listen EADDRINUSE: address already in use 10.0.0.1:80`: the form that names what the code means. */
export function listenError(
  code: string,
  syscall: string,
  address: string | null,
  port: number | undefined,
): HostPortError {
  const meaning = getSystemErrorMap().get(errnoOf(code) ?? 0)?.[1] ?? 'unknown error'
  const error = new Error(`${syscall} ${code}: ${meaning}${detailsOf(address, port)}`) as HostPortError
  Error.captureStackTrace(error, listenError)
  error.code = code
  error.errno = errnoOf(code)
  error.syscall = syscall
  Object.assign(error, { address })
  if (port) error.port = port
  return error
}

export interface DnsError extends NodeJS.ErrnoException {
  hostname?: string
}

/** `queryA ENOTFOUND name`: a question about a name has no answer. What c-ares says has no number. */
export function dnsError(code: string, syscall: string, hostname: string, errno?: number): DnsError {
  const error = new Error(`${syscall} ${code}${hostname ? ` ${hostname}` : ''}`) as DnsError
  Error.captureStackTrace(error, dnsError)
  error.errno = errno
  error.code = code
  error.syscall = syscall
  if (hostname) error.hostname = hostname
  return error
}

export const setServersError = (why: string, servers: readonly unknown[]): Error =>
  codedError(Error, 'ERR_DNS_SET_SERVERS_FAILED', format('c-ares failed to set servers: "%s" [%s]', why, servers))

/** What Node says that it received instead. */
function received(value: unknown): string {
  if (value === null || value === undefined) return ` Received ${value}`
  if (typeof value === 'function') return ` Received function ${value.name}`
  if (typeof value === 'object') {
    const name: unknown = value.constructor?.name
    return name ? ` Received an instance of ${String(name)}` : ` Received ${inspect(value, { depth: -1 })}`
  }
  if (typeof value !== 'string') return ` Received type ${typeof value} (${inspect(value)})`
  const shown = value.length > SHOWN_TYPE ? `${value.slice(0, SHOWN_TYPE - 3)}...` : value
  return ` Received type string (${shown.includes("'") ? JSON.stringify(shown) : `'${shown}'`})`
}

const what = (name: string): string =>
  name.endsWith(' argument') ? name : `"${name}" ${name.includes('.') ? 'property' : 'argument'}`

/** `expected` as in 'of type string' or 'an instance of Array'. */
export function invalidArgType(name: string, expected: string, value: unknown): Error {
  return codedError(TypeError, 'ERR_INVALID_ARG_TYPE', `The ${what(name)} must be ${expected}.${received(value)}`)
}

export function invalidArgValue(name: string, value: unknown, reason = 'is invalid'): Error {
  const text = inspect(value)
  const shown = text.length > SHOWN_VALUE ? `${text.slice(0, SHOWN_VALUE)}...` : text
  const kind = name.includes('.') ? 'property' : 'argument'
  return codedError(TypeError, 'ERR_INVALID_ARG_VALUE', `The ${kind} '${name}' ${reason}. Received ${shown}`)
}

export function outOfRange(name: string, range: string, value: unknown): Error {
  const shown =
    Number.isInteger(value) && Math.abs(value as number) > 2 ** 32 ? separated(String(value)) : inspect(value)
  const message = `The value of "${name}" is out of range. It must be ${range}. Received ${shown}`
  return codedError(RangeError, 'ERR_OUT_OF_RANGE', message)
}

export function missingArgs(...names: string[]): Error {
  const quoted = names.map((name) => `"${name}"`)
  const last = quoted.pop()
  const list = quoted.length > 1 ? `${quoted.join(', ')}, and ${last}` : [...quoted, last].join(' and ')
  return codedError(
    TypeError,
    'ERR_MISSING_ARGS',
    `The ${list} argument${names.length > 1 ? 's' : ''} must be specified`,
  )
}

/** 4_294_967_297, as Node writes long numbers. */
const separated = (digits: string): string => digits.replace(/(?<=\d)(?=(?:\d{3})+$)/g, '_')

export const validateString: (value: unknown, name: string) => asserts value is string = (value, name) => {
  if (typeof value !== 'string') throw invalidArgType(name, 'of type string', value)
}

export const validateNumber: (value: unknown, name: string) => asserts value is number = (value, name) => {
  if (typeof value !== 'number') throw invalidArgType(name, 'of type number', value)
}

export const validateBoolean: (value: unknown, name: string) => asserts value is boolean = (value, name) => {
  if (typeof value !== 'boolean') throw invalidArgType(name, 'of type boolean', value)
}

export function validateFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw invalidArgType(name, 'of type function', value)
}

export function validateOneOf(value: unknown, name: string, allowed: readonly unknown[]): void {
  if (allowed.includes(value)) return
  const list = allowed.map((one) => (typeof one === 'string' ? `'${one}'` : String(one))).join(', ')
  throw invalidArgValue(name, value, `must be one of: ${list}`)
}

/** A whole number from `least` to `most`. */
export function validateInteger(value: unknown, name: string, least: number, most: number): void {
  validateNumber(value, name)
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value)
  if (value < least || value > most) throw outOfRange(name, `>= ${least} && <= ${most}`, value)
}

/** The port as a number; strings of digits count. */
export function validatePort(value: unknown, name = 'Port', allowZero = true): number {
  const isText = typeof value === 'string' && value.trim() !== ''
  const port = typeof value === 'number' || isText ? Number(value) : Number.NaN
  if (Number.isInteger(port) && port >= 0 && port <= 65_535 && (port > 0 || allowZero)) return port
  const sign = allowZero ? '>=' : '>'
  const message = `${name} should be ${sign} 0 and < 65536.${received(value)}.`
  throw codedError(RangeError, 'ERR_SOCKET_BAD_PORT', message)
}

export function validateAbortSignal(value: unknown, name: string): asserts value is AbortSignal {
  const isSignal = typeof value === 'object' && value !== null && 'aborted' in value
  if (!isSignal) throw invalidArgType(name, 'an instance of AbortSignal', value)
}
