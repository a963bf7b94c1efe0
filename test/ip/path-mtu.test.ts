// Path MTU discovery (RFC 1191, RFC 8201), over chains of routers and in the table itself.

import { describe, expect, test } from 'vitest'
import { PATH_MTU_LIMIT, PathMtuCache } from '../../src/ip/path-mtu.ts'
import { IcmpSocket } from '../../src/socket/icmp-socket.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import { type Micros, NEVER, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { bytesUpTo, firstDifference, icmp4, icmp6, udp4, udp6 } from '../support/packets.ts'
import { barePeer, chain, inWorld } from '../support/peer.ts'

const MTUS = [9_000, 4_000, 1_500, 1_300]

describe.each([4, 6] as const)('over three routers with falling MTUs, family %i', (family) => {
  const to = { address: IpAddress.from(family === 4 ? '10.0.3.2' : 'fd00:0:0:3::2'), port: 7 }
  const overhead = family === 4 ? 28 : 48

  test('datagrams that must not be fragmented are refused once the path is known, and those that fit arrive', async () => {
    await inWorld(1, (world) => {
      const { first, last } = chain(world, MTUS)
      const receiver = new UdpSocket(last, { family: 6, port: 7 })
      const sender = new UdpSocket(first, { family })
      sender.endpoint.dontFragment = true
      expect(() => sender.send(bytesUpTo(9_001 - overhead), to)).toThrow('EMSGSIZE')
      const found: number[] = []
      for (const mtu of MTUS) {
        sender.send(bytesUpTo(mtu - overhead), to)
        world.runFor(seconds(3))
        const [entry] = first.pathMtu.list()
        found.push(entry?.mtu ?? 0)
        if (entry !== undefined) {
          expect(() => sender.send(bytesUpTo(entry.mtu - overhead + 1), to)).toThrow('EMSGSIZE')
        }
      }
      expect(found).toEqual([4_000, 1_500, 1_300, 1_300])
      expect(receiver.tryReceive()?.bytes.length).toBe(1_300 - overhead)
      expect(receiver.tryReceive()).toBeNull()
    })
  })

  test('who may fragment goes on to do so, without an error, and everything arrives', async () => {
    await inWorld(2, (world) => {
      const { first, last } = chain(world, MTUS)
      const receiver = new UdpSocket(last, { family: 6, port: 7 })
      const sender = new UdpSocket(first, { family })
      sender.connect(to.address, to.port)
      // So that nobody has to be asked for on the way.
      sender.send(bytesUpTo(1))
      world.runFor(seconds(5))
      expect(receiver.tryReceive()?.bytes.length).toBe(1)
      for (let count = 0; count < 5; count++) {
        sender.send(bytesUpTo(20_000))
        world.runFor(seconds(3))
      }
      let arrived = 0
      for (let next = receiver.tryReceive(); next !== null; next = receiver.tryReceive(), arrived++) {
        expect(firstDifference(next.bytes, bytesUpTo(20_000))).toBe(-1)
      }
      // In IPv4 the routers cut; in IPv6 the first few teach the sender.
      expect(arrived).toBe(family === 4 ? 5 : 2)
    })
  })

  test('after ten minutes a larger size is tried again (RFC 1191 §6.3, RFC 8201 §4)', async () => {
    await inWorld(3, (world) => {
      const { first, last } = chain(world, [1_500, 1_300])
      const far = { address: IpAddress.from(family === 4 ? '10.0.1.2' : 'fd00:0:0:1::2'), port: 7 }
      const sender = new UdpSocket(first, { family })
      new UdpSocket(last, { family: 6, port: 7 })
      sender.endpoint.dontFragment = true
      sender.send(bytesUpTo(1_500 - overhead), far)
      world.runFor(seconds(3))
      world.runFor(seconds(590))
      expect(() => sender.send(bytesUpTo(1_500 - overhead), far)).toThrow('EMSGSIZE')
      world.runFor(seconds(10))
      sender.send(bytesUpTo(1_500 - overhead), far)
      world.runFor(seconds(10))
      expect(() => sender.send(bytesUpTo(1_500 - overhead), far)).toThrow('EMSGSIZE')
      expect(first.pathMtu.list()).toMatchObject([{ destination: far.address, mtu: 1_300 }])
    })
  })

  test('a connected socket that must not fragment hears EMSGSIZE once', async () => {
    await inWorld(4, (world) => {
      const { first } = chain(world, [1_500, 1_300])
      const sender = new UdpSocket(first, { family })
      sender.endpoint.dontFragment = true
      sender.connect(IpAddress.from(family === 4 ? '10.0.1.2' : 'fd00:0:0:1::2'), 7)
      sender.send(bytesUpTo(1_400))
      world.runFor(seconds(3))
      expect(() => sender.tryReceive()).toThrow('EMSGSIZE')
      expect(sender.tryReceive()).toBeNull()
    })
  })
})

test('large echoes learn the path too', async () => {
  await inWorld(5, (world) => {
    const { first } = chain(world, [1_500, 1_300])
    const socket = new IcmpSocket(first, 4)
    const kinds: string[] = []
    socket.onEchoError = ({ error }) => kinds.push(`${error.kind} ${error.mtu}`)
    socket.sendEcho(IpAddress.from('10.0.1.2'), 1, bytesUpTo(1_400), { dontFragment: true })
    world.runFor(seconds(3))
    expect(kinds).toEqual(['packet-too-big 1300'])
    expect(() => socket.sendEcho(IpAddress.from('10.0.1.2'), 2, bytesUpTo(1_400), { dontFragment: true })).toThrow(
      'the path MTU is 1300',
    )
  })
})

describe('what routers may say', () => {
  test.each([
    ['the MTU', 600, 1_500, 600],
    ['none: the next plateau below the size (RFC 1191 §7.1)', 0, 1_500, 1_492],
    ['none, of a plateau', 0, 1_492, 1_006],
    ['none, of a small packet', 0, 297, 296],
    ['none, of the smallest', 0, 68, 68],
    ['less than IPv4 guarantees', 20, 1_500, 68],
  ])('IPv4: %s', (_title, mtu, size, expected) => {
    const cache = new PathMtuCache()
    const address = IpAddress.from('192.0.2.1')
    cache.reduce(address, mtu, size, 1 as Micros)
    expect(cache.get(address, 9_000)).toBe(size === 68 ? 9_000 : expected)
  })

  test('IPv6: less than 1,280 counts as 1,280 (RFC 8201 §4)', () => {
    const cache = new PathMtuCache()
    const address = IpAddress.from('2001:db8::1')
    cache.reduce(address, 1_000, 1_500, 1 as Micros)
    expect(cache.get(address, 9_000)).toBe(1_280)
    cache.reduce(address, 0, 1_280, 1 as Micros)
    expect(cache.get(address, 9_000)).toBe(1_280)
  })

  test('it never grows, never exceeds the first link, and what contradicts itself changes nothing', () => {
    const cache = new PathMtuCache()
    const address = IpAddress.from('192.0.2.1')
    cache.reduce(address, 1_500, 1_500, 1 as Micros)
    cache.reduce(address, 40_000, 1_500, 1 as Micros)
    expect([cache.get(address, 9_000), cache.generation]).toEqual([9_000, 0])
    cache.reduce(address, 1_400, 1_500, 1 as Micros)
    cache.reduce(address, 1_450, 1_500, 2 as Micros)
    expect([cache.get(address, 9_000), cache.get(address, 1_200), cache.generation]).toEqual([1_400, 1_200, 1])
    expect(cache.get(IpAddress.from('192.0.2.2'), 9_000)).toBe(9_000)
  })

  test.each([4, 6] as const)('messages on the wire reach the table: no MTU, a tiny one; family %i', async (family) => {
    await inWorld(6, (world) => {
      const peer = barePeer(world)
      new UdpSocket(peer.host, { family, port: 5_000 })
      const ours = { sourcePort: 5_000, payload: bytesUpTo(1_400) }
      const ends =
        family === 4 ? { source: '10.0.0.1', destination: '10.0.0.2' } : { source: 'fd00::1', destination: 'fd00::2' }
      const say = (mtu: number): void =>
        peer.send(
          family === 4
            ? icmp4({}, 3, 4, mtu, udp4({ ...ours, ...ends }).subarray(0, 40))
            : icmp6({}, 2, 0, mtu, udp6({ ...ours, ...ends }).subarray(0, 60)),
        )
      say(0)
      expect(peer.host.pathMtu.list()[0]?.mtu).toBe(family === 4 ? 1_006 : 1_280)
      say(10)
      expect(peer.host.pathMtu.list()[0]?.mtu).toBe(family === 4 ? 68 : 1_280)
    })
  })
})

describe('the table', () => {
  const addressOf = (index: number): IpAddress => IpAddress.v4(0x0a00_0000 + index)

  test('it is bounded, the oldest goes first, and an entry made smaller is young again', () => {
    const cache = new PathMtuCache()
    for (let index = 0; index < PATH_MTU_LIMIT; index++)
      cache.reduce(addressOf(index), 1_400, 1_500, (index + 1) as Micros)
    cache.reduce(addressOf(0), 1_300, 1_400, (PATH_MTU_LIMIT + 1) as Micros)
    for (let index = 0; index < 10; index++) {
      cache.reduce(addressOf(PATH_MTU_LIMIT + index), 1_400, 1_500, (PATH_MTU_LIMIT + 2) as Micros)
    }
    expect(cache.list().length).toBe(PATH_MTU_LIMIT)
    expect(cache.get(addressOf(0), 9_000)).toBe(1_300)
    expect([1, 10, 11].map((index) => cache.get(addressOf(index), 9_000))).toEqual([9_000, 9_000, 1_400])
  })

  test('entries leave when their ten minutes are over, and nothing is left', () => {
    const cache = new PathMtuCache()
    const begin = 1 as Micros
    cache.reduce(addressOf(1), 1_400, 1_500, begin)
    cache.reduce(addressOf(2), 1_400, 1_500, (begin + seconds(1)) as Micros)
    expect(cache.deadline()).toBe(begin + seconds(600))
    cache.poll((begin + seconds(600) - 1) as Micros)
    expect(cache.list().length).toBe(2)
    cache.poll((begin + seconds(600)) as Micros)
    expect(cache.list().map(({ destination }) => String(destination))).toEqual(['10.0.0.2'])
    const { generation } = cache
    cache.poll((begin + seconds(601)) as Micros)
    expect([cache.list(), cache.deadline(), cache.generation]).toEqual([[], NEVER, generation + 1])
  })
})
