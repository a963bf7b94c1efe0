// The clock of our time stamps (RFC 7323 §5.4).

import type { Micros } from '../time.ts'
import type { Connection } from './connection.ts'

/** One tick a millisecond, moved by an amount that is the connection's own, so that it tells no stranger our clock. */
export const timestampOf = (connection: Connection, now: Micros): number => timestampAt(now, connection.tsOffset)

export const timestampAt = (now: Micros, offset: number): number => (Math.floor(now / 1_000) + offset) | 0
