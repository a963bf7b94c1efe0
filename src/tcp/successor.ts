// Who may take the place of a connection in TIME-WAIT (RFC 9293 §3.6.1, RFC 6191). tcp.ts asks for each SYN, open.ts
// where a program connects and no other port is free.

import { type Micros, seconds } from '../time.ts'
import { type Seq, seqAdd, seqAfter } from '../wire/sequence.ts'
import { ACK, FIN, RST, SYN } from '../wire/tcp.ts'
import type { Connection } from './connection.ts'
import type { Segment } from './environment.ts'

/** Linux's tcp_tw_reuse_delay: our time stamps are later than all that the old connection sent or heard. */
const REUSE_AFTER = seconds(1)
/** Linux: a window without scaling, and a bit more. */
const SUCCESSOR_DISTANCE = 65_537

/**
 * A SYN that is surely newer than a connection in TIME-WAIT may take its place, with a sequence number beyond all that
 * the old one used; null: it may not.
 */
export function successorOf(connection: Connection, segment: Segment): Seq | null {
  if (connection.state !== 'TIME-WAIT' || !isPlainSyn(segment)) return null
  const { options } = segment
  const later = connection.timestampsOn && options.timestamps ? (options.timestampValue - connection.tsRecent) | 0 : 0
  const newer = later > 0 || (later === 0 && seqAfter(segment.seq, connection.rcv.nxt))
  return newer ? seqAdd(connection.snd.nxt, SUCCESSOR_DISTANCE) : null
}

const isPlainSyn = (segment: Segment): boolean => (segment.flags & (SYN | ACK | RST | FIN)) === SYN

/** A connection of our own making in the place of one in TIME-WAIT: where its sequence numbers begin; null: it may not be. */
export function ownSuccessorOf(connection: Connection | null, now: Micros): Seq | null {
  if (connection?.state !== 'TIME-WAIT' || !connection.timestampsOn) return null
  return now - connection.tsRecentAt > REUSE_AFTER ? seqAdd(connection.snd.nxt, SUCCESSOR_DISTANCE) : null
}
