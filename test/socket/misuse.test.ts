// What careless programs do with TCP sockets, listeners and worlds: each is refused in a sentence, or does no harm.

import { describe, expect, test } from 'vitest'
import { NetError, UsageError } from '../../src/errors.ts'
import { settle } from '../../src/node/settle.ts'
import type { World } from '../../src/sim/world.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import type { ListenOptions } from '../../src/tcp/listener.ts'
import type { ConnectOptions } from '../../src/tcp/open.ts'
import { type Micros, millis, NEVER, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { inWorld } from '../support/peer.ts'

const THERE = IpAddress.from('10.0.0.2')

interface Scene {
  readonly world: World
  readonly a: Stack
  readonly b: Stack
  readonly client: TcpSocket
  readonly server: TcpSocket
  readonly listener: TcpListener
}

const inScene = (body: (scene: Scene) => Promise<void>): Promise<void> =>
  inWorld(
    6,
    async (world) => {
      const [a, b] = [world.host('a'), world.host('b')]
      const cable = world.cable({ delay: millis(5), bitsPerSecond: 10_000_000 })
      world.attach(a, cable.a, { addresses: ['10.0.0.1/24', 'fd00::1/64'], linkLocal: false })
      world.attach(b, cable.b, { addresses: ['10.0.0.2/24', 'fd00::2/64'], linkLocal: false })
      const listener = new TcpListener(b, { family: 6, port: 80 })
      await world.run(
        (async () => {
          const dialling = TcpSocket.connect(a, { remoteAddress: THERE, remotePort: 80 })
          const [client, server] = [await dialling, await listener.accept()]
          await body({ world, a, b, client, server, listener })
          for (const end of [client, server, listener]) end.close()
        })(),
      )
    },
    { settle },
  )

/** Reads so many bytes, and returns them. */
async function readBytes(socket: TcpSocket, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; ) {
    const count = await socket.read(bytes.subarray(at))
    if (count === 0) return bytes.subarray(0, at)
    at += count
  }
  return bytes
}

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'none',
    (reason: unknown) => reason,
  )

describe('writes that nobody waited for', () => {
  test('are sent one after another, whatever room there is when they come', () =>
    inScene(async ({ world, client, server }) => {
      const [long, short] = [1_500_000, 1_000]
      const reading = readBytes(server, long + 3 * short)
      const writing = [client.write(new Uint8Array(long).fill(1))]
      for (const fill of [2, 3, 4]) {
        // The first waits for a third of the buffer; some of it is free by now.
        await world.sleep(millis(101))
        expect(client.tryWrite(new Uint8Array(1))).toBe(0)
        writing.push(client.write(new Uint8Array(short).fill(fill)))
      }
      await Promise.all(writing)
      const bytes = await reading
      const sorted = bytes.every((byte, at) => at === 0 || bytes[at - 1]! <= byte)
      expect([sorted, bytes[0], bytes.at(-1)]).toEqual([true, 1, 4])
      expect(client.tryWrite(new Uint8Array(1))).toBe(1)
      expect(await readBytes(server, 1)).toHaveLength(1)
    }))

  test('go on in order when one of them is broken off while it waits its turn, and all end with the connection', () =>
    inScene(async ({ client, server }) => {
      const first = client.write(new Uint8Array(500_000).fill(1))
      const controller = new AbortController()
      const second = failure(client.write(new Uint8Array(500_000).fill(2), { signal: controller.signal }))
      const third = client.write(new Uint8Array(10).fill(3))
      controller.abort('enough')
      expect(await second).toBe('enough')
      const bytes = await readBytes(server, 500_010)
      await Promise.all([first, third])
      expect([bytes[499_999], bytes[500_000], bytes[500_009]]).toEqual([1, 3, 3])
      const ends = [1, 2].map(() => failure(client.write(new Uint8Array(3_000_000))))
      server.abort()
      for (const end of await Promise.all(ends)) expect(end).toMatchObject({ code: 'ECONNRESET' })
    }))
})

describe('arrays that are none', () => {
  test('an array without room is refused, for 0 would mean the end', () =>
    inScene(async ({ client, server }) => {
      await client.write(new Uint8Array(5))
      const error = await failure(server.read(new Uint8Array(0)))
      expect(error).toBeInstanceOf(UsageError)
      expect(String(error)).toMatch(/read: the array has no room: give one of a byte at least$/)
      expect(await readBytes(server, 5)).toHaveLength(5)
    }))

  test.each([['abc'], [undefined], [[1, 2, 3]], [new Float64Array(3)], [new DataView(new ArrayBuffer(8))], [5]])(
    'what is no Uint8Array is refused: %s',
    (value) =>
      inScene(async ({ client, server }) => {
        const bytes = value as unknown as Uint8Array
        expect(await failure(client.write(bytes))).toBeInstanceOf(UsageError)
        expect(await failure(server.read(bytes))).toBeInstanceOf(UsageError)
        expect(() => client.tryWrite(bytes)).toThrow(/^write: give a Uint8Array, not \w+$/)
      }),
  )

  test.each([-1, 11, 1.5, Number.NaN])('nothing is written from byte %s of ten on', (at) =>
    inScene(async ({ client }) => {
      expect(() => client.tryWrite(new Uint8Array(10), at)).toThrow(
        /^write from byte .* on: give a whole number from 0/,
      )
      expect(client.connection.sendQueue.length).toBe(0)
    }),
  )

  test('an array that is transferred while it waits for room: the write rejects, for not all of it went', () =>
    inScene(async ({ world, client, server }) => {
      const bytes = new Uint8Array(2_000_000)
      const writing = failure(client.write(bytes))
      const reading = failure(readBytes(server, 2_000_000))
      await world.sleep(millis(50))
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
      expect(await writing).toBeInstanceOf(UsageError)
      client.close()
      await reading
    }))
})

test('a signal that is aborted already ends every operation before it does anything', () =>
  inScene(async ({ client, server, listener }) => {
    const options = { signal: AbortSignal.abort('why') }
    await server.write(new Uint8Array(5))
    expect(await failure(client.write(new Uint8Array(5), options))).toBe('why')
    expect(client.connection.sendQueue.length).toBe(0)
    expect(await failure(client.read(new Uint8Array(5), options))).toBe('why')
    expect(await failure(client.flush(options))).toBe('why')
    expect(await failure(listener.accept(options))).toBe('why')
    expect(await readBytes(client, 5)).toHaveLength(5)
  }))

describe('ends that cannot be', () => {
  const V6 = IpAddress.from('fd00::1')
  test.each<[string, Partial<ConnectOptions>]>([
    ['a source of the other family', { localAddress: V6 }],
    ['a negative port of ours', { localPort: -5 }],
    ['a port of ours beyond 65535', { localPort: 70_000 }],
    ['half a port', { localPort: 1.5 }],
    ['a port that is no number', { remotePort: Number.NaN }],
  ])('connect refuses %s: EINVAL', (_what, wanted) =>
    inScene(async ({ a }) => {
      const error = await failure(TcpSocket.connect(a, { remoteAddress: THERE, remotePort: 80, ...wanted }))
      expect(error).toMatchObject({ name: 'NetError', code: 'EINVAL' })
      expect(a.tcp.demux.size).toBe(1)
    }),
  )

  test.each<[string, ListenOptions]>([
    ['an address of the other family', { family: 4, address: IpAddress.from('fd00::2'), port: 90 }],
    ['a backlog that is no number', { family: 4, port: 90, backlog: Number.NaN }],
    ['a backlog without end', { family: 4, port: 90, backlog: Number.POSITIVE_INFINITY }],
  ])('listen refuses %s: EINVAL', (_what, wanted) =>
    inScene(async ({ b }) => {
      expect(() => new TcpListener(b, wanted)).toThrow(NetError)
      expect(b.tcp.listeners.has(90)).toBe(false)
    }),
  )
})

test('a world that sleeps for no number says so, and one that runs for ever stops when nothing is left to happen', () =>
  inWorld(3, async (world) => {
    expect(() => world.sleep(Number.NaN as Micros)).toThrow(UsageError)
    let woken = false
    void world.sleep(seconds(5)).then(() => {
      woken = true
    })
    world.runUntil(NEVER)
    await settle()
    expect([woken, Number.isFinite(world.now)]).toEqual([true, true])
    await world.run(world.sleep(seconds(1)))
  }))
