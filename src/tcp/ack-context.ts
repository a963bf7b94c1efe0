// What ack.ts hands on to recovery.ts and undo.ts.

import type { Micros } from '../time.ts'
import type { Seq } from '../wire/sequence.ts'
import type { Segment } from './environment.ts'
import type { Delivery } from './scoreboard.ts'

/** What an ACK told; the board knows it already. */
export interface AckContext {
  readonly segment: Segment
  readonly delivery: Delivery
  readonly priorUna: Seq
  readonly priorFlight: number
  /** Bytes by which snd.una moved. */
  readonly acked: number
  readonly advanced: boolean
  /** The D-SACK block in it; null: none was. */
  readonly duplicate: { readonly left: Seq; readonly right: Seq } | null
  /** It carries no data and changes no window: a duplicate ACK, if una did not move (RFC 5681 §2). */
  readonly pure: boolean
  /** The round trip that it measured; 0: none. */
  readonly rtt: Micros
}
