// What captures say of TCP's packets: why one was sent that the reader would not expect; and what a socket tells of itself.

import { describe, expect, test } from 'vitest'
import type { CaptureSink } from '../../src/link/capture.ts'
import type { FaultOptions } from '../../src/link/fault-options.ts'
import { settle } from '../../src/node/settle.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import type { ConnectionOptions } from '../../src/tcp/connection-options.ts'
import { type Micros, millis, seconds } from '../../src/time.ts'
import { inWorld } from '../support/peer.ts'

interface Scene {
  readonly client: Stack
  readonly server: Stack
  /** What was said of packets, each thing once. */
  readonly notes: Set<string>
  /** What goes wrong with what the client sends. */
  disturb(faults: Partial<FaultOptions>): void
  sleep(length: Micros): Promise<void>
  /** A connection, from the client's side and from the server's. */
  pair(options?: Partial<ConnectionOptions>): Promise<[TcpSocket, TcpSocket]>
}

function inScene(body: (scene: Scene) => Promise<void>): Promise<void> {
  const notes = new Set<string>()
  const capture: CaptureSink = {
    addInterface: () => 0,
    packet: (_interface, _packet, direction, _instant, comment) => {
      if (direction === 'out' && comment !== '' && !comment.startsWith('announcement')) notes.add(comment)
      return -1
    },
    addComment: () => {},
  }
  return inWorld(
    5,
    async (world) => {
      const [client, server] = [world.host('client'), world.host('server')]
      const cable = world.cable({ delay: millis(10), bitsPerSecond: 100_000_000 })
      const on = world.attach(client, cable.a, { addresses: ['10.0.0.1/24'], linkLocal: false, faults: {} })
      world.attach(server, cable.b, { addresses: ['10.0.0.2/24'], linkLocal: false })
      const pair = async (options: Partial<ConnectionOptions> = {}): Promise<[TcpSocket, TcpSocket]> => {
        const listener = new TcpListener(server, { family: 4, port: 80 })
        const dialled = TcpSocket.connect(client, { remoteAddress: '10.0.0.2', remotePort: 80, options })
        const sockets = await Promise.all([dialled, listener.accept()])
        listener.close()
        notes.clear()
        return sockets
      }
      const disturb = (faults: Partial<FaultOptions>): void => world.faultsOf(on).outbound.configure(faults)
      await world.run(body({ client, server, notes, disturb, sleep: (length) => world.sleep(length), pair }))
    },
    { settle, capture },
  )
}

const only = (index: number): ((packet: unknown) => boolean) => {
  let sent = 0
  return () => sent++ === index
}

describe('the comment of a packet', () => {
  test('says of a SYN that it is sent again', () =>
    inScene(async ({ client, notes, disturb, sleep }) => {
      // The first packets ask for the neighbour.
      disturb({ drop: ({ transportAt }) => transportAt > 0 })
      const signal = new AbortController()
      const dialled = TcpSocket.connect(client, { remoteAddress: '10.0.0.2', remotePort: 80, signal: signal.signal })
      const failed = dialled.catch(() => 'given up')
      await sleep(seconds(5))
      signal.abort()
      await failed
      expect(notes).toContain('sent again: not acknowledged')
    }))

  test('says that a segment is deemed lost (RFC 8985), where others behind it arrived', () =>
    inScene(async ({ notes, disturb, pair }) => {
      const [from, to] = await pair()
      disturb({ drop: only(0) })
      await from.write(new Uint8Array(10_000))
      await from.flush()
      expect(notes).toEqual(new Set(['sent again: deemed lost']))
      to.abort()
    }))

  test('tells a tail loss probe (RFC 8985 §7.3) from the time-out that follows it (RFC 6298)', () =>
    inScene(async ({ notes, disturb, pair, sleep }) => {
      const [from] = await pair()
      disturb({ loss: 1 })
      await from.write(new Uint8Array(100))
      await sleep(seconds(2))
      expect([...notes]).toEqual(['sent again: tail loss probe', 'sent again: the retransmission timer expired'])
      from.abort()
    }))

  test('tells a probe of a closed window from one that keeps an idle connection alive (RFC 9293 §3.8.6.1, §3.8.4)', () =>
    inScene(async ({ notes, pair, sleep }) => {
      const [blocked, slow] = await pair()
      const signal = new AbortController()
      const writing = blocked.write(new Uint8Array(20_000_000), { signal: signal.signal }).catch(() => {})
      await sleep(seconds(5))
      expect(notes).toContain('zero-window probe')
      signal.abort()
      await writing
      blocked.abort()
      slow.abort()
      const [idle] = await pair({ keepAlive: true, keepAliveIdle: seconds(1) })
      await sleep(seconds(3))
      expect([...notes]).toEqual(['keep-alive'])
      idle.abort()
    }))

  test('says of an RST whether the program aborted, or nobody takes the segment (RFC 9293 §3.5.2)', () =>
    inScene(async ({ client, notes, pair, sleep }) => {
      const [one] = await pair()
      one.abort()
      await sleep(seconds(1))
      expect([...notes]).toEqual(['reset: aborted'])
      notes.clear()
      await expect(TcpSocket.connect(client, { remoteAddress: '10.0.0.2', remotePort: 81 })).rejects.toThrow(
        'ECONNREFUSED',
      )
      expect([...notes]).toEqual(['reset: no connection takes the segment'])
    }))
})

describe('sockets', () => {
  test('tell how a connection is doing, and 0 for what never was', () =>
    inScene(async ({ pair, sleep }) => {
      const [from, to] = await pair()
      await sleep(seconds(3))
      expect(from.info()).toMatchObject({ state: 1, bytesAcked: 1, lastDataSent: 0, dataSegsOut: 0 })
      await from.write(new Uint8Array(5_000))
      await from.flush()
      await sleep(seconds(1))
      const info = from.info()
      expect(info).toMatchObject({ bytesAcked: 5_001, totalRetrans: 0, unacked: 0 })
      expect(info.lastDataSent).toBeGreaterThanOrEqual(1_000)
      expect(info.rtt).toBeGreaterThanOrEqual(20_000)
      expect(to.info().bytesReceived).toBe(5_000)
      from.abort()
    }))

  test('take addresses as texts, and say which text is none', () =>
    inScene(async ({ client, server }) => {
      const listener = new TcpListener(server, { family: 4, address: '10.0.0.2', port: 80 })
      const socket = await TcpSocket.connect(client, {
        remoteAddress: '10.0.0.2',
        remotePort: 80,
        localAddress: '10.0.0.1',
      })
      expect(String(socket.localAddress)).toBe('10.0.0.1')
      socket.abort()
      listener.close()
      const [one, other] = [new UdpSocket(client, { family: 4 }), new UdpSocket(server, { family: 4, port: 9 })]
      one.send(Uint8Array.of(1), { address: '10.0.0.2', port: 9 })
      one.connect('10.0.0.2', 9)
      one.send(Uint8Array.of(2))
      expect([(await other.receive()).bytes[0], (await other.receive()).bytes[0]]).toEqual([1, 2])
      const why = "'bob' is not an IP address: write it like 10.0.0.1 or fd00::1"
      expect(() => one.send(Uint8Array.of(1), { address: 'bob', port: 9 })).toThrow(why)
      await expect(TcpSocket.connect(client, { remoteAddress: 'bob', remotePort: 80 })).rejects.toThrow(why)
      one.close()
      other.close()
    }))
})
