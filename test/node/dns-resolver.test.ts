// The resolver behind node:dns in worlds: servers that are slow, silent, wrong or hostile, in virtual time.

import { once } from 'node:events'
import dnsPacket from 'dns-packet'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { makeDgram } from '../../src/node/dgram/dgram.ts'
import { type DnsModule, makeDns } from '../../src/node/dns/dns.ts'
import { CHAIN_LIMIT, resolve } from '../../src/node/dns/resolution.ts'
import type { StubResolver } from '../../src/node/dns/resolver.ts'
import { EDNS_PAYLOAD, encodeQuestion, readReply } from '../../src/node/dns/wire.ts'
import { nodeHost } from '../../src/node/node-host.ts'
import { settle } from '../../src/node/settle.ts'
import type { World } from '../../src/sim/world.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { type Datagram, UdpSocket } from '../../src/socket/udp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import { type Micros, millis, seconds } from '../../src/time.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { chain, inWorld } from '../support/peer.ts'

type Answer = dnsPacket.Answer
type Reply = Uint8Array | null | readonly Uint8Array[]
type Answerer = (query: dnsPacket.Packet, datagram: Datagram) => Reply

/** What a server was asked, at its address of which family, when, and from where. */
interface Log {
  readonly asked: string[]
  readonly at: number[]
  readonly when: Micros[]
  readonly ports: number[]
  readonly ids: number[]
}

/** A name server on a host of the world; what it was asked is in the log that it returns. */
function serve(host: Stack, answerer: Answerer): Log {
  const socket = new UdpSocket(host, { family: 6, port: 53 })
  const log: Log = { asked: [], at: [], when: [], ports: [], ids: [] }
  socket.endpoint.onReadable = () => {
    for (let datagram = socket.tryReceive(); datagram !== null; datagram = socket.tryReceive()) {
      const query = dnsPacket.decode(Buffer.from(datagram.bytes))
      log.asked.push(`${query.questions![0]!.type} ${query.questions![0]!.name}`)
      log.at.push(datagram.destination.family)
      log.when.push(host.clock.now())
      log.ports.push(datagram.sourcePort)
      log.ids.push(query.id!)
      const given = answerer(query, datagram)
      const to = { address: datagram.source, port: datagram.sourcePort, source: datagram.destination }
      for (const bytes of given === null ? [] : given instanceof Uint8Array ? [given] : given) socket.send(bytes, to)
    }
  }
  return log
}

function reply(query: dnsPacket.Packet, answers: object[], more: object = {}, flags = 0): Uint8Array {
  return dnsPacket.encode({
    type: 'response',
    id: query.id!,
    flags: dnsPacket.RECURSION_AVAILABLE | flags,
    questions: query.questions!,
    answers: answers as Answer[],
    ...more,
  })
}

const nameOf = (query: dnsPacket.Packet): string => query.questions![0]!.name
const typeOf = (query: dnsPacket.Packet): string => query.questions![0]!.type
const address = (name: string, data: string, ttl = 60): object => ({ type: 'A', name, data, ttl })
const alias = (name: string, data: string, ttl = 60): object => ({ type: 'CNAME', name, data, ttl })
const always =
  (data: string): Answerer =>
  (query) =>
    reply(query, typeOf(query) === 'A' ? [address(nameOf(query), data)] : [])
const soa = (minimum: number): object => ({
  authorities: [
    {
      type: 'SOA',
      name: 'test',
      ttl: 300,
      data: { mname: 'm.test', rname: 'r.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
    },
  ],
})
const stubOf = (dns: DnsModule): StubResolver => Reflect.get(new dns.Resolver(), '_handle') as StubResolver
const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code

/** A client at 10.0.0.1 and a server at 10.0.0.2. */
async function withServer(
  answerer: Answerer,
  body: (parts: { world: World; dns: DnsModule; client: Stack; server: Stack; log: Log }) => Promise<void>,
  servers: readonly string[] = ['10.0.0.2'],
): Promise<void> {
  await inWorld(
    1,
    async (world) => {
      const { first: client, last: server } = chain(world, [1_500])
      const log = serve(server, answerer)
      await body({ world, dns: makeDns(client, { servers }), client, server, log })
    },
    { settle },
  )
}

describe('asking', () => {
  test('each question has an identifier and a port of its own (RFC 5452 §9.2)', () =>
    withServer(always('192.0.2.1'), async ({ world, dns, log }) => {
      const names = Array.from({ length: 20 }, (_, index) => `n${index}.test`)
      await world.run(Promise.all(names.map((name) => dns.promises.resolve4(name))))
      expect(log.asked).toHaveLength(20)
      expect(new Set(log.ports).size).toBeGreaterThan(18)
      expect(new Set(log.ids).size).toBeGreaterThan(18)
    }))

  test('who asks the same at once shares one question', () =>
    withServer(always('192.0.2.1'), async ({ world, dns, log }) => {
      const results = await world.run(
        Promise.all(['a.test', 'A.test', 'a.test.'].map((one) => dns.promises.resolve4(one))),
      )
      expect(results).toEqual([['192.0.2.1'], ['192.0.2.1'], ['192.0.2.1']])
      expect(log.asked).toEqual(['A a.test'])
    }))

  test('silent servers are asked in turn, with doubled patience in each round', () =>
    withServer(
      () => null,
      async ({ world, dns, log }) => {
        const resolver = new dns.promises.Resolver({ timeout: 100, tries: 3 })
        resolver.setServers(['10.0.0.2', 'fd00::2'])
        const start = world.now
        const failed = await world.run(resolver.resolve4('a.test').catch((error: unknown) => error))
        expect(codeOf(failed)).toBe('ETIMEOUT')
        expect(log.at).toEqual([4, 6, 4, 6, 4, 6])
        const after = [0, 100, 100 + 100, 200 + 200, 400 + 200, 600 + 400]
        expect(log.when.map((instant) => instant - start)).toEqual(after.map(millis))
      },
    ))

  test('a server that cannot be reached gives way to the next at once', () =>
    withServer(
      always('192.0.2.7'),
      async ({ world, dns }) => {
        const start = world.now
        expect(await world.run(dns.promises.resolve4('a.test'))).toEqual(['192.0.2.7'])
        expect(world.now - start).toBeLessThan(seconds(1))
      },
      ['203.0.113.1', '10.0.0.2:5353', '10.0.0.2'],
    ))

  test.each([
    [2, 'ESERVFAIL'],
    [5, 'EREFUSED'],
  ])('rcode %i of one server leads to the next; of all, to %s', (rcode, code) =>
    withServer(
      (query, { destination }) =>
        String(destination) === '10.0.0.2'
          ? reply(query, [], {}, rcode)
          : reply(query, [address(nameOf(query), '192.0.2.9')]),
      async ({ world, dns }) => {
        const failing = new dns.promises.Resolver()
        failing.setServers(['10.0.0.2'])
        expect(codeOf(await world.run(failing.resolve4('a.test').catch((error: unknown) => error)))).toBe(code)
        expect(await world.run(dns.promises.resolve4('a.test'))).toEqual(['192.0.2.9'])
      },
      ['10.0.0.2', 'fd00::2'],
    ),
  )

  test('servers that all failed are not gone through again, however many rounds are allowed', () =>
    withServer(
      (query) => reply(query, [], {}, 2),
      async ({ world, dns, log }) => {
        const resolver = new dns.promises.Resolver({ tries: 2 ** 31 - 1 })
        resolver.setServers(['10.0.0.2'])
        const failed = await world.run(resolver.resolve4('a.test').catch((error: unknown) => error))
        expect([codeOf(failed), log.asked.length]).toEqual(['ESERVFAIL', 1])
      },
    ))

  test('a server that does not know EDNS is asked without (RFC 6891 §7)', () =>
    withServer(
      (query) =>
        query.additionals!.length > 0 ? reply(query, [], {}, 1) : reply(query, [address(nameOf(query), '192.0.2.1')]),
      async ({ world, dns, log }) => {
        expect(await world.run(dns.promises.resolve4('a.test'))).toEqual(['192.0.2.1'])
        expect(log.asked).toHaveLength(2)
      },
    ))

  test('a truncated reply is asked for again over TCP (RFC 7766 §5)', () =>
    withServer(
      (query) => reply(query, [], {}, dnsPacket.TRUNCATED_RESPONSE),
      async ({ world, dns, server }) => {
        const texts = Array.from({ length: 100 }, (_, index) => `${index} `.padEnd(100, 'x'))
        const listener = new TcpListener(server, { family: 4, port: 53 })
        void (async () => {
          const socket = await listener.accept()
          const bytes = new Uint8Array(2_000)
          let have = 0
          while (have < 2 || have < 2 + (bytes[0]! << 8) + bytes[1]!) have += await socket.read(bytes.subarray(have))
          const query = dnsPacket.decode(Buffer.from(bytes.subarray(2, have)))
          const answers = texts.map((data) => ({ type: 'TXT', name: nameOf(query), data, ttl: 60 }))
          const message = reply(query, answers)
          await socket.write(Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]))
        })()
        const answers = await world.run(dns.promises.resolveTxt('long.test'))
        expect(answers.map(([text]) => text)).toEqual(texts)
      },
    ))

  test('a server that truncates and has no TCP is none', () =>
    withServer(
      (query) => reply(query, [], {}, dnsPacket.TRUNCATED_RESPONSE),
      async ({ world, dns }) => {
        const failed = await world.run(dns.promises.resolve4('a.test').catch((error: unknown) => error))
        expect(codeOf(failed)).toBe('ECONNREFUSED')
      },
    ))

  test('questions leave from the local address that was set', () =>
    withServer(always('192.0.2.1'), async ({ world, dns, client, log }) => {
      client.addAddress(client.interfaces.all[1]!, IpPrefix.from('10.0.0.77/24'), 0)
      const seen: string[] = []
      const resolver = new dns.promises.Resolver()
      resolver.setServers(['10.0.0.2'])
      resolver.setLocalAddress('10.0.0.77')
      const asking = resolver.resolve4('a.test')
      seen.push(...client.udp.list().map(({ localAddress }) => String(localAddress)))
      await world.run(asking)
      expect([seen, log.asked.length]).toEqual([['10.0.0.77'], 1])
    }))
})

describe('aliases', () => {
  test('a chain goes on where a reply ends (RFC 1034 §5.3.3), and holds as long as its shortest part', () =>
    withServer(
      (query) =>
        reply(
          query,
          nameOf(query) === 'a.test' ? [alias('a.test', 'b.test', 5)] : [address('b.test', '192.0.2.1', 50)],
        ),
      async ({ world, dns, log }) => {
        expect(await world.run(dns.promises.resolve4('a.test', { ttl: true }))).toEqual([
          { address: '192.0.2.1', ttl: 5 },
        ])
        expect(log.asked).toEqual(['A a.test', 'A b.test'])
      },
    ))

  test.each<[string, (query: dnsPacket.Packet) => object[]]>([
    ['in one reply', () => [alias('a.test', 'b.test'), alias('b.test', 'a.test')]],
    ['of replies', (query) => [alias(nameOf(query), nameOf(query) === 'a.test' ? 'b.test' : 'a.test')]],
  ])('a loop %s is refused', (_, answers) =>
    withServer(
      (query) => reply(query, answers(query)),
      async ({ world, dns }) => {
        const failed = await world.run(dns.promises.resolve4('a.test').catch((error: unknown) => error))
        expect(codeOf(failed)).toBe('EBADRESP')
      },
    ),
  )

  test('a chain without end is given up', () =>
    withServer(
      (query) => reply(query, [alias(nameOf(query), `x${nameOf(query)}`)]),
      async ({ world, dns, log }) => {
        const failed = await world.run(dns.promises.resolve4('a.test').catch((error: unknown) => error))
        expect(codeOf(failed)).toBe('EBADRESP')
        expect(log.asked.length).toBeLessThanOrEqual(CHAIN_LIMIT + 1)
      },
    ))

  test('records of names that were not asked for are none of the answer', () =>
    withServer(
      (query) => reply(query, [address('bank.test', '203.0.113.66'), address(nameOf(query), '192.0.2.1')]),
      async ({ world, dns }) => {
        expect(await world.run(dns.promises.resolve4('a.test'))).toEqual(['192.0.2.1'])
      },
    ))
})

describe('what is kept', () => {
  test('an answer for its TTL, counted down (RFC 1035 §3.2.1)', () =>
    withServer(always('192.0.2.1'), async ({ world, dns, log }) => {
      const ask = (): Promise<unknown> => world.run(dns.promises.resolve4('a.test', { ttl: true }))
      await ask()
      await world.run(world.sleep(seconds(20)))
      expect(await ask()).toEqual([{ address: '192.0.2.1', ttl: 40 }])
      expect(log.asked).toHaveLength(1)
      await world.run(world.sleep(seconds(41)))
      expect(await ask()).toEqual([{ address: '192.0.2.1', ttl: 60 }])
      expect(log.asked).toHaveLength(2)
    }))

  test.each([
    [3, 'ENOTFOUND'],
    [0, 'ENODATA'],
  ])('that there is none, for what the SOA says and no longer (RFC 2308 §5): rcode %i, %s', (rcode, code) =>
    withServer(
      (query) => reply(query, [], soa(10), rcode),
      async ({ world, dns, log }) => {
        const ask = async (): Promise<unknown> =>
          codeOf(await world.run(dns.promises.resolve4('no.test').catch((error: unknown) => error)))
        expect([await ask(), await ask(), log.asked.length]).toEqual([code, code, 1])
        await world.run(world.sleep(seconds(11)))
        expect([await ask(), log.asked.length]).toEqual([code, 2])
      },
    ),
  )

  test('nothing without an SOA, with a TTL of 0, of failures, or of other servers', () =>
    withServer(
      (query) =>
        nameOf(query) === 'zero.test' ? reply(query, [address('zero.test', '192.0.2.1', 0)]) : reply(query, [], {}, 3),
      async ({ world, dns, log }) => {
        for (const name of ['no.test', 'no.test', 'zero.test', 'zero.test'])
          await world.run(dns.promises.resolve4(name).catch(() => {}))
        expect(log.asked).toHaveLength(4)
      },
    ))

  test('a bounded number of names: the one not asked for the longest goes first', () =>
    withServer(always('192.0.2.1'), async ({ world, dns, log }) => {
      const ask = (name: string): Promise<unknown> => world.run(dns.promises.resolve4(name))
      await ask('first.test')
      for (let batch = 0; batch < 4; batch++) {
        const names = Array.from({ length: 256 }, (_, index) => `n${batch * 256 + index}.test`)
        await world.run(Promise.all(names.map((name) => dns.promises.resolve4(name))))
      }
      const before = log.asked.length
      await ask('n1000.test')
      expect(log.asked.length).toBe(before)
      await ask('first.test')
      expect(log.asked.length).toBe(before + 1)
    }))
})

describe('hostile replies', () => {
  const garbage = (query: dnsPacket.Packet): Uint8Array[] => {
    const good = reply(query, [address(nameOf(query), '203.0.113.66')])
    const wrongId = Buffer.from(good)
    wrongId.writeUInt16BE((query.id! + 1) & 0xffff)
    const asQuestion = Buffer.from(good)
    asQuestion[2]! &= 0x7f
    const noQuestion = Buffer.from(good)
    noQuestion.writeUInt16BE(0, 4)
    const counts = Buffer.from(good)
    counts.writeUInt16BE(60_000, 6)
    const loop = Buffer.concat([good.subarray(0, good.length - 22), Buffer.from([0xc0, good.length - 22, 0, 1, 0, 1])])
    const other = reply({ ...query, questions: [{ type: 'A', name: 'other.test', class: 'IN' }] }, [])
    const giant = Buffer.concat([good, Buffer.alloc(5_000)])
    return [wrongId, asQuestion, noQuestion, counts, loop, other, giant, good.subarray(0, 11), new Uint8Array(0)]
  }

  test('are counted and passed over: the true one is believed', () =>
    withServer(
      (query) => [...garbage(query), reply(query, [address(nameOf(query), '192.0.2.1')])],
      async ({ world, dns }) => {
        const resolver = new dns.promises.Resolver()
        resolver.setServers(['10.0.0.2'])
        expect(await world.run(resolver.resolve4('a.test'))).toEqual(['192.0.2.1'])
        const { counters } = Reflect.get(resolver, '_handle') as StubResolver
        expect(counters).toMatchObject({ mismatched: 3, malformed: 6, replies: 1, questions: 1 })
      },
    ))

  test('alone are no answer', () =>
    withServer(garbage, async ({ world, dns }) => {
      const resolver = new dns.promises.Resolver({ timeout: 50, tries: 2 })
      resolver.setServers(['10.0.0.2'])
      const failed = await world.run(resolver.resolve4('a.test').catch((error: unknown) => error))
      expect(codeOf(failed)).toBe('ETIMEOUT')
    }))

  test('from elsewhere never reach the question (RFC 5452 §9.1)', () =>
    withServer(
      () => null,
      async ({ world, dns, client, server, log }) => {
        const resolver = new dns.promises.Resolver({ timeout: 50, tries: 1 })
        resolver.setServers(['10.0.0.2'])
        const asking = resolver.resolve4('a.test').catch((error: unknown) => error)
        world.runFor(millis(5))
        const forger = new UdpSocket(server, { family: 4 })
        const forged = reply({ id: log.ids[0]!, questions: [{ type: 'A', name: 'a.test' }] }, [
          address('a.test', '203.0.113.66'),
        ])
        forger.send(forged, { address: IpAddress.from('10.0.0.1'), port: log.ports[0]! })
        expect(codeOf(await world.run(asking))).toBe('ETIMEOUT')
        expect(client.counters.UdpNoPorts).toBe(1)
      },
    ))

  const question = { name: 'a.test', type: 'TXT' } as const
  const truth = Buffer.from(
    reply({ id: 7, questions: [{ type: 'TXT', name: 'a.test', class: 'IN' }] }, [
      alias('a.test', 'b.test'),
      { type: 'TXT', name: 'b.test', data: ['one', 'two'], ttl: 5 },
      { type: 'SOA', name: 'test', ttl: 5, data: { mname: 'm.test', rname: 'r.test' } },
    ]),
  )

  test('never throw, whatever bytes they are', () => {
    const edit = fc.record({ at: fc.nat(truth.length - 1), byte: fc.integer({ min: 0, max: 255 }) })
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      fc.record({ edits: fc.array(edit, { maxLength: 8 }), cut: fc.nat(truth.length) }).map(({ edits, cut }) => {
        const changed = Buffer.from(truth)
        for (const { at, byte } of edits) changed[at] = byte
        return new Uint8Array(changed.subarray(0, cut || changed.length))
      }),
      fc.uint8Array({ maxLength: 400 }).map((tail) => new Uint8Array(Buffer.concat([truth.subarray(0, 24), tail]))),
    )
    fc.assert(
      fc.property(bytes, (given) => {
        const read = readReply(given, 7, question)
        if (typeof read === 'string') return
        const result = resolve(question, read, new Set(['a.test']))
        expect('code' in result ? result.ttl : result.name).toBeDefined()
      }),
      { numRuns: 2_000 },
    )
    expect(readReply(truth, 7, question)).not.toBeTypeOf('string')
  })

  test('that say that there is no such name, and give its records, are taken at their word (RFC 1035 §4.1.1)', () => {
    const given = new Uint8Array(truth)
    given[3] = (given[3]! & 0xf0) | 3
    const read = readReply(given, 7, question)
    if (typeof read === 'string') throw new Error(read)
    expect(resolve(question, read, new Set(['a.test']))).toMatchObject({ code: 'ENOTFOUND', records: [] })
  })

  test('a question fits its answer and no other', () => {
    const name = fc.stringMatching(/^[a-z]{1,20}(\.[a-z]{1,20}){0,3}$/)
    fc.assert(
      fc.property(name, name, fc.nat(0xffff), (one, other, id) => {
        const query = dnsPacket.decode(Buffer.from(encodeQuestion(id, { name: one, type: 'A' }, true)))
        const bytes = reply(query, [])
        expect(readReply(bytes, id, { name: one.toUpperCase(), type: 'A' })).not.toBeTypeOf('string')
        expect(readReply(bytes, id, { name: one, type: 'AAAA' })).toBe('mismatch')
        if (other !== one) expect(readReply(bytes, id, { name: other, type: 'A' })).toBe('mismatch')
        expect((query.additionals![0] as { udpPayloadSize?: number }).udpPayloadSize).toBe(EDNS_PAYLOAD)
      }),
      { numRuns: 200 },
    )
  })
})

describe('lookup', () => {
  const both: Answerer = (query) => {
    const name = nameOf(query)
    const isFour = typeOf(query) === 'A'
    if (name.startsWith('four.') && !isFour) return reply(query, [])
    if (name.startsWith('none.')) return reply(query, [])
    if (name.startsWith('nx.')) return reply(query, [], {}, 3)
    if (name.startsWith('broken.')) return reply(query, [], {}, 2)
    if (isFour) return reply(query, [address(name, '192.0.2.1'), address(name, '10.0.0.9')])
    return reply(
      query,
      ['2001:db8::1', 'fd00::9'].map((data) => ({ type: 'AAAA', name, data, ttl: 60 })),
    )
  }

  test('sorts by RFC 6724 §6: what can be reached first, and as the options say', () =>
    withServer(both, async ({ world, dns }) => {
      const lookup = async (options: object): Promise<string[]> => {
        const found = (await world.run(dns.promises.lookup('a.test', { all: true, ...options }))) as {
          address: string
        }[]
        return found.map((one) => one.address)
      }
      expect(await lookup({})).toEqual(['10.0.0.9', 'fd00::9', '192.0.2.1', '2001:db8::1'])
      expect(await lookup({ family: 4 })).toEqual(['10.0.0.9', '192.0.2.1'])
      expect(await lookup({ family: 6 })).toEqual(['fd00::9', '2001:db8::1'])
      expect(await lookup({ order: 'ipv6first' })).toEqual(['fd00::9', '2001:db8::1', '10.0.0.9', '192.0.2.1'])
      expect(await lookup({ verbatim: false })).toEqual(['10.0.0.9', '192.0.2.1', 'fd00::9', '2001:db8::1'])
      expect(await lookup({ family: 6, hints: dns.V4MAPPED | dns.ALL })).toEqual([
        'fd00::9',
        '2001:db8::1',
        '::ffff:10.0.0.9',
        '::ffff:192.0.2.1',
      ])
      expect(await world.run(dns.promises.lookup('a.test'))).toEqual({ address: '10.0.0.9', family: 4 })
    }))

  test('maps where only IPv4 is there, and asks for a family that the host has (AI_ADDRCONFIG)', () =>
    withServer(both, async ({ world, dns, client, log }) => {
      const mapped = { family: 6, hints: dns.V4MAPPED, all: true } as const
      expect(await world.run(dns.promises.lookup('four.test', mapped))).toEqual([
        { address: '::ffff:10.0.0.9', family: 6 },
        { address: '::ffff:192.0.2.1', family: 6 },
      ])
      client.removeAddress(client.interfaces.all[1]!, IpAddress.from('fd00::1'))
      log.asked.length = 0
      await world.run(dns.promises.lookup('b.test', { hints: dns.ADDRCONFIG }))
      expect(log.asked).toEqual(['A b.test'])
    }))

  test.each([
    ['nx.test', 'ENOTFOUND', -3_008],
    ['none.test', 'ENOTFOUND', -3_007],
    ['broken.test', 'EAI_AGAIN', -3_001],
    ['a..b', 'ENOTFOUND', -3_008],
  ])('of %s fails with %s, %i', (hostname, code, errno) =>
    withServer(both, async ({ world, dns }) => {
      const failed = await world.run(dns.promises.lookup(hostname).catch((error: unknown) => error))
      expect({ ...(failed as object) }).toEqual({ errno, code, syscall: 'getaddrinfo', hostname })
      expect((failed as Error).message).toBe(`getaddrinfo ${code} ${hostname}`)
    }),
  )

  test('localhost and the hosts table need no server (RFC 6761 §6.3)', () =>
    withServer(both, async ({ world, client, log }) => {
      const dns = makeDns(client, {
        servers: ['10.0.0.2'],
        hosts: '# names\n10.0.0.5\tPrinter printer.test # upstairs\nfd00::5 printer\nnonsense x\n',
      })
      const all = (name: string): Promise<unknown> => world.run(dns.promises.lookup(name, { all: true }))
      const loopback = [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ]
      expect(await all('localhost')).toEqual(loopback)
      expect(await all('a.LOCALHOST.')).toEqual(loopback)
      expect(await all('PRINTER')).toEqual([
        { address: '10.0.0.5', family: 4 },
        { address: 'fd00::5', family: 6 },
      ])
      expect(await world.run(dns.promises.reverse('10.0.0.5'))).toEqual(['Printer', 'printer.test'])
      expect(await world.run(dns.promises.lookupService('fd00::5', 22))).toEqual({
        hostname: 'printer',
        service: 'ssh',
      })
      expect(log.asked).toEqual([])
    }))

  test('lookupService asks for the name of an address', () =>
    withServer(
      (query) => reply(query, [{ type: 'PTR', name: nameOf(query), data: 'there.test', ttl: 60 }]),
      async ({ world, dns, log }) => {
        expect(await world.run(dns.promises.lookupService('192.0.2.1', 80))).toEqual({
          hostname: 'there.test',
          service: 'http',
        })
        await world.run(dns.promises.lookupService('2001:db8::1', 1))
        expect(log.asked).toEqual(['PTR 1.2.0.192.in-addr.arpa', `PTR 1.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`])
      },
    ))

  test('a host without servers knows no names but its own, and says so', () =>
    withServer(
      both,
      async ({ world, dns }) => {
        const reason = async (promise: Promise<unknown>): Promise<unknown> =>
          codeOf(await world.run(promise.catch((error: unknown) => error)))
        expect(await reason(dns.promises.lookup('a.test'))).toBe('ENOTFOUND')
        expect(await reason(dns.promises.resolve4('a.test'))).toBe('ECONNREFUSED')
        expect(stubOf(dns).servers).toEqual([])
      },
      [],
    ))

  test('a question ends with its host, and keeps the process no longer', () =>
    withServer(
      () => null,
      async ({ world, dns, client }) => {
        const failure = dns.promises.resolve4('a.test').catch((error: unknown) => error)
        await world.run(world.sleep(millis(10)))
        expect(nodeHost(client).keepAlive.holding).toBe(1)
        client.close()
        expect(codeOf(await failure)).toBe('ECONNREFUSED')
        await settle()
        expect(nodeHost(client).keepAlive.holding).toBe(0)
      },
    ))

  test('dgram finds its peers by name', () =>
    withServer(
      (query) => reply(query, [address(nameOf(query), '10.0.0.2')]),
      async ({ world, dns, client, server }) => {
        const { createSocket } = makeDgram(client, { lookup: dns.lookup })
        const peer = new UdpSocket(server, { family: 4, port: 7 })
        const socket = createSocket('udp4')
        socket.send('by name', 7, 'peer.test')
        expect(Buffer.from((await world.run(peer.receive())).bytes).toString()).toBe('by name')
        socket.close()
        await once(socket, 'close')
      },
    ))
})
