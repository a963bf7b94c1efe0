// SEGMENT ARRIVES (RFC 9293 §3.10.7), in the RFC's order, a function a step. Input changes the connection and notes
// what it owes; output.ts sends at the end of the batch. Each step returns the reason for which the segment goes no
// further, or undefined to go on; a packet that a step did not keep is released by the caller.

import { assert } from '../assert.ts'
import type { Packet } from '../buf/packet.ts'
import type { Drop } from '../counters.ts'
import { after, type Micros, micros, NEVER } from '../time.ts'
import { type Seq, seqAdd, seqAfter, seqAtLeast, seqAtMost, seqBefore, seqDiff, seqInWindow } from '../wire/sequence.ts'
import { ACK, FIN, RST, SYN } from '../wire/tcp.ts'
import {
  type Connection,
  canReceive,
  EVENT_ESTABLISHED,
  EVENT_READABLE,
  EVENT_WRITABLE,
  finAcked,
  setState,
} from './connection.ts'
import type { Segment, TcpEnvironment } from './environment.ts'
import { timestampOf } from './output.ts'
import { afterAck } from './recovery.ts'
import { clip } from './scoreboard.ts'
import { armDelayedAck, armKeepAlive, rearmRetransmit } from './timers.ts'
import { measureReceiverRtt } from './window.ts'

/** What becomes of a segment: a Drop; 'handled' where it was used and has no payload to keep; 'kept' where the queue has it. */
export type Outcome = Drop | 'handled' | 'kept'

/** RFC 7323 §5.5: a time stamp older than 24 days proves nothing. */
const PAWS_IDLE = 24 * 24 * 3_600 * 1_000_000
const DEFAULT_MSS4 = 536
const DEFAULT_MSS6 = 1_220
/** ACKs sent at once at the beginning of a connection, so that the peer's slow start is not held up. */
export const QUICK_ACKS = 16

/** A segment for a connection in any state but LISTEN. The packet's data begins at the payload. */
export function segmentArrives(
  env: TcpEnvironment,
  connection: Connection,
  segment: Segment,
  packet: Packet,
  now: Micros,
): Outcome {
  connection.segmentsReceived++
  connection.keepAliveProbes = 0
  connection.lastReceivedAt = now
  if (connection.state === 'SYN-SENT') return synSentArrives(env, connection, segment, packet, now)
  return (
    checkSequence(env, connection, segment, now) ??
    checkReset(env, connection, segment, now) ??
    checkSyn(env, connection, segment, now) ??
    checkAck(env, connection, segment, now) ??
    takeText(env, connection, segment, packet, now)
  )
}

/** RFC 9293 §3.10.7.3. */
function synSentArrives(
  env: TcpEnvironment,
  connection: Connection,
  segment: Segment,
  packet: Packet,
  now: Micros,
): Outcome {
  const { snd, rcv } = connection
  const hasAck = segment.has(ACK)
  // First, check the ACK bit.
  const acceptable = hasAck && seqAfter(segment.ack, snd.iss) && seqAtMost(segment.ack, snd.nxt)
  if (hasAck && !acceptable) return 'tcpBadAck'
  // RFC 7323 §3.2: a time stamp that echoes none of ours is of an old connection.
  if (acceptable && segment.options.timestamps && env.config.timestamps) {
    const echoed = (segment.options.timestampEcho - timestampOf(connection, now)) | 0
    if (echoed > 0) return 'tcpOldTimestamp'
  }
  // Second, check the RST bit.
  if (segment.has(RST)) {
    if (!acceptable) return 'tcpResetOutOfPlace'
    env.close(connection, 'ECONNREFUSED')
    return 'handled'
  }
  // Fourth, check the SYN bit.
  if (!segment.has(SYN)) return 'tcpNoConnection'
  takeSynOptions(env, connection, segment, now)
  rcv.irs = segment.seq
  rcv.nxt = seqAdd(segment.seq, 1)
  rcv.edge = seqAdd(rcv.nxt, Math.min(connection.receiveLimit, 0xffff))
  snd.wl1 = segment.seq
  if (!hasAck) {
    // Simultaneous open.
    setState(connection, 'SYN-RECEIVED')
    snd.wnd = segment.window
    connection.synOwed = true
    env.owe(connection)
    return 'handled'
  }
  snd.una = segment.ack
  snd.wnd = segment.window
  snd.maxWnd = segment.window
  snd.wl2 = segment.ack
  establish(env, connection, now)
  // The ACK of the handshake goes at once, with data if there is some.
  connection.ackNow = true
  env.owe(connection)
  // RFC 9293: data or FIN on the SYN, ACK go on with the sixth step.
  segment.seq = rcv.nxt
  return segment.length > 0 || segment.has(FIN) ? takeText(env, connection, segment, packet, now) : 'handled'
}

/** What a SYN agrees on (RFC 7323 §2.2, §3.2, RFC 2018 §2). */
export function takeSynOptions(env: TcpEnvironment, connection: Connection, segment: Segment, now: Micros): void {
  const { config } = env
  const { options } = segment
  const { snd, rcv, window } = connection
  const isV4 = connection.remoteAddress.family === 4
  connection.timestampsOn = config.timestamps && options.timestamps
  connection.sackOn = config.sack && options.sackPermitted
  connection.windowScalingOn = config.windowScaling && options.windowScale >= 0
  if (connection.timestampsOn) {
    connection.tsRecent = options.timestampValue
    connection.tsRecentAt = now
  }
  snd.windowScale = connection.windowScalingOn ? options.windowScale : 0
  if (!connection.windowScalingOn) rcv.windowScale = 0
  // RFC 9293 MUST-15, SHLD-5: what a peer that says nothing can take; and never more than our way carries.
  const theirs = options.mss > 0 ? options.mss : isV4 ? DEFAULT_MSS4 : DEFAULT_MSS6
  const path = env.outputFor(connection.remoteAddress).mtu(connection.way) - (isV4 ? 40 : 60)
  snd.mss = Math.max(MIN_MSS, Math.min(theirs, path)) - (connection.timestampsOn ? 12 : 0)
  window.mss = snd.mss
  window.cwnd = connection.retransmits > 0 ? snd.mss : Math.min(10 * snd.mss, Math.max(2 * snd.mss, 14_600))
  rcv.segmentBytes = Math.min(Math.max(theirs, DEFAULT_MSS4), path)
}

/** No segment is cut smaller than this, whatever a peer says: its header would cost more than it carries. */
const MIN_MSS = 88

/** The handshake is complete. */
function establish(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { rtt, snd } = connection
  if (connection.retransmits === 0 && connection.unackedSince !== NEVER) {
    rtt.sample(micros(now - connection.unackedSince), now)
  } else rtt.afterSynLoss()
  connection.retransmits = 0
  connection.unackedSince = NEVER
  connection.timers.retransmitAt = NEVER
  connection.board.forwardAck = snd.una
  connection.recoveryPoint = snd.una
  connection.roundEnd = snd.una
  snd.smallEnd = snd.una
  connection.receiveQueue.reach = connection.rcv.nxt
  connection.tuneAt = now
  setState(connection, 'ESTABLISHED')
  armKeepAlive(connection, now)
  env.notify(connection, EVENT_ESTABLISHED | EVENT_WRITABLE)
}

/** First, check sequence number (with RFC 7323 §5.3 R1 before it). */
function checkSequence(
  env: TcpEnvironment,
  connection: Connection,
  segment: Segment,
  now: Micros,
): Outcome | undefined {
  const { rcv } = connection
  const size = segment.length + (segment.has(SYN) ? 1 : 0) + (segment.has(FIN) ? 1 : 0)
  if (connection.timestampsOn && segment.options.timestamps && !segment.has(RST) && isOld(connection, segment, now)) {
    env.counters.TcpExtPAWSEstab++
    acknowledgeAtOnce(env, connection)
    return 'tcpOldTimestamp'
  }
  if (!isAcceptable(segment.seq, size, rcv.nxt, rcv.wnd)) {
    if (segment.has(RST)) return 'tcpOutOfWindow'
    // A retransmitted SYN of a connection that is not established yet asks for our SYN, ACK again.
    if (connection.state === 'SYN-RECEIVED' && segment.has(SYN) && segment.seq === rcv.irs) {
      connection.synOwed = true
      env.owe(connection)
      return 'tcpDuplicate'
    }
    noteDuplicate(env, connection, segment, size)
    if (connection.state === 'TIME-WAIT' && segment.has(FIN)) {
      connection.timers.timeWaitAt = after(now, env.config.timeWait)
    }
    acknowledgeAtOnce(env, connection)
    return 'tcpOutOfWindow'
  }
  // RFC 7323 §4.3: only what touches the last ACK sent moves TS.Recent.
  if (connection.timestampsOn && segment.options.timestamps && seqAtMost(segment.seq, rcv.acked)) {
    connection.tsRecent = segment.options.timestampValue
    connection.tsRecentAt = now
  }
  return undefined
}

/** RFC 9293 §3.4, table 6: the four cases. */
function isAcceptable(start: Seq, length: number, nxt: Seq, wnd: number): boolean {
  if (length === 0) return wnd === 0 ? start === nxt : seqInWindow(start, nxt, wnd)
  if (wnd === 0) return false
  return seqInWindow(start, nxt, wnd) || seqInWindow(seqAdd(start, length - 1), nxt, wnd) || spans(start, length, nxt)
}

/** A segment that begins before and ends after the window, which a super-segment may. */
const spans = (start: Seq, length: number, nxt: Seq): boolean =>
  seqBefore(start, nxt) && seqAfter(seqAdd(start, length), nxt)

const isOld = (connection: Connection, segment: Segment, now: Micros): boolean =>
  ((segment.options.timestampValue - connection.tsRecent) | 0) < 0 && now - connection.tsRecentAt < PAWS_IDLE

/** Data that was received already is reported by D-SACK (RFC 2883). */
function noteDuplicate(env: TcpEnvironment, connection: Connection, segment: Segment, size: number): void {
  if (!connection.sackOn || segment.length === 0) return
  const end = seqAdd(segment.seq, size)
  if (!seqBefore(segment.seq, connection.rcv.nxt)) return
  connection.duplicateSack = { left: segment.seq, right: seqAtMost(end, connection.rcv.nxt) ? end : connection.rcv.nxt }
  env.counters.TcpExtTCPDSACKOldSent++
}

/** Second, check the RST bit (as RFC 5961 §3 has it, which RFC 9293 took over). */
function checkReset(env: TcpEnvironment, connection: Connection, segment: Segment, now: Micros): Outcome | undefined {
  if (!segment.has(RST)) return undefined
  const { state, rcv } = connection
  if (segment.seq !== rcv.nxt) {
    env.challengeAck(connection, now)
    return 'tcpResetOutOfPlace'
  }
  // RFC 1337: TIME-WAIT is not to be assassinated.
  if (state === 'TIME-WAIT') return 'tcpResetOutOfPlace'
  if (state === 'SYN-RECEIVED') env.counters.TcpAttemptFails++
  else env.counters.TcpEstabResets++
  const orderly = state === 'CLOSING' || state === 'LAST-ACK'
  env.close(
    connection,
    orderly ? null : state === 'SYN-RECEIVED' ? 'ECONNREFUSED' : state === 'CLOSE-WAIT' ? 'EPIPE' : 'ECONNRESET',
  )
  return 'handled'
}

/** Fourth, check the SYN bit (RFC 5961 §4). */
function checkSyn(env: TcpEnvironment, connection: Connection, segment: Segment, now: Micros): Outcome | undefined {
  if (!segment.has(SYN)) return undefined
  const { state } = connection
  // The second half of a simultaneous open: SYN, ACK for our SYN.
  if (state === 'SYN-RECEIVED' && !connection.passive && segment.has(ACK)) return undefined
  if (state === 'SYN-RECEIVED' && connection.passive) {
    env.close(connection, null)
    return 'tcpUnexpectedSyn'
  }
  env.counters.TcpExtTCPSYNChallenge++
  env.challengeAck(connection, now)
  return 'tcpUnexpectedSyn'
}

/** Fifth, check the ACK field. */
function checkAck(env: TcpEnvironment, connection: Connection, segment: Segment, now: Micros): Outcome | undefined {
  if (!segment.has(ACK)) return 'tcpNoAck'
  const { snd, state } = connection
  // RFC 5961 §5: neither too old nor of what was never sent.
  const tooOld = seqBefore(segment.ack, seqAdd(snd.una, -snd.maxWnd))
  if (state !== 'SYN-RECEIVED' && (tooOld || seqAfter(segment.ack, snd.nxt))) {
    env.challengeAck(connection, now)
    return 'tcpBadAck'
  }
  if (state === 'SYN-RECEIVED') {
    const drop = acknowledgeSyn(env, connection, segment, now)
    if (drop !== undefined) return drop
  }
  if (connection.state === 'TIME-WAIT') {
    // The only thing that can arrive is the peer's FIN again; the sequence check answered it.
    return undefined
  }
  processAck(env, connection, segment, now)
  return afterOurFin(env, connection, now)
}

function acknowledgeSyn(
  env: TcpEnvironment,
  connection: Connection,
  segment: Segment,
  now: Micros,
): Outcome | undefined {
  const { snd } = connection
  if (!(seqAfter(segment.ack, snd.una) && seqAtMost(segment.ack, snd.nxt))) {
    env.refuse(segment, connection, now)
    return 'tcpBadAck'
  }
  if (connection.passive && !env.completed(connection)) return 'tcpListenFull'
  snd.wnd = segment.window << snd.windowScale
  snd.maxWnd = snd.wnd
  snd.wl1 = segment.seq
  snd.wl2 = segment.ack
  snd.una = seqAdd(snd.iss, 1)
  establish(env, connection, now)
  if (connection.sendQueue.finQueued) setState(connection, 'FIN-WAIT-1')
  return undefined
}

/** The part of the fifth step that all synchronized states share: the send window and what was acknowledged. */
function processAck(env: TcpEnvironment, connection: Connection, segment: Segment, now: Micros): void {
  const { board, delivery, sendQueue, snd } = connection
  const priorUna = snd.una
  const priorFlight = board.flight
  const window = segment.window << snd.windowScale
  const advanced = seqAfter(segment.ack, snd.una)
  const pure = segment.length === 0 && !segment.has(FIN) && !segment.has(SYN) && window === snd.wnd
  delivery.clear()
  const duplicate = connection.sackOn ? takeSack(env, connection, segment) : null
  if (advanced) {
    snd.una = segment.ack
    board.acknowledge(segment.ack, delivery)
    sendQueue.acknowledge(segment.ack)
    connection.bytesAcked += seqDiff(segment.ack, priorUna)
    connection.retransmits = 0
    connection.softError = null
    connection.unackedSince = board.first === null ? NEVER : now
    env.confirm(connection, now)
  }
  sampleRtt(connection, segment, advanced, now)
  updateSendWindow(env, connection, segment, window)
  if (advanced || delivery.bytes > 0 || duplicate !== null || (pure && segment.ack === priorUna)) {
    afterAck(env, connection, { segment, priorUna, priorFlight, advanced, duplicate, pure: pure && !advanced }, now)
  }
  if (advanced) rearmRetransmit(connection, now)
  if (advanced && connection.sendQueue.chargedBytes < connection.sendLimit) env.notify(connection, EVENT_WRITABLE)
  env.owe(connection)
}

/** RFC 9293 §3.10.7.4: SND.WND is taken from segments that are not older than the last one it was taken from. */
function updateSendWindow(env: TcpEnvironment, connection: Connection, segment: Segment, window: number): void {
  const { snd, timers } = connection
  if (seqBefore(segment.ack, snd.una)) return
  const newer = seqBefore(snd.wl1, segment.seq) || (snd.wl1 === segment.seq && seqAtMost(snd.wl2, segment.ack))
  if (!newer) return
  snd.wnd = window
  snd.wl1 = segment.seq
  snd.wl2 = segment.ack
  if (window > snd.maxWnd) snd.maxWnd = window
  connection.probesSent = 0
  if (window > 0) timers.persistAt = NEVER
  else if (seqDiff(connection.sendQueue.end, snd.nxt) > 0) env.schedule(connection)
}

/** RFC 6298 §3, RFC 7323 §4.1: from what was sent once, else from the time stamp that came back. */
function sampleRtt(connection: Connection, segment: Segment, advanced: boolean, now: Micros): void {
  const { delivery, rtt } = connection
  if (delivery.firstSentAt >= 0) {
    rtt.sample(micros(now - delivery.firstSentAt), now)
    return
  }
  if (!advanced || !connection.timestampsOn || !segment.options.timestamps || segment.options.timestampEcho === 0)
    return
  const millis = (timestampOf(connection, now) - segment.options.timestampEcho) | 0
  if (millis >= 0 && millis < 1_000_000) rtt.sample(micros(Math.max(millis * 1_000, 1)), now)
}

/** RFC 2018 §5, RFC 2883: marks what the peer has, and returns the D-SACK block, if there is one. */
function takeSack(env: TcpEnvironment, connection: Connection, segment: Segment): { left: Seq; right: Seq } | null {
  const { options } = segment
  const { board, delivery, snd } = connection
  let duplicate: { left: Seq; right: Seq } | null = null
  for (let index = 0; index < options.sackCount; index++) {
    const left = options.sackLeft[index]! as Seq
    const right = options.sackRight[index]! as Seq
    if (!seqBefore(left, right)) continue
    if (index === 0 && isDsack(segment, left, right)) {
      if (seqBefore(right, seqAdd(snd.una, -snd.maxWnd)) || seqAfter(right, snd.nxt)) continue
      duplicate = { left, right }
      env.counters.TcpExtTCPDSACKRecv++
      continue
    }
    const part = clip(left, right, snd.una, snd.nxt)
    // A block that reaches beyond what was sent is a lie, or of another connection.
    if (part === null || seqAfter(right, snd.nxt)) continue
    board.sack(part.left, part.right, delivery)
  }
  return duplicate
}

/** RFC 2883 §4: the first block lies below the acknowledgment number, or within the second. */
function isDsack(segment: Segment, left: Seq, right: Seq): boolean {
  if (seqAtMost(right, segment.ack)) return true
  const { options } = segment
  if (options.sackCount < 2) return false
  return seqAtLeast(left, options.sackLeft[1]! as Seq) && seqAtMost(right, options.sackRight[1]! as Seq)
}

/** What else the fifth step does once our FIN is acknowledged. */
function afterOurFin(env: TcpEnvironment, connection: Connection, now: Micros): Outcome | undefined {
  if (!finAcked(connection)) return undefined
  switch (connection.state) {
    case 'FIN-WAIT-1':
      setState(connection, 'FIN-WAIT-2')
      // Nobody is left who could read: the peer gets as long as TIME-WAIT to finish.
      if (connection.orphaned) connection.timers.timeWaitAt = after(now, env.config.timeWait)
      return undefined
    case 'CLOSING':
      env.enterTimeWait(connection, now)
      return 'handled'
    case 'LAST-ACK':
      env.close(connection, null)
      return 'handled'
    default:
      return undefined
  }
}

/** Sixth, check the URG bit: urgent data stays in the stream (RFC 6093 §6). Seventh, the segment text. Eighth, FIN. */
function takeText(env: TcpEnvironment, connection: Connection, segment: Segment, packet: Packet, now: Micros): Outcome {
  if (segment.length === 0 && !segment.has(FIN)) return 'handled'
  if (!canReceive(connection.state)) {
    // The peer's FIN was seen: nothing can follow it.
    return segment.length > 0 ? 'tcpAfterClose' : 'handled'
  }
  if (segment.length > 0 && (connection.readShut || connection.orphaned) && connection.orphaned) {
    // RFC 1122 §4.2.2.13: data for a program that is gone is lost, and the peer must know.
    env.counters.TcpExtTCPAbortOnData++
    env.abort(connection, now)
    return 'tcpAfterClose'
  }
  const outcome = segment.length > 0 ? keepText(env, connection, segment, packet, now) : 'handled'
  if (segment.has(FIN)) noteFin(connection, seqAdd(segment.seq, segment.length))
  takeFin(env, connection, now)
  return outcome
}

function keepText(env: TcpEnvironment, connection: Connection, segment: Segment, packet: Packet, now: Micros): Outcome {
  const { rcv, receiveQueue } = connection
  const end = seqAdd(segment.seq, segment.length)
  // What lies beyond the window is cut off (RFC 9293 §3.10.7.4).
  if (seqAfter(end, rcv.edge)) {
    packet.trim(seqDiff(rcv.edge, segment.seq))
    segment.flags &= ~FIN
  }
  if (receiveQueue.chargedBytes > chargeLimit(connection)) {
    acknowledgeAtOnce(env, connection)
    return 'tcpReceiveQueueFull'
  }
  const before = rcv.nxt
  const { length } = packet
  const inserted = receiveQueue.insert(packet, segment.seq, rcv.nxt)
  if (receiveQueue.duplicate !== null && connection.sackOn) {
    connection.duplicateSack = receiveQueue.duplicate as { left: Seq; right: Seq }
    env.counters.TcpExtTCPDSACKOldSent++
  }
  if (inserted === 'full') {
    acknowledgeAtOnce(env, connection)
    return 'tcpReceiveQueueFull'
  }
  if (inserted === 'duplicate') {
    acknowledgeAtOnce(env, connection)
    return 'kept'
  }
  if (length > rcv.segmentBytes) rcv.segmentBytes = Math.min(length, 65_535)
  rcv.nxt = receiveQueue.reach
  connection.bytesReceived += seqDiff(rcv.nxt, before)
  if (inserted === 'out-of-order') {
    // RFC 5681 §4.2: at once, so that the sender learns of the hole.
    env.counters.TcpExtTCPOFOQueue++
    connection.quickAcks = QUICK_ACKS
    acknowledgeAtOnce(env, connection)
    return 'kept'
  }
  measureReceiverRtt(connection, now)
  env.notify(connection, EVENT_READABLE)
  if (connection.readShut) dropUnread(connection)
  scheduleAck(env, connection, length, now)
  return 'kept'
}

/** RFC 9293 §3.8.6.3, MUST-58, MUST-59: every second full-sized segment at least, and within 500 ms. */
function scheduleAck(env: TcpEnvironment, connection: Connection, length: number, now: Micros): void {
  const { rcv, receiveQueue } = connection
  connection.unackedSegments++
  const full = seqDiff(rcv.nxt, rcv.acked) >= 2 * Math.min(rcv.segmentBytes, 1_460) || length > 1_460
  if (full || connection.quickAcks > 0 || receiveQueue.holes) acknowledgeAtOnce(env, connection)
  else armDelayedAck(env, connection, now)
  env.schedule(connection)
}

function noteFin(connection: Connection, at: Seq): void {
  if (connection.rcv.finAt === null) connection.rcv.finAt = at
}

/** Eighth, check the FIN bit. */
function takeFin(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { rcv } = connection
  if (rcv.finAt === null || rcv.finSeen || rcv.finAt !== rcv.nxt) return
  rcv.finSeen = true
  rcv.nxt = seqAdd(rcv.nxt, 1)
  if (seqBefore(rcv.edge, rcv.nxt)) rcv.edge = rcv.nxt
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

function dropUnread(connection: Connection): void {
  connection.receiveQueue.dropAvailable()
}

/** Page bytes that received data may hold: four times what the window promises, for small segments waste most of a page. */
const chargeLimit = (connection: Connection): number => 4 * connection.receiveLimit + 512 * 1_024

export function acknowledgeAtOnce(env: TcpEnvironment, connection: Connection): void {
  connection.ackNow = true
  env.owe(connection)
}
