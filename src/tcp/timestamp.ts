// The clock of our time stamps (RFC 7323 §5.4), and what the peer's may tell of the order in which it sent.

import type { Micros } from '../time.ts'
import type { Connection } from './connection.ts'
import type { Segment } from './environment.ts'

/** One tick a millisecond, moved by an amount that is the connection's own, so that it tells no stranger our clock. */
export const timestampOf = (connection: Connection, now: Micros): number => timestampAt(now, connection.tsOffset)

export const timestampAt = (now: Micros, offset: number): number => (Math.floor(now / 1_000) + offset) | 0

/**
 * Data that was overtaken, where there are holes that it may fill: sent less than a round trip before what moved TS.Recent
 * on, which a retransmission does. RFC 7323 §5.3 would drop it for its stamp, and each drop asks for a retransmission that
 * drops the next; but in a round trip no more than a window is sent: the numbers cannot have come round. The peer's
 * clock is taken for one of milliseconds.
 */
export function isLate(connection: Connection, { length, options }: Segment): boolean {
  if (length === 0 || connection.receiveQueue.holes === 0) return false
  const behind = (connection.tsRecent - options.timestampValue) | 0
  return behind > 0 && behind * 1_000 <= Math.max(connection.receiverRtt, connection.rtt.srtt)
}
