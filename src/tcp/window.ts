// The receiver's window: how much is offered, when a change is worth telling, and how the buffer grows with what
// the program reads (RFC 9293 §3.8.6.2.2; dynamic right-sizing after Fisk and Feng).

import { type Micros, micros } from '../time.ts'
import { seqDiff } from '../wire/sequence.ts'
import { type Connection, canReceive } from './connection.ts'

/** What a buffer begins with, and Linux's upper bound for one that tunes itself. */
export const FIRST_RECEIVE_BYTES = 128 * 1_024
export const MOST_RECEIVE_BYTES = 6 * 1_024 * 1_024

/** The shift that lets the largest buffer be told in 16 bits. */
export function windowScaleFor(bytes: number): number {
  let scale = 0
  while (scale < 14 && bytes > 0xffff << scale) scale++
  return scale
}

/** Bytes to offer now: what is free, but never less than was promised (RFC 9293 SHLD-14). */
export function advertisedWindow(connection: Connection): number {
  const { rcv, receiveQueue } = connection
  const promised = rcv.wnd
  if (!canReceive(connection.state)) return promised
  const free = connection.receiveLimit - receiveQueue.available
  const quantum = 1 << rcv.windowScale
  // Silly window: less than a segment, or an eighth of the buffer, is not worth telling.
  const least = Math.min(rcv.segmentBytes, connection.receiveLimit >> 3)
  if (free < promised + Math.max(least, quantum)) return promised
  return free
}

/** The program read: whether the peer should hear of the room at once (RFC 9293 §3.8.6.2.2). */
export function windowUpdateDue(connection: Connection): boolean {
  const gain = advertisedWindow(connection) - connection.rcv.wnd
  if (gain <= 0) return false
  return (
    gain >= Math.min(2 * connection.rcv.segmentBytes, connection.receiveLimit >> 1) &&
    connection.rcv.wnd < connection.receiveLimit >> 1
  )
}

/** The program read `bytes`: doubles the buffer where it reads more than half of one in a round trip. */
export function tuneReceiveBuffer(connection: Connection, bytes: number, now: Micros): void {
  connection.tuneBytes += bytes
  const rtt = connection.receiverRtt > 0 ? connection.receiverRtt : connection.rtt.srtt
  if (rtt === 0 || now - connection.tuneAt < rtt) return
  const wanted = 2 * connection.tuneBytes + 16 * connection.rcv.segmentBytes
  if (wanted > connection.receiveLimit) {
    connection.receiveLimit = Math.min(wanted, connection.options.receiveBytes)
  }
  connection.tuneAt = now
  connection.tuneBytes = 0
}

/** Measures the round trip from the receiver's side: the time in which a window of data arrives. */
export function measureReceiverRtt(connection: Connection, now: Micros): void {
  const { rcv } = connection
  if (connection.tuneSeq === 0 || seqDiff(rcv.nxt, connection.tuneSeq) >= 0) {
    if (connection.tuneSeq !== 0) {
      const sample = Math.max(1, now - connection.tuneAt)
      connection.receiverRtt = micros(connection.receiverRtt === 0 ? sample : Math.min(connection.receiverRtt, sample))
    }
    connection.tuneSeq = rcv.edge
  }
}
