// The Resolver classes of node:dns and node:dns/promises, made for one host: one has callbacks, the other promises, and
// both do the same with a StubResolver, their `_handle`.

import { AsyncResource } from 'node:async_hooks'
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { IpAddress } from '../../wire/address.ts'
import * as errors from '../node-errors.ts'
import type { NodeHost } from '../node-host.ts'
import type { HostsTable } from './hosts.ts'
import { reverseName } from './lookup.ts'
import { shapeRecords } from './records.ts'
import type { Resolution } from './resolution.ts'
import { StubResolver } from './resolver.ts'
import { parseServers, serverText } from './servers.ts'
import type { RecordType } from './wire.ts'

const MAX_INT32 = 0x7fff_ffff

/** Method, rrtype and name in errors, in the order of Node's prototype. */
const QUERIES: readonly (readonly [method: string, type: RecordType, binding: string])[] = [
  ['resolveAny', 'ANY', 'queryAny'],
  ['resolve4', 'A', 'queryA'],
  ['resolve6', 'AAAA', 'queryAaaa'],
  ['resolveCaa', 'CAA', 'queryCaa'],
  ['resolveCname', 'CNAME', 'queryCname'],
  ['resolveMx', 'MX', 'queryMx'],
  ['resolveNs', 'NS', 'queryNs'],
  ['resolveTxt', 'TXT', 'queryTxt'],
  ['resolveSrv', 'SRV', 'querySrv'],
  ['resolvePtr', 'PTR', 'queryPtr'],
  ['resolveNaptr', 'NAPTR', 'queryNaptr'],
  ['resolveSoa', 'SOA', 'querySoa'],
]

/** What dns itself has of the default resolver. */
export const RESOLVER_KEYS: readonly string[] = [
  'getServers',
  'resolve',
  'resolve4',
  'resolve6',
  'resolveAny',
  'resolveCaa',
  'resolveCname',
  'resolveMx',
  'resolveNaptr',
  'resolveNs',
  'resolvePtr',
  'resolveSoa',
  'resolveSrv',
  'resolveTxt',
  'reverse',
]

export interface ResolverParts {
  readonly host: NodeHost
  hosts(): HostsTable
  /** Those that a new Resolver begins with. */
  servers(): readonly string[]
}

type Callback = (error: Error | null, result?: unknown) => void
type Settle = (error: Error | null, result: unknown) => void
/** A method of either class: the arguments as given, the resolver as `this`. */
type Method = (this: ResolverBase, ...given: unknown[]) => unknown

export class ResolverBase {
  readonly _handle: StubResolver
  private readonly hosts: () => HostsTable

  constructor(parts: ResolverParts, options: unknown) {
    const { timeout = -1, tries = 4 } = { ...(options as { timeout?: unknown; tries?: unknown } | undefined) }
    errors.validateInteger(timeout, 'options.timeout', -1, MAX_INT32)
    errors.validateInteger(tries, 'options.tries', 1, MAX_INT32)
    this._handle = new StubResolver(parts.host, { timeoutMillis: timeout as number, tries: tries as number })
    this._handle.setServers(parseServers(parts.servers(), parts.host.stack))
    this.hosts = () => parts.hosts()
    Object.defineProperty(this, 'hosts', { enumerable: false })
  }

  cancel(): void {
    this._handle.cancel()
  }

  getServers(): string[] {
    return this._handle.servers.map(serverText)
  }

  setServers(servers: readonly string[]): void {
    if (!Array.isArray(servers)) throw errors.invalidArgType('servers', 'an instance of Array', servers)
    const parsed = parseServers(servers, this._handle.host.stack)
    if (this._handle.isAsking) throw errors.setServersError('There are pending queries.', servers)
    this._handle.setServers(parsed)
  }

  setLocalAddress(ipv4: string, ipv6?: string): void {
    errors.validateString(ipv4, 'ipv4')
    if (ipv6 !== undefined) errors.validateString(ipv6, 'ipv6')
    const given = [ipv4, ...(ipv6 === undefined ? [] : [ipv6])].map((text) => IpAddress.parse(text))
    if (given.includes(null)) throw invalidLocal('Invalid IP address.')
    for (const family of [4, 6] as const) {
      const own = given.filter((address) => address!.family === family)
      if (own.length > 1) throw invalidLocal(`Cannot specify two IPv${family} addresses.`)
    }
    this._handle.local4 = given.find((address) => address!.family === 4) ?? null
    this._handle.local6 = given.find((address) => address!.family === 6) ?? null
  }

  /** For the methods below. */
  query(binding: string, type: RecordType, name: string, ttl: boolean, settle: Settle): void {
    const asked = toAscii(name)
    this._handle.ask({ name: asked, type }, (resolution) => this.answer(resolution, binding, type, name, ttl, settle))
  }

  /** For reverse(). Throws where the text is no address. */
  names(binding: string, text: string, settle: Settle): void {
    const address = isIP(text) === 0 ? null : IpAddress.parse(text.replace(/%.*/, ''))
    if (address === null) throw errors.dnsError('EINVAL', binding, text, errors.errnoOf('EINVAL'))
    const listed = this.hosts().names(address)
    if (listed.length > 0) {
      setImmediate(settle, null, [...listed])
      return
    }
    const question = { name: reverseName(address), type: 'PTR' } as const
    this._handle.ask(question, (resolution) => this.answer(resolution, binding, 'PTR', text, false, settle))
  }

  private answer(
    { code, records }: Resolution,
    binding: string,
    type: RecordType,
    name: string,
    ttl: boolean,
    settle: Settle,
  ): void {
    if (code !== null) return settle(errors.dnsError(code, binding, name), undefined)
    if (ttl && (type === 'A' || type === 'AAAA'))
      return settle(
        null,
        records.map((record) => ({ address: record.data, ttl: record.ttl })),
      )
    settle(null, shapeRecords(type, records))
  }
}

/** Thrown by Node's C++, so without the code in its text. */
const invalidLocal = (message: string): Error =>
  Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_VALUE' })

/** International names as they are asked for (RFC 5891); what cannot be one stays, and will be EBADNAME. */
export function toAscii(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is that of ASCII
  return /^[\x00-\x7f]*$/.test(name) ? name : domainToASCII(name) || name
}

/** What a query with a callback returns. */
class QueryReqWrap {
  readonly bindingName: string
  readonly callback: unknown
  readonly hostname: string
  readonly ttl: boolean

  constructor(bindingName: string, callback: unknown, hostname: string, ttl: boolean) {
    this.bindingName = bindingName
    this.callback = callback
    this.hostname = hostname
    this.ttl = ttl
  }
}

const wantsTtl = (options: unknown): boolean => !!(options as { ttl?: unknown } | null | undefined)?.ttl

/** (name[, options], callback). */
function withCallback(
  binding: string,
  start: (of: ResolverBase, name: string, ttl: boolean, settle: Settle) => void,
): Method {
  return function (...given) {
    const [name] = given
    const options = given.length > 2 ? given[1] : undefined
    const callback = given.length > 2 ? given[2] : given[1]
    errors.validateString(name, 'name')
    errors.validateFunction(callback, 'callback')
    const call = AsyncResource.bind(callback as Callback, 'QUERYWRAP')
    const ttl = wantsTtl(options)
    start(this, name, ttl, (error, result) => (error === null ? call(null, result) : call(error)))
    return new QueryReqWrap(binding, callback, name, ttl)
  }
}

/** (name[, options]), gives a promise. */
function withPromise(start: (of: ResolverBase, name: string, ttl: boolean, settle: Settle) => void): Method {
  return function (name, options) {
    errors.validateString(name, 'name')
    return new Promise((resolve, reject) => {
      start(this, name, wantsTtl(options), (error, result) => (error === null ? resolve(result) : reject(error)))
    })
  }
}

/** The two classes for one host. */
export function makeResolvers(parts: ResolverParts): { Resolver: ResolverClass; PromisesResolver: ResolverClass } {
  const Resolver = class Resolver extends ResolverBase {
    constructor(options?: unknown) {
      super(parts, options)
    }
  }
  const Promising = class Resolver extends ResolverBase {
    constructor(options?: unknown) {
      super(parts, options)
    }
  }
  for (const [method, type, binding] of QUERIES) {
    const start = (of: ResolverBase, name: string, ttl: boolean, settle: Settle): void =>
      of.query(binding, type, name, ttl, settle)
    define(Resolver, method, binding, withCallback(binding, start))
    define(Promising, method, binding, withPromise(start))
  }
  const back = (of: ResolverBase, name: string, _ttl: boolean, settle: Settle): void =>
    of.names('getHostByAddr', name, settle)
  define(Resolver, 'reverse', 'getHostByAddr', withCallback('getHostByAddr', back))
  define(Promising, 'reverse', 'getHostByAddr', withPromise(back))
  define(Resolver, 'resolve', 'resolve', resolveWithCallback(Resolver), 3)
  define(Promising, 'resolve', 'resolve', resolveWithPromise(Promising))
  return { Resolver, PromisesResolver: Promising }
}

export type ResolverClass = new (options?: unknown) => ResolverBase

function define(target: ResolverClass, method: string, name: string, call: Method, length = 2): void {
  Object.defineProperty(call, 'name', { value: name, configurable: true })
  Object.defineProperty(call, 'length', { value: length, configurable: true })
  Reflect.set(target.prototype, method, call)
}

/** Of the class itself: dns.setServers() binds the methods of both to a resolver of one. Undefined: there is no such type. */
function methodOf(of: ResolverClass, rrtype: unknown): Method | undefined {
  const name = QUERIES.find(([, type]) => type === rrtype)?.[0]
  return name === undefined ? undefined : (Reflect.get(of.prototype, name) as Method)
}

/** (name[, rrtype], callback). */
const resolveWithCallback = (of: ResolverClass): Method =>
  function (...given) {
    const [name, rrtype, last] = given
    const isShort = typeof rrtype === 'function'
    if (!isShort && typeof rrtype !== 'string') throw errors.invalidArgType('rrtype', 'of type string', rrtype)
    const method = methodOf(of, isShort ? 'A' : rrtype)
    if (method === undefined) throw errors.invalidArgValue('rrtype', rrtype)
    return Reflect.apply(method, this, [name, isShort ? rrtype : last])
  }

/** (name[, rrtype]), gives a promise. */
const resolveWithPromise = (of: ResolverClass): Method =>
  function (name, rrtype) {
    if (rrtype !== undefined) errors.validateString(rrtype, 'rrtype')
    const method = methodOf(of, rrtype ?? 'A')
    if (method === undefined) throw errors.invalidArgValue('rrtype', rrtype)
    return Reflect.apply(method, this, [name])
  }
