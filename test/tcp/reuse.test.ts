// Who may bind a port that somebody has: SO_REUSEADDR as Linux has it for listeners and connections.

import { describe, expect, test } from 'vitest'
import { EPHEMERAL_FIRST, EPHEMERAL_LAST } from '../../src/ephemeral-range.ts'
import type { NetError } from '../../src/errors.ts'
import { settle } from '../../src/node/settle.ts'
import type { World } from '../../src/sim/world.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import type { ConnectionOptions } from '../../src/tcp/connection-options.ts'
import { millis, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { seqAfter } from '../../src/wire/sequence.ts'
import { inWorld } from '../support/peer.ts'

const HERE = IpAddress.from('10.0.0.1')
const HERE_TOO = IpAddress.from('10.0.0.3')
const THERE = IpAddress.from('10.0.0.2')
const EXCLUSIVE = { reuseAddress: false }

interface Two {
  readonly world: World
  readonly a: Stack
  readonly b: Stack
}

const withTwo = (body: (two: Two) => Promise<void>): Promise<void> =>
  inWorld(
    9,
    async (world) => {
      const [a, b] = [world.host('a'), world.host('b')]
      const cable = world.cable({ delay: millis(1) })
      world.attach(a, cable.a, { addresses: [`${HERE}/24`, `${HERE_TOO}/24`, 'fd00::1/64'], linkLocal: false })
      world.attach(b, cable.b, { addresses: [`${THERE}/24`, 'fd00::2/64'], linkLocal: false })
      await world.run(body({ world, a, b }))
    },
    { settle },
  )

/** Makes a connection to the listener at b, from a port of a; b closes first where it is told to, and keeps TIME-WAIT. */
async function serveOne(
  two: Two,
  options: { listener?: Partial<ConnectionOptions>; client?: Partial<ConnectionOptions>; localPort?: number } = {},
): Promise<[client: TcpSocket, server: TcpSocket]> {
  const listener = new TcpListener(two.b, { family: 4, port: 80 }, options.listener)
  const { client = {}, localPort = 5_000 } = options
  const dialling = dial(two, localPort, 80, client)
  const both: [TcpSocket, TcpSocket] = await Promise.all([dialling, listener.accept()])
  listener.close()
  return both
}

const dial = (two: Two, localPort: number, remotePort = 80, options: Partial<ConnectionOptions> = {}) =>
  TcpSocket.connect(two.a, { remoteAddress: THERE, remotePort, localPort, localAddress: HERE, options })

/** `first` keeps the connection in TIME-WAIT. */
async function finish(two: Two, first: TcpSocket, second: TcpSocket): Promise<void> {
  first.close()
  await two.world.sleep(millis(20))
  second.close()
  await two.world.sleep(millis(20))
  expect([first.connection.state, second.connection.state]).toEqual(['TIME-WAIT', 'CLOSED'])
}

const codeOf = (action: () => unknown): string => {
  try {
    action()
    return 'none'
  } catch (error) {
    return (error as NetError).code
  }
}
const rejection = (promise: Promise<TcpSocket>): Promise<string> =>
  promise.then(
    (socket) => {
      socket.abort()
      return 'none'
    },
    (error: NetError) => error.code,
  )

const listenAt = (stack: Stack, options: Partial<ConnectionOptions> = {}, address?: IpAddress): string =>
  codeOf(() => new TcpListener(stack, { family: 4, port: 80, ...(address && { address }) }, options).close())

describe('a listener', () => {
  test('binds over TIME-WAIT with SO_REUSEADDR, of which sockets begin with, and not without: EADDRINUSE', () =>
    withTwo(async (two) => {
      const [client, server] = await serveOne(two)
      await finish(two, server, client)
      expect(listenAt(two.b, EXCLUSIVE)).toBe('EADDRINUSE')
      expect(listenAt(two.b)).toBe('none')
      await two.world.sleep(seconds(61))
      expect(listenAt(two.b, EXCLUSIVE)).toBe('none')
    }))

  test('does not bind over TIME-WAIT of a connection whose listener was without it', () =>
    withTwo(async (two) => {
      const [client, server] = await serveOne(two, { listener: EXCLUSIVE })
      await finish(two, server, client)
      expect(listenAt(two.b)).toBe('EADDRINUSE')
      await two.world.sleep(seconds(61))
      expect(listenAt(two.b)).toBe('none')
    }))

  test('begins anew beside the connections that the last one accepted: with SO_REUSEADDR on all of them', () =>
    withTwo(async (two) => {
      const [client, server] = await serveOne(two)
      expect(listenAt(two.b)).toBe('none')
      expect(listenAt(two.b, EXCLUSIVE)).toBe('EADDRINUSE')
      server.setOptions({ reuseAddress: false })
      expect(listenAt(two.b)).toBe('EADDRINUSE')
      server.setOptions({ reuseAddress: true })
      expect(listenAt(two.b)).toBe('none')
      server.setOptions({ reuseAddress: false })
      server.abort()
      client.abort()
      expect(listenAt(two.b)).toBe('none')
    }))

  test('is alone on its port whatever both say, unless their addresses are two', () =>
    withTwo(async ({ a }) => {
      const first = new TcpListener(a, { family: 4, port: 80, address: HERE })
      expect(listenAt(a, {}, HERE)).toBe('EADDRINUSE')
      expect(listenAt(a)).toBe('EADDRINUSE')
      expect(codeOf(() => new TcpListener(a, { family: 6, port: 80 }))).toBe('EADDRINUSE')
      expect(listenAt(a, {}, HERE_TOO)).toBe('none')
      const six = new TcpListener(a, { family: 6, port: 80, v6Only: true })
      for (const listener of [first, six]) listener.close()
    }))

  test('without SO_REUSEADDR minds the connections of its own address only', () =>
    withTwo(async (two) => {
      const [client, server] = await serveOne(two, { localPort: 80 })
      expect(listenAt(two.a, EXCLUSIVE, HERE_TOO)).toBe('none')
      expect(listenAt(two.a, EXCLUSIVE, HERE)).toBe('EADDRINUSE')
      expect(codeOf(() => new TcpListener(two.a, { family: 6, port: 80 }, EXCLUSIVE))).toBe('EADDRINUSE')
      const six = new TcpListener(two.a, { family: 6, port: 80, v6Only: true }, EXCLUSIVE)
      six.close()
      client.abort()
      server.abort()
    }))

  test('on port 0 gets one that no listener and no connection has', () =>
    withTwo(async (two) => {
      const ports = new Set<number>()
      const listeners = Array.from({ length: 50 }, () => new TcpListener(two.b, { family: 4, port: 0 }))
      for (const listener of listeners) ports.add(listener.port)
      expect(ports.size).toBe(50)
      expect(Math.min(...ports)).toBeGreaterThanOrEqual(32_768)
      const [first] = listeners
      const [client, server] = await Promise.all([dial(two, 0, first!.port), first!.accept()])
      const { port } = first!
      for (const listener of listeners) listener.close()
      // That port is the connection's now: where there is no other, none is free.
      const { ports: chooser } = two.b.tcp
      chooser.choose = (_local, _remote, _remotePort, isFree) => (isFree(port) ? port : 0)
      expect(codeOf(() => new TcpListener(two.b, { family: 4, port: 0 }))).toBe('EADDRINUSE')
      client.abort()
      server.abort()
      await two.world.sleep(millis(20))
      expect(new TcpListener(two.b, { family: 4, port: 0 }).port).toBe(port)
    }))
})

describe('connect from a port of one’s choice', () => {
  test('to where a connection from there is in TIME-WAIT: EADDRNOTAVAIL until that ends; to elsewhere it may', () =>
    withTwo(async (two) => {
      const [client, server] = await serveOne(two)
      await finish(two, client, server)
      new TcpListener(two.b, { family: 4, port: 80 })
      new TcpListener(two.b, { family: 4, port: 81 })
      expect(await rejection(dial(two, 5_000))).toBe('EADDRNOTAVAIL')
      expect(await rejection(dial(two, 5_000, 81))).toBe('none')
      await two.world.sleep(seconds(61))
      expect(await rejection(dial(two, 5_000))).toBe('none')
    }))

  test('without SO_REUSEADDR on both sides: EADDRINUSE, wherever it goes', () =>
    withTwo(async (two) => {
      const [client, server] = await serveOne(two)
      await finish(two, client, server)
      new TcpListener(two.b, { family: 4, port: 81 })
      expect(await rejection(dial(two, 5_000, 81, EXCLUSIVE))).toBe('EADDRINUSE')
      expect(await rejection(dial(two, 5_001, 81, EXCLUSIVE))).toBe('none')
    }))

  test('that is listened on: EADDRINUSE, but for a listener on another address', () =>
    withTwo(async (two) => {
      new TcpListener(two.b, { family: 4, port: 81 })
      const listener = new TcpListener(two.a, { family: 4, port: 5_000 })
      expect(await rejection(dial(two, 5_000, 81))).toBe('EADDRINUSE')
      listener.close()
      new TcpListener(two.a, { family: 4, port: 5_000, address: HERE_TOO })
      expect(await rejection(dial(two, 5_000, 81))).toBe('none')
    }))

  test('that a connection which is alive has, to the same end: EADDRNOTAVAIL', () =>
    withTwo(async (two) => {
      const [client, server] = await serveOne(two)
      expect(await rejection(dial(two, 5_000))).toBe('EADDRNOTAVAIL')
      client.abort()
      server.abort()
    }))
})

test('where no other ephemeral port is free, a connect takes one in TIME-WAIT once its time stamps are a second newer (RFC 6191)', () =>
  withTwo(async (two) => {
    for (let port = EPHEMERAL_FIRST; port < EPHEMERAL_LAST; port++) two.a.tcp.listeners.set(port, [])
    const listener = new TcpListener(two.b, { family: 4, port: 80 })
    const [first, peer] = await Promise.all([dial(two, 0), listener.accept()])
    expect(await rejection(dial(two, 0))).toBe('EADDRNOTAVAIL')
    await finish(two, first, peer)
    expect(await rejection(dial(two, 0))).toBe('EADDRNOTAVAIL')
    await two.world.sleep(seconds(1))
    const [second, other] = await Promise.all([dial(two, 0), listener.accept()])
    expect([first, second].map(({ connection }) => connection.localPort)).toEqual([EPHEMERAL_LAST, EPHEMERAL_LAST])
    expect(seqAfter(second.connection.snd.iss, first.connection.snd.nxt)).toBe(true)
    await second.write(Uint8Array.of(1, 2, 3))
    expect(await other.read(new Uint8Array(10))).toBe(3)
    listener.close()
    await finish(two, second, other)
    two.a.tcp.listeners.clear()
  }))
