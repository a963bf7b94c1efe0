// Fifth, check the ACK field (RFC 9293 §3.10.7.4): the send window, what was acknowledged, by number and by SACK, and
// the round trip. input.ts calls it for each acceptable segment; recovery.ts judges what it means for the path.

import type { Drop } from '../counters.ts'
import { after, type Micros, micros, NEVER } from '../time.ts'
import { type Seq, seqAdd, seqAfter, seqAtLeast, seqAtMost, seqBefore, seqDiff } from '../wire/sequence.ts'
import { ACK, FIN, RST, SYN } from '../wire/tcp.ts'
import { type Connection, EVENT_ESTABLISHED, EVENT_WRITABLE, finAcked, setState } from './connection.ts'
import type { Segment, TcpEnvironment } from './environment.ts'
import { afterAck } from './recovery.ts'
import { clip, Delivery } from './scoreboard.ts'
import { armKeepAlive, rearmRetransmit } from './timers.ts'
import { isLate, timestampOf } from './timestamp.ts'
import { tuneSendBuffer } from './window.ts'

/** What the segment being processed delivered: used again for the next. */
const delivery = new Delivery()
/** RFC 7323 §4.1: a time stamp older than this was not echoed, but made up. */
const LONGEST_ECHO_MILLIS = 1_000_000

/** Returns why the segment goes no further, or undefined to go on. */
export function checkAck(
  env: TcpEnvironment,
  connection: Connection,
  segment: Segment,
  now: Micros,
): Drop | 'handled' | undefined {
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
  connection.lastAckReceivedAt = now
  updateRecent(connection, segment, now)
  // The only thing that can arrive in TIME-WAIT is the peer's FIN again; the sequence check answered it.
  if (connection.state === 'TIME-WAIT') return undefined
  processAck(env, connection, segment, now)
  return afterOurFin(env, connection, now)
}

/** RFC 7323 §4.3: TS.Recent comes from segments that begin at or before the last ACK sent; a forged one does not get this far. */
function updateRecent(connection: Connection, segment: Segment, now: Micros): void {
  if (!connection.timestampsOn || !segment.options.timestamps || segment.has(RST)) return
  if (seqAfter(segment.seq, connection.rcv.acked) || isLate(connection, segment)) return
  connection.tsRecent = segment.options.timestampValue
  connection.tsRecentAt = now
}

function acknowledgeSyn(env: TcpEnvironment, connection: Connection, segment: Segment, now: Micros): Drop | undefined {
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

/** The handshake is complete. */
export function establish(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { rtt, snd } = connection
  if (connection.retransmits > 0) rtt.afterSynLoss()
  else if (connection.unackedSince !== NEVER) rtt.sample(micros(now - connection.unackedSince), now)
  connection.retransmits = 0
  connection.unackedSince = NEVER
  connection.timers.retransmitAt = NEVER
  connection.board.forwardAck = snd.una
  connection.recoveryPoint = snd.una
  connection.undoMarker = snd.una
  connection.roundEnd = snd.una
  snd.smallEnd = snd.una
  connection.receiveQueue.reach = connection.rcv.nxt
  connection.tuneAt = now
  connection.measureAt = now
  setState(connection, 'ESTABLISHED')
  armKeepAlive(connection, now)
  env.notify(connection, EVENT_ESTABLISHED | EVENT_WRITABLE)
}

/** The part of the fifth step that all synchronized states share: the send window and what was acknowledged. */
function processAck(env: TcpEnvironment, connection: Connection, segment: Segment, now: Micros): void {
  const { board, sendQueue, snd } = connection
  const priorUna = snd.una
  const priorFlight = board.flight
  const window = segment.window << snd.windowScale
  const advanced = seqAfter(segment.ack, snd.una)
  const acked = advanced ? seqDiff(segment.ack, priorUna) : 0
  const pure = segment.length === 0 && !segment.has(FIN) && !segment.has(SYN) && window === snd.wnd
  delivery.clear()
  board.beginAck()
  if (advanced) {
    snd.una = segment.ack
    if (snd.up !== null && seqAtMost(snd.up, snd.una)) snd.up = null
    board.acknowledge(segment.ack, delivery)
    sendQueue.acknowledge(segment.ack)
    connection.bytesAcked += acked
    connection.retransmits = 0
    connection.softError = null
    connection.unackedSince = oldestSince(connection, now)
    env.confirm(connection, now)
  }
  const duplicate = connection.sackOn ? takeSack(env, connection, segment, priorUna) : null
  const rtt = sampleRtt(connection, segment, advanced, now)
  updateSendWindow(env, connection, segment, window)
  if (advanced || delivery.bytes > 0 || duplicate !== null || (pure && segment.ack === priorUna)) {
    const ack = { segment, delivery, priorUna, priorFlight, acked, advanced, duplicate, pure: pure && !advanced, rtt }
    afterAck(env, connection, ack, now)
  }
  if (advanced) {
    rearmRetransmit(connection, now)
    tuneSendBuffer(connection)
    tellRoom(env, connection)
  }
  env.owe(connection)
}

/** When the oldest byte that is still unacknowledged was sent first, as far as the board knows. */
function oldestSince({ board }: Connection, now: Micros): Micros {
  if (board.first === null) return NEVER
  return board.first.retransmissions === 0 ? board.first.sentAt : now
}

/** Wakes the program that waits for room, once a third of the buffer is free (as in Linux), or that waits until all is acknowledged. */
function tellRoom(env: TcpEnvironment, connection: Connection): void {
  if (!connection.wantsRoom) return
  const { sendLimit, sendQueue } = connection
  if (sendQueue.length > 0 && sendLimit - sendQueue.length < sendLimit / 3) return
  env.notify(connection, EVENT_WRITABLE)
}

/** RFC 9293 §3.10.7.4: SND.WND is taken from segments that are not older than the last one it was taken from. */
function updateSendWindow(env: TcpEnvironment, connection: Connection, segment: Segment, window: number): void {
  const { snd, timers } = connection
  if (seqBefore(segment.ack, snd.una)) return
  // The peer answers: its window may stay shut for as long as it likes (RFC 9293 MUST-37).
  connection.probesSent = 0
  const newer = seqBefore(snd.wl1, segment.seq) || (snd.wl1 === segment.seq && seqAtMost(snd.wl2, segment.ack))
  if (!newer) return
  snd.wnd = window
  snd.wl1 = segment.seq
  snd.wl2 = segment.ack
  if (window > snd.maxWnd) snd.maxWnd = window
  if (window > 0) {
    timers.persistAt = NEVER
    connection.persistBackoffs = 0
  } else env.schedule(connection)
}

/**
 * RFC 6298 §3, RFC 7323 §4.1: from what was sent once, unless something sent again is acknowledged with it (Karn); else
 * from the time stamp that came back. Returns the sample; 0: none.
 */
function sampleRtt(connection: Connection, segment: Segment, advanced: boolean, now: Micros): Micros {
  const { rtt } = connection
  const { earliestAt, latestAt } = delivery
  if (earliestAt >= 0 && !delivery.ackedRetransmitted) {
    rtt.sample(micros(now - earliestAt), now, micros(now - latestAt))
    return rtt.latest
  }
  if (!advanced || !connection.timestampsOn || !segment.options.timestamps) return micros(0)
  const millis = (timestampOf(connection, now) - segment.options.timestampEcho) | 0
  if (millis < 0 || millis > LONGEST_ECHO_MILLIS) return micros(0)
  rtt.sample(micros(Math.max(millis * 1_000, 1)), now)
  return rtt.latest
}

/** RFC 2018 §5, RFC 2883: marks what the peer has, and returns the D-SACK block, if there is one. */
function takeSack(
  env: TcpEnvironment,
  connection: Connection,
  segment: Segment,
  priorUna: Seq,
): { left: Seq; right: Seq } | null {
  const { options } = segment
  if (options.sackCount === 0) return null
  const { board, snd } = connection
  const blocks: { left: Seq; right: Seq }[] = []
  let duplicate: { left: Seq; right: Seq } | null = null
  for (let index = 0; index < options.sackCount; index++) {
    const left = options.sackLeft[index]! as Seq
    const right = options.sackRight[index]! as Seq
    // A block that reaches beyond what was sent is a lie, or of another connection.
    if (!seqBefore(left, right) || seqAfter(right, snd.nxt)) continue
    if (index === 0 && isDsack(segment, left, right)) {
      if (seqBefore(right, seqAdd(priorUna, -snd.maxWnd))) continue
      duplicate = { left, right }
      env.counters.TcpExtTCPDSACKRecv++
      continue
    }
    const part = clip(left, right, snd.una, snd.nxt)
    if (part === null) continue
    board.sack(part.left, part.right, delivery)
    blocks.push(part)
  }
  board.remember(blocks)
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
function afterOurFin(env: TcpEnvironment, connection: Connection, now: Micros): 'handled' | undefined {
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
