// HyStart++ (RFC 9406), CUBIC (RFC 9438) and windows that are not used (RFC 5681 §4.1, RFC 2861, RFC 7661), number by number.

import { describe, expect, test } from 'vitest'
import { CongestionWindow, HyStart } from '../../src/tcp/congestion.ts'
import { Cubic } from '../../src/tcp/cubic.ts'
import { NewReno } from '../../src/tcp/newreno.ts'
import { type Micros, micros, millis, seconds } from '../../src/time.ts'
import { seqAdd } from '../../src/wire/sequence.ts'
import { ACK } from '../../src/wire/tcp.ts'
import { inWorld } from '../support/peer.ts'
import { TcpPeer } from '../support/tcp-peer.ts'

const MSS = 1_000
const NOW = seconds(1_000)
/** RFC 9438 §4.6, §5. */
const BETA = 0.7
const C = 0.4

function windowOf(segments: number, ssthresh = Number.POSITIVE_INFINITY): CongestionWindow {
  const window = new CongestionWindow(MSS)
  window.cwnd = segments * MSS
  window.ssthresh = ssthresh
  return window
}

const sampleOf = (acked: number, rtt: Micros, roundStart = false, now = NOW, srtt = rtt) => ({
  acked,
  flight: acked,
  rtt,
  srtt,
  leastRtt: rtt,
  roundStart,
  now,
})

describe('HyStart++ (RFC 9406)', () => {
  /** So many ACKs of a segment each, the first one of which begins a round; returns what the last one added, in segments. */
  function round(slowStart: HyStart, window: CongestionWindow, rtt: Micros, acks = HyStart.N_RTT_SAMPLE): number {
    let before = window.cwnd
    for (let ack = 0; ack < acks; ack++) {
      before = window.cwnd
      slowStart.grow(window, sampleOf(MSS, rtt, ack === 0))
    }
    return (window.cwnd - before) / MSS
  }

  const CONSERVATIVE = 1 / HyStart.CSS_GROWTH_DIVISOR

  test.each([
    ['4 ms at least', 16, 4],
    ['an eighth of the round trip', 80, 10],
    ['16 ms at most', 400, 16],
  ])('§4.2: the round trip must have grown by %s: from %i ms by %i', (_, base, threshold) => {
    for (const [grown, growth] of [
      [base * 1_000 + threshold * 1_000 - 1, 1],
      [base * 1_000 + threshold * 1_000, CONSERVATIVE],
    ] as const) {
      const slowStart = new HyStart()
      const window = windowOf(10)
      round(slowStart, window, millis(base))
      round(slowStart, window, micros(grown))
      expect(round(slowStart, window, micros(grown), 1)).toBe(growth)
    }
  })

  test('§4.2: fewer than eight samples of a round prove nothing', () => {
    const slowStart = new HyStart()
    const window = windowOf(10)
    round(slowStart, window, millis(100))
    expect(round(slowStart, window, millis(200), HyStart.N_RTT_SAMPLE - 1)).toBe(1)
    slowStart.grow(window, sampleOf(MSS, millis(200)))
    expect(round(slowStart, window, millis(200), 1)).toBe(CONSERVATIVE)
  })

  test('§4.2: an ACK that measured nothing is no sample', () => {
    const slowStart = new HyStart()
    const window = windowOf(10)
    round(slowStart, window, millis(100))
    round(slowStart, window, millis(200), HyStart.N_RTT_SAMPLE - 1)
    for (let ack = 0; ack < 20; ack++) slowStart.grow(window, sampleOf(MSS, micros(0)))
    expect(round(slowStart, window, micros(0), 1)).toBe(1)
  })

  test('§4.2: conservative slow start grows by a quarter, and ends by setting ssthresh after five rounds', () => {
    const slowStart = new HyStart()
    const window = windowOf(100)
    round(slowStart, window, millis(100))
    round(slowStart, window, millis(120))
    const entered = window.cwnd
    // The round in which it began counts.
    for (let count = 1; count < HyStart.CSS_ROUNDS; count++) round(slowStart, window, millis(120))
    const acks = (HyStart.CSS_ROUNDS - 1) * HyStart.N_RTT_SAMPLE
    expect(window.cwnd - entered).toBe(acks * CONSERVATIVE * MSS)
    expect(window.ssthresh).toBe(Number.POSITIVE_INFINITY)
    const before = window.cwnd
    slowStart.grow(window, sampleOf(MSS, millis(120), true))
    expect(window.ssthresh).toBe(before)
  })

  test('§4.2: a round trip below the one at which it began shows that the growth was none: slow start goes on', () => {
    const slowStart = new HyStart()
    const window = windowOf(100)
    round(slowStart, window, millis(100))
    round(slowStart, window, millis(120))
    expect(round(slowStart, window, millis(120))).toBe(CONSERVATIVE)
    expect(round(slowStart, window, millis(119))).toBe(1)
    for (let count = 0; count < 2 * HyStart.CSS_ROUNDS; count++) round(slowStart, window, millis(119))
    expect(window.ssthresh).toBe(Number.POSITIVE_INFINITY)
  })

  test('§4.3: an ACK adds eight segments at most without pacing, and all that it acknowledges with it', () => {
    const grown = [new HyStart(), new HyStart(Number.POSITIVE_INFINITY)].map((slowStart) => {
      const window = windowOf(50)
      slowStart.grow(window, sampleOf(20 * MSS, millis(100)))
      return window.cwnd / MSS
    })
    expect(grown).toEqual([58, 70])
  })

  test('§4.3: only the first slow start is watched: after a loss ssthresh says where it ends', () => {
    const slowStart = new HyStart()
    const window = windowOf(10, 1_000 * MSS)
    round(slowStart, window, millis(100))
    round(slowStart, window, millis(200))
    expect(round(slowStart, window, millis(200))).toBe(1)
    expect(window.ssthresh).toBe(1_000 * MSS)
  })

  test.each([
    ['CUBIC', () => new Cubic(), BETA],
    ['NewReno', () => new NewReno(), 0.5],
  ])('%s uses it in slow start, and loss ends that as ever', (_, make, factor) => {
    const control = make()
    const window = windowOf(100)
    for (const rtt of [100, 150, 150]) {
      for (let ack = 0; ack < HyStart.N_RTT_SAMPLE; ack++) {
        control.acknowledged(window, sampleOf(MSS, millis(rtt), ack === 0))
      }
    }
    const before = window.cwnd
    control.acknowledged(window, sampleOf(MSS, millis(150)))
    expect(window.cwnd - before).toBe(CONSERVATIVE * MSS)
    expect(control.reduce(window, window.cwnd)).toBe(Math.floor(factor * window.cwnd))
  })
})

describe('CUBIC (RFC 9438)', () => {
  /** One ACK of a whole window, so long after the epoch began. */
  function acknowledge(control: Cubic, window: CongestionWindow, at: number, rtt = 0.1, acked = window.cwnd): void {
    const now = (NOW + Math.round(at * 1e6)) as Micros
    control.acknowledged(window, sampleOf(acked, micros(rtt * 1e6), false, now))
  }

  /** A loss at so many segments, and the first ACK of the stage that follows. */
  function reduced(segments: number): { control: Cubic; window: CongestionWindow } {
    const control = new Cubic()
    const window = windowOf(segments, 1)
    window.ssthresh = control.reduce(window, window.cwnd)
    window.cwnd = window.ssthresh
    acknowledge(control, window, 0, 0.1, 0)
    return { control, window }
  }

  /** §4.2, figures 2 and 1. */
  const kOf = (most: number, begin: number): number => Math.cbrt((most - begin) / C)
  const cubicOf = (t: number, most: number, begin: number): number => C * (t - kOf(most, begin)) ** 3 + most

  test.each([100, 1_000, 10_000])('§4.2: K = cbrt((W_max - cwnd_epoch) / C), from %i segments', (most) => {
    const { control } = reduced(most)
    expect(Reflect.get(control, 'k')).toBeCloseTo(kOf(most, BETA * most), 9)
  })

  test.each([
    ['before K it is concave', 2],
    ['near K it is flat', 8],
    ['after K it is convex', 14],
  ])('§4.4, §4.5: an ACK of a window leads to the curve of a round trip later: %s', (_, t) => {
    const most = 1_000
    const { control, window } = reduced(most)
    const rtt = 0.05
    window.cwnd = Math.floor(cubicOf(t, most, BETA * most) * MSS)
    acknowledge(control, window, t, rtt)
    expect(window.cwnd / MSS).toBeCloseTo(cubicOf(t + rtt, most, BETA * most), 1)
  })

  test('§4.2: the target is half a window more at most, and never less than the window', () => {
    const { control, window } = reduced(1_000)
    const far = kOf(1_000, 700) + 20
    acknowledge(control, window, far)
    expect(window.cwnd / MSS).toBeCloseTo(1.5 * BETA * 1_000, 2)
    const { control: other, window: above } = reduced(1_000)
    above.cwnd = 5_000 * MSS
    acknowledge(other, above, 1)
    expect(above.cwnd).toBe(5_000 * MSS)
  })

  test('§4.3: in the Reno-friendly region a window of ACKs adds alpha = 3 (1 - beta) / (1 + beta), beyond the old one a segment', () => {
    const most = 20
    const { control, window } = reduced(most)
    const alpha = (3 * (1 - BETA)) / (1 + BETA)
    // Round trips of a millisecond: the curve stands still, as it counts time and not round trips.
    const estimates: number[] = []
    for (let count = 0; count < 40; count++) {
      acknowledge(control, window, count / 1_000, 0.001)
      estimates.push(Reflect.get(control, 'estimate') as number)
    }
    expect(estimates[0]! - BETA * most).toBeCloseTo(alpha, 9)
    const steps = estimates.slice(1).map((estimate, index) => estimate - estimates[index]!)
    const slow = steps.filter((_, index) => estimates[index]! < most)
    const fast = steps.filter((_, index) => estimates[index]! >= most)
    // cwnd is whole bytes, of a thousand a segment.
    for (const step of slow) expect(step).toBeCloseTo(alpha, 2)
    for (const step of fast) expect(step).toBeCloseTo(1, 2)
    expect([slow.length > 5, fast.length > 5]).toEqual([true, true])
    expect(window.cwnd).toBe(Math.floor(estimates.at(-1)! * MSS))
  })

  test('§4.6: what is kept is 0.7 of what was in flight, so that an unused window is not, and two segments at least', () => {
    const control = new Cubic()
    expect(control.reduce(windowOf(100, 1), 40 * MSS)).toBe(28 * MSS)
    expect(control.reduce(windowOf(100, 1), MSS)).toBe(2 * MSS)
  })

  test('§4.7: a second loss below the first takes W_max down to (1 + beta) / 2 of the window, one above does not', () => {
    const control = new Cubic()
    const most = () => Reflect.get(control, 'maxWindow') as number
    control.reduce(windowOf(100, 1), 100 * MSS)
    expect(most()).toBe(100)
    control.reduce(windowOf(90, 1), 90 * MSS)
    expect(most()).toBeCloseTo((90 * (1 + BETA)) / 2, 9)
    control.reduce(windowOf(120, 1), 120 * MSS)
    expect(most()).toBe(120)
  })

  test('§4.8: after a time-out the curve begins where slow start ends, with K = 0', () => {
    const control = new Cubic()
    const window = windowOf(100, 1)
    window.ssthresh = control.timedOut(window, 100 * MSS)
    expect(window.ssthresh).toBe(70 * MSS)
    window.cwnd = 70 * MSS
    acknowledge(control, window, 0, 0.1, 0)
    expect([Reflect.get(control, 'k'), Reflect.get(control, 'maxWindow')]).toEqual([0, 70])
  })

  test('§5.8: a pause is no time in which the curve could have risen', () => {
    const { control, window } = reduced(1_000)
    control.restarted()
    const before = window.cwnd
    acknowledge(control, window, 60, 0.001, MSS)
    expect(window.cwnd - before).toBeLessThan(MSS)
  })
})

describe('windows that are not used', () => {
  const withPeer = (body: (peer: TcpPeer) => void): Promise<void> =>
    inWorld(5, (world, pool) => body(new TcpPeer(world, pool)))

  function write(peer: TcpPeer, length: number): void {
    const connection = peer.connection!
    connection.sendQueue.append(new Uint8Array(length), 0, length)
    peer.host.tcp.owe(connection)
    peer.wait(1)
  }

  const acknowledgeAll = (peer: TcpPeer): void => {
    peer.expects = peer.connection!.snd.nxt
    peer.say({ flags: ACK })
  }

  /** A connection that sent something, whose window is 40 segments, after a pause of so many time-outs. */
  function paused(peer: TcpPeer, timeouts: number) {
    const connection = peer.establish()
    write(peer, 100)
    acknowledgeAll(peer)
    connection.window.cwnd = 40 * connection.snd.mss
    const sent = connection.lastSentAt
    peer.world.runUntil(micros(sent + timeouts * connection.rtt.rto))
    write(peer, 100)
    return connection
  }

  test.each([
    [0.9, 40],
    [1.5, 20],
    [2.5, 10],
    [9.5, 10],
  ])(
    'a pause of %d time-outs leaves %i segments of 40: half for each, not less than the first window (RFC 5681 §4.1)',
    (timeouts, segments) =>
      withPeer((peer) => {
        const connection = paused(peer, timeouts)
        expect(connection.window.cwnd).toBe(segments * connection.snd.mss)
      }),
  )

  test('ssthresh remembers three quarters of what was, so that slow start leads back there (RFC 2861)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      connection.window.ssthresh = 1_000
      write(peer, 100)
      acknowledgeAll(peer)
      connection.window.cwnd = 40 * connection.snd.mss
      peer.wait(60_000)
      write(peer, 100)
      expect(connection.window.ssthresh).toBe(30 * connection.snd.mss)
    }))

  test('a window that the program does not fill does not grow in congestion avoidance, a full one does (RFC 7661)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      const { window, snd } = connection
      window.cwnd = 10 * snd.mss
      window.ssthresh = 5 * snd.mss
      for (let count = 0; count < 30; count++) {
        write(peer, 3 * snd.mss)
        acknowledgeAll(peer)
      }
      expect(window.cwnd).toBe(10 * snd.mss)
      write(peer, 60 * snd.mss)
      for (let count = 0; count < 20; count++) {
        peer.expects = seqAdd(connection.snd.una, 2 * snd.mss)
        peer.say({ flags: ACK })
      }
      expect(window.cwnd).toBeGreaterThan(10 * snd.mss)
    }))

  test('in slow start it grows while more than half of it is used (RFC 7661)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      const { window, snd } = connection
      for (const [segments, grows] of [
        [5, false],
        [6, true],
      ] as const) {
        window.cwnd = 10 * snd.mss
        write(peer, segments * snd.mss)
        acknowledgeAll(peer)
        expect(window.cwnd > 10 * snd.mss).toBe(grows)
      }
    }))
})
