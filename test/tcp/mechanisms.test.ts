// What keeps a connection alive and quick, one mechanism each: path MTU, probes, timers, cookies, recovery.

import { describe, expect, test } from 'vitest'
import type { PagePool } from '../../src/buf/page.ts'
import { LOOPBACK_MTU } from '../../src/link/loopback.ts'
import { settle } from '../../src/node/settle.ts'
import type { World } from '../../src/sim/world.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import { MtuSearch } from '../../src/tcp/mtu-search.ts'
import { setOptions, shutdownWrite } from '../../src/tcp/open.ts'
import { micros, millis, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { seqAdd, seqDiff } from '../../src/wire/sequence.ts'
import { ACK, SYN } from '../../src/wire/tcp.ts'
import { chain, inWorld } from '../support/peer.ts'
import { PEER_ISS, TcpPeer } from '../support/tcp-peer.ts'

const withPeer = (body: (peer: TcpPeer) => void): Promise<void> =>
  inWorld(5, (world, pool) => body(new TcpPeer(world, pool)))

const inRunningWorld = (body: (world: World, pool: PagePool) => Promise<void>): Promise<void> =>
  inWorld(6, (world, pool) => world.run(body(world, pool)), { settle })

/** The program writes at the host. */
function write(peer: TcpPeer, length: number) {
  const { connection, host } = peer
  connection!.sendQueue.append(new Uint8Array(length), 0, length)
  host.tcp.owe(connection!)
  return peer.wait(1)
}

async function carry(from: Stack, to: Stack, target: string, length: number) {
  const listener = new TcpListener(to, { family: IpAddress.from(target).family, port: 80 })
  const dialled = TcpSocket.connect(from, { remoteAddress: IpAddress.from(target), remotePort: 80 })
  const [client, server] = await Promise.all([dialled, listener.accept()])
  const reading = (async () => {
    const bytes = new Uint8Array(20_000)
    let sum = 0
    for (let count = await server.read(bytes); count > 0; count = await server.read(bytes)) sum += count
    return sum
  })()
  await client.write(new Uint8Array(length))
  client.shutdown()
  expect(await reading).toBe(length)
  listener.close()
  client.close()
  server.close()
  return { client, server, connection: client.connection }
}

describe('path MTU', () => {
  test.each([
    ['10.0.1.2', 1_000 - 40 - 12, [1_500, 1_000]],
    ['fd00:0:0:1::2', 1_300 - 60 - 12, [1_500, 1_300]],
  ])(
    'towards %s segments shrink to %i bytes, and cwnd does not (RFC 1191 §6.4, RFC 8201, RFC 9293 MUST-16)',
    (target, mss, mtus) =>
      inRunningWorld(async (world) => {
        const { first, last } = chain(world, mtus)
        await world.sleep(seconds(5))
        const { connection } = await carry(first, last, target, 200_000)
        expect(connection.snd.mss).toBe(mss)
        expect(first.counters.TcpExtTCPTimeouts).toBe(0)
        expect(first.counters.TcpExtTCPSackRecovery).toBe(0)
        expect(connection.window.ssthresh).toBe(Number.POSITIVE_INFINITY)
      }),
  )

  test('segments as large as an MTU of 65,521 allows are sent, larger ones than a super-segment otherwise is', () =>
    inRunningWorld(async (world) => {
      const [a, b] = [world.host('a'), world.host('b')]
      const cable = world.cable({ mtu: 65_521 })
      world.attach(a, cable.a, { addresses: ['10.0.0.1/24'], linkLocal: false })
      world.attach(b, cable.b, { addresses: ['10.0.0.2/24'], linkLocal: false })
      const { connection } = await carry(a, b, '10.0.0.2', 4_000_000)
      expect(connection.snd.mss).toBe(65_521 - 52)
      expect(world.now).toBeLessThan(millis(100))
    }))

  test.each([
    ['127.0.0.1', 65_535 - 52],
    ['::1', LOOPBACK_MTU - 72],
  ])('RFC 6691: on a loopback device segments to %s are as large as an IP header can tell, %i bytes', (target, mss) =>
    inRunningWorld(async (world) => {
      const host = world.host('a')
      const { connection } = await carry(host, host, target, 20 * mss)
      expect(connection.snd.mss).toBe(mss)
      expect([host.counters.IpFragFails, host.counters.TcpRetransSegs]).toEqual([0, 0])
    }),
  )

  test.each([
    ['10.0.0.2', 1_100, 1_064 - 52],
    ['10.0.0.2', 700, 576 - 52],
    ['fd00::2', 1_400, 1_280 - 72],
  ])('a black hole towards %s for packets over %i bytes: %i bytes get through (RFC 4821)', (target, limit, mss) =>
    inRunningWorld(async (world) => {
      const [a, b] = [world.host('a'), world.host('b')]
      const cable = world.cable({ delay: millis(5) })
      const faults = { outbound: { drop: (packet: { length: number }) => packet.length > limit + 14 } }
      world.attach(a, cable.a, { addresses: ['10.0.0.1/24', 'fd00::1/64'], linkLocal: false, faults })
      world.attach(b, cable.b, { addresses: ['10.0.0.2/24', 'fd00::2/64'], linkLocal: false })
      const { connection } = await carry(a, b, target, 30_000)
      expect(connection.snd.mss).toBe(mss)
      expect(world.now).toBeLessThan(seconds(30))
    }),
  )
})

test.each([true, false])(
  'a receive buffer tunes itself to a round trip of 100 µs, not to the queue that a larger one would fill (time stamps: %s)',
  (timestamps) =>
    inRunningWorld(async (world) => {
      const tcp = { config: { timestamps } }
      const [a, b] = [world.host('a', { tcp }), world.host('b', { tcp })]
      const cable = world.cable({ delay: micros(50), bitsPerSecond: 1e9 })
      world.attach(a, cable.a, { addresses: ['10.0.0.1/24'], linkLocal: false })
      world.attach(b, cable.b, { addresses: ['10.0.0.2/24'], linkLocal: false })
      const begin = world.now
      const { server } = await carry(a, b, '10.0.0.2', 10_000_000)
      // A queue of 1,000 packets is what the cable has.
      expect(server.connection.receiveLimit).toBeLessThan(1_000 * 1_448)
      expect(server.connection.receiverRtt).toBeLessThan(1_000)
      expect(a.counters.TcpRetransSegs).toBe(0)
      expect(80e12 / (world.now - begin)).toBeGreaterThan(0.9 * 1e9)
    }),
)

describe('the search for what a black hole lets through (RFC 4821)', () => {
  /** A transfer over a slow cable that loses what is longer than `limit` says: in 14 seconds it brings 700,000 bytes. */
  async function transfer(world: World, target: string, limit: (now: number) => number) {
    const tcp = { config: { wmem: [4_096, 16_384, 16_384] as const } }
    const [a, b] = [world.host('a', { tcp }), world.host('b')]
    const cable = world.cable({ delay: millis(5), bitsPerSecond: 400_000 })
    const faults = { outbound: { drop: (packet: { length: number }) => packet.length > limit(world.now) + 14 } }
    world.attach(a, cable.a, { addresses: ['10.0.0.1/24', 'fd00::1/64'], linkLocal: false, faults })
    world.attach(b, cable.b, { addresses: ['10.0.0.2/24', 'fd00::2/64'], linkLocal: false })
    await world.sleep(seconds(2))
    const { connection } = await carry(a, b, target, 700_000)
    return { connection, counters: a.counters }
  }

  test.each([
    ['10.0.0.2', 1_100, 3],
    ['10.0.0.2', 1_492, 3],
    ['10.0.0.2', 700, 6],
    ['fd00::2', 1_400, 3],
  ])(
    'towards %s ends close to its %i bytes, and after %i time-outs there is no more congestion',
    (target, limit, timeouts) =>
      inRunningWorld(async (world) => {
        const { connection, counters } = await transfer(world, target, () => limit)
        expect(connection.pathMtu).toBeLessThanOrEqual(limit)
        expect(connection.pathMtu).toBeGreaterThan(limit - 8)
        expect([counters.TcpExtTCPTimeouts, counters.TcpExtTCPSackRecovery]).toEqual([timeouts, 0])
      }),
  )

  test('is over with one probe where the path was broken, and nothing was wrong with its size', () =>
    inRunningWorld(async (world) => {
      const outage = (now: number): number => (now > seconds(4) && now < seconds(9) ? 0 : 1_500)
      const { connection, counters } = await transfer(world, '10.0.0.2', outage)
      expect([counters.TcpExtTCPMTUPSuccess, counters.TcpExtTCPMTUPFail]).toEqual([1, 0])
      expect([connection.pathMtu, connection.search]).toEqual([1_500, null])
    }))
})

test('without SACK each segment beyond a hole has a duplicate ACK of its own, although they come in one batch (RFC 5681 §4.2)', () =>
  inRunningWorld(async (world) => {
    const tcp = { config: { sack: false } }
    const [a, b] = [world.host('a', { tcp }), world.host('b', { tcp })]
    const cable = world.cable({ delay: millis(5) })
    let first = true
    const drop = (packet: { length: number }, index: number): boolean => {
      const lost = first && index > 10 && packet.length > 1_000
      if (lost) first = false
      return lost
    }
    world.attach(a, cable.a, { addresses: ['10.0.0.1/24'], linkLocal: false, faults: { outbound: { drop } } })
    world.attach(b, cable.b, { addresses: ['10.0.0.2/24'], linkLocal: false })
    await carry(a, b, '10.0.0.2', 200_000)
    expect(first).toBe(false)
    expect(a.counters).toMatchObject({ TcpExtTCPTimeouts: 0, TcpExtTCPRenoRecovery: 1, TcpRetransSegs: 1 })
  }))

test('a path that takes larger segments again is used, although cwnd is less than one of them (seed 51568 of the sim)', () =>
  withPeer((peer) => {
    const connection = peer.establish()
    connection.search = new MtuSearch(576, 1_500, null, peer.world.now)
    connection.search.expiresAt = seconds(1)
    write(peer, 100)
    expect(connection.snd.mss).toBe(536)
    peer.say({ flags: ACK, ack: connection.snd.nxt })
    connection.window.cwnd = 536
    peer.wait(1_000)
    peer.expects = connection.snd.nxt
    expect(write(peer, 2_000)[0]).toMatchObject({ length: 1_460 })
  }))

describe('zero window', () => {
  test('is probed after 1, 2, 4 time-outs while the peer answers, for as long as it likes (RFC 9293 §3.8.6.1)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      peer.say({ flags: ACK, window: 0 })
      write(peer, 100)
      const rto = connection.rtt.rto / 1_000
      const gaps: number[] = []
      let waited = 0
      for (let count = 0; count < 6; ) {
        waited += 10
        const heard = peer.wait(10)
        if (heard.length === 0) continue
        expect([heard[0]!.seq, heard[0]!.length]).toEqual([seqAdd(connection.snd.una, -1), 0])
        gaps.push(waited / rto)
        waited = 0
        count++
        peer.say({ flags: ACK, window: 0 })
      }
      expect(gaps.map((gap) => 2 ** Math.round(Math.log2(gap)))).toEqual([1, 2, 4, 8, 16, 32])
      expect(connection.state).toBe('ESTABLISHED')
      expect(peer.say({ flags: ACK, window: 1_000 })[0]).toMatchObject({ length: 100 })
    }))

  test('a silly window is used after a time-out, not before (RFC 9293 §3.8.6.2.1)', () =>
    withPeer((peer) => {
      peer.establish()
      peer.say({ flags: ACK, window: 10 })
      expect(write(peer, 100)).toEqual([])
      expect(peer.wait(1_500)[0]).toMatchObject({ length: 10 })
    }))

  test('FIN waits for the window as well, and is probed for', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      peer.say({ flags: ACK, window: 0 })
      shutdownWrite(peer.host.tcp, connection)
      expect(peer.wait(1)).toEqual([])
      expect(peer.wait(1_500)).not.toEqual([])
      expect(peer.say({ flags: ACK, window: 10 })[0]!.text).toBe('F.')
    }))
})

describe('timers', () => {
  test('data is sent again after RTO, twice that, and so on (RFC 6298 §5.5)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      write(peer, 100)
      const rto = connection.rtt.rto / 1_000
      expect(peer.wait(rto - 20)).toEqual([])
      expect(peer.wait(40)).toHaveLength(1)
      expect(peer.wait(2 * rto - 40)).toEqual([])
      expect(peer.wait(60)).toHaveLength(1)
    }))

  test('the user time-out ends it on the instant (RFC 5482)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      setOptions(peer.host.tcp, connection, { userTimeout: seconds(5) }, peer.world.now)
      write(peer, 100)
      peer.wait(4_900)
      expect(connection.state).toBe('ESTABLISHED')
      peer.wait(110)
      expect([connection.state, connection.error]).toEqual(['CLOSED', 'ETIMEDOUT'])
    }))

  test('keep-alive asks, an answer calms it, silence ends it (RFC 9293 §3.8.4)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      const options = { keepAlive: true, keepAliveIdle: seconds(10), keepAliveInterval: seconds(1), keepAliveCount: 3 }
      setOptions(peer.host.tcp, connection, options, peer.world.now)
      peer.wait(1)
      const [probe] = peer.wait(10_100)
      expect([probe!.length, probe!.seq]).toEqual([0, seqAdd(connection.snd.una, -1)])
      peer.say({ flags: ACK })
      expect(peer.wait(9_000)).toEqual([])
      const probes = peer.wait(10_000)
      expect(probes.map(({ text }) => text)).toEqual(['.', '.', '.', 'R.'])
      expect(connection.error).toBe('ETIMEDOUT')
    }))

  test('an ACK is delayed by 40 ms at most, and every second full segment has one (RFC 9293 §3.8.6.3)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      connection.quickAcks = 0
      const text = new Uint8Array(1_000)
      const say = () => {
        const heard = peer.say({ flags: ACK, data: text })
        peer.nxt = seqAdd(peer.nxt, 1_000)
        return heard
      }
      say()
      peer.wait(50)
      connection.quickAcks = 0
      expect(say()).toEqual([])
      expect(peer.wait(35)).toEqual([])
      expect(peer.wait(10)).toHaveLength(1)
      connection.quickAcks = 0
      expect(say()).toEqual([])
      expect(say()).toHaveLength(1)
    }))

  test('after a pause cwnd is not what it was (RFC 5681 §4.1)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      write(peer, 100)
      peer.say({ flags: ACK, ack: connection.snd.nxt })
      connection.window.cwnd = 1_000_000
      peer.wait(60_000)
      peer.expects = connection.snd.nxt
      write(peer, 100)
      expect(connection.window.cwnd).toBe(14_600)
    }))
})

describe('recovery without SACK', () => {
  test('three duplicate ACKs send one segment again, each partial ACK the next (RFC 6582)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      const heard = write(peer, 14_600)
      expect(heard).toHaveLength(10)
      const { una, mss } = connection.snd
      for (let count = 0; count < 2; count++) expect(peer.say({ flags: ACK })).toEqual([])
      expect(peer.say({ flags: ACK })[0]).toMatchObject({ seq: una, length: mss })
      for (let count = 0; count < 4; count++) peer.say({ flags: ACK })
      peer.expects = seqAdd(una, 3 * mss)
      expect(peer.say({ flags: ACK })[0]).toMatchObject({ seq: seqAdd(una, 3 * mss), length: mss })
      peer.expects = connection.snd.nxt
      peer.say({ flags: ACK })
      expect([connection.phase, connection.board.flight]).toEqual(['open', 0])
      expect(connection.window.ssthresh).toBeLessThan(14_600)
    }))
})

describe('tail loss probe', () => {
  test('the last segment goes again before the time-out (RFC 8985 §7)', () =>
    withPeer((peer) => {
      const connection = peer.establish({ mss: 1_460, sackPermitted: true })
      write(peer, 2_920)
      const begin = peer.world.now
      const [probe] = peer.wait(connection.rtt.rto / 1_000 - 50)
      expect(probe).toMatchObject({ length: 1_460, seq: seqAdd(connection.snd.una, 1_460) })
      expect(peer.world.now - begin).toBeLessThan(connection.rtt.rto)
      expect(peer.host.counters.TcpExtTCPTimeouts).toBe(0)
    }))
})

describe('SYN cookies (RFC 4987)', () => {
  test('a full SYN queue still lets a client in, with its MSS, window scale, SACK and time stamps', () =>
    withPeer((peer) => {
      const listener = peer.listen(1)
      peer.say({ flags: SYN, seq: PEER_ISS, port: 9_999 })
      const options = { mss: 1_300, windowScale: 5, sackPermitted: true, timestamps: true, timestampValue: 77 }
      const [reply] = peer.say({ flags: SYN, seq: PEER_ISS, options })
      expect(peer.host.counters.TcpExtSyncookiesSent).toBe(1)
      expect(peer.host.tcp.demux.size).toBe(1)
      expect(reply!.options).toMatchObject({ sackPermitted: true, timestamps: true, timestampEcho: 77 })
      peer.nxt = seqAdd(PEER_ISS, 1)
      peer.expects = seqAdd(reply!.seq, 1)
      const { timestampValue } = reply!.options
      const stamps = { timestamps: true, timestampValue: 78, timestampEcho: timestampValue }
      peer.say({ flags: ACK, options: stamps, data: new Uint8Array(10) })
      const connection = listener.accepted[0]!
      expect(connection.state).toBe('ESTABLISHED')
      expect([connection.sackOn, connection.timestampsOn, connection.snd.windowScale]).toEqual([true, true, 5])
      expect(connection.snd.mss).toBe(1_220 - 12)
      expect(connection.receiveQueue.available).toBe(10)
      peer.host.tcp.abort(connection, peer.world.now)
    }))

  test('an ACK that brings none back gets an RST, and costs nothing', () =>
    withPeer((peer) => {
      peer.listen(1)
      expect(peer.say({ flags: ACK, ack: PEER_ISS })[0]!.text).toBe('R')
      expect(peer.host.tcp.demux.size).toBe(0)
    }))
})

test('a D-SACK reports what came twice, also while data goes the other way (RFC 2883)', () =>
  withPeer((peer) => {
    const connection = peer.establish({ mss: 1_460, sackPermitted: true })
    const first = peer.nxt
    peer.say({ flags: ACK, data: new Uint8Array(100) })
    connection.sendQueue.append(new Uint8Array(50), 0, 50)
    peer.host.tcp.owe(connection)
    peer.peer.sendNow(peer.packet({ flags: ACK, seq: first, data: new Uint8Array(100) }))
    const heard = peer.wait(1)
    expect(heard.map(({ length, options }) => [length, options.sackCount])).toEqual([
      [50, 0],
      [0, 1],
    ])
    const { sackLeft, sackRight } = heard[1]!.options
    expect([sackLeft[0], sackRight[0]]).toEqual([first, seqAdd(first, 100)])
    expect(seqDiff(connection.rcv.nxt, first)).toBe(100)
  }))
