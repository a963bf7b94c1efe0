// Loss: found by RACK (RFC 8985), or by duplicate ACKs where there is no SACK (RFC 5681, 6582); repaired within
// the bounds of proportional rate reduction (RFC 9937); taken back where it was none (RFC 3522, 3708, 5682).

import { type Micros, micros, NEVER } from '../time.ts'
import { type Seq, seqAfter, seqAtLeast, seqAtMost, seqBefore } from '../wire/sequence.ts'
import { lossWindow } from './congestion.ts'
import type { Connection } from './connection.ts'
import type { Segment, TcpEnvironment } from './environment.ts'
import type { SentSegment } from './scoreboard.ts'

/** RFC 5681 §3.2. */
const DUPLICATE_ACK_THRESHOLD = 3
/** RFC 8985 §6.2 step 4: rounds after which a widened reordering window shrinks again. */
const REORDER_PERSIST = 16

/** What an ACK told, before the board was changed. */
export interface AckContext {
  readonly segment: Segment
  readonly priorUna: Seq
  readonly priorFlight: number
  /** snd.una moved. */
  readonly advanced: boolean
  /** A D-SACK block was in it: the bytes it reports twice. */
  readonly duplicate: { readonly left: Seq; readonly right: Seq } | null
  /** It carries no data and changes no window: a duplicate ACK, if una did not move (RFC 5681 §2). */
  readonly pure: boolean
}

/** The board is up to date; this decides what is lost, and in which phase the sender is. */
export function afterAck(env: TcpEnvironment, connection: Connection, ack: AckContext, now: Micros): void {
  const { delivery } = connection
  if (connection.sackOn) updateRack(connection, now)
  if (ack.duplicate !== null) noteDuplicate(connection)
  if (ack.advanced) endProbe(connection, ack)
  if (connection.phase === 'loss') checkFrto(env, connection, ack)
  if (mayUndo(connection, ack)) undo(env, connection, now)
  if (connection.phase !== 'open' && ack.advanced && seqAtLeast(connection.snd.una, connection.recoveryPoint)) {
    leave(connection)
  }
  countDuplicates(env, connection, ack)
  if (connection.sackOn) detectLoss(env, connection, now)
  else if (connection.phase === 'recovery' && ack.advanced) markPartial(connection)
  if (connection.phase === 'open' && connection.board.lostBytes > 0)
    enterRecovery(env, connection, ack.priorFlight, now)
  if (connection.phase === 'recovery') connection.prrDelivered += delivery.bytes
  moveWindow(connection, ack, now)
}

/** RFC 8985 §6.2 steps 1 to 3: the most recently sent segment that was delivered. */
function updateRack(connection: Connection, now: Micros): void {
  const { delivery, rtt } = connection
  if (delivery.reordered && !connection.reorderingSeen) connection.reorderingSeen = true
  if (delivery.reordered) connection.reorderingEvents++
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
export function detectLoss(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { board, timers, rackSentAt, rackEnd } = connection
  timers.reorderAt = NEVER
  if (rackSentAt < 0) return
  const window = reorderWindow(connection)
  let wait = 0
  for (let segment = board.first; segment !== null; segment = segment.next) {
    if (segment.sacked || segment.lost || !isSentBefore(segment, rackSentAt, rackEnd)) continue
    const left = segment.sentAt + connection.rackRtt + window - now
    if (left <= 0) board.markLost(segment)
    else if (left > wait) wait = left
  }
  if (wait > 0) timers.reorderAt = micros(now + wait)
  if (connection.phase === 'open' && board.lostBytes > 0) {
    enterRecovery(env, connection, board.flight + board.lostBytes, now)
  }
}

const isSentBefore = (segment: SentSegment, sentAt: Micros, end: Seq): boolean =>
  segment.sentAt < sentAt || (segment.sentAt === sentAt && seqBefore(segment.end, end))

/** RFC 5681 §3.2, RFC 3042: without SACK, three duplicate ACKs tell of a loss; the first two let new data out. */
function countDuplicates(env: TcpEnvironment, connection: Connection, ack: AckContext): void {
  const { board } = connection
  if (ack.advanced || board.first === null) {
    connection.duplicateAcks = 0
    return
  }
  if (!ack.pure) return
  connection.duplicateAcks++
  if (connection.sackOn || connection.phase !== 'open') return
  if (connection.duplicateAcks < DUPLICATE_ACK_THRESHOLD) return
  // RFC 6582 §3.2 step 2: not for data that an earlier recovery sent again.
  if (seqAtMost(connection.snd.una, connection.recoveryPoint) && connection.recoveryPoint !== connection.snd.iss) return
  markFirst(connection)
  env.counters.TcpExtTCPRenoRecovery++
}

function markFirst(connection: Connection): void {
  const { board, snd } = connection
  const { first } = board
  if (first === null) return
  if (first.length > snd.mss) board.split(first, (first.start + snd.mss) as Seq)
  board.markLost(first)
}

/** RFC 6582 §3.2 step 5: a partial ACK: the next hole is lost as well. */
const markPartial = (connection: Connection): void => markFirst(connection)

function enterRecovery(env: TcpEnvironment, connection: Connection, flight: number, now: Micros): void {
  begin(connection, flight)
  connection.phase = 'recovery'
  connection.window.ssthresh = connection.control.reduce(connection.window, flight, now)
  if (connection.sackOn) env.counters.TcpExtTCPSackRecovery++
}

/** RFC 6298 §5.4, RFC 5681 §3.1: everything is lost until the opposite is known. */
export function enterLoss(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { board, snd, window } = connection
  const flight = board.flight
  if (connection.phase !== 'loss') {
    begin(connection, flight)
    window.ssthresh = connection.control.timedOut(window, flight, now)
    // RFC 5682 §2.1: worth trying where there is new data, and this is the first time-out.
    connection.frto = seqAfter(connection.sendQueue.end, snd.nxt) || board.length > 1 ? 1 : 0
  } else connection.frto = 0
  connection.phase = 'loss'
  connection.recoveryPoint = snd.nxt
  window.cwnd = lossWindow(snd.mss)
  connection.tlpEnd = null
  connection.rackSentAt = -1 as Micros
  board.markAllLost()
  env.counters.TcpExtTCPLostRetransmit += connection.retransmits > 1 ? 1 : 0
}

/** Remembers what was, in case it has to come back. */
function begin(connection: Connection, flight: number): void {
  const { snd, window } = connection
  window.priorCwnd = window.cwnd
  window.priorSsthresh = window.ssthresh
  connection.recoveryPoint = snd.nxt
  connection.recoveryFlight = Math.max(flight, snd.mss)
  connection.prrDelivered = 0
  connection.prrOut = 0
  connection.retransmitStamp = 0
  connection.undoRetransmissions = 0
  connection.undoMarker = snd.una
}

/** Recovery is over: the window is what the reduction made it. */
function leave(connection: Connection): void {
  const { window } = connection
  if (connection.phase === 'recovery') window.cwnd = Math.min(window.ssthresh, Math.max(window.cwnd, window.ssthresh))
  connection.phase = 'open'
  connection.frto = 0
  connection.duplicateAcks = 0
  if (connection.reorderWindowPersist > 0) connection.reorderWindowPersist--
  if (connection.reorderWindowPersist === 0) connection.reorderWindowMultiplier = 1
}

/** How many bytes may be sent now, retransmissions first: RFC 9937 in recovery, the window otherwise. */
export function retransmitAllowance(connection: Connection): number {
  return connection.window.cwnd - connection.board.flight
}

/** Moves cwnd after an ACK: PRR in recovery, the algorithm's growth otherwise. */
function moveWindow(connection: Connection, ack: AckContext, now: Micros): void {
  const { board, control, delivery, snd, window } = connection
  if (connection.phase === 'recovery') {
    window.cwnd = board.flight + reduction(connection, ack)
    return
  }
  // Limited transmit (RFC 3042): one segment of new data for each of the first two duplicates.
  if (!connection.sackOn && connection.duplicateAcks > 0) return
  if (delivery.bytes === 0) return
  const roundStart = seqAfter(snd.una, connection.roundEnd)
  if (roundStart) connection.roundEnd = snd.nxt
  if (!connection.windowLimited && !(window.inSlowStart && window.cwnd < 2 * ack.priorFlight)) return
  control.acknowledged(window, {
    acked: delivery.bytes,
    flight: ack.priorFlight,
    rtt: connection.rtt.latest,
    srtt: connection.rtt.srtt,
    leastRtt: connection.rtt.least,
    roundStart,
    now,
  })
}

/** RFC 9937 §6: as many bytes out as ssthresh is of the flight; slow start up to it where loss was heavier. */
function reduction(connection: Connection, ack: AckContext): number {
  const { board, delivery, recoveryFlight, snd, window } = connection
  const { prrDelivered, prrOut } = connection
  if (board.flight > window.ssthresh) {
    return Math.max(Math.ceil((prrDelivered * window.ssthresh) / recoveryFlight) - prrOut, 0)
  }
  let limit = Math.max(prrDelivered - prrOut, delivery.bytes)
  const safe = ack.advanced && board.lostBytes === 0
  if (safe) limit += snd.mss
  const allowed = Math.min(window.ssthresh - board.flight, limit)
  // The fast retransmit itself goes out, whatever the arithmetic says.
  return Math.max(allowed, prrOut === 0 ? snd.mss : 0)
}

/** RFC 8985 §6.2 step 4: a D-SACK says that something was sent in vain: be more patient. */
function noteDuplicate(connection: Connection): void {
  connection.dsackDuplicates++
  if (connection.undoRetransmissions > 0) connection.undoRetransmissions--
  if (connection.dsackRound !== null && seqAtMost(connection.snd.una, connection.dsackRound)) return
  connection.dsackRound = connection.snd.nxt
  connection.reorderWindowMultiplier = Math.min(connection.reorderWindowMultiplier + 1, 64)
  connection.reorderWindowPersist = REORDER_PERSIST
  connection.reorderingSeen = true
}

/** RFC 8985 §7.4: the probe repaired a loss if no D-SACK reports it as needless. */
function endProbe(connection: Connection, ack: AckContext): void {
  const { tlpEnd, window } = connection
  if (tlpEnd === null || seqBefore(connection.snd.una, tlpEnd)) return
  connection.tlpEnd = null
  if (!connection.tlpIsRetransmit || ack.duplicate !== null || connection.phase !== 'open') return
  window.ssthresh = connection.control.reduce(window, ack.priorFlight, connection.rtt.latest)
  window.cwnd = Math.min(window.cwnd, window.ssthresh)
}

/** RFC 5682 §2.1, with SACK §3: the first ACKs after a time-out tell whether it was spurious. */
function checkFrto(env: TcpEnvironment, connection: Connection, ack: AckContext): void {
  if (connection.frto === 0 || !ack.advanced) {
    if (!ack.advanced && connection.frto > 0 && connection.delivery.bytes === 0) connection.frto = 0
    return
  }
  // What was acknowledged had been sent once only: the original arrived, and the time-out was too early.
  const original = connection.delivery.firstSentAt >= 0
  if (connection.frto === 2 || original) {
    if (original) {
      env.counters.TcpExtTCPSpuriousRTOs++
      restore(connection)
    }
    connection.frto = 0
    return
  }
  connection.frto = 2
}

/** RFC 3522 by time stamps, RFC 3708 by D-SACK: all that was sent again had arrived. */
function mayUndo(connection: Connection, ack: AckContext): boolean {
  if (connection.phase === 'open' || connection.window.priorCwnd === 0) return false
  const { segment } = ack
  const { retransmitStamp } = connection
  const byStamp =
    connection.timestampsOn &&
    retransmitStamp !== 0 &&
    ack.advanced &&
    segment.options.timestamps &&
    ((segment.options.timestampEcho - retransmitStamp) | 0) < 0
  const byDsack = connection.undoRetransmissions === 0 && ack.duplicate !== null && connection.totalRetransmits > 0
  return byStamp || byDsack
}

function undo(env: TcpEnvironment, connection: Connection, now: Micros): void {
  if (connection.phase === 'loss') env.counters.TcpExtTCPLossUndo++
  else env.counters.TcpExtTCPFullUndo++
  restore(connection)
  connection.control.undone(connection.window, now)
}

function restore(connection: Connection): void {
  const { board, window } = connection
  window.cwnd = Math.max(window.cwnd, window.priorCwnd)
  window.ssthresh = Math.max(window.ssthresh, window.priorSsthresh)
  window.priorCwnd = 0
  connection.phase = 'open'
  connection.frto = 0
  connection.rtt.resume()
  board.clearLost()
}
