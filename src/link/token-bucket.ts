// A token bucket: `bitsPerSecond` on average, `bytes` at once. Exact: the level is kept in units of a bit
// times a microsecond per second, so that nothing is rounded.

import { type Micros, micros } from '../time.ts'

/** One byte, in the units of the level. */
const BYTE = 8 * 1_000_000

export class TokenBucket {
  private readonly bitsPerSecond: number
  private readonly capacity: number
  /** Below 0: what queued packets have taken in advance. */
  private level: number
  private filledAt: Micros

  constructor(bitsPerSecond: number, bytes: number, now: Micros) {
    this.bitsPerSecond = bitsPerSecond
    this.capacity = bytes * BYTE
    this.level = this.capacity
    this.filledAt = now
  }

  /** Takes tokens for `bytes` where there are enough, and says whether. */
  take(bytes: number, now: Micros): boolean {
    this.fill(now)
    if (this.level < bytes * BYTE) return false
    this.level -= bytes * BYTE
    return true
  }

  /** Takes tokens in advance, and returns the instant from which they are there. */
  reserve(bytes: number, now: Micros): Micros {
    this.fill(now)
    this.level -= bytes * BYTE
    return this.level >= 0 ? now : micros(now + Math.ceil(-this.level / this.bitsPerSecond))
  }

  private fill(now: Micros): void {
    if (now <= this.filledAt) return
    this.level = Math.min(this.capacity, this.level + (now - this.filledAt) * this.bitsPerSecond)
    this.filledAt = now
  }
}
