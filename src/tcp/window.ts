// The receiver's window: how much is offered, when a change is worth telling, and how the buffer grows with what
// the program reads (RFC 9293 §3.8.6.2.2; dynamic right-sizing after Fisk and Feng).

import { type Micros, micros, NEVER, seconds } from '../time.ts'
import { type Seq, seqAdd, seqBefore } from '../wire/sequence.ts'
import { type Connection, canReceive } from './connection.ts'
import type { Segment, TcpEnvironment } from './environment.ts'
import { timestampOf } from './timestamp.ts'

/** Segments that a connection may have although memory is short: fewer would make it wait for time-outs. */
const SEGMENTS_WHEN_FULL = 4
/** A longer echo measures the program, not the path. */
const MOST_RECEIVER_RTT_MILLIS = 10_000
/** How long the least round trip counts: the path may have become longer. */
const RECEIVER_RTT_MEMORY = seconds(30)
/** Of it, whatever pause the sample was. */
const MOST_FORGOTTEN = 1 / 64

/** The shift that lets the largest buffer be told in 16 bits. */
export function windowScaleFor(bytes: number): number {
  let scale = 0
  while (scale < 14 && bytes > 0xffff << scale) scale++
  return scale
}

/** Bytes to offer now: what is free, but never less than was promised (RFC 9293 SHLD-14). */
function advertisedWindow(connection: Connection): number {
  const { rcv, receiveQueue } = connection
  const promised = rcv.wnd
  if (!canReceive(connection.state)) return promised
  let free = Math.min(connection.receiveLimit - receiveQueue.available, 0xffff << rcv.windowScale)
  if (connection.memory.isFull) free = Math.min(free, leastReceive(connection) - receiveQueue.available)
  const quantum = 1 << rcv.windowScale
  // Silly window: less than a segment, or an eighth of the buffer, is not worth telling.
  const least = Math.min(rcv.segmentBytes, connection.receiveLimit >> 3)
  if (free < promised + Math.max(least, quantum)) return promised
  return free
}

/** The window field, and with it the right edge that is now promised. */
export function nextWindow(connection: Connection, now: Micros): number {
  const { rcv } = connection
  const bytes = advertisedWindow(connection)
  // Rounded up where nothing is added, or the edge would seem to move left (RFC 7323 §2.4).
  const promised = bytes <= rcv.wnd ? bytes + (1 << rcv.windowScale) - 1 : bytes
  const scaled = Math.min(0xffff, promised >> rcv.windowScale)
  const edge = seqAdd(rcv.nxt, scaled << rcv.windowScale)
  if (seqBefore(rcv.edge, edge)) {
    windowMoves(connection, rcv.edge, now)
    rcv.edge = edge
  }
  return scaled
}

/** Unread bytes that a connection may have whatever the others hold. */
export const leastReceive = ({ memory, rcv }: Connection): number =>
  Math.max(memory.rmem[0], SEGMENTS_WHEN_FULL * rcv.segmentBytes)

/** The program read: whether the peer should hear of the room at once (RFC 9293 §3.8.6.2.2). */
export function windowUpdateDue(connection: Connection): boolean {
  const gain = advertisedWindow(connection) - connection.rcv.wnd
  if (gain <= 0) return false
  return (
    gain >= Math.min(2 * connection.rcv.segmentBytes, connection.receiveLimit >> 1) &&
    connection.rcv.wnd < connection.receiveLimit >> 1
  )
}

/** The program read `bytes` of what came: the buffer may grow, and a peer that waits hears of it at once. True: an ACK is owed. */
export function programRead(env: TcpEnvironment, connection: Connection, bytes: number, now: Micros): boolean {
  tuneReceiveBuffer(connection, bytes, now)
  if (!windowUpdateDue(connection) && !(bytes > 0 && peerWaits(env, connection, now))) return false
  connection.ackNow = true
  env.owe(connection)
  return true
}

/**
 * All is read, and the last segment was a small one: by Nagle's rule its sender may hold back the next until it is
 * acknowledged. Data of our own would take the ACK along; where none went out for as long as an ACK is put off, or small
 * segments came one after another, there is nothing to wait for (after Linux's tcp_cleanup_rbuf).
 */
function peerWaits({ config }: TcpEnvironment, connection: Connection, now: Micros): boolean {
  const { lastSentAt, rcv, receiveQueue, timers, unackedSegments } = connection
  if (timers.delayedAckAt === NEVER || receiveQueue.available > 0 || rcv.lastBytes >= rcv.segmentBytes) return false
  return unackedSegments > 1 || now - lastSentAt > config.delayedAck
}

/** Doubles the buffer where the program reads more than half of one in a round trip. */
function tuneReceiveBuffer(connection: Connection, bytes: number, now: Micros): void {
  connection.tuneBytes += bytes
  const rtt = connection.receiverRtt > 0 ? connection.receiverRtt : connection.rtt.srtt
  if (rtt === 0 || now - connection.tuneAt < rtt) return
  const { tuneBytes, tunedBytes } = connection
  // Linux: where it reads ever more, the sender is in slow start, and the window must be ahead of it.
  const growth = tunedBytes === 0 ? 1 : Math.min(1, Math.max(0, tuneBytes / tunedBytes - 1))
  const wanted = (2 * tuneBytes + 16 * connection.rcv.segmentBytes) * (1 + 2 * growth)
  if (wanted > connection.receiveLimit && !connection.memory.isPressed) {
    connection.receiveLimit = Math.min(Math.floor(wanted), connection.options.receiveBytes)
  }
  connection.tuneAt = now
  connection.tunedBytes = tuneBytes
  connection.tuneBytes = 0
}

/** The right edge moves on from `edge`: what lies beyond comes a round trip later at the earliest. */
function windowMoves(connection: Connection, edge: Seq, now: Micros): void {
  if (connection.measureSeq !== null) return
  // A whole segment: a single byte may be a probe of a window that was shut.
  connection.measureSeq = seqAdd(edge, connection.rcv.segmentBytes)
  connection.measureAt = now
}

/** Measures the round trip from the receiver's side: by time stamps to a millisecond, and by how soon a window that was offered is used. */
export function measureReceiverRtt(connection: Connection, segment: Segment, now: Micros): void {
  const { measureSeq, rcv } = connection
  if (connection.timestampsOn && segment.options.timestamps && segment.length >= rcv.segmentBytes) {
    const millis = (timestampOf(connection, now) - segment.options.timestampEcho) | 0
    if (millis >= 0 && millis < MOST_RECEIVER_RTT_MILLIS) noteReceiverRtt(connection, Math.max(1, millis) * 1_000, 0)
  }
  if (measureSeq === null || seqBefore(rcv.nxt, measureSeq)) return
  connection.measureSeq = null
  const took = Math.max(1, now - connection.measureAt)
  noteReceiverRtt(connection, took, Math.min(took / RECEIVER_RTT_MEMORY, MOST_FORGOTTEN))
}

/** The least counts, for what waited for the program or for more data is longer; `share` of it is forgotten. */
function noteReceiverRtt(connection: Connection, sample: number, share: number): void {
  const { receiverRtt } = connection
  const isLess = receiverRtt === 0 || sample < receiverRtt
  connection.receiverRtt = micros(isLess ? sample : receiverRtt + (sample - receiverRtt) * share)
}

/** Twice what is in flight, so that a window can be refilled while it is acknowledged. */
export function tuneSendBuffer(connection: Connection): void {
  const wanted = Math.min(2 * connection.window.cwnd, connection.options.sendBytes)
  if (wanted > connection.sendLimit && !connection.memory.isPressed) connection.sendLimit = wanted
}
