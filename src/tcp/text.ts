// Sixth to eighth of SEGMENT ARRIVES (RFC 9293 §3.10.7.4): urgent data, the text, and FIN; and when what arrived is
// acknowledged (§3.8.6.3). input.ts calls it.

import { assert } from '../assert.ts'
import type { Packet } from '../buf/packet.ts'
import type { Drop } from '../counters.ts'
import type { Micros } from '../time.ts'
import { seqAdd, seqAfter, seqBefore, seqDiff } from '../wire/sequence.ts'
import { FIN, PSH, URG } from '../wire/tcp.ts'
import { type Connection, canReceive, EVENT_READABLE, EVENT_URGENT, setState, urgentBytes } from './connection.ts'
import type { Segment, TcpEnvironment } from './environment.ts'
import { armDelayedAck } from './timers.ts'
import { leastReceive, measureReceiverRtt } from './window.ts'

/** What becomes of a segment: a Drop; 'handled' where it was used and has no payload to keep; 'kept' where the queue has it. */
export type Outcome = Drop | 'handled' | 'kept'

/** Linux's TCP_MAX_QUICKACKS: ACKs sent at once when a connection begins and after a hole, lest they hold up slow start. */
export const QUICK_ACKS = 16
/** Linux's TCP_MIN_MSS: of segments smaller than this nobody believes that they are the largest the peer can send. */
const LEAST_FULL_BYTES = 88

/** Sixth, check the URG bit. Seventh, the segment text. Eighth, FIN. */
export function takeText(
  env: TcpEnvironment,
  connection: Connection,
  segment: Segment,
  packet: Packet,
  now: Micros,
): Outcome {
  if (segment.has(URG)) checkUrgent(env, connection, segment)
  if (segment.length === 0 && !segment.has(FIN)) return 'handled'
  if (!canReceive(connection.state)) {
    // The peer's FIN was seen: nothing can follow it.
    return segment.length > 0 ? 'tcpAfterClose' : 'handled'
  }
  if (segment.length > 0 && isClosed(connection)) {
    // RFC 9293 SHLD-3: data for a program that is gone is lost, and the peer must know.
    env.counters.TcpExtTCPAbortOnData++
    env.abort(connection, now, connection.orphaned ? 'ECONNABORTED' : 'ECONNRESET')
    return 'tcpAfterClose'
  }
  const outcome = segment.length > 0 ? keepText(env, connection, segment, packet, now) : 'handled'
  if (segment.has(FIN)) {
    connection.rcv.finAt = seqAdd(segment.seq, segment.length)
    // RFC 5681 §4.2: at once, so that the sender learns of the hole.
    if (connection.rcv.finAt !== connection.rcv.nxt) acknowledgeAtOnce(env, connection)
  }
  takeFin(env, connection, now)
  return outcome
}

/** RFC 9293 MUST-32: the program hears of it when the urgent pointer advances. The data stays in the stream (RFC 6093 §6). */
function checkUrgent(env: TcpEnvironment, connection: Connection, segment: Segment): void {
  if (!canReceive(connection.state)) return
  const { rcv } = connection
  const up = seqAdd(segment.seq, segment.urgentPointer)
  const known = urgentBytes(connection)
  const before = rcv.up
  rcv.up = up
  if (urgentBytes(connection) > known) env.notify(connection, EVENT_URGENT)
  else rcv.up = before
}

/** The program let go of it, or shut both directions. */
const isClosed = ({ orphaned, readShut, sendQueue }: Connection): boolean =>
  orphaned || (readShut && sendQueue.finQueued)

function keepText(env: TcpEnvironment, connection: Connection, segment: Segment, packet: Packet, now: Micros): Outcome {
  const { rcv, receiveQueue } = connection
  const refused = refuseText(env, connection, segment, packet)
  if (refused !== undefined) {
    segment.flags &= ~FIN
    acknowledgeAtOnce(env, connection)
    return refused
  }
  connection.lastDataReceivedAt = now
  const before = rcv.nxt
  const { length } = packet
  noteSegmentSize(connection, packet.segmentBytes > 0 ? packet.segmentBytes : length, segment.has(PSH))
  const inserted = receiveQueue.insert(packet, segment.seq, rcv.nxt)
  if (receiveQueue.duplicate !== null && connection.sackOn) {
    connection.duplicateSack = receiveQueue.duplicate
    connection.sackOwed = true
    env.counters.TcpExtTCPDSACKOldSent++
  }
  if (inserted !== 'in-order') {
    // RFC 5681 §4.2: at once, so that the sender learns of the hole.
    if (connection.sackOn) connection.sackOwed = true
    else connection.duplicateAcksOwed++
    acknowledgeAtOnce(env, connection)
    if (inserted === 'full') {
      env.counters.TcpExtTCPOFODrop++
      return 'tcpReceiveQueueFull'
    }
    if (inserted === 'out-of-order') {
      env.counters.TcpExtTCPOFOQueue++
      connection.outOfOrderSegments++
      connection.quickAcks = QUICK_ACKS
    }
    return 'kept'
  }
  rcv.nxt = receiveQueue.reach
  connection.duplicateAcksOwed = 0
  connection.bytesReceived += seqDiff(rcv.nxt, before)
  measureReceiverRtt(connection, segment, now)
  if (connection.readShut) receiveQueue.dropAvailable()
  else env.notify(connection, EVENT_READABLE)
  scheduleAck(env, connection, now)
  return 'kept'
}

/** Cuts off what lies beyond the window (RFC 9293 §3.10.7.4), and refuses what memory has no room for. */
function refuseText(env: TcpEnvironment, connection: Connection, segment: Segment, packet: Packet): Drop | undefined {
  const { rcv, receiveQueue } = connection
  if (seqAfter(seqAdd(segment.seq, segment.length), rcv.edge)) {
    const room = seqDiff(rcv.edge, segment.seq)
    if (room <= 0) return 'tcpOutOfWindow'
    packet.trim(room)
    segment.flags &= ~FIN
  }
  const { isFull } = connection.memory
  if (!isFull && receiveQueue.chargedBytes <= chargeLimit(connection)) return undefined
  if (seqAfter(segment.seq, rcv.nxt)) {
    env.counters.TcpExtTCPOFODrop++
    return 'tcpReceiveQueueFull'
  }
  // Memory is short: what lies beyond holes goes first, and readers that are slow get no more.
  if (receiveQueue.holes > 0) {
    receiveQueue.dropBeyond()
    env.counters.TcpExtOfoPruned++
  }
  const fits = isFull ? receiveQueue.available < leastReceive(connection) : true
  if (fits && receiveQueue.chargedBytes <= chargeLimit(connection)) return undefined
  env.counters.TcpExtTCPRcvQDrop++
  return 'tcpReceiveQueueFull'
}

/** Page bytes that received data may hold: four times what the window promises, for small segments waste most of a page. */
const chargeLimit = (connection: Connection): number => 4 * connection.receiveLimit + 512 * 1_024

/** As Linux has it: the largest seen; smaller ones count when two of a size come, and none of them had to be pushed. */
function noteSegmentSize(connection: Connection, bytes: number, pushed: boolean): void {
  const { rcv } = connection
  if (bytes >= rcv.segmentBytes) rcv.segmentBytes = bytes
  else if (bytes === rcv.lastBytes && bytes >= LEAST_FULL_BYTES && !pushed) rcv.segmentBytes = bytes
  rcv.lastBytes = bytes
}

/** RFC 9293 §3.8.6.3: every second full-sized segment at least (SHLD-19), and within half a second (MUST-40). */
function scheduleAck(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { rcv, receiveQueue } = connection
  connection.unackedSegments++
  const second = seqDiff(rcv.nxt, rcv.acked) > rcv.segmentBytes
  if (second || connection.quickAcks > 0 || receiveQueue.holes > 0) acknowledgeAtOnce(env, connection)
  else armDelayedAck(env, connection, now)
  if (receiveQueue.holes > 0) connection.sackOwed = connection.sackOn
  env.schedule(connection)
}

/** Eighth, check the FIN bit. */
function takeFin(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { rcv } = connection
  // Text came from beyond it: that FIN was forged.
  if (rcv.finAt !== null && seqAfter(rcv.nxt, rcv.finAt)) rcv.finAt = null
  if (rcv.finAt === null || rcv.finAt !== rcv.nxt) return
  rcv.finSeen = true
  rcv.nxt = seqAdd(rcv.nxt, 1)
  if (seqBefore(rcv.edge, rcv.nxt)) rcv.edge = rcv.nxt
  connection.receiveQueue.dropBeyond()
  acknowledgeAtOnce(env, connection)
  env.notify(connection, EVENT_READABLE)
  switch (connection.state) {
    case 'ESTABLISHED':
      setState(connection, 'CLOSE-WAIT')
      return
    case 'FIN-WAIT-1':
      // Had our FIN been acknowledged, the fifth step would have moved us on.
      setState(connection, 'CLOSING')
      return
    case 'FIN-WAIT-2':
      env.enterTimeWait(connection, now)
      return
    default:
      assert(false, `FIN in ${connection.state}`)
  }
}

export function acknowledgeAtOnce(env: TcpEnvironment, connection: Connection): void {
  connection.ackNow = true
  env.owe(connection)
}
