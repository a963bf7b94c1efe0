// A congestion control in one file: TCP Vegas, after Brakmo and Peterson, "TCP Vegas: End to End Congestion Avoidance on a
// Global Internet" (1995). It reads the queue from the round trip: what a window carries more than the path needs lies in
// some buffer. docs/congestion-control.md walks through it; choose it with
//
//   world.host('a', { tcp: { congestionControl: () => new Vegas() } })

import type { AckSample, CongestionControl, CongestionWindow, Micros } from 'hourglass'

/** Segments of ours that should lie in the queue: fewer, and the window grows; more, and it shrinks. */
const ALPHA = 2
const BETA = 4
/** So many in slow start, and it is over. */
const GAMMA = 1
/** Segments that no delay takes away: with fewer, an ACK would come as slowly as the receiver likes. */
const LEAST_SEGMENTS = 2
/** What is paced faster than the window turns round, so that the window stays the limit: as Linux does it. */
const PACING_IN_SLOW_START = 2
const PACING = 1.2

export class Vegas implements CongestionControl {
  readonly name = 'vegas'
  /** The least round trip of the round under way: delayed ACKs make single ones longer. */
  private roundRtt = Number.POSITIVE_INFINITY
  /** Slow start grows in every second round only, so that the others measure a window that stands still. */
  private standsStill = true

  acknowledged(window: CongestionWindow, sample: AckSample): void {
    if (sample.rtt > 0) this.roundRtt = Math.min(this.roundRtt, sample.rtt)
    if (sample.roundStart && this.roundRtt < Number.POSITIVE_INFINITY) {
      this.endRound(window, sample.leastRtt)
      this.roundRtt = Number.POSITIVE_INFINITY
      this.standsStill = !this.standsStill
    }
    if (window.inSlowStart && !this.standsStill) window.cwnd += sample.acked
  }

  /** Equation 4 of RFC 5681 §3.1: a queue that overflowed was not seen coming. */
  reduce(window: CongestionWindow, flight: number): number {
    return Math.max(Math.floor(flight / 2), LEAST_SEGMENTS * window.mss)
  }

  timedOut(window: CongestionWindow, flight: number): number {
    return this.reduce(window, flight)
  }

  undone(): void {}

  /** What was measured before the pause says nothing of the path now. */
  restarted(): void {
    this.roundRtt = Number.POSITIVE_INFINITY
  }

  pacingRate(window: CongestionWindow, srtt: Micros): number {
    const gain = window.inSlowStart ? PACING_IN_SLOW_START : PACING
    return srtt === 0 ? 0 : (gain * window.cwnd * 1_000_000) / srtt
  }

  /** Once a round trip: (expected - actual) * base is the number of our bytes in the queue. */
  private endRound(window: CongestionWindow, baseRtt: Micros): void {
    const expected = window.cwnd / baseRtt
    const actual = window.cwnd / this.roundRtt
    const queued = ((expected - actual) * baseRtt) / window.mss
    if (window.inSlowStart) {
      if (queued > GAMMA) window.ssthresh = window.cwnd
    } else if (queued < ALPHA) window.cwnd += window.mss
    else if (queued > BETA) window.cwnd = Math.max(window.cwnd - window.mss, LEAST_SEGMENTS * window.mss)
  }
}
