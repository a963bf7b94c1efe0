// Pacing as it is seen on the cable: when data leaves, in what pieces, and at which rate in the end.

import { describe, expect, test } from 'vitest'
import { type CongestionControl, FixedWindow } from '../../src/tcp/congestion.ts'
import { tcpInfo } from '../../src/tcp/info.ts'
import { chargePacing, isHeldBack } from '../../src/tcp/pacing.ts'
import { type Micros, millis } from '../../src/time.ts'
import { ACK } from '../../src/wire/tcp.ts'
import { type Bulk, bulk, type Left } from '../support/bulk.ts'
import { inWorld } from '../support/peer.ts'
import { TcpPeer } from '../support/tcp-peer.ts'

const MSS = 1_448
const WINDOW = 4_000_000

/** A window that does not matter, and a rate that does not change. */
function constantRate(bytesPerSecond: number): CongestionControl {
  return Object.assign(new FixedWindow(WINDOW), { pacingRate: () => bytesPerSecond })
}

const paced = (rate: number) => ({ congestionControl: () => constantRate(rate) })

/** The packets that left at one instant are one burst; without those of the first 30 ms, when the window is still small. */
function burstsOf(left: readonly Left[]): Left[] {
  const bursts: Left[] = []
  for (const { at, bytes } of left) {
    if (at < left[0]!.at + 30_000) continue
    const last = bursts.at(-1)
    if (last?.at === at) bursts[bursts.length - 1] = { at, bytes: last.bytes + bytes }
    else bursts.push({ at, bytes })
  }
  return bursts
}

/** The longest distance of a burst from where the rate wants it, in microseconds. */
function disorder(bursts: readonly Left[], rate: number): number {
  let sent = 0
  let worst = 0
  for (const { at, bytes } of bursts) {
    worst = Math.max(worst, Math.abs(at - bursts[0]!.at - (sent * 1e6) / rate))
    sent += bytes
  }
  return worst
}

/** The most that a bucket held which drains at the rate. */
function most(left: readonly Left[], rate: number): number {
  let level = 0
  let highest = 0
  let before = left[0]!.at
  for (const { at, bytes } of left) {
    level = Math.max(0, level - ((at - before) * rate) / 1e6) + bytes
    highest = Math.max(highest, level)
    before = at
  }
  return highest
}

describe('on the cable', () => {
  test.each([
    [200_000, 2],
    [1_000_000, 2],
    [10_000_000, Math.floor(10_000 / MSS)],
  ])('at %i bytes a second bursts of %i segments leave, each when the rate has room for it', async (rate, segments) => {
    const { left } = await bulk({ bytes: 500_000, bitsPerSecond: 1e9, delay: 5, tcp: paced(rate) })
    const bursts = burstsOf(left)
    expect(new Set(bursts.slice(0, -1).map(({ bytes }) => bytes / MSS))).toEqual(new Set([segments]))
    expect(disorder(bursts, rate)).toBeLessThanOrEqual(1)
  })

  test('super-segments hold what the rate lets out in a millisecond, in whole segments', async () => {
    const offloads = { checksum: true, segmentBytes: 65_536 }
    const rate = 25_000_000
    const { left } = await bulk({ bytes: 5_000_000, bitsPerSecond: 1e10, delay: 2, offloads, tcp: paced(rate) })
    const whole = left.filter(({ at }) => at >= left[0]!.at + 30_000)
    expect(new Set(whole.slice(0, -1).map(({ bytes }) => bytes))).toEqual(new Set([Math.floor(25_000 / MSS) * MSS]))
    expect(disorder(whole, rate)).toBeLessThanOrEqual(1)
  })

  test('without a rate a whole window leaves at one instant', async () => {
    const tcp = { congestionControl: () => new FixedWindow(10 * MSS) }
    const { left, sender } = await bulk({ bytes: 200_000, bitsPerSecond: 1e9, delay: 20, tcp })
    expect(left.filter(({ at }) => at === left[0]!.at)).toHaveLength(10)
    expect([sender.pacedUntil, tcpInfoOf(sender).pacingRate]).toEqual([0, 0])
  })
})

const tcpInfoOf = (sender: Bulk['sender']) => tcpInfo(sender, { delayedAck: millis(40) } as never, millis(1))

describe('goodput', () => {
  test.each([
    [50_000, 500_000],
    [1_000_000, 10_000_000],
    [40_000_000, 40_000_000],
  ])('is the rate of %i bytes a second to two per cent, with %i bytes', async (rate, bytes) => {
    const { goodput, counters } = await bulk({ bytes, bitsPerSecond: 1e9, delay: 10, tcp: paced(rate) })
    expect(goodput / rate).toBeGreaterThan(0.98)
    expect(goodput / rate).toBeLessThan(1.02)
    // Nothing that pacing holds back is taken for lost.
    expect([counters.TcpRetransSegs, counters.TcpExtTCPTimeouts, counters.TcpExtTCPLossProbes]).toEqual([0, 0, 0])
  })

  test('is what the rate leaves beside what is sent again', async () => {
    const rate = 2_000_000
    const faults = { loss: 0.02 }
    const run = await bulk({ bytes: 10_000_000, bitsPerSecond: 1e9, delay: 10, faults, tcp: paced(rate) })
    const { bytesRetransmitted, bytesSent } = run.sender
    expect(bytesRetransmitted).toBeGreaterThan(100_000)
    const share = (bytesSent - bytesRetransmitted) / bytesSent
    expect(run.goodput / (rate * share)).toBeGreaterThan(0.95)
    expect(run.goodput / (rate * share)).toBeLessThan(1.02)
    // Never more than two bursts, and what two milliseconds make up for.
    expect(most(run.left, rate)).toBeLessThanOrEqual(4 * MSS + rate * 0.002)
  })
})

describe('what is sent again', () => {
  test('is counted among the bytes and segments of the connection, but not as TcpOutSegs (RFC 4022 tcpOutSegs)', async () => {
    const bytes = 2_000_000
    const { counters, sender } = await bulk({ bytes, bitsPerSecond: 1e9, delay: 1, faults: { loss: 0.02 }, tcp: {} })
    expect(counters.TcpRetransSegs).toBeGreaterThan(10)
    expect(sender.totalRetransmits).toBe(counters.TcpRetransSegs)
    expect(sender.bytesSent - sender.bytesRetransmitted).toBe(bytes)
    expect(sender.segmentsSent).toBe(counters.TcpOutSegs + counters.TcpRetransSegs)
  })
})

describe('timers', () => {
  const withPaced = (rate: number, body: (peer: TcpPeer) => void): Promise<void> =>
    inWorld(5, (world, pool) => body(new TcpPeer(world, pool, { tcp: paced(rate) })))

  test('that come late are made up for, and a pause is not', () =>
    withPaced(1_000_000, (peer) => {
      const connection = peer.establish()
      let now = peer.world.now as number
      chargePacing(connection, 3_000, now as Micros)
      const begin = connection.pacedUntil
      for (let count = 0; count < 100; count++) {
        now = connection.pacedUntil + 1_500
        expect(isHeldBack(connection, now as Micros)).toBe(false)
        chargePacing(connection, 3_000, now as Micros)
      }
      expect(connection.pacedUntil - begin).toBe(100 * 3_000)
      now = connection.pacedUntil + 20_000
      chargePacing(connection, 3_000, now as Micros)
      expect(connection.pacedUntil).toBe(now + 3_000)
      expect(isHeldBack(connection, now as Micros)).toBe(true)
      expect(connection.timers.paceAt).toBe(now + 3_000)
    }))

  test('an ACK does not wait for the rate, nor does a zero-window probe begin because of it', () =>
    withPaced(10_000, (peer) => {
      const connection = peer.establish()
      connection.sendQueue.append(new Uint8Array(20_000), 0, 20_000)
      peer.host.tcp.owe(connection)
      expect(peer.wait(1)).toHaveLength(2)
      peer.expects = connection.snd.nxt
      expect(peer.say({ flags: ACK, data: new Uint8Array(1_000) })[0]).toMatchObject({ length: 0, text: '.' })
      expect(connection.timers.persistAt).toBe(Number.POSITIVE_INFINITY)
      expect(peer.wait(250)).toEqual([])
      expect(peer.wait(50)).toHaveLength(2)
      peer.host.tcp.abort(connection, peer.world.now)
    }))
})
