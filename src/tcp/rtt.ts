// The round-trip time estimator and the retransmission time-out (RFC 6298, RFC 7323 §4 for more than one sample
// a flight). A connection feeds it; timers.ts reads `rto`.

import { type Micros, micros, millis, NEVER, seconds } from '../time.ts'

/** RFC 6298 §2.1. */
const FIRST_RTO = seconds(1)
/**
 * RFC 6298 §2.4 says one second. Linux's 200 ms are what today's paths bear. As in Linux they bound the term of the
 * variance, not the sum: on a steady path a delayed ACK is then no time-out.
 */
export const MIN_RTO = millis(200)
/** RFC 6298 §2.5 allows a bound of at least 60 seconds. */
export const MAX_RTO = seconds(120)
/** RFC 6298 §5.7: what a connection starts with whose SYN had to be repeated. */
const RTO_AFTER_SYN_LOSS = seconds(3)
/** The clock granularity G: our clock counts microseconds, our driver's timers milliseconds. */
const GRANULARITY = millis(1)
/** How long the least round-trip time counts (RFC 8985 §6.2 step 1 leaves it open; Linux: 300 s). */
const MIN_RTT_WINDOW = seconds(300)

export class RttEstimator {
  /** Smoothed; 0 before the first sample. */
  srtt: Micros = micros(0)
  rttvar: Micros = micros(0)
  /** The latest sample; 0 before the first. */
  latest: Micros = micros(0)
  /** The least one lately; NEVER before the first. */
  least: Micros = NEVER
  /** The time-out in force, back-off included. */
  rto: Micros = FIRST_RTO
  samples = 0
  private base: Micros = FIRST_RTO
  private backoffs = 0
  private leastAt: Micros = micros(0)

  /**
   * A round trip that Karn's rule allows to be measured (RFC 6298 §3): of the first segment that an ACK covers, a delayed
   * ACK included, and of the last one, which had to wait for nothing.
   */
  sample(rtt: Micros, now: Micros, shortest: Micros = rtt): void {
    const r = Math.max(1, rtt)
    if (this.samples === 0) {
      this.srtt = micros(r)
      this.rttvar = micros(r / 2)
    } else {
      this.rttvar = micros(0.75 * this.rttvar + 0.25 * Math.abs(this.srtt - r))
      this.srtt = micros(0.875 * this.srtt + 0.125 * r)
    }
    this.samples++
    this.latest = micros(Math.max(1, shortest))
    if (this.latest <= this.least || now - this.leastAt > MIN_RTT_WINDOW) {
      this.least = this.latest
      this.leastAt = now
    }
    this.base = clamp(this.srtt + Math.max(GRANULARITY, MIN_RTO, 4 * this.rttvar))
    this.backoffs = 0
    this.rto = this.base
  }

  /** RFC 6298 §5.5. */
  backOff(): void {
    this.backoffs++
    this.rto = clamp(this.rto * 2)
  }

  /** The time-out was spurious: the back-off ends without a sample. */
  resume(): void {
    this.backoffs = 0
    this.rto = this.base
  }

  /** How often the time-out was doubled since the last sample. */
  get backedOff(): number {
    return this.backoffs
  }

  /** The SYN was lost before there was a sample. */
  afterSynLoss(): void {
    if (this.samples > 0) return
    this.base = RTO_AFTER_SYN_LOSS
    this.rto = RTO_AFTER_SYN_LOSS
    this.backoffs = 0
  }
}

const clamp = (value: number): Micros => micros(Math.min(MAX_RTO, Math.max(MIN_RTO, value)))
