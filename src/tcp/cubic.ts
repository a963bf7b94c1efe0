// CUBIC (RFC 9438), the default: after a loss the window follows a cubic curve back to where the loss was, and on.
// Windows inside are counted in segments, as the RFC's are; times in seconds.

import { type Micros, micros } from '../time.ts'
import { type AckSample, type CongestionControl, type CongestionWindow, HyStart } from './congestion.ts'

/** RFC 9438 §4.6, §5. */
const BETA = 0.7
const C = 0.4
/** RFC 9438 §4.3: makes the Reno-friendly estimate grow as Reno does with this BETA. */
const ALPHA = (3 * (1 - BETA)) / (1 + BETA)
/** RFC 9438 §4.2: no more than half a window in a round trip. */
const MAX_TARGET_FACTOR = 1.5

/** What a reduction changes, to take it back. */
interface CubicState {
  readonly maxWindow: number
  readonly k: number
  readonly epochAt: Micros
  readonly priorWindow: number
  readonly estimate: number
}

export class Cubic implements CongestionControl {
  readonly name = 'cubic'
  private readonly hyStart = new HyStart()
  /** When this congestion avoidance stage began; 0: not yet. */
  private epochAt: Micros = micros(0)
  /** The window before the last reduction, in segments. */
  private maxWindow = 0
  private k = 0
  /** The window when the last reduction began: beyond it the Reno-friendly estimate grows by a whole segment. */
  private priorWindow = 0
  /** The Reno-friendly estimate. */
  private estimate = 0
  /** Growth of less than a byte, kept for the next acknowledgment. */
  private fraction = 0
  private before: CubicState | null = null

  acknowledged(window: CongestionWindow, sample: AckSample): void {
    if (window.inSlowStart) {
      this.hyStart.grow(window, sample)
      return
    }
    const segments = window.cwnd / window.mss
    const acked = sample.acked / window.mss
    if (this.epochAt === 0) this.beginEpoch(segments, window.ssthresh / window.mss, sample.now)
    const t = (sample.now - this.epochAt) / 1_000_000
    const rtt = Math.max(sample.srtt, 1) / 1_000_000
    // RFC 9438 §4.3.
    const alpha = this.estimate >= this.priorWindow ? 1 : ALPHA
    this.estimate += (alpha * acked) / segments
    if (this.curve(t) < this.estimate) {
      window.cwnd = Math.max(window.cwnd, Math.floor(this.estimate * window.mss))
      return
    }
    // RFC 9438 §4.4, §4.5.
    const target = Math.min(Math.max(this.curve(t + rtt), segments), MAX_TARGET_FACTOR * segments)
    const growth = ((target - segments) / segments) * acked * window.mss + this.fraction
    window.cwnd += Math.floor(growth)
    this.fraction = growth - Math.floor(growth)
  }

  reduce(window: CongestionWindow, flight: number): number {
    this.remember()
    const segments = window.cwnd / window.mss
    // RFC 9438 §4.7: fast convergence leaves room for a newcomer.
    this.maxWindow = segments < this.maxWindow ? (segments * (1 + BETA)) / 2 : segments
    this.priorWindow = segments
    this.epochAt = micros(0)
    // RFC 9438 §4.6: from what was in flight, so that an unused window is not kept.
    return Math.max(Math.floor(Math.min(flight, window.cwnd) * BETA), 2 * window.mss)
  }

  timedOut(window: CongestionWindow, flight: number): number {
    const ssthresh = this.reduce(window, flight)
    // RFC 9438 §4.8: the curve begins where slow start will end, and its old maximum is forgotten.
    this.maxWindow = 0
    this.priorWindow = 0
    return ssthresh
  }

  undone(): void {
    const { before } = this
    if (before === null) return
    this.maxWindow = before.maxWindow
    this.k = before.k
    this.epochAt = before.epochAt
    this.priorWindow = before.priorWindow
    this.estimate = before.estimate
    this.before = null
  }

  /** RFC 9438 §4.2: idle time is not time in which the network could have grown. */
  restarted(): void {
    this.epochAt = micros(0)
  }

  private beginEpoch(segments: number, ssthresh: number, now: Micros): void {
    this.epochAt = now
    this.fraction = 0
    this.estimate = segments
    // Left slow start without a loss: there is no maximum to return to yet.
    if (this.maxWindow < segments) {
      this.maxWindow = segments
      this.k = 0
    } else this.k = Math.cbrt((this.maxWindow - Math.min(segments, ssthresh)) / C)
  }

  private remember(): void {
    const { maxWindow, k, epochAt, priorWindow, estimate } = this
    this.before = { maxWindow, k, epochAt, priorWindow, estimate }
  }

  /** W_cubic(t) of RFC 9438 §4.2. */
  private curve(t: number): number {
    const d = t - this.k
    return C * d * d * d + this.maxWindow
  }
}
