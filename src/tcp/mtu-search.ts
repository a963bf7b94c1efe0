// What is known of a path that swallows large packets without a word (RFC 4821 §7.1): a size that gets through, one
// that perhaps does, and the probe that finds out. mss.ts makes it when time-outs tell of such a path; mtu-probe.ts
// sends probes and judges them.

import { after, IMMEDIATELY, type Micros, seconds } from '../time.ts'
import { type Seq, seq } from '../wire/sequence.ts'

/** RFC 1191 §6.3: larger packets are tried after ten minutes. */
const LIFETIME = seconds(600)
/** Linux's tcp_probe_threshold: fewer bytes are not worth a probe. */
const THRESHOLD = 8
/** After a probe without success: one lost segment a second is nothing to the path. */
const PAUSE = seconds(1)

export class MtuSearch {
  /** Packets of this size get through. */
  low: number
  /** Larger ones than this do not. */
  high: number
  /** When sizes that failed may be tried again. */
  expiresAt: Micros
  /** Perhaps the path was broken, and nothing is wrong with its size: what lies at the top is tried first. */
  private topTried = false
  private pausedUntil: Micros = IMMEDIATELY
  private size = 0
  /** The probe in flight, and the end of it; null: there is none. */
  start: Seq = seq(0)
  end: Seq | null = null
  /** It was lost, and goes again in smaller pieces: until all of it is acknowledged, its bytes are known as the probe's. */
  failed = false

  /** `before`: the search that this one follows, as its limit was still too large. */
  constructor(low: number, high: number, before: MtuSearch | null, now: Micros) {
    this.low = low
    this.high = before === null || before.topTried ? high : before.high
    this.expiresAt = after(now, LIFETIME)
  }

  /** Whether the limit still means something where packets of `most` bytes may be sent. */
  isOpen(most: number, now: Micros): boolean {
    if (now >= this.expiresAt) {
      // Nothing could be tried in all this time: there never was enough data, or there is no SACK.
      if (!this.topTried) return false
      this.expiresAt = after(now, LIFETIME)
      this.restart(most)
    }
    if (most < this.high) this.restart(most)
    return this.low < most
  }

  /** The packet size to try next; 0: none for now. */
  next(now: Micros): number {
    if (this.end !== null || now < this.pausedUntil) return 0
    if (!this.topTried) return this.high
    return this.high - this.low < THRESHOLD ? 0 : Math.ceil((this.low + this.high) / 2)
  }

  sent(size: number, start: Seq, end: Seq): void {
    this.size = size
    this.start = start
    this.end = end
    this.failed = false
    this.topTried = true
  }

  /** RFC 4821 §7.6.1. */
  succeed(): void {
    this.low = this.size
    this.end = null
  }

  /** RFC 4821 §7.6.2. */
  fail(now: Micros): void {
    this.high = this.size - 1
    this.failed = true
    this.pausedUntil = after(now, PAUSE)
  }

  /** RFC 4821 §7.6.4: the probe told nothing, or nothing more. */
  forget(now: Micros): void {
    this.end = null
    this.pausedUntil = after(now, PAUSE)
  }

  private restart(high: number): void {
    this.high = high
    this.topTried = false
  }
}
