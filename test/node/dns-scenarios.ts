// What a program does with node:dns, written once and run against Node's own and against ours: dns.test.ts compares.

import type dnsModule from 'node:dns'
import type { Note, Trace } from './dgram-scenarios.ts'

export type Dns = typeof dnsModule
/** `server` answers as dns-server.ts does. */
export type Scenario = (dns: Dns, trace: Trace, server: string) => Promise<void>

const METHODS = ['Any', '4', '6', 'Caa', 'Cname', 'Mx', 'Naptr', 'Ns', 'Ptr', 'Soa', 'Srv', 'Txt'] as const
const wrong = <T>(value: unknown): T => value as T
type Anything = (...given: unknown[]) => unknown

function call(target: object, method: string, ...given: unknown[]): Promise<unknown[]> {
  return new Promise((resolve) => {
    Reflect.apply(Reflect.get(target, method) as Anything, target, [
      ...given,
      (...result: unknown[]) => resolve(result),
    ])
  })
}

const records: Scenario = async (dns, trace, server) => {
  const resolver = new dns.Resolver({ timeout: 2_000, tries: 1 })
  resolver.setServers([server])
  for (const method of METHODS) {
    const name = method === 'Cname' ? 'alias.test' : 'real.test'
    trace.note(`resolve${method}`, await call(resolver, `resolve${method}`, name))
  }
  for (const method of ['4', '6'])
    trace.note('ttl', await call(resolver, `resolve${method}`, 'ttl.test', { ttl: true }))
  trace.note('no ttl', await call(resolver, 'resolve4', 'ttl.test', { ttl: false }))
  for (const type of ['A', 'MX', 'ANY', 'SOA']) trace.note(type, await call(resolver, 'resolve', 'real.test', type))
  trace.note('without a type', await call(resolver, 'resolve', 'real.test'))
  trace.note('alias', await call(resolver, 'resolve4', 'alias.test', { ttl: true }))
  for (const name of ['REAL.test', 'real.test.', 'bücher.test', '192.0.2.9', 'a_b.test', '*.test'])
    trace.note(name, await call(resolver, 'resolve4', name))
  for (const address of ['192.0.2.1', '2001:db8::1']) trace.note(address, await call(resolver, 'reverse', address))
}

const failures: Scenario = async (dns, trace, server) => {
  const resolver = new dns.Resolver({ timeout: 100, tries: 1 })
  resolver.setServers([server])
  for (const first of ['nx', 'serv', 'ref', 'form', 'notimp', 'nodata', 'drop'])
    trace.note(first, await call(resolver, 'resolve4', `${first}.test`))
  for (const method of METHODS) trace.note(method, await call(resolver, `resolve${method}`, 'nx.test'))
  for (const name of ['a..b', `${'x'.repeat(64)}.test`, 'ex ample', '::1', `${'x.'.repeat(127)}yy`])
    trace.note('a bad name', await call(resolver, 'resolve4', name))
  const promising = new dns.promises.Resolver({ timeout: 100, tries: 1 })
  promising.setServers([server])
  const reason = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error)
  trace.note('promise', await reason(promising.resolve4('nx.test')))
  trace.note('promise', await reason(promising.resolve('nodata.test', 'MX')))
  trace.note('promise', await reason(promising.reverse('nonsense')))
  promising.setServers(['127.0.0.1:1'])
  trace.note('nobody there', await reason(promising.resolve4('real.test')))
}

const cancelling: Scenario = async (dns, trace, server) => {
  const resolver = new dns.Resolver()
  resolver.setServers([server])
  const both = [call(resolver, 'resolve4', 'drop.test'), call(resolver, 'resolveMx', 'drop.test')]
  trace.attempt('other servers meanwhile', () => resolver.setServers(['127.0.0.1', '127.0.0.2:5']))
  trace.note('servers', resolver.getServers().length)
  resolver.cancel()
  trace.note('cancelled', await Promise.all(both))
  trace.note('and on', await call(resolver, 'resolve4', 'real.test'))
  resolver.cancel()
}

const promised: Scenario = async (dns, trace, server) => {
  const resolver = new dns.promises.Resolver()
  resolver.setServers([server])
  trace.note('4', await resolver.resolve4('real.test', { ttl: true }))
  trace.note('MX', await resolver.resolve('real.test', 'MX'))
  trace.note('default', await resolver.resolve('real.test'))
  trace.note('reverse', await resolver.reverse('192.0.2.7'))
  trace.note('literal', await dns.promises.lookup('192.0.2.1'))
  trace.note('all', await dns.promises.lookup('2001:db8::1', { all: true }))
  trace.note('empty', await dns.promises.lookup(''))
}

const lookups: Scenario = async (dns, trace) => {
  for (const options of [undefined, 4, 6, { all: true }, { family: 6, all: true }, { family: 'IPv4' }, null]) {
    for (const name of ['192.0.2.1', '2001:db8::1', 'fe80::1%lo', ''])
      trace.note(`${name} ${JSON.stringify(options)}`, await call(dns, 'lookup', name, options))
  }
  trace.note('no options', await call(dns, 'lookup', '192.0.2.1'))
  for (const name of ['127.1', '0x7f.1', '0177.0.0.1', '2130706433', 'x'.repeat(300)])
    trace.note(name, await call(dns, 'lookup', name))
  trace.note('localhost 4', await call(dns, 'lookup', 'localhost', 4))
  const mapped = { family: 6, hints: dns.V4MAPPED, all: true }
  trace.note('mapped', await call(dns, 'lookup', '127.1', mapped))
  trace.note('service', await call(dns, 'lookupService', '127.0.0.1', 64_999))
  trace.note('order', dns.getDefaultResultOrder())
  for (const order of ['ipv4first', 'ipv6first', 'verbatim'] as const) {
    dns.setDefaultResultOrder(order)
    trace.note('order', [dns.getDefaultResultOrder(), dns.promises.getDefaultResultOrder()])
  }
}

const servers: Scenario = async (dns, trace) => {
  const resolver = new dns.Resolver()
  const lists = [
    ['1.2.3.4', '[::1]:5353', '::1', '1.2.3.4:55', '[::2]', '[::1]:53', '::0001', '1.2.3.4:53'],
    ['a'],
    ['1.2.3'],
    ['[::g]'],
    [''],
    [5],
    'a',
    {},
    [],
  ]
  for (const list of lists) {
    trace.attempt(JSON.stringify(list), () => resolver.setServers(wrong(list)))
    trace.attempt('servers', () => resolver.getServers())
  }
  for (const local of [['nonsense'], [5], ['::1'], ['127.0.0.1', '127.0.0.1'], ['::1', '::1'], ['127.0.0.1', '::1']])
    trace.attempt(`local ${local}`, () => Reflect.apply(resolver.setLocalAddress, resolver, local))
  trace.attempt('local 5', () => resolver.setLocalAddress('127.0.0.1', wrong(5)))
}

const misuse: Scenario = async (dns, trace) => {
  const nothing = (): void => {}
  const attempts: [string, () => unknown][] = [
    ['timeout a', () => new dns.Resolver(wrong({ timeout: 'a' }))],
    ['timeout -2', () => new dns.Resolver({ timeout: -2 })],
    ['tries 0', () => new dns.Resolver({ tries: 0 })],
    ['tries 1.5', () => new dns.Resolver({ tries: 1.5 })],
    ['lookup b', () => dns.lookup('a', wrong('b'), nothing)],
    ['lookup 5', () => dns.lookup('a', 5, nothing)],
    ['lookup without', () => dns.lookup('a', wrong(undefined))],
    ['lookup number', () => dns.lookup(wrong(5), nothing)],
    ['lookup hints', () => dns.lookup('a', { hints: 4_096 }, nothing)],
    ['lookup hints a', () => dns.lookup('a', wrong({ hints: 'a' }), nothing)],
    ['lookup family', () => dns.lookup('a', wrong({ family: 7 }), nothing)],
    ['lookup all', () => dns.lookup('a', wrong({ all: 1 }), nothing)],
    ['lookup verbatim', () => dns.lookup('a', wrong({ verbatim: 1 }), nothing)],
    ['lookup order', () => dns.lookup('a', wrong({ order: 'x' }), nothing)],
    ['lookup no callback', () => dns.lookup('a', {}, wrong(5))],
    ['promise b', () => dns.promises.lookup('a', wrong('b'))],
    ['promise IPv4', () => dns.promises.lookup('a', wrong({ family: 'IPv4' }))],
    ['lookupService', () => dns.lookupService('a', 5, nothing)],
    ['lookupService two', () => Reflect.apply(dns.lookupService, dns, ['127.0.0.1', 5])],
    ['lookupService port', () => dns.lookupService('127.0.0.1', 99_999, nothing)],
    ['lookupService callback', () => dns.lookupService('127.0.0.1', 80, wrong(5))],
    ['promise service', () => Reflect.apply(dns.promises.lookupService, dns, ['127.0.0.1'])],
    ['rrtype', () => dns.resolve('a', wrong('X'), nothing)],
    ['rrtype 5', () => dns.resolve('a', wrong(5), nothing)],
    ['promise rrtype', () => dns.promises.resolve('a', wrong('X'))],
    ['promise rrtype 5', () => dns.promises.resolve('a', wrong(5))],
    ['resolve4 5', () => dns.resolve4(wrong(5), nothing)],
    ['resolve4 alone', () => Reflect.apply(dns.resolve4, dns, ['a'])],
    ['promise resolve4 5', () => dns.promises.resolve4(wrong(5))],
    ['reverse', () => dns.reverse('nonsense', nothing)],
    ['order', () => dns.setDefaultResultOrder(wrong('x'))],
  ]
  for (const [label, attempt] of attempts) trace.attempt(label, attempt)
}

/** Names, kinds, lengths and values of all that a module has. */
const shape: Scenario = async (dns, trace) => {
  const list = (note: Note, of: object): void => {
    for (const [name, value] of Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1))) {
      const isClass = name === 'Resolver'
      if (typeof value === 'function') note(name, isClass ? value.name : [value.length, value.name])
      else if (typeof value === 'string' || typeof value === 'number') note(name, value)
      else note(name, typeof value)
    }
  }
  list(trace.note, dns)
  list(trace.note, dns.promises)
  for (const one of [dns.Resolver, dns.promises.Resolver]) {
    const methods = Object.getOwnPropertyNames(one.prototype).sort()
    trace.note(
      'Resolver',
      methods.map((name) => [name, (Reflect.get(one.prototype, name) as Anything).name]),
    )
    trace.note('is one', [new one() instanceof one, Object.keys(new one())])
  }
}

/** The module's own functions, for callbacks and promises, ask whom setServers() of either names. */
const ownServers: Scenario = async (dns, trace, server) => {
  const before = dns.getServers()
  try {
    dns.setServers([server])
    trace.note('resolve', await call(dns, 'resolve', 'real.test', 'MX'))
    trace.note('promise of resolve', [
      await dns.promises.resolve('real.test'),
      await dns.promises.resolveMx('real.test'),
    ])
    trace.note('promise of a type', await dns.promises.resolve('real.test', 'MX'))
    dns.promises.setServers([server])
    trace.note('promise again', await dns.promises.resolve('real.test', 'TXT'))
    trace.note('resolve again', await call(dns, 'resolve', 'real.test', 'TXT'))
  } finally {
    dns.setServers(before)
  }
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'records of every type': records,
  'failures of every kind': failures,
  cancelling: cancelling,
  promises: promised,
  'lookups without a question': lookups,
  'servers and local addresses': servers,
  'servers of the module itself': ownServers,
  misuse: misuse,
  'the shape of the module': shape,
}
