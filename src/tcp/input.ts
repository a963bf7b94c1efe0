// SEGMENT ARRIVES (RFC 9293 §3.10.7), in the RFC's order, a function a step; the fifth is in ack.ts, the sixth to eighth
// are in text.ts. The third has nothing to check: no connection has a security level or a compartment here. Input changes
// the connection and notes what it owes; output.ts sends at the end of the batch. Each step returns the reason for which
// the segment goes no further, or undefined to go on; a packet that a step did not keep is released by the caller.

import type { Packet } from '../buf/packet.ts'
import { after, type Micros, NEVER } from '../time.ts'
import { type Seq, seqAdd, seqAfter, seqAtMost, seqBefore, seqDiff, seqInWindow } from '../wire/sequence.ts'
import { ACK, FIN, RST, SYN } from '../wire/tcp.ts'
import { checkAck, establish } from './ack.ts'
import { takeAnswer } from './challenge.ts'
import { initialWindow } from './congestion.ts'
import { type Connection, setState } from './connection.ts'
import type { Segment, TcpEnvironment } from './environment.ts'
import { announcedMss, takePeerMss } from './mss.ts'
import { segmentsIn } from './segment-reader.ts'
import { acknowledgeAtOnce, type Outcome, takeText } from './text.ts'
import { isLate, timestampOf } from './timestamp.ts'

/** RFC 7323 §5.5: a time stamp older than 24 days proves nothing. */
const PAWS_IDLE = 24 * 24 * 3_600 * 1_000_000
/** RFC 7323 §2.3: 65,535 bytes, scaled by 14, are a little less. */
const LARGEST_WINDOW = 2 ** 30
/** What "full-sized" means before the peer has sent anything. */
const FIRST_SEGMENT_BYTES = 536

/** A segment for a connection in any state but LISTEN. The packet's data begins at the payload. */
export function segmentArrives(
  env: TcpEnvironment,
  connection: Connection,
  segment: Segment,
  packet: Packet,
  now: Micros,
): Outcome {
  const segments = segmentsIn(packet)
  connection.segmentsReceived += segments
  if (segment.length > 0) connection.dataSegmentsReceived += segments
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
  if (hasAck && (!acceptable || echoesNothing(env, connection, segment, now))) {
    if (!segment.has(RST)) env.refuse(segment, connection, now)
    return acceptable ? 'tcpOldTimestamp' : 'tcpBadAck'
  }
  // Second, check the RST bit.
  if (segment.has(RST)) {
    if (!acceptable) return 'tcpResetOutOfPlace'
    env.close(connection, 'ECONNREFUSED')
    return 'handled'
  }
  // Fourth, check the SYN bit; fifth, without it there is nothing more to do.
  if (!segment.has(SYN)) return 'tcpNoSyn'
  connection.lastReceivedAt = now
  takeSynOptions(env, connection, segment, now)
  rcv.irs = segment.seq
  rcv.nxt = seqAdd(segment.seq, 1)
  rcv.acked = rcv.nxt
  rcv.edge = seqAdd(rcv.nxt, Math.min(connection.receiveLimit, 0xffff))
  snd.wl1 = segment.seq
  snd.wnd = segment.window
  snd.maxWnd = segment.window
  if (!hasAck) {
    // Simultaneous open.
    setState(connection, 'SYN-RECEIVED')
    connection.synOwed = true
    env.owe(connection)
    return 'handled'
  }
  connection.lastAckReceivedAt = now
  snd.una = segment.ack
  snd.wl2 = segment.ack
  establish(env, connection, now)
  // The ACK of the handshake goes at once, with data if there is some.
  acknowledgeAtOnce(env, connection)
  // Data or FIN with the SYN, ACK go on with the sixth step.
  segment.seq = rcv.nxt
  return segment.length > 0 || segment.has(FIN) ? takeText(env, connection, segment, packet, now) : 'handled'
}

/** RFC 7323 §3.2: a SYN, ACK whose time stamp echoes none of ours is of an old connection. */
function echoesNothing(env: TcpEnvironment, connection: Connection, segment: Segment, now: Micros): boolean {
  const { options } = segment
  if (!options.timestamps || !env.config.timestamps || connection.unackedSince === NEVER) return false
  const first = timestampOf(connection, connection.unackedSince)
  return ((options.timestampEcho - first) | 0) < 0 || ((timestampOf(connection, now) - options.timestampEcho) | 0) < 0
}

/** What a SYN agrees on (RFC 7323 §2.2, §3.2, RFC 2018 §2). */
export function takeSynOptions(env: TcpEnvironment, connection: Connection, segment: Segment, now: Micros): void {
  const { config } = env
  const { options } = segment
  const { snd, rcv, window } = connection
  connection.timestampsOn = config.timestamps && options.timestamps
  connection.sackOn = config.sack && options.sackPermitted
  connection.windowScalingOn = config.windowScaling && options.windowScale >= 0
  if (connection.timestampsOn) {
    connection.tsRecent = options.timestampValue
    connection.tsRecentAt = now
  }
  snd.windowScale = connection.windowScalingOn ? options.windowScale : 0
  if (!connection.windowScalingOn) rcv.windowScale = 0
  takePeerMss(env, connection, options.mss, now)
  // RFC 6928 §2: a SYN that was repeated once may just have been slow; repeated twice it was lost, and the window is a single
  // segment (RFC 5681 §3.1).
  window.cwnd = connection.retransmits > 1 ? snd.mss : initialWindow(snd.mss)
  rcv.segmentBytes = Math.min(FIRST_SEGMENT_BYTES, announcedMss(env, connection))
}

/** First, check sequence number (with RFC 7323 §5.3 R1 before it). */
function checkSequence(
  env: TcpEnvironment,
  connection: Connection,
  segment: Segment,
  now: Micros,
): Outcome | undefined {
  const { rcv, state } = connection
  const size = segment.length + (segment.has(SYN) ? 1 : 0) + (segment.has(FIN) ? 1 : 0)
  if (state === 'SYN-RECEIVED' && segment.has(SYN) && segment.seq === rcv.irs && !segment.has(RST)) {
    return repeatedSyn(env, connection, segment)
  }
  if (connection.timestampsOn && segment.options.timestamps && !segment.has(RST) && isOld(connection, segment, now)) {
    env.counters.TcpExtPAWSEstab++
    answerInvalid(env, connection, segment, size, now)
    return 'tcpOldTimestamp'
  }
  if (connection.timestampsOn && !segment.options.timestamps && !segment.has(RST) && !segment.has(SYN)) {
    // RFC 7323 §3.2: silently. A SYN is of another connection, and gets its challenge: the peer may have started anew.
    return 'tcpNoTimestamp'
  }
  if (!isAcceptable(segment.seq, size, rcv.nxt, rcv.wnd)) {
    if (segment.has(RST)) return 'tcpOutOfWindow'
    if (state === 'TIME-WAIT' && segment.has(FIN)) {
      connection.timers.timeWaitAt = after(now, env.config.timeWait)
    }
    answerInvalid(env, connection, segment, size, now)
    return 'tcpOutOfWindow'
  }
  connection.keepAliveProbes = 0
  connection.lastReceivedAt = now
  return undefined
}

/** The peer's SYN again: it did not get our SYN, ACK. With an ACK it is the second half of a simultaneous open. */
function repeatedSyn(env: TcpEnvironment, connection: Connection, segment: Segment): Outcome | undefined {
  if (!connection.passive && segment.has(ACK) && segment.ack === connection.snd.nxt) {
    segment.flags &= ~SYN
    segment.seq = connection.rcv.nxt
    return undefined
  }
  connection.synOwed = true
  env.owe(connection)
  return 'tcpDuplicate'
}

/** An unacceptable segment gets an ACK; one without data not too often, lest two hosts answer each other for ever. */
function answerInvalid(env: TcpEnvironment, connection: Connection, segment: Segment, size: number, now: Micros): void {
  noteDuplicate(env, connection, segment, size)
  if (segment.length === 0 && !segment.has(FIN) && !takeAnswer(connection, now)) return
  acknowledgeAtOnce(env, connection)
}

/**
 * RFC 9293 §3.10.7.4, table 6: the four cases. MUST-66: with the window shut, a segment at RCV.NXT is taken for its ACK, RST
 * and URG; its text is dropped later. So is an empty one at the right edge: a sender that filled the window sends its ACKs there.
 */
function isAcceptable(start: Seq, length: number, nxt: Seq, wnd: number): boolean {
  if (start === nxt) return true
  if (length === 0) return seqInWindow(start, nxt, wnd + 1)
  if (wnd === 0) return false
  return seqInWindow(start, nxt, wnd) || seqInWindow(seqAdd(start, length - 1), nxt, wnd) || spans(start, length, nxt)
}

/** A segment that begins before and ends after the window, which a super-segment may. */
const spans = (start: Seq, length: number, nxt: Seq): boolean =>
  seqBefore(start, nxt) && seqAfter(seqAdd(start, length), nxt)

const isOld = (connection: Connection, segment: Segment, now: Micros): boolean =>
  ((segment.options.timestampValue - connection.tsRecent) | 0) < 0 &&
  now - connection.tsRecentAt < PAWS_IDLE &&
  !isLate(connection, segment)

/** Data that was received already is reported by D-SACK (RFC 2883). */
function noteDuplicate(env: TcpEnvironment, connection: Connection, segment: Segment, size: number): void {
  const { rcv } = connection
  if (!connection.sackOn || segment.length === 0 || !seqBefore(segment.seq, rcv.nxt)) return
  const end = seqAdd(segment.seq, size)
  // What is older than any window is not of this stretch of the sequence space.
  if (seqDiff(rcv.nxt, end) > LARGEST_WINDOW) return
  connection.duplicateSack = { left: segment.seq, right: seqAtMost(end, rcv.nxt) ? end : rcv.nxt }
  connection.sackOwed = true
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
  if (state === 'SYN-RECEIVED') {
    // Passive: back to LISTEN, without a word to anybody.
    env.close(connection, connection.passive ? null : 'ECONNREFUSED')
    return 'handled'
  }
  env.counters.TcpEstabResets++
  const orderly = state === 'CLOSING' || state === 'LAST-ACK'
  env.close(connection, orderly ? null : state === 'CLOSE-WAIT' ? 'EPIPE' : 'ECONNRESET')
  return 'handled'
}

/** Fourth, check the SYN bit (RFC 5961 §4). */
function checkSyn(env: TcpEnvironment, connection: Connection, segment: Segment, now: Micros): Outcome | undefined {
  if (!segment.has(SYN)) return undefined
  if (connection.state === 'SYN-RECEIVED' && connection.passive) {
    env.close(connection, null)
    return 'tcpUnexpectedSyn'
  }
  env.counters.TcpExtTCPSYNChallenge++
  env.challengeAck(connection, now)
  return 'tcpUnexpectedSyn'
}
