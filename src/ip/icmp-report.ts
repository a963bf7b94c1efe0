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
