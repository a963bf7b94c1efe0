// What both ICMPs share when they report an error: who may be told, how often, how much is quoted.

import type { Packet } from '../buf/packet.ts'
import type { Micros } from '../time.ts'

/** Sends ICMP errors about packets that were received. */
export interface IcmpReporter {
  /**
   * Tells the sender of `packet`, whose networkAt is its IP header. Sends nothing where the RFCs forbid it or the
   * rate is used up. The packet stays the caller's.
   */
  report(packet: Packet, type: number, code: number, rest: number, now: Micros): void
}

/** Linux's icmp_msgs_per_sec and icmp_msgs_burst (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f ask for a token bucket). */
export const ICMP_ERRORS_PER_SECOND = 1_000
export const ICMP_ERROR_BURST = 50

/** A token bucket: `perSecond` on average, `burst` at once. */
export class TokenBucket {
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
