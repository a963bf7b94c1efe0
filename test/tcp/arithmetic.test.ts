// The formulas of TCP against their RFCs: round-trip time, windows, sequence numbers, ports, cookies, hash table.

import { fc, test as property } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { EPHEMERAL_FIRST, EPHEMERAL_LAST } from '../../src/ephemeral-range.ts'
import { SeededRandom } from '../../src/random.ts'
import { CongestionWindow, FixedWindow, HyStart, initialWindow } from '../../src/tcp/congestion.ts'
import { Cubic } from '../../src/tcp/cubic.ts'
import { EpochIsn, HashedIsn, RandomIncrementIsn } from '../../src/tcp/isn.ts'
import { NewReno } from '../../src/tcp/newreno.ts'
import { EphemeralPorts } from '../../src/tcp/ports.ts'
import { MAX_RTO, RttEstimator } from '../../src/tcp/rtt.ts'
import { optionsOfStamp, SynCookies, stampWithOptions } from '../../src/tcp/syn-cookies.ts'
import { windowScaleFor } from '../../src/tcp/window.ts'
import { type Micros, micros, millis, NEVER, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { seq, seqDiff } from '../../src/wire/sequence.ts'

const HERE = IpAddress.from('10.0.0.1')
const THERE = IpAddress.from('10.0.0.2')
const NOW = seconds(1_000)

describe('round-trip time (RFC 6298)', () => {
  test('the first RTO is one second; the first sample sets SRTT = R, RTTVAR = R/2 (RFC 9293 MUST-18)', () => {
    const rtt = new RttEstimator()
    expect(rtt.rto).toBe(1_000_000)
    rtt.sample(millis(400), NOW)
    expect([rtt.srtt, rtt.rttvar, rtt.rto]).toEqual([400_000, 200_000, 1_200_000])
  })

  test('a further one: RTTVAR = 3/4 RTTVAR + 1/4 |SRTT - R|, SRTT = 7/8 SRTT + 1/8 R (RFC 9293 MUST-18)', () => {
    const rtt = new RttEstimator()
    rtt.sample(millis(400), NOW)
    rtt.sample(millis(800), NOW)
    expect([rtt.srtt, rtt.rttvar, rtt.rto]).toEqual([450_000, 250_000, 1_450_000])
  })

  property.prop([fc.array(fc.integer({ min: 1, max: 60_000_000 }), { minLength: 1, maxLength: 50 })])(
    'RTO is never less than SRTT + 200 ms nor more than its bound, and backs off by two',
    (samples) => {
      const rtt = new RttEstimator()
      for (const sample of samples) {
        rtt.sample(micros(sample), NOW)
        expect(rtt.rto).toBeGreaterThanOrEqual(Math.min(MAX_RTO, rtt.srtt + 200_000))
        expect(rtt.rto).toBeLessThanOrEqual(MAX_RTO)
      }
      const before = rtt.rto
      rtt.backOff()
      expect(rtt.rto).toBe(Math.min(MAX_RTO, 2 * before))
      rtt.resume()
      expect(rtt.rto).toBe(before)
    },
  )

  test('after a lost SYN and without a sample, data begins with three seconds (§5.7)', () => {
    const rtt = new RttEstimator()
    rtt.afterSynLoss()
    expect(rtt.rto).toBe(3_000_000)
  })
})

const MSS = 1_000
const sampleOf = (acked: number, now: Micros, rtt = millis(100), roundStart = false) => ({
  acked,
  flight: acked,
  rtt,
  srtt: millis(100),
  leastRtt: millis(100),
  roundStart,
  now,
})

function windowOf(cwnd: number, ssthresh: number): CongestionWindow {
  const window = new CongestionWindow(MSS)
  window.cwnd = cwnd
  window.ssthresh = ssthresh
  return window
}

describe('congestion windows', () => {
  test('the initial window is ten segments, of at most 14,600 bytes unless two are more (RFC 6928)', () => {
    expect([536, 1_460, 2_000, 8_960].map(initialWindow)).toEqual([5_360, 14_600, 14_600, 17_920])
  })

  test('NewReno: slow start by what is acknowledged, then a segment a window; half the flight after loss (RFC 5681, RFC 9293 MUST-19)', () => {
    const control = new NewReno()
    const window = windowOf(4_000, 8_000)
    control.acknowledged(window, sampleOf(2_000, NOW))
    expect(window.cwnd).toBe(6_000)
    window.cwnd = 10_000
    for (let count = 0; count < 10; count++) control.acknowledged(window, sampleOf(1_000, NOW))
    expect(window.cwnd).toBe(11_000)
    expect([control.reduce(window, 9_000), control.reduce(window, 1_000)]).toEqual([4_500, 2_000])
  })

  test('CUBIC keeps 0.7 of the flight, and is back at the old window after K = cbrt(W (1 - 0.7) / 0.4) seconds (RFC 9438 §4.2)', () => {
    const control = new Cubic()
    const segments = 1_000
    const window = windowOf(segments * MSS, 1)
    window.ssthresh = control.reduce(window, segments * MSS)
    expect(window.ssthresh).toBe(0.7 * segments * MSS)
    window.cwnd = window.ssthresh
    const k = Math.cbrt((segments * 0.3) / 0.4)
    let now = NOW as number
    const end = now + k * 1_000_000
    let half = 0
    for (; now < end; now += 10_000) {
      control.acknowledged(window, sampleOf(window.cwnd / 10, now as Micros))
      if (half === 0 && now >= NOW + (k * 1_000_000) / 2) half = window.cwnd
    }
    // W(K/2) = W - C (K/2)^3: seven eighths of the way.
    expect(half / MSS).toBeCloseTo(segments - 0.4 * (k / 2) ** 3, -1)
    expect(window.cwnd / MSS).toBeGreaterThan(0.985 * segments)
    expect(window.cwnd / MSS).toBeLessThan(1.01 * segments)
  })

  test('CUBIC is not slower than Reno where windows are small (RFC 9438 §4.3)', () => {
    const control = new Cubic()
    const window = windowOf(20 * MSS, 1)
    window.ssthresh = control.reduce(window, 20 * MSS)
    window.cwnd = window.ssthresh
    for (let round = 0; round < 10; round++) {
      control.acknowledged(window, sampleOf(window.cwnd, (NOW + round * 10_000) as Micros))
    }
    expect(window.cwnd / MSS).toBeGreaterThan(14 + 10 * 0.5)
  })

  test('CUBIC takes a needless reduction back, and lets go of its maximum faster for a newcomer (§4.7, §4.9)', () => {
    const control = new Cubic()
    const window = windowOf(100 * MSS, 1)
    control.reduce(window, 100 * MSS)
    window.cwnd = 80 * MSS
    const before = { ...control }
    control.reduce(window, 80 * MSS)
    expect(Reflect.get(control, 'maxWindow')).toBeCloseTo((80 * 1.7) / 2)
    control.undone()
    expect({ ...control, before: null }).toEqual({ ...before, before: null })
  })

  test('HyStart++ leaves slow start after five slower rounds once the round trip has grown (RFC 9406)', () => {
    const slowStart = new HyStart()
    const window = windowOf(10 * MSS, Number.POSITIVE_INFINITY)
    let rounds = 0
    for (; window.ssthresh === Number.POSITIVE_INFINITY && rounds < 30; rounds++) {
      const rtt = millis(rounds < 4 ? 100 : 130)
      for (let ack = 0; ack < 10; ack++) slowStart.grow(window, sampleOf(MSS, NOW, rtt, ack === 0))
    }
    expect([rounds, window.ssthresh]).toEqual([10, window.cwnd - 10 * MSS])
  })

  test('fixed stays what it is', () => {
    const control = new FixedWindow(5_000)
    const window = windowOf(1_000, 1_000)
    control.acknowledged(window)
    expect([window.cwnd, control.reduce(window), control.timedOut()]).toEqual([5_000, 5_000, 5_000])
  })
})

describe('initial sequence numbers', () => {
  test('those of one connection follow the clock of 4 µs, those of others tell nothing (RFC 6528, RFC 9293 MUST-8, MUST-9, SHLD-1)', () => {
    const isn = new HashedIsn(new SeededRandom(1))
    const at = (now: Micros, port = 80) => isn.next(HERE, port, THERE, 5, now)
    expect(seqDiff(at(seconds(3)), at(seconds(1)))).toBe(500_000)
    expect(Math.abs(seqDiff(at(NOW, 81), at(NOW)))).toBeGreaterThan(1_000)
  })

  test('a raised epoch is ahead of the last boot; random increments go forward', () => {
    const boots = [1, 2].map((epoch) => new EpochIsn(new SeededRandom(1), epoch).next(HERE, 1, THERE, 2, NOW))
    expect(seqDiff(boots[1]!, boots[0]!)).toBeGreaterThan(0)
    const increments = new RandomIncrementIsn(new SeededRandom(1))
    const first = increments.next()
    expect(seqDiff(increments.next(), first)).toBeGreaterThanOrEqual(64_000)
  })
})

describe('ephemeral ports (RFC 6056)', () => {
  test('follow each other towards one destination, and are used up before one comes twice', () => {
    const ports = new EphemeralPorts(new SeededRandom(2))
    const used = new Set<number>()
    const count = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1
    for (let index = 0; index < count; index++) {
      used.add(ports.choose(HERE, THERE, 80, (port) => !used.has(port)))
    }
    expect(used.size).toBe(count)
    expect(ports.choose(HERE, THERE, 80, () => false)).toBe(0)
  })
})

describe('SYN cookies (RFC 4987)', () => {
  const cookies = new SynCookies(new SeededRandom(3))

  property.prop([fc.integer(), fc.integer({ min: 216, max: 65_535 }), fc.nat(60)])(
    'bring back an MSS that is not larger, and are good for a minute',
    (irs, mss, later) => {
      const cookie = cookies.make(HERE, 80, THERE, 5, seq(irs), mss, NOW)
      const back = cookies.check(HERE, 80, THERE, 5, seq(irs), cookie, (NOW + seconds(later)) as Micros)
      expect(back).toBeGreaterThan(0)
      expect(back).toBeLessThanOrEqual(mss)
      expect(cookies.check(HERE, 80, THERE, 5, seq(irs), cookie, (NOW + seconds(200)) as Micros)).toBe(0)
      expect(cookies.check(HERE, 80, THERE, 6, seq(irs), cookie, NOW)).toBe(0)
    },
  )

  property.prop([fc.integer(), fc.integer({ min: -1, max: 14 }), fc.boolean()])(
    'carry window scale and SACK in a time stamp that is never ahead of the clock',
    (stamp, windowScale, sackPermitted) => {
      const carried = stampWithOptions(stamp, { windowScale, sackPermitted })
      expect(optionsOfStamp(carried)).toEqual({ windowScale, sackPermitted })
      expect((carried - stamp) | 0).toBeLessThanOrEqual(0)
      expect((carried - stamp) | 0).toBeGreaterThan(-128)
    },
  )
})

test('the window scale is the least that tells the largest buffer (RFC 7323 §2.2)', () => {
  expect([65_535, 65_536, 6 * 1_024 * 1_024, 2 ** 40].map(windowScaleFor)).toEqual([0, 1, 7, 14])
})

test('an estimator without a sample has no least round trip', () => {
  expect(new RttEstimator().least).toBe(NEVER)
})
