// A token bucket of events: so many a second on average, so many at once. For what a peer can make us send:
// ICMP errors, challenge ACKs, resets.

import type { Micros } from './time.ts'

export class RateLimiter {
  private readonly perSecond: number
  private readonly burst: number
  private tokens: number
  private filledAt: Micros | -1 = -1

  constructor(perSecond: number, burst: number) {
    this.perSecond = perSecond
    this.burst = burst
    this.tokens = burst
  }

  /** Takes a token; false: there is none. */
  take(now: Micros): boolean {
    if (this.filledAt >= 0) {
      this.tokens = Math.min(this.burst, this.tokens + ((now - this.filledAt) / 1_000_000) * this.perSecond)
    }
    this.filledAt = now
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }
}
