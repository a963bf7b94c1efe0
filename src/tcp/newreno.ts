// NewReno's window (RFC 5681, RFC 6582): slow start with HyStart++, then one segment a round trip; half on loss.

import { type AckSample, type CongestionControl, type CongestionWindow, HyStart } from './congestion.ts'

export class NewReno implements CongestionControl {
  readonly name = 'newreno'
  private readonly hyStart = new HyStart()
  /** Bytes acknowledged towards the next segment of growth (RFC 3465 counts bytes, so that ACK division gains nothing). */
  private counted = 0

  acknowledged(window: CongestionWindow, sample: AckSample): void {
    if (window.inSlowStart) {
      this.hyStart.grow(window, sample)
      return
    }
    // RFC 5681 §3.1: at most one segment for each window of data acknowledged.
    this.counted += sample.acked
    if (this.counted >= window.cwnd) {
      this.counted -= window.cwnd
      window.cwnd += window.mss
    }
  }

  /** RFC 5681 §3.1 equation 4. */
  reduce(window: CongestionWindow, flight: number): number {
    this.counted = 0
    return Math.max(Math.floor(flight / 2), 2 * window.mss)
  }

  timedOut(window: CongestionWindow, flight: number): number {
    return this.reduce(window, flight)
  }

  undone(): void {
    this.counted = 0
  }

  restarted(): void {
    this.counted = 0
  }
}
