// The promises of UDP sockets: who waits is woken, told of errors once, aborted, and never left waiting.

import { describe, expect, test } from 'vitest'
import { type Datagram, UdpSocket } from '../../src/socket/udp-socket.ts'
import { Waiters } from '../../src/socket/waiters.ts'
import { seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { bytesUpTo, udp4, udp6 } from '../support/packets.ts'
import { barePeer, chain, inWorld } from '../support/peer.ts'

const ip = (text: string): IpAddress => IpAddress.from(text)
const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code ?? error

describe('receive', () => {
  test('it waits for a datagram, and gives all that is known of it', async () => {
    await inWorld(1, async (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 6, port: 7 })
      const four = socket.receive()
      peer.send(udp4({ ttl: 9, payload: bytesUpTo(5) }))
      expect(await four).toEqual({
        bytes: bytesUpTo(5),
        source: ip('10.0.0.2'),
        sourcePort: 4_000,
        destination: ip('10.0.0.1'),
        interfaceIndex: peer.on.index,
        hopLimit: 9,
      })
      const six = socket.receive()
      peer.send(udp6({ hopLimit: 8, payload: bytesUpTo(6) }))
      expect(await six).toMatchObject({ source: ip('fd00::2'), destination: ip('fd00::1'), hopLimit: 8 })
    })
  })

  test('of several that wait each gets one datagram, in order', async () => {
    await inWorld(1, async (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
      const waiting = [1, 2, 3].map(() => socket.receive())
      for (const length of [1, 2, 3]) peer.send(udp4({ payload: bytesUpTo(length) }))
      expect((await Promise.all(waiting)).map(({ bytes }) => bytes.length)).toEqual([1, 2, 3])
    })
  })

  test('receiveInto copies what fits and makes no object', async () => {
    await inWorld(1, (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
      const target = new Uint8Array(4)
      expect(socket.receiveInto(target)).toBe(-1)
      peer.send(udp4({ payload: bytesUpTo(3) }), udp4({ payload: bytesUpTo(9) }))
      expect([socket.receiveInto(target), target[2], socket.receiveInto(target), [...target]]).toEqual([
        3,
        62,
        4,
        [0, 31, 62, 93],
      ])
    })
  })

  test('a port that nobody listens on refuses the waiting receive, once', async () => {
    await inWorld(2, async (world) => {
      const { first } = chain(world, [1_500])
      const socket = new UdpSocket(first, { family: 4 })
      socket.connect(ip('10.0.0.2'), 9)
      const waiting = socket.receive().catch(codeOf)
      socket.send(bytesUpTo(1))
      expect(await world.run(waiting)).toBe('ECONNREFUSED')
      expect(socket.tryReceive()).toBeNull()
    })
  })

  test('without anybody waiting it is the next operation that hears of it, and only that one', async () => {
    await inWorld(2, (world) => {
      const { first } = chain(world, [1_500])
      const socket = new UdpSocket(first, { family: 6 })
      socket.connect(ip('fd00::2'), 9)
      for (const operation of [
        () => socket.tryReceive(),
        () => socket.send(bytesUpTo(1)),
        () => socket.receiveInto(bytesUpTo(1)),
      ]) {
        socket.send(bytesUpTo(1))
        world.runFor(seconds(3))
        expect(operation).toThrow('ECONNREFUSED')
        expect(socket.tryReceive()).toBeNull()
      }
    })
  })

  test('a neighbour that does not answer is EHOSTUNREACH', async () => {
    await inWorld(2, async (world) => {
      const { first } = chain(world, [1_500])
      const socket = new UdpSocket(first, { family: 4 })
      socket.connect(ip('10.0.0.77'), 9)
      socket.send(bytesUpTo(1))
      expect(await world.run(socket.receive().catch(codeOf))).toBe('EHOSTUNREACH')
    })
  })
})

describe('giving up', () => {
  test('an AbortSignal ends the waiting with its reason, before and during', async () => {
    await inWorld(3, async (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
      const controller = new AbortController()
      const waiting = socket.receive({ signal: controller.signal }).catch(codeOf)
      const other = socket.receive()
      controller.abort('enough')
      expect(await waiting).toBe('enough')
      peer.send(udp4({ payload: bytesUpTo(3) }), udp4({ payload: bytesUpTo(4) }))
      expect((await other).bytes.length).toBe(3)
      // Aborted from the beginning: what waits stays for others.
      expect(await socket.receive({ signal: controller.signal }).catch(codeOf)).toBe('enough')
      expect(socket.tryReceive()?.bytes.length).toBe(4)
    })
  })

  test('close settles what waits with EBADF, and every later operation', async () => {
    await inWorld(4, async (world) => {
      const { host } = barePeer(world)
      const socket = new UdpSocket(host, { family: 4, port: 7 })
      const waiting = [socket.receive().catch(codeOf), socket.receive().catch(codeOf)]
      socket.close()
      socket.close()
      expect(await Promise.all(waiting)).toEqual(['EBADF', 'EBADF'])
      expect(await socket.receive().catch(codeOf)).toBe('EBADF')
      expect(() => socket.send(bytesUpTo(1), { address: ip('10.0.0.2'), port: 9 })).toThrow('EBADF')
      expect(() => socket.connect(ip('10.0.0.2'), 9)).toThrow('EBADF')
      expect(new UdpSocket(host, { family: 4, port: 7 }).localPort).toBe(7)
    })
  })

  test('so does closing the whole host; nothing is sent afterwards, and time stands still for it', async () => {
    await inWorld(4, async (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
      const waiting = socket.receive().catch(codeOf)
      peer.host.close()
      expect(await waiting).toBe('EBADF')
      expect(peer.host.deadline()).toBe(Number.POSITIVE_INFINITY)
      expect(peer.host.ipv4.resolve(ip('10.0.0.2'), { source: null, interfaceIndex: 0 })).not.toBeTypeOf('object')
      world.runFor(seconds(100))
      expect(peer.frames()).toEqual([])
    })
  })

  test('the datagrams of an unread socket are given back when it closes', async () => {
    await inWorld(4, (world, pool) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
      for (let count = 0; count < 5; count++) peer.send(udp4({}))
      expect(pool.inUse).toBe(5)
      socket.close()
      expect(pool.inUse).toBe(0)
    })
  })
})

describe('iteration', () => {
  test('it gives each datagram and ends when the socket is closed', async () => {
    await inWorld(5, async (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
      const got: number[] = []
      const loop = (async () => {
        for await (const { bytes } of socket) got.push(bytes.length)
      })()
      for (const length of [1, 2]) peer.send(udp4({ payload: bytesUpTo(length) }))
      for (let turn = 0; turn < 20; turn++) await null
      socket.close()
      await loop
      expect(got).toEqual([1, 2])
    })
  })

  test('an error ends it, and the next one goes on', async () => {
    await inWorld(5, async (world) => {
      const { first, last } = chain(world, [1_500])
      const socket = new UdpSocket(first, { family: 4, port: 5 })
      socket.connect(ip('10.0.0.2'), 9)
      const loop = async (): Promise<Datagram | undefined> => {
        for await (const datagram of socket) return datagram
        return undefined
      }
      socket.send(bytesUpTo(1))
      expect(await world.run(loop().catch(codeOf))).toBe('ECONNREFUSED')
      const again = loop()
      new UdpSocket(last, { family: 4, port: 9 }).send(bytesUpTo(7), { address: ip('10.0.0.1'), port: 5 })
      expect((await world.run(again))?.bytes.length).toBe(7)
    })
  })
})

describe('connect', () => {
  test.each([
    ['fd00::2', 9, 'EAFNOSUPPORT'],
    ['10.0.0.2', 0, 'EINVAL'],
    ['10.0.0.2', 65_536, 'EINVAL'],
  ])('to %s port %i is refused', async (to, port, code) => {
    await inWorld(6, (world) => {
      const { host } = barePeer(world)
      const socket = new UdpSocket(host, { family: 4 })
      expect(() => socket.connect(ip(to), port)).toThrow(code)
      expect(() => socket.send(bytesUpTo(1))).toThrow('EDESTADDRREQ')
    })
  })
})

describe('Waiters', () => {
  test('all are woken together, none twice, and an aborted one is gone', async () => {
    const waiters = new Waiters()
    const controller = new AbortController()
    const order: string[] = []
    const note = (name: string) => () => void order.push(name)
    const all = [
      waiters.wait().then(note('a')),
      waiters.wait(controller.signal).then(note('b'), note('b aborted')),
      waiters.wait().then(note('c')),
    ]
    expect(waiters.size).toBe(3)
    controller.abort()
    expect(waiters.size).toBe(2)
    waiters.wake()
    waiters.wake()
    await Promise.all(all)
    expect([order, waiters.size]).toEqual([['b aborted', 'a', 'c'], 0])
  })
})
