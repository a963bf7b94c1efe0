// TCP sockets between two hosts in virtual time: what a program sees.

import { describe, expect, test } from 'vitest'
import type { PagePool } from '../../src/buf/page.ts'
import type { NetError } from '../../src/errors.ts'
import { settle } from '../../src/node/settle.ts'
import type { World } from '../../src/sim/world.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import type { ConnectionOptions } from '../../src/tcp/connection-options.ts'
import { millis, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { inWorld } from '../support/peer.ts'

const HERE = IpAddress.from('10.0.0.1')
const THERE = IpAddress.from('10.0.0.2')

interface Two {
  readonly world: World
  readonly pool: PagePool
  readonly a: Stack
  readonly b: Stack
}

const withTwo = (body: (two: Two) => Promise<void>): Promise<void> =>
  inWorld(
    9,
    async (world, pool) => {
      const [a, b] = [world.host('a'), world.host('b')]
      const cable = world.cable({ delay: millis(5), bitsPerSecond: 100_000_000 })
      world.attach(a, cable.a, { addresses: [`${HERE}/24`], linkLocal: false })
      world.attach(b, cable.b, { addresses: [`${THERE}/24`], linkLocal: false })
      await world.run(body({ world, pool, a, b }))
    },
    { settle },
  )

const dial = (two: Two, port = 80, signal?: AbortSignal): Promise<TcpSocket> =>
  TcpSocket.connect(two.a, { remoteAddress: THERE, remotePort: port, ...(signal && { signal }) })

async function pair(two: Two, options: Partial<ConnectionOptions> = {}): Promise<[TcpSocket, TcpSocket]> {
  const listener = new TcpListener(two.b, { family: 4, port: 80 }, options)
  const [client, server] = await Promise.all([dial(two), listener.accept()])
  listener.close()
  return [client, server]
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: NetError) => error.code,
  )

async function readAll(socket: TcpSocket): Promise<number> {
  const target = new Uint8Array(10_000)
  let sum = 0
  for (let count = await socket.read(target); count > 0; count = await socket.read(target)) sum += count
  return sum
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

describe('connect', () => {
  test('a port where nobody listens refuses: ECONNREFUSED', () =>
    withTwo(async (two) => expect(await codeOf(dial(two))).toBe('ECONNREFUSED')))

  test('a host that drops all of it: ETIMEDOUT after the retries of a SYN (RFC 9293 §3.8.3, MUST-23)', () =>
    withTwo(async (two) => {
      const { world } = two
      const [client, server] = await pair(two)
      two.b.ipv4.protocols[6] = null
      two.b.ipv4.reporter = null
      const begin = world.now
      expect(await codeOf(dial(two))).toBe('ETIMEDOUT')
      // 1 + 2 + 4 + 8 + 16 + 32 + 64 + 120 seconds.
      expect((world.now - begin) / 1_000_000).toBeCloseTo(247, 0)
      two.b.ipv4.protocols[6] = two.b.tcp
      client.abort()
      server.abort()
    }))

  test('a neighbour that does not answer: EHOSTUNREACH', () =>
    withTwo(async ({ a }) => {
      const wanted = { remoteAddress: IpAddress.from('10.0.0.99'), remotePort: 80 }
      expect(await codeOf(TcpSocket.connect(a, wanted))).toBe('EHOSTUNREACH')
    }))

  test('no route: ENETUNREACH, and a foreign source address: EADDRNOTAVAIL', () =>
    withTwo(async ({ a }) => {
      const remoteAddress = IpAddress.from('192.0.2.1')
      expect(await codeOf(TcpSocket.connect(a, { remoteAddress, remotePort: 80 }))).toBe('ENETUNREACH')
      const wanted = { remoteAddress: THERE, remotePort: 80, localAddress: THERE }
      expect(await codeOf(TcpSocket.connect(a, wanted))).toBe('EADDRNOTAVAIL')
    }))

  test('a signal ends it with its reason, before and while', () =>
    withTwo(async (two) => {
      const remoteAddress = IpAddress.from('10.0.0.99')
      await expect(dial(two, 80, AbortSignal.abort('early'))).rejects.toBe('early')
      const controller = new AbortController()
      const dialling = TcpSocket.connect(two.a, { remoteAddress, remotePort: 80, signal: controller.signal })
      await two.world.sleep(millis(100))
      controller.abort('late')
      await expect(dialling).rejects.toBe('late')
      expect(two.a.tcp.demux.size).toBe(0)
    }))
})

describe('listen', () => {
  test('a port is listened on once: EADDRINUSE', () =>
    withTwo(async ({ b }) => {
      new TcpListener(b, { family: 4, port: 80 })
      expect(() => new TcpListener(b, { family: 4, port: 80 })).toThrow('EADDRINUSE')
      expect(new TcpListener(b, { family: 4, port: 0 }).port).toBeGreaterThan(32_767)
    }))

  test('connections come as an async iterable until it is closed', () =>
    withTwo(async (two) => {
      const listener = new TcpListener(two.b, { family: 4, port: 80 })
      const seen: number[] = []
      const serving = (async () => {
        for await (const socket of listener) {
          seen.push(await readAll(socket))
          socket.close()
          if (seen.length === 3) listener.close()
        }
      })()
      for (const length of [1, 20, 300]) {
        const socket = await dial(two)
        await socket.write(new Uint8Array(length))
        socket.close()
      }
      await serving
      expect(seen).toEqual([1, 20, 300])
    }))

  test('of more connections than wait in the queue, the rest come once there is room, by what they say', () =>
    withTwo(async (two) => {
      const listener = new TcpListener(two.b, { family: 4, port: 80, backlog: 2 })
      const dialling = [1, 2, 3, 4].map(() => dial(two))
      await two.world.sleep(millis(500))
      expect(listener.listener.accepted).toHaveLength(3)
      const sockets = [await listener.accept(), await listener.accept()]
      const clients = await Promise.all(dialling)
      for (const client of clients) await client.write(text('hello'))
      sockets.push(...clients)
      expect(await Promise.all([listener.accept(), listener.accept()])).toHaveLength(2)
      for (const socket of sockets) socket.abort()
      listener.close()
    }))

  test('closing it resets what nobody accepted', () =>
    withTwo(async (two) => {
      const listener = new TcpListener(two.b, { family: 4, port: 80 })
      const socket = await dial(two)
      await two.world.sleep(millis(20))
      listener.close()
      expect(await codeOf(socket.read(new Uint8Array(1)))).toBe('ECONNRESET')
      expect(two.b.tcp.demux.size).toBe(0)
    }))
})

describe('closing', () => {
  test.each(['client', 'server'])('the %s shuts its direction, and the other one still works', (first) =>
    withTwo(async (two) => {
      const both = await pair(two)
      const [early, late] = first === 'client' ? both : ([both[1], both[0]] as const)
      await early.write(text('question'))
      early.shutdown()
      expect(await readAll(late)).toBe(8)
      expect(await codeOf(early.write(text('more')))).toBe('EPIPE')
      await late.write(text('an answer'))
      late.close()
      expect(await readAll(early)).toBe(9)
      early.close()
    }),
  )

  test('what arrived before a reset is read first, as on Linux, and is gone when the socket is', () =>
    withTwo(async (two) => {
      const [client, server] = await pair(two)
      const [second, other] = await pair(two)
      for (const socket of [server, other]) await socket.write(text('last words'))
      await two.world.sleep(millis(100))
      // What it leaves unread makes the end a reset.
      for (const socket of [client, second]) await socket.write(text('unread'))
      await two.world.sleep(millis(100))
      for (const socket of [server, other]) socket.close()
      await two.world.sleep(millis(100))
      expect([client.connection.error, second.connection.error]).toEqual(['ECONNRESET', 'ECONNRESET'])
      const bytes = new Uint8Array(20)
      expect(await client.read(bytes)).toBe(10)
      expect(await codeOf(client.read(bytes))).toBe('ECONNRESET')
      client.close()
      second.close()
      expect(second.connection.receiveQueue.chargedBytes).toBe(0)
    }))

  test('shutdown of reading wakes who reads, throws away what comes, and holds no writer back', () =>
    withTwo(async (two) => {
      const [client, server] = await pair(two)
      const waiting = client.read(new Uint8Array(4))
      client.shutdown('read')
      expect(await waiting).toBe(0)
      await server.write(new Uint8Array(3_000_000))
      await server.flush()
      expect(await client.read(new Uint8Array(4))).toBe(0)
      expect([client.connection.receiveQueue.chargedBytes, client.connection.bytesReceived]).toEqual([0, 3_000_000])
      await client.write(text('still here'))
      client.shutdown()
      expect(await readAll(server)).toBe(10)
      client.close()
      server.close()
      await two.world.sleep(millis(100))
      expect([client.connection.error, server.connection.error]).toEqual([null, null])
    }))

  test('shutdown of reading forgets what was not read, and a full window opens', () =>
    withTwo(async (two) => {
      const [client, server] = await pair(two, { receiveBytes: 50_000 })
      const writing = client.write(new Uint8Array(1_000_000)).then(() => client.flush())
      await two.world.sleep(seconds(2))
      expect(server.connection.rcv.wnd).toBeLessThan(1_460)
      server.shutdown('read')
      expect(await server.read(new Uint8Array(4))).toBe(0)
      await writing
      client.close()
      server.close()
    }))

  test('shutdown of both directions answers more data by RST (RFC 9293 SHLD-3)', () =>
    withTwo(async (two) => {
      const [client, server] = await pair(two)
      server.shutdown('both')
      expect(await readAll(client)).toBe(0)
      await client.write(text('to nobody'))
      await two.world.sleep(millis(50))
      expect([client.connection.error, server.connection.error]).toEqual(['EPIPE', 'ECONNRESET'])
    }))

  test('both at once: CLOSING, TIME-WAIT, and nothing left after 2 MSL', () =>
    withTwo(async (two) => {
      const sockets = await pair(two)
      for (const socket of sockets) socket.close()
      await two.world.sleep(millis(100))
      expect(sockets.map(({ connection }) => connection.state)).toEqual(['TIME-WAIT', 'TIME-WAIT'])
      await two.world.sleep(seconds(61))
      expect([two.a.tcp.demux.size, two.b.tcp.demux.size]).toEqual([0, 0])
    }))

  test('abort: the peer reads ECONNRESET', () =>
    withTwo(async (two) => {
      const [client, server] = await pair(two)
      client.abort()
      expect(await codeOf(server.read(new Uint8Array(1)))).toBe('ECONNRESET')
    }))

  test('close with unread data sends an RST (RFC 2525 §2.17)', () =>
    withTwo(async (two) => {
      const [client, server] = await pair(two)
      await client.write(text('unread'))
      await two.world.sleep(millis(50))
      server.close()
      expect(await codeOf(client.read(new Uint8Array(1)))).toBe('ECONNRESET')
    }))

  test('a read that waits ends with its signal, and the connection lives on', () =>
    withTwo(async (two) => {
      const [client, server] = await pair(two)
      const controller = new AbortController()
      const reading = client.read(new Uint8Array(4), { signal: controller.signal })
      controller.abort('enough')
      await expect(reading).rejects.toBe('enough')
      await server.write(text('late'))
      expect(await client.read(new Uint8Array(4))).toBe(4)
      client.abort()
    }))
})

describe('writing', () => {
  test('a peer that does not read holds the writer back, in bounded memory; when it reads, all arrives', () =>
    withTwo(async (two) => {
      const [client, server] = await pair(two, { receiveBytes: 100_000 })
      let written = false
      const writing = client.write(new Uint8Array(5_000_000)).then(() => {
        written = true
      })
      await two.world.sleep(seconds(30))
      expect(written).toBe(false)
      expect(server.connection.receiveQueue.available).toBeLessThan(200_000)
      expect(client.connection.sendQueue.length).toBeLessThanOrEqual(client.connection.sendLimit)
      const reading = readAll(server)
      await writing
      client.shutdown()
      expect(await reading).toBe(5_000_000)
      client.close()
      server.close()
    }))

  test('flush waits until the peer has acknowledged all of it', () =>
    withTwo(async (two) => {
      const [client, server] = await pair(two)
      await client.write(new Uint8Array(100_000))
      expect(client.connection.sendQueue.length).toBeGreaterThan(0)
      const reading = server.read(new Uint8Array(200_000))
      await client.flush()
      expect(client.connection.sendQueue.length).toBe(0)
      await reading
      client.abort()
    }))

  test('flush rejects where the connection fails: what was not acknowledged is not taken for sent', () =>
    withTwo(async (two) => {
      const [client, server] = await pair(two)
      await client.write(new Uint8Array(100_000))
      const flushing = codeOf(client.flush())
      server.abort()
      expect(await flushing).toBe('ECONNRESET')
      expect(client.connection.sendQueue.length).toBe(0)
      expect(await codeOf(client.flush())).toBe('ECONNRESET')
    }))

  test('the send buffer grows to twice the congestion window (send buffer auto-tuning)', () =>
    withTwo(async (two) => {
      const [client, server] = await pair(two)
      const reading = readAll(server)
      await client.write(new Uint8Array(3_000_000))
      expect(client.connection.sendLimit).toBeGreaterThan(256 * 1_024)
      expect(client.connection.sendLimit).toBeLessThanOrEqual(client.options.sendBytes)
      client.close()
      expect(await reading).toBe(3_000_000)
      server.close()
    }))
})

test('a thousand connections at once, each with its own bytes', { timeout: 60_000 }, () =>
  withTwo(async (two) => {
    const listener = new TcpListener(two.b, { family: 4, port: 80, backlog: 2_000 })
    const serving = (async () => {
      for (let count = 0; count < 1_000; count++) {
        const socket = await listener.accept()
        const target = new Uint8Array(8)
        await socket.read(target)
        await socket.write(target)
        socket.close()
      }
    })()
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, async (_, index) => {
        const socket = await dial(two)
        await socket.write(new Uint8Array([index & 0xff, index >>> 8]))
        const target = new Uint8Array(8)
        await socket.read(target)
        socket.close()
        return target[0]! + target[1]! * 256
      }),
    )
    await serving
    expect(answers).toEqual(Array.from({ length: 1_000 }, (_, index) => index))
    await two.world.sleep(seconds(61))
    expect(two.a.tcp.demux.size + two.b.tcp.demux.size).toBe(0)
  }),
)
