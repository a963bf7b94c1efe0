// node:dns for one host of ours, real or simulated: the same exports, with the host's names and servers behind them.

import { AsyncResource } from 'node:async_hooks'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import type { Stack } from '../../stack.ts'
import * as errors from '../node-errors.ts'
import { type NodeHost, nodeHost } from '../node-host.ts'
import { HostsTable } from './hosts.ts'
import { ADDRCONFIG, ALL, findAddresses, findName, type LookupParts, type ResultOrder, V4MAPPED } from './lookup.ts'
import { type LookupOptions, RESULT_ORDERS, readOptions, warnOfNoName } from './lookup-arguments.ts'
import { makeResolvers, RESOLVER_KEYS, type ResolverBase, type ResolverClass, toAscii } from './resolver-class.ts'

export type DnsModule = typeof import('node:dns')

export interface DnsOptions {
  /** As setServers() takes them. Default: none; then only literals, the table and localhost have addresses. */
  readonly servers?: readonly string[]
  /** A table in the format of /etc/hosts. */
  readonly hosts?: string
  /** A file in that format, read when the first name is looked up; one that cannot be read is empty. */
  readonly hostsFile?: string
}

const CODES = {
  NODATA: 'ENODATA',
  FORMERR: 'EFORMERR',
  SERVFAIL: 'ESERVFAIL',
  NOTFOUND: 'ENOTFOUND',
  NOTIMP: 'ENOTIMP',
  REFUSED: 'EREFUSED',
  BADQUERY: 'EBADQUERY',
  BADNAME: 'EBADNAME',
  BADFAMILY: 'EBADFAMILY',
  BADRESP: 'EBADRESP',
  CONNREFUSED: 'ECONNREFUSED',
  TIMEOUT: 'ETIMEOUT',
  EOF: 'EOF',
  FILE: 'EFILE',
  NOMEM: 'ENOMEM',
  DESTRUCTION: 'EDESTRUCTION',
  BADSTR: 'EBADSTR',
  BADFLAGS: 'EBADFLAGS',
  NONAME: 'ENONAME',
  BADHINTS: 'EBADHINTS',
  NOTINITIALIZED: 'ENOTINITIALIZED',
  LOADIPHLPAPI: 'ELOADIPHLPAPI',
  ADDRGETNETWORKPARAMS: 'EADDRGETNETWORKPARAMS',
  CANCELLED: 'ECANCELLED',
} as const

type LookupCallback = (error: Error | null, address?: unknown, family?: number) => void
type ServiceCallback = (error: Error | null, hostname?: string, service?: string) => void
interface Answer {
  readonly address: string | null
  readonly family: number
}
type Settle = (error: Error | null, answers: Answer[]) => void
/** The functions of the default resolver, which setServers() replaces. */
type Bound = Record<string, unknown>

/** One host's share of the module: what its functions have in common. */
class DnsHost implements LookupParts {
  readonly host: NodeHost
  order: ResultOrder = 'verbatim'
  defaultResolver: ResolverBase
  readonly Resolver: ResolverClass
  readonly PromisesResolver: ResolverClass
  private readonly options: DnsOptions
  private table: HostsTable | null = null

  constructor(host: NodeHost, options: DnsOptions) {
    this.host = host
    this.options = options
    const servers = options.servers ?? []
    const classes = makeResolvers({ host, hosts: () => this.hosts(), servers: () => servers })
    this.Resolver = classes.Resolver
    this.PromisesResolver = classes.PromisesResolver
    this.defaultResolver = new this.Resolver()
  }

  hosts(): HostsTable {
    this.table ??= new HostsTable(`${this.options.hosts ?? ''}\n${this.readFile()}`)
    return this.table
  }

  resolver(): ResolverBase['_handle'] {
    return this.defaultResolver._handle
  }

  /** Copies the methods of a class, bound to the default resolver. */
  bindTo(target: Bound, source: ResolverClass): void {
    for (const key of RESOLVER_KEYS) {
      const method = Reflect.get(source.prototype, key) as (...given: unknown[]) => unknown
      target[key] = method.bind(this.defaultResolver)
    }
  }

  setOrder(value: unknown): void {
    errors.validateOneOf(value, 'dnsOrder', RESULT_ORDERS)
    this.order = value as ResultOrder
  }

  /** The addresses of a name that is neither empty nor a literal. */
  find(name: string, { family, hints, order }: LookupOptions, settle: Settle): void {
    const hold = this.host.keepAlive.hold()
    findAddresses(this, { name: toAscii(name), family, hints, order }, (failure, found) => {
      hold.release()
      if (failure !== null) settle(errors.dnsError(failure.code, 'getaddrinfo', name, failure.errno), [])
      else
        settle(
          null,
          found.map((address) => ({ address: String(address), family: address.family })),
        )
    })
  }

  findName(text: string, port: number, settle: (error: Error | null, name: string, service: string) => void): void {
    findName(this, text, port, (failure, name, service) => {
      const error = failure === null ? null : errors.dnsError(failure.code, 'getnameinfo', text, failure.errno)
      settle(error, name, service)
    })
  }

  private readFile(): string {
    if (this.options.hostsFile === undefined) return ''
    try {
      return readFileSync(this.options.hostsFile, 'utf8')
    } catch {
      return ''
    }
  }
}

/** What is known without looking: a literal, or nothing for no name. Null: look. */
function atOnce(hostname: unknown, options: LookupOptions): Answer[] | null {
  if (!hostname) {
    warnOfNoName(hostname)
    return options.all ? [] : [{ address: null, family: options.family === 6 ? 6 : 4 }]
  }
  const family = isIP(hostname as string)
  return family === 0 ? null : [{ address: hostname as string, family }]
}

function makeLookup(dns: DnsHost): (hostname: unknown, options: unknown, callback?: unknown) => object {
  return function lookup(hostname, options, callback) {
    let call = callback
    let given = options
    if (hostname) errors.validateString(hostname, 'hostname')
    if (typeof options === 'function') {
      call = options
      given = undefined
    } else if (options !== undefined && typeof options !== 'object' && typeof options !== 'number') {
      errors.validateFunction(callback === undefined ? options : callback, 'callback')
      throw errors.invalidArgType('options', 'of type object or integer', options)
    } else errors.validateFunction(callback, 'callback')
    const read = readOptions(given, dns.order, true)
    const done = AsyncResource.bind(call as LookupCallback, 'GETADDRINFOREQWRAP')
    const known = atOnce(hostname, read)
    if (known !== null) {
      if (read.all) process.nextTick(done, null, known)
      else process.nextTick(done, null, known[0]!.address, known[0]!.family)
      return {}
    }
    dns.find(hostname as string, read, (error, answers) => {
      if (error !== null) done(error)
      else if (read.all) done(null, answers)
      else done(null, answers[0]!.address, answers[0]!.family)
    })
    return { callback: call, family: read.family, hostname }
  }
}

function makeLookupService(dns: DnsHost): (...given: unknown[]) => object {
  const lookupService = (...given: unknown[]): object => {
    const [address, port, callback] = given
    if (given.length !== 3) throw errors.missingArgs('address', 'port', 'callback')
    const number = validateService(address, port)
    errors.validateFunction(callback, 'callback')
    const done = AsyncResource.bind(callback as ServiceCallback, 'GETNAMEINFOREQWRAP')
    dns.findName(address as string, number, (error, name, service) =>
      error === null ? done(null, name, service) : done(error),
    )
    return { callback, hostname: address, port: number }
  }
  return withLength(3, lookupService)
}

/** How many parameters Node's own function names. */
function withLength<Call extends object>(length: number, call: Call): Call {
  return Object.defineProperty(call, 'length', { value: length, configurable: true })
}

function validateService(address: unknown, port: unknown): number {
  if (isIP(address as string) === 0) throw errors.invalidArgValue('address', address)
  return errors.validatePort(port)
}

function lookupPromise(dns: DnsHost, hostname: unknown, options: unknown): Promise<unknown> {
  if (hostname) errors.validateString(hostname, 'hostname')
  if (options !== undefined && typeof options !== 'object' && typeof options !== 'number')
    throw errors.invalidArgType('options', 'of type object or integer', options)
  const read = readOptions(options, dns.order, false)
  return new Promise((resolve, reject) => {
    const settle = (error: Error | null, answers: Answer[]): void =>
      error === null ? resolve(read.all ? answers : answers[0]) : reject(error)
    const known = atOnce(hostname, read)
    if (known !== null) settle(null, known)
    else dns.find(hostname as string, read, settle)
  })
}

function servicePromise(dns: DnsHost, given: readonly unknown[]): Promise<unknown> {
  if (given.length !== 2) throw errors.missingArgs('address', 'port')
  const number = validateService(given[0], given[1])
  return new Promise((resolve, reject) => {
    dns.findName(given[0] as string, number, (error, hostname, service) =>
      error === null ? resolve({ hostname, service }) : reject(error),
    )
  })
}

function makePromises(dns: DnsHost): Bound {
  const promises: Bound = {
    lookup: (hostname: unknown, options: unknown) => lookupPromise(dns, hostname, options),
    lookupService: withLength(2, function lookupService(...given: unknown[]) {
      return servicePromise(dns, given)
    }),
    Resolver: dns.PromisesResolver,
    getDefaultResultOrder: () => dns.order,
    setDefaultResultOrder: (value: unknown) => dns.setOrder(value),
    setServers: function defaultResolverSetServers(servers: readonly string[]) {
      const resolver = new dns.PromisesResolver()
      resolver.setServers(servers)
      dns.defaultResolver = resolver
      dns.bindTo(promises, dns.PromisesResolver)
    },
    ...CODES,
  }
  dns.bindTo(promises, dns.PromisesResolver)
  return promises
}

/** node:dns for `stack`: that of a Host, or of a world's host. A world must be run with the `settle` of src/node. */
export function makeDns(stack: Stack, options: DnsOptions = {}): DnsModule {
  const dns = new DnsHost(nodeHost(stack), options)
  const promises = makePromises(dns)
  const lookup = makeLookup(dns)
  const lookupService = makeLookupService(dns)
  Object.defineProperty(lookup, promisify.custom, { value: promises.lookup })
  Object.defineProperty(lookupService, promisify.custom, { value: promises.lookupService })
  const module: Bound = {
    lookup,
    lookupService,
    Resolver: dns.Resolver,
    getDefaultResultOrder: () => dns.order,
    setDefaultResultOrder: (value: unknown) => dns.setOrder(value),
    setServers: function defaultResolverSetServers(servers: readonly string[]) {
      const resolver = new dns.Resolver()
      resolver.setServers(servers)
      dns.defaultResolver = resolver
      dns.bindTo(module, dns.Resolver)
      dns.bindTo(promises, dns.PromisesResolver)
    },
    ADDRCONFIG,
    ALL,
    V4MAPPED,
    ...CODES,
  }
  dns.bindTo(module, dns.Resolver)
  module.promises = promises
  return module as unknown as DnsModule
}
