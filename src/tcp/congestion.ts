// The seam between the sender and its congestion control. The sender (output.ts, recovery.ts) owns the window and
// asks an algorithm how to move it; the algorithms are newreno.ts and cubic.ts, and `fixed` below. A further one is a
// file with this interface.

import type { Micros } from '../time.ts'

/** RFC 6928: ten segments, but not more than 14,600 bytes unless two segments are. */
export const initialWindow = (mss: number): number => Math.min(10 * mss, Math.max(2 * mss, 14_600))
/** RFC 5681 §3.1: what remains after a time-out. */
export const lossWindow = (mss: number): number => mss

/** The congestion variables of RFC 5681 §2, in bytes. Sender and algorithm share it. */
export class CongestionWindow {
  cwnd: number
  ssthresh = Number.POSITIVE_INFINITY
  mss: number
  /** What both were when the last reduction began, to undo it; 0: there is nothing to undo. */
  priorCwnd = 0
  priorSsthresh = 0

  constructor(mss: number) {
    this.mss = mss
    this.cwnd = initialWindow(mss)
  }

  get inSlowStart(): boolean {
    return this.cwnd < this.ssthresh
  }
}

/** One acknowledgment, as an algorithm sees it. */
export interface AckSample {
  /** Bytes newly acknowledged, by number or by SACK. */
  acked: number
  /** Bytes that were in flight before it. */
  flight: number
  /** The round trip that it measured; 0: none. */
  rtt: Micros
  srtt: Micros
  leastRtt: Micros
  /** It is the first of a round trip. */
  roundStart: boolean
  now: Micros
}

export interface CongestionControl {
  readonly name: string
  /** Data was acknowledged outside recovery, and the window or the pacing rate held the sender back: grow `window.cwnd`. */
  acknowledged(window: CongestionWindow, sample: AckSample): void
  /** Loss was found: the new ssthresh in bytes. Recovery moves cwnd there. */
  reduce(window: CongestionWindow, flight: number, now: Micros): number
  /** A time-out: the new ssthresh. The sender sets cwnd to the loss window. */
  timedOut(window: CongestionWindow, flight: number, now: Micros): number
  /** The last reduction was needless: cwnd and ssthresh are back already. */
  undone(window: CongestionWindow, now: Micros): void
  /** The connection was idle for longer than a time-out (RFC 5681 §4.1, RFC 7661): cwnd has been lowered. */
  restarted(window: CongestionWindow, now: Micros): void
  /** Payload bytes a second to pace at (pacing.ts), asked for each segment; 0, or no such method: as fast as the window allows. */
  pacingRate?(window: CongestionWindow, srtt: Micros): number
}

/** A window that never moves: for tests, and for links whose rate is known. */
export class FixedWindow implements CongestionControl {
  readonly name = 'fixed'
  private readonly bytes: number

  constructor(bytes: number) {
    this.bytes = bytes
  }

  acknowledged(window: CongestionWindow): void {
    window.cwnd = this.bytes
  }

  reduce(window: CongestionWindow): number {
    window.cwnd = this.bytes
    return this.bytes
  }

  timedOut(): number {
    return this.bytes
  }

  undone(): void {}

  restarted(window: CongestionWindow): void {
    window.cwnd = this.bytes
  }
}

/** RFC 9406 §4.2 says infinity; this is longer than any round trip and no double, which V8 would box. */
const NO_RTT = 0x7fff_ffff

/** HyStart++ (RFC 9406): leaves slow start when the round-trip time grows, before packets are lost. */
export class HyStart {
  /** RFC 9406 §4.3. */
  static readonly MIN_RTT_THRESH = 4_000
  static readonly MAX_RTT_THRESH = 16_000
  static readonly MIN_RTT_DIVISOR = 8
  static readonly N_RTT_SAMPLE = 8
  static readonly CSS_GROWTH_DIVISOR = 4
  static readonly CSS_ROUNDS = 5

  private lastRoundMinRtt = NO_RTT
  private currentRoundMinRtt = NO_RTT
  private baselineMinRtt = NO_RTT
  private samples = 0
  private conservativeRounds = 0
  private conservative = false
  private readonly mostSegments: number

  /** RFC 9406 §4.3: without pacing, no more than eight segments' growth for one acknowledgment; with it, any. */
  constructor(mostSegments = 8) {
    this.mostSegments = mostSegments
  }

  /** Grows cwnd by slow start, or by conservative slow start, and sets ssthresh when it is time to leave. */
  grow(window: CongestionWindow, sample: AckSample): void {
    const growth = Math.min(sample.acked, this.mostSegments * window.mss)
    // RFC 9406 §4.3: for the first slow start; a later one knows from ssthresh where to end.
    if (window.ssthresh !== Number.POSITIVE_INFINITY) {
      window.cwnd += growth
      return
    }
    if (sample.roundStart) this.beginRound(window)
    if (sample.rtt > 0) {
      this.currentRoundMinRtt = Math.min(this.currentRoundMinRtt, sample.rtt)
      this.samples++
    }
    if (!this.conservative) this.watchForDelay()
    else if (this.currentRoundMinRtt < this.baselineMinRtt && this.samples >= HyStart.N_RTT_SAMPLE) {
      // RFC 9406 §4.2: the growth was spurious; slow start goes on.
      this.conservative = false
      this.baselineMinRtt = NO_RTT
    }
    window.cwnd += this.conservative ? Math.max(1, Math.floor(growth / HyStart.CSS_GROWTH_DIVISOR)) : growth
  }

  private beginRound(window: CongestionWindow): void {
    this.lastRoundMinRtt = this.currentRoundMinRtt
    this.currentRoundMinRtt = NO_RTT
    this.samples = 0
    if (!this.conservative) return
    this.conservativeRounds++
    if (this.conservativeRounds >= HyStart.CSS_ROUNDS) {
      window.ssthresh = window.cwnd
      this.conservative = false
      this.baselineMinRtt = NO_RTT
    }
  }

  private watchForDelay(): void {
    const { lastRoundMinRtt, currentRoundMinRtt } = this
    if (this.samples < HyStart.N_RTT_SAMPLE || lastRoundMinRtt === NO_RTT || currentRoundMinRtt === NO_RTT) return
    const threshold = Math.min(
      Math.max(HyStart.MIN_RTT_THRESH, lastRoundMinRtt / HyStart.MIN_RTT_DIVISOR),
      HyStart.MAX_RTT_THRESH,
    )
    if (currentRoundMinRtt < lastRoundMinRtt + threshold) return
    this.baselineMinRtt = currentRoundMinRtt
    this.conservative = true
    this.conservativeRounds = 0
  }
}
