// Loss: found by RACK (RFC 8985), or by duplicate ACKs where there is no SACK (RFC 5681, 6582); repaired within
// the bounds of proportional rate reduction (RFC 9937). Where there was none after all, undo.ts takes it back.

import { type Micros, micros, NEVER } from '../time.ts'
import { type Seq, seqAdd, seqAfter, seqAtLeast, seqAtMost, seqBefore, seqDiff } from '../wire/sequence.ts'
import type { AckContext } from './ack-context.ts'
import { initialWindow, lossWindow } from './congestion.ts'
import type { Connection } from './connection.ts'
import type { TcpEnvironment } from './environment.ts'
import { judgeProbe, probeTimedOut } from './mtu-probe.ts'
import type { Delivery, SentSegment } from './scoreboard.ts'
import { checkFrto, mayUndo, undo } from './undo.ts'

/** RFC 5681 §3.2. */
const DUPLICATE_ACK_THRESHOLD = 3
/** RFC 8985 §6.2 step 4: recoveries after which a widened reordering window shrinks again. */
const REORDER_PERSIST = 16
/** The RFC names no bound but SRTT, which the window is held to as well. */
const MOST_REORDER_MULTIPLIER = 64

/** The board is up to date; this decides what is lost, and in which phase the sender is. */
export function afterAck(env: TcpEnvironment, connection: Connection, ack: AckContext, now: Micros): void {
  const { board } = connection
  if (connection.sackOn) updateRack(connection, ack.delivery, now)
  else assumeDeliveries(connection, ack)
  if (ack.duplicate !== null) noteDuplicate(connection, ack.duplicate, ack.priorUna)
  if (connection.tlpEnd !== null) endProbe(connection, ack, now)
  if (connection.phase === 'loss') checkFrto(env, connection, ack, now)
  if (mayUndo(connection, ack)) undo(env, connection, now)
  const { phase } = connection
  if (phase !== 'open' && ack.advanced && seqAtLeast(connection.snd.una, connection.recoveryPoint)) leave(connection)
  const lostBefore = board.lostBytes
  if (connection.sackOn) markLate(connection, now)
  else findLostBySequence(env, connection, ack)
  const isSizeAlone = judgeProbe(env, connection, ack.delivery, now)
  if (connection.phase === 'open' && board.lostBytes > 0 && !isSizeAlone) enterRecovery(env, connection, ack.acked, now)
  moveWindow(connection, ack, board.lostBytes > lostBefore, now)
}

/** RFC 8985 §6.2 steps 1 to 3: the most recently sent segment that was delivered. */
function updateRack(connection: Connection, delivery: Delivery, now: Micros): void {
  const { rtt } = connection
  if (delivery.reordered) {
    connection.reorderingSeen = true
    connection.reorderingEvents++
  }
  if (delivery.sentAt < 0) return
  const took = now - delivery.sentAt
  // An ACK so soon after a retransmission is likely for the original.
  if (delivery.retransmitted && took < rtt.least) return
  connection.rackRtt = micros(took)
  const later =
    delivery.sentAt > connection.rackSentAt ||
    (delivery.sentAt === connection.rackSentAt && seqAfter(delivery.end, connection.rackEnd))
  if (!later) return
  connection.rackSentAt = delivery.sentAt
  connection.rackEnd = delivery.end
}

/** RFC 8985 §6.2 step 4: how long a segment may be late before it is lost. */
function reorderWindow(connection: Connection): number {
  const { board, rtt, snd } = connection
  if (!connection.reorderingSeen) {
    if (connection.phase !== 'open' || board.sackedBytes >= DUPLICATE_ACK_THRESHOLD * snd.mss) return 0
  }
  if (rtt.least === NEVER) return 0
  return Math.min((connection.reorderWindowMultiplier * rtt.least) / 4, rtt.srtt)
}

/** RFC 8985 §6.2 step 5: marks what is late, and arms the timer for what is not yet. */
function markLate(connection: Connection, now: Micros): void {
  const { board, timers, rackSentAt, rackEnd } = connection
  timers.reorderAt = NEVER
  if (rackSentAt < 0) return
  const window = reorderWindow(connection)
  let wait = 0
  let segment = board.oldest
  while (segment !== null && segment.sentAt <= rackSentAt) {
    const { newer } = segment
    if (isSentBefore(segment, rackSentAt, rackEnd)) {
      const left = segment.sentAt + connection.rackRtt + window - now
      if (left <= 0) board.markLost(segment)
      else if (left > wait) wait = left
    }
    segment = newer
  }
  if (wait > 0) timers.reorderAt = micros(now + Math.ceil(wait))
}

/** The reordering timer (RFC 8985 §6.2 step 5): what is late now is lost. */
export function reorderTimeout(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { board } = connection
  const lostBefore = board.lostBytes
  markLate(connection, now)
  if (board.lostBytes === lostBefore || judgeProbe(env, connection, null, now)) return
  if (connection.phase === 'open') enterRecovery(env, connection, 0, now)
  if (connection.phase === 'recovery') connection.window.cwnd = board.flight + reduction(connection, 0, false)
}

const isSentBefore = (segment: SentSegment, sentAt: Micros, end: Seq): boolean =>
  segment.sentAt < sentAt || (segment.sentAt === sentAt && seqBefore(segment.end, end))

/** Without SACK a duplicate ACK stands for one segment that arrived, and an advance takes those back (Linux's emulation). */
function assumeDeliveries(connection: Connection, ack: AckContext): void {
  const { board, snd } = connection
  if (ack.advanced) {
    connection.duplicateAcks = 0
    if (board.assumedBytes === 0) return
    // The first segment filled the hole; the others are those that the duplicates told of.
    const known = Math.min(board.assumedBytes, Math.max(0, ack.acked - snd.mss))
    board.unassume(known)
    ack.delivery.bytes -= Math.min(known, ack.delivery.bytes)
    return
  }
  if (!ack.pure || board.first === null) return
  connection.duplicateAcks++
  if (connection.phase !== 'loss') ack.delivery.bytes += board.assume(snd.mss)
}

/** RFC 5681 §3.2, RFC 6582 §3.2: three duplicate ACKs, and in recovery each partial ACK, tell of one lost segment. */
function findLostBySequence(env: TcpEnvironment, connection: Connection, ack: AckContext): void {
  const { recover, snd } = connection
  if (connection.phase === 'recovery') {
    // RFC 6582 §3.2 step 3: a partial ACK: the next hole is lost as well.
    if (ack.advanced) markFirst(connection)
    return
  }
  if (connection.phase !== 'open' || connection.duplicateAcks < DUPLICATE_ACK_THRESHOLD) return
  // RFC 6582 §3.2 step 2: not for the echoes of what an earlier recovery sent again.
  if (recover !== null && seqAtMost(snd.una, recover)) return
  markFirst(connection)
  env.counters.TcpExtTCPRenoRecovery++
}

function markFirst(connection: Connection): void {
  const { board, snd } = connection
  const { first } = board
  if (first === null) return
  if (first.length > snd.mss) board.split(first, seqAdd(first.start, snd.mss))
  board.markLost(first)
  board.unassume(0)
}

function enterRecovery(env: TcpEnvironment, connection: Connection, acked: number, now: Micros): void {
  const { board, control, window } = connection
  begin(connection, board.outstanding + acked)
  connection.phase = 'recovery'
  window.ssthresh = control.reduce(window, connection.recoveryFlight, now)
  if (connection.sackOn) env.counters.TcpExtTCPSackRecovery++
}

/** RFC 6298 §5.4, RFC 5681 §3.1: what was sent is lost, until the opposite is known. */
export function enterLoss(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { board, snd, window } = connection
  // A repetition is no new congestion (RFC 5681 §3.1): ssthresh stays.
  const isNew = connection.phase === 'open' || seqAtLeast(snd.una, connection.recoveryPoint)
  if (isNew) {
    begin(connection, board.outstanding)
    window.ssthresh = connection.control.timedOut(window, board.outstanding, now)
  }
  connection.frto = isNew || connection.retransmits > 1 ? 1 : 0
  connection.phase = 'loss'
  connection.recoveryPoint = snd.nxt
  connection.recover = snd.nxt
  connection.duplicateAcks = 0
  connection.tlpEnd = null
  connection.timers.reorderAt = NEVER
  window.cwnd = lossWindow(snd.mss)
  probeTimedOut(env, connection, now)
  board.unassume(board.assumedBytes)
  // RFC 2018 §8: the first one reported, and still not acknowledged: the receiver dropped it again.
  if (board.first?.sacked === true) board.forgetSacks()
  markTimedOut(connection, now)
  if (connection.retransmits > 1) env.counters.TcpExtTCPLostRetransmit++
}

/** RFC 8985 §6.3: the first segment, and with RACK of the others only those that are late. */
function markTimedOut(connection: Connection, now: Micros): void {
  const { board } = connection
  const patience = connection.sackOn && connection.rackSentAt >= 0 ? connection.rackRtt : 0
  for (let segment = board.first; segment !== null; segment = segment.next) {
    if (segment === board.first || patience === 0 || segment.sentAt + patience <= now) board.markLost(segment)
  }
}

/** Remembers what was, in case it has to come back. */
function begin(connection: Connection, flight: number): void {
  const { snd, window } = connection
  window.priorCwnd = window.cwnd
  window.priorSsthresh = window.ssthresh
  connection.recoveryPoint = snd.nxt
  connection.recover = snd.nxt
  connection.recoveryFlight = Math.max(flight, snd.mss)
  connection.prrDelivered = 0
  connection.prrOut = 0
  connection.retransmitStamp = null
  connection.undoBytes = 0
  connection.undoMarker = snd.una
}

/**
 * Recovery is over: the window is what the reduction made it; where the program or the peer kept us below it, slow
 * start leads there (RFC 6582 §3.2 step 3), lest all of it goes out in one burst.
 */
function leave(connection: Connection): void {
  const { board, snd, window } = connection
  const burst = Math.max(initialWindow(snd.mss), window.ssthresh >> 2)
  if (connection.phase === 'recovery') window.cwnd = Math.min(window.ssthresh, board.flight + burst)
  connection.phase = 'open'
  connection.frto = 0
  connection.duplicateAcks = 0
  board.unassume(board.assumedBytes)
  if (connection.reorderWindowPersist > 0) connection.reorderWindowPersist--
  if (connection.reorderWindowPersist === 0) connection.reorderWindowMultiplier = 1
}

/** Moves cwnd after an ACK: PRR in recovery, the algorithm's growth otherwise. */
function moveWindow(connection: Connection, ack: AckContext, newlyLost: boolean, now: Micros): void {
  const { board, rtt, snd, window } = connection
  const { delivery } = ack
  if (connection.phase === 'recovery') {
    connection.prrDelivered += delivery.bytes
    window.cwnd = board.flight + reduction(connection, delivery.bytes, ack.advanced && !newlyLost)
    return
  }
  const roundStart = seqAfter(snd.una, connection.roundEnd)
  if (roundStart) connection.roundEnd = snd.nxt
  // Without SACK, what duplicate ACKs tell lets new data out (RFC 3042), but does not make the window grow.
  if (delivery.bytes <= 0 || (!ack.advanced && !connection.sackOn)) return
  // RFC 7661: a window that is not used proves nothing; in slow start half of it is enough.
  if (!connection.windowLimited && !(window.inSlowStart && window.cwnd < 2 * ack.priorFlight)) return
  connection.control.acknowledged(window, {
    acked: delivery.bytes,
    flight: ack.priorFlight,
    rtt: ack.rtt,
    srtt: rtt.srtt,
    leastRtt: rtt.least,
    roundStart,
    now,
  })
}

/** RFC 9937 §6: as many bytes out as ssthresh is of the flight; slow start up to it where loss was heavier. */
function reduction(connection: Connection, delivered: number, safe: boolean): number {
  const { board, prrDelivered, prrOut, recoveryFlight, snd, window } = connection
  let allowed: number
  if (board.flight > window.ssthresh) {
    allowed = Math.ceil((prrDelivered * window.ssthresh) / recoveryFlight) - prrOut
  } else {
    const limit = Math.max(prrDelivered - prrOut, delivered) + (safe ? snd.mss : 0)
    allowed = Math.min(window.ssthresh - board.flight, limit)
  }
  // The fast retransmit itself goes out, whatever the arithmetic says.
  return Math.max(allowed, prrOut === 0 ? snd.mss : 0)
}

/** RFC 8985 §6.2 step 4: a D-SACK says that something was sent in vain: be more patient. */
function noteDuplicate(
  connection: Connection,
  duplicate: { readonly left: Seq; readonly right: Seq },
  priorUna: Seq,
): void {
  connection.dsackDuplicates++
  // RFC 3708: of this episode only, and of what was acknowledged before.
  const counts = seqAfter(duplicate.right, connection.undoMarker) && seqAtMost(duplicate.right, priorUna)
  if (counts && connection.undoBytes > 0) {
    connection.undoBytes = Math.max(0, connection.undoBytes - seqDiff(duplicate.right, duplicate.left))
  }
  // A tail loss probe that was not needed says nothing of the path's order.
  if (connection.tlpEnd !== null && connection.tlpIsRetransmit) return
  if (connection.dsackRound !== null && seqBefore(connection.snd.una, connection.dsackRound)) return
  connection.dsackRound = connection.snd.nxt
  connection.reorderWindowMultiplier = Math.min(connection.reorderWindowMultiplier + 1, MOST_REORDER_MULTIPLIER)
  connection.reorderWindowPersist = REORDER_PERSIST
}

/** RFC 8985 §7.4.2: did the probe repair a loss that nobody else would have seen? */
function endProbe(connection: Connection, ack: AckContext, now: Micros): void {
  const { control, snd, tlpEnd, window } = connection
  if (tlpEnd === null || seqBefore(ack.segment.ack, tlpEnd)) return
  if (connection.tlpIsRetransmit && ack.duplicate === null) {
    if (!seqAfter(ack.segment.ack, tlpEnd)) {
      // A duplicate ACK for the copy: both arrived. Otherwise the next ACK will tell.
      if (ack.pure && !ack.advanced && ack.delivery.bytes === 0) connection.tlpEnd = null
      return
    }
    if (connection.phase === 'open') {
      window.ssthresh = control.reduce(window, Math.max(ack.priorFlight, snd.mss), now)
      window.cwnd = Math.min(window.cwnd, window.ssthresh)
    }
  }
  connection.tlpEnd = null
}
