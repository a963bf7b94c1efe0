// What connections may hold when all of them together hold much (Linux's tcp_mem, tcp_rmem, tcp_wmem).

import { describe, expect, test } from 'vitest'
import { LARGE_PAGE, SMALL_PAGE as PAGE, type PagePool } from '../../src/buf/page.ts'
import { Counters } from '../../src/counters.ts'
import { settle } from '../../src/node/settle.ts'
import type { World } from '../../src/sim/world.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import { DEFAULT_TCP_CONFIG, type TcpConfig } from '../../src/tcp/environment.ts'
import { type MemoryLimits, TcpMemory } from '../../src/tcp/memory.ts'
import { letGo, writeRoom } from '../../src/tcp/open.ts'
import { millis, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { seqAdd } from '../../src/wire/sequence.ts'
import { ACK, RST } from '../../src/wire/tcp.ts'
import { inWorld } from '../support/peer.ts'
import { testPool } from '../support/pool.ts'
import { TcpPeer } from '../support/tcp-peer.ts'

const KIB = 1_024

const withPeer = (mem: MemoryLimits, body: (peer: TcpPeer) => void): Promise<void> =>
  inWorld(5, (world, pool) => body(new TcpPeer(world, pool, { tcp: { config: { mem } } })))

const segment = (peer: TcpPeer, at: number) =>
  peer.say({ flags: ACK, seq: seqAdd(peer.nxt, at), data: new Uint8Array(1_000) })

describe('the limits of a stack (tcp_mem)', () => {
  const made = (mem: MemoryLimits | null, pool: PagePool = testPool()) => {
    const counters = new Counters()
    return { counters, memory: new TcpMemory(pool, counters, { ...DEFAULT_TCP_CONFIG, mem }) }
  }

  test('pressure begins above the second and ends below the first; the third is full', () => {
    const { counters, memory } = made([100, 200, 300])
    const states = [150, 50, 50, -100, -60, 160, 150].map((bytes) => {
      memory.add(bytes)
      return [memory.bytes, memory.isPressed, memory.isFull, memory.room]
    })
    expect(states).toEqual([
      [150, false, false, 150],
      [200, false, false, 100],
      [250, true, false, 50],
      [150, true, false, 150],
      [90, false, false, 210],
      [250, true, false, 50],
      [400, true, true, 0],
    ])
    expect(counters.TcpExtTCPMemoryPressures).toBe(2)
  })

  test('limits that do not rise are refused in one sentence', () => {
    expect(() => made([3, 2, 1])).toThrow('mem is 3, 2, 1: give three numbers of bytes, none less than the one before')
  })

  test('without any they are three eighths, a half and three quarters of the page pool, which others use as well', () => {
    const pool = testPool({ limitBytes: 16 * PAGE })
    const { memory } = made(null, pool)
    expect(memory.room).toBe(12 * PAGE)
    const pages = Array.from({ length: 13 }, () => pool.take(PAGE)!)
    expect([memory.isPressed, memory.isFull, memory.room]).toEqual([true, true, 0])
    for (const page of pages) page.release()
  })
})

describe('a receiver that is short of memory', () => {
  test('drops what comes beyond holes, then what it kept there, and takes what fills the hole', () =>
    withPeer([0, PAGE, 2 * PAGE - 1], (peer) => {
      const connection = peer.establish({ mss: 1_460, sackPermitted: true })
      const { counters, tcp } = peer.host
      segment(peer, 1_000)
      segment(peer, 3_000)
      expect([connection.receiveQueue.holes, tcp.memory.bytes, tcp.memory.isFull]).toEqual([2, 2 * PAGE, true])
      segment(peer, 5_000)
      expect([connection.receiveQueue.holes, counters.TcpExtTCPOFODrop, counters.TcpExtOfoPruned]).toEqual([2, 1, 0])
      expect(segment(peer, 0)[0]).toMatchObject({ ack: seqAdd(peer.nxt, 1_000) })
      expect([connection.receiveQueue.holes, counters.TcpExtTCPOFODrop, counters.TcpExtOfoPruned]).toEqual([0, 1, 1])
      expect(tcp.memory.bytes).toBe(PAGE)
    }))

  test('takes the least of tcp_rmem, or four segments, from a peer whose data nobody reads, and then no more', () =>
    withPeer([0, 0, 0], (peer) => {
      const connection = peer.establish()
      const { counters } = peer.host
      const windows = Array.from({ length: 8 }, (_, index) => segment(peer, 1_000 * index)[0]!.window)
      expect(connection.receiveQueue.available).toBe(5_000)
      expect([counters.TcpExtTCPRcvQDrop, counters.TcpExtTCPOFODrop]).toEqual([1, 2])
      // What was promised stays so (RFC 9293 SHLD-14), and nothing is added to it.
      expect(windows.slice(0, 5)).toEqual([1, 2, 3, 4, 5].map((count) => 65_535 - 1_000 * count))
      const target = new Uint8Array(10_000)
      expect(connection.receiveQueue.read(target, 0, target.length)).toBe(5_000)
      peer.nxt = seqAdd(peer.nxt, 5_000)
      segment(peer, 0)
      expect(connection.receiveQueue.available).toBe(1_000)
    }))
})

describe('a sender that is short of memory', () => {
  test('lets a program write the least of tcp_wmem, whatever others hold', () =>
    withPeer([0, 0, 1e6], (peer) => {
      const connection = peer.establish()
      expect(writeRoom(connection)).toBe(256 * KIB)
      connection.memory.add(1e6)
      expect(writeRoom(connection)).toBe(4_096)
      connection.sendQueue.append(new Uint8Array(4_096), 0, 4_096)
      expect(writeRoom(connection)).toBe(0)
      connection.memory.add(-1e6)
    }))

  test('resets a connection that nobody holds any more, for the memory that it does (TCPAbortOnMemory)', () =>
    withPeer([0, PAGE, 4 * PAGE], (peer) => {
      const connection = peer.establish()
      connection.sendQueue.append(new Uint8Array(10_000), 0, 10_000)
      letGo(peer.host.tcp, connection, peer.world.now)
      expect(peer.wait(1).at(-1)!.flags & RST).toBe(RST)
      expect([connection.state, peer.host.counters.TcpExtTCPAbortOnMemory]).toEqual(['CLOSED', 1])
      expect(peer.host.tcp.memory.bytes).toBe(0)
    }))
})

interface Crowd {
  readonly world: World
  readonly a: Stack
  readonly b: Stack
  readonly clients: readonly TcpSocket[]
  readonly servers: readonly TcpSocket[]
}

/** So many connections between two hosts. */
const withCrowd = (count: number, config: Partial<TcpConfig>, body: (crowd: Crowd) => Promise<void>): Promise<void> =>
  inWorld(
    9,
    async (world) => {
      const [a, b] = ['a', 'b'].map((name) => world.host(name, { tcp: { config } })) as [Stack, Stack]
      const cable = world.cable({ delay: millis(20), bitsPerSecond: 100_000_000, queuePackets: 10_000 })
      world.attach(a, cable.a, { addresses: ['10.0.0.1/24'], linkLocal: false })
      world.attach(b, cable.b, { addresses: ['10.0.0.2/24'], linkLocal: false })
      const listener = new TcpListener(b, { family: 4, port: 80, backlog: count })
      const remoteAddress = IpAddress.from('10.0.0.2')
      const dialling = Array.from({ length: count }, () => TcpSocket.connect(a, { remoteAddress, remotePort: 80 }))
      const clients = await world.run(Promise.all(dialling))
      const servers = await world.run(Promise.all(clients.map(() => listener.accept())))
      await world.run(body({ world, a, b, clients, servers }), seconds(3_600))
      for (const socket of [...clients, ...servers]) socket.abort()
      expect([a.tcp.memory.bytes, b.tcp.memory.bytes]).toEqual([0, 0])
    },
    { settle, pool: testPool({ trace: false }) },
  )

async function readAll(socket: TcpSocket): Promise<number> {
  const target = new Uint8Array(10_000)
  let sum = 0
  for (let count = await socket.read(target); count > 0; count = await socket.read(target)) sum += count
  return sum
}

describe('many connections', () => {
  const COUNT = 60
  const HIGH = 512 * KIB

  test('whose data nobody reads hold no more than the limit and the least of each, and all arrives in the end', () =>
    withCrowd(COUNT, { mem: [HIGH / 2, (HIGH * 2) / 3, HIGH] }, async ({ world, a, b, clients, servers }) => {
      const writing = clients.map(async (client) => {
        await client.write(new Uint8Array(100_000))
        client.shutdown()
      })
      const most = [0, 0]
      for (let look = 0; look < 300; look++) {
        await world.sleep(millis(50))
        for (const [index, { tcp }] of [a, b].entries()) most[index] = Math.max(most[index]!, tcp.memory.bytes)
      }
      // The least of a sender lies in three pages, and the last one that was taken may be large; of a receiver: four
      // segments, one that was taken before, each as the cable brings it: a page of headers, and one of the sender's.
      expect(most[0]).toBeLessThanOrEqual(HIGH + LARGE_PAGE + COUNT * 3 * PAGE)
      expect(most[1]).toBeLessThanOrEqual(HIGH + COUNT * 5 * 2 * PAGE)
      expect(most.every((bytes) => bytes > 0.9 * HIGH)).toBe(true)
      expect(a.counters.TcpExtTCPMemoryPressures).toBeGreaterThan(0)
      expect(b.counters.TcpExtTCPMemoryPressures).toBeGreaterThan(0)
      expect(await Promise.all(servers.map(readAll))).toEqual(clients.map(() => 100_000))
      await Promise.all(writing)
    }))

  test('under pressure neither buffers nor windows grow, and without they do', async () => {
    const grown: [number, number][] = []
    for (const mem of [null, [0, 0, 1e9] as const]) {
      await withCrowd(1, { mem, rmem: [4_096, 100_000, 1e6], wmem: [4_096, 200_000, 2e6] }, async (crowd) => {
        const [client, server] = [crowd.clients[0]!, crowd.servers[0]!]
        const reading = readAll(server)
        await client.write(new Uint8Array(5_000_000))
        client.shutdown()
        expect(await reading).toBe(5_000_000)
        grown.push([client.connection.sendLimit, server.connection.receiveLimit])
      })
    }
    expect(grown[0]![0]).toBeGreaterThan(200_000)
    expect(grown[0]![1]).toBeGreaterThan(100_000)
    expect(grown[0]![0]).toBeLessThanOrEqual(2e6)
    expect(grown[0]![1]).toBeLessThanOrEqual(1e6)
    expect(grown[1]).toEqual([200_000, 100_000])
  })
})
