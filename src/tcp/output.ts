// What a connection sends. transmit() runs once for each connection that owes something, after the batch of
// input: lost segments first, then new data, FIN, and an ACK where none of these carried it.

import { Packet } from '../buf/packet.ts'
import { after, type Micros, NEVER } from '../time.ts'
import { fold } from '../wire/checksum.ts'
import { PROTOCOL_TCP, pseudoHeaderSum } from '../wire/ipv4.ts'
import { type Seq, seqAdd, seqAfter, seqAtLeast, seqDiff, seqMin } from '../wire/sequence.ts'
import { ACK, emitTcp, FIN, PSH, RST, SYN, TCP_CHECKSUM_AT, TCP_HEADER, URG } from '../wire/tcp.ts'
import { emitTcpOptions, TcpOptions, tcpOptionsLength } from '../wire/tcp-options.ts'
import { initialWindow } from './congestion.ts'
import { type Connection, isSynchronized, type RecoveryPhase } from './connection.ts'
import type { TcpEnvironment } from './environment.ts'
import { MEMORY_RETRY } from './memory.ts'
import { announcedMss, forbidsFragments, overheadOf, resendTooBig, syncMss } from './mss.ts'
import { dueProbe } from './mtu-probe.ts'
import { burstBytes, chargePacing, isHeldBack } from './pacing.ts'
import type { SentSegment } from './scoreboard.ts'
import { segmentsIn } from './segment-reader.ts'
import { armPersist, armProbe, armRetransmit } from './timers.ts'
import { timestampOf } from './timestamp.ts'
import { nextWindow } from './window.ts'

/** A super-segment: what one IPv4 packet can carry with headers of any length. */
const SUPER_SEGMENT = 65_000
/** RFC 9293 §3.8.6.2.1, MUST-38: Fs, the part of the peer's largest window that is worth a segment smaller than mss. */
const SILLY_FRACTION = 2

const options = new TcpOptions()
/** What captures say of a packet. */
const TAIL_PROBE = 'tail loss probe'

/** Sends all that is owed and allowed at this instant. */
export function transmit(env: TcpEnvironment, connection: Connection, now: Micros): void {
  if (connection.state === 'CLOSED') return
  if (connection.synOwed) {
    connection.synOwed = false
    sendSyn(env, connection, now)
  }
  if (isSynchronized(connection.state) && connection.state !== 'TIME-WAIT') sendText(env, connection, now)
  if (connection.probeOwed) {
    connection.probeOwed = false
    // One below the window: no byte is risked, and the peer must answer (RFC 9293 §3.8.6.1, §3.8.4).
    const note = connection.timers.persistAt === NEVER ? 'keep-alive' : 'zero-window probe'
    sendControl(env, connection, seqAdd(connection.snd.una, -1), ACK, now, note)
  }
  let acks = connection.duplicateAcksOwed
  if (acks === 0 && (connection.ackNow || connection.sackOwed)) acks = 1
  connection.duplicateAcksOwed = 0
  for (; acks > 0; acks--) sendAck(env, connection, now)
  env.schedule(connection)
}

function sendText(env: TcpEnvironment, connection: Connection, now: Micros): void {
  if (syncMss(env, connection, now)) resendTooBig(connection)
  if (connection.board.first === null && env.config.slowStartAfterIdle) restartAfterIdle(connection, now)
  if (connection.tlpOwed) {
    connection.tlpOwed = false
    sendProbe(env, connection, now)
  }
  // RFC 5682 §2.1 step 2b: whether the time-out was spurious, new data tells.
  if (connection.frto < 2) sendLost(env, connection, now)
  sendNew(env, connection, now)
}

/** RFC 5681 §4.1, RFC 2861, RFC 7661: what the path carried before a pause of more than a time-out is forgotten, half of it each time. */
function restartAfterIdle(connection: Connection, now: Micros): void {
  const { lastSentAt, rtt, sendQueue, snd, window } = connection
  if (lastSentAt === 0 || seqDiff(sendQueue.end, snd.nxt) <= 0) return
  // A pause that pacing made is none.
  let idle = now - Math.max(lastSentAt, connection.pacedUntil)
  if (idle <= rtt.rto) return
  const least = Math.min(initialWindow(snd.mss), window.cwnd)
  window.ssthresh = Math.max(window.ssthresh, Math.floor((3 * window.cwnd) / 4))
  for (; idle > rtt.rto && window.cwnd > least; idle -= rtt.rto) window.cwnd >>= 1
  window.cwnd = Math.max(window.cwnd, least)
  connection.lastSentAt = now
  connection.control.restarted(window, now)
}

/** RFC 8985 §7.3: one segment of new data where there is some and the peer takes it, else the last one again. */
function sendProbe(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { board, sendQueue, snd } = connection
  const pending = Math.min(seqDiff(sendQueue.end, snd.nxt), snd.mss)
  const usable = seqDiff(seqAdd(snd.una, snd.wnd), snd.nxt)
  connection.tlpEnd = snd.nxt
  connection.tlpIsRetransmit = false
  if (pending > 0 && pending <= usable && sendData(env, connection, pending, false, now, TAIL_PROBE)) return
  const { last } = board
  if (last === null) return
  if (last.length > snd.mss) board.split(last, seqAdd(last.end, -snd.mss))
  connection.tlpIsRetransmit = true
  retransmit(env, connection, board.last!, now, `sent again: ${TAIL_PROBE}`)
}

/** SYN, or SYN and ACK; again where it was lost (RFC 9293 §3.10.1, §3.10.7.2). */
export function sendSyn(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { config } = env
  const { snd, rcv, state } = connection
  const isReply = state === 'SYN-RECEIVED'
  options.clear()
  options.mss = announcedMss(env, connection)
  if (isReply ? connection.sackOn : config.sack) options.sackPermitted = true
  if (isReply ? connection.timestampsOn : config.timestamps) stamp(connection, now)
  if (isReply ? connection.windowScalingOn : config.windowScaling) options.windowScale = rcv.windowScale
  // RFC 7323 §2.2: the window of a SYN is never scaled.
  const window = Math.min(connection.receiveLimit, 0xffff)
  const isFirst = snd.nxt === snd.iss
  if (isFirst) {
    snd.nxt = seqAdd(snd.iss, 1)
    env.counters.TcpOutSegs++
  }
  if (connection.unackedSince === NEVER) connection.unackedSince = now
  rcv.edge = seqAdd(rcv.nxt, window)
  rcv.acked = rcv.nxt
  connection.ackNow = false
  const packet = Packet.allocate(env.pool, 0)
  if (packet !== null) {
    if (!isFirst) packet.note = 'sent again: not acknowledged'
    emit(env, connection, packet, snd.iss, isReply ? SYN | ACK : SYN, window, now)
  }
  if (connection.timers.retransmitAt === NEVER) armRetransmit(connection, now)
}

/** An ACK by itself. */
export function sendAck(env: TcpEnvironment, connection: Connection, now: Micros): void {
  sendControl(env, connection, connection.snd.nxt, ACK, now)
}

/** A segment that carries no data and takes no sequence number: ACK, a keep-alive, a window probe. */
export function sendControl(
  env: TcpEnvironment,
  connection: Connection,
  seq: Seq,
  flags: number,
  now: Micros,
  note = '',
): void {
  const packet = Packet.allocate(env.pool, 0)
  if (packet === null) return
  packet.note = note
  beginOptions(connection, now)
  addSack(connection)
  connection.sackOwed = false
  env.counters.TcpOutSegs++
  emit(env, connection, packet, seq, flags, nextWindow(connection, now), now)
}

/** RST for a connection of ours, after an abort (RFC 9293 §3.10.5). */
export function sendReset(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const packet = Packet.allocate(env.pool, 0)
  if (packet === null) return
  packet.note = 'reset: aborted'
  options.clear()
  env.counters.TcpOutRsts++
  env.counters.TcpOutSegs++
  emit(env, connection, packet, connection.snd.nxt, RST | ACK, 0, now)
}

const WHY_AGAIN: Readonly<Record<RecoveryPhase, string>> = {
  open: 'sent again: too long for the path',
  recovery: 'sent again: deemed lost',
  loss: 'sent again: the retransmission timer expired',
}

/** Sends again what is lost, as far as the congestion window lets it. */
function sendLost(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { board, window } = connection
  for (let segment = board.nextLost(); segment !== null; segment = board.nextLost()) {
    const allowance = Math.min(window.cwnd - board.flight, burstBytes(connection))
    if (allowance <= 0 || isHeldBack(connection, now)) return
    const { mss } = connection.snd
    // Whole segments only: part of one would leave a small one behind.
    const room = Math.max(mss, Math.floor(allowance / mss) * mss)
    if (segment.length > room) board.split(segment, seqAdd(segment.start, room))
    if (!retransmit(env, connection, segment, now, WHY_AGAIN[connection.phase])) return
  }
}

/** Sends one segment again; false: there was no memory for it. */
function retransmit(
  env: TcpEnvironment,
  connection: Connection,
  segment: SentSegment,
  now: Micros,
  note: string,
): boolean {
  if (!sendRange(env, connection, segment.start, segment.end, now, note)) return false
  connection.board.markRetransmitted(segment, now)
  // As Linux counts: bytes, without a FIN, and what is sent again is sent.
  const bytes = seqDiff(seqMin(segment.end, connection.sendQueue.end), segment.start)
  const segments = segmentsOf(connection, bytes)
  connection.totalRetransmits += segments
  connection.bytesRetransmitted += bytes
  connection.bytesSent += bytes
  connection.prrOut += segment.length
  env.counters.TcpRetransSegs += segments
  connection.retransmitStamp ??= timestampOf(connection, now)
  if (connection.undoBytes >= 0) connection.undoBytes += segment.length
  if (connection.timers.retransmitAt === NEVER) armRetransmit(connection, now)
  return true
}

const segmentsOf = ({ snd }: Connection, length: number): number => Math.max(1, Math.ceil(length / snd.mss))

/** New data and FIN (RFC 9293 §3.8.6.2.1), as far as both windows let them. */
function sendNew(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { board, snd, window } = connection
  connection.windowLimited = false
  let sent = false
  for (;;) {
    const pending = seqDiff(connection.sendQueue.end, snd.nxt)
    const finDue = connection.sendQueue.finQueued && !connection.finSent
    if ((pending <= 0 && !finDue) || isHeldBack(connection, now)) break
    const usable = seqDiff(seqAdd(snd.una, snd.wnd), snd.nxt)
    // One segment may always go: cwnd is less than it where the path takes larger ones again, or a program fixed it so.
    const allowed = Math.max(window.cwnd - board.flight, board.flight === 0 ? snd.mss : 0)
    if (allowed < Math.min(pending, snd.mss)) {
      connection.windowLimited = true
      break
    }
    const probe = dueProbe(connection, pending, usable, now)
    if (probe > allowed) {
      // What is in flight makes room for it.
      connection.windowLimited = true
      break
    }
    if (probe > 0) {
      if (!sendMtuProbe(env, connection, probe, now)) break
      sent = true
      continue
    }
    const length = chooseLength(connection, pending, usable, allowed)
    if (length === 0 && !(pending <= 0 && finDue && usable > 0)) break
    const withFin = finDue && length === pending && length < usable
    if (!sendData(env, connection, length, withFin, now)) break
    sent = true
  }
  const { finQueued } = connection.sendQueue
  const blocked = seqDiff(connection.sendQueue.end, snd.nxt) > 0 || (finQueued && !connection.finSent)
  connection.overrideOwed = false
  if (blocked && snd.una === snd.nxt && !sent && connection.timers.paceAt === NEVER) armPersist(connection, now)
  if (sent) armProbe(connection, now)
}

/** RFC 4821 §7.5: new data in one segment that is larger than the others. */
function sendMtuProbe(env: TcpEnvironment, connection: Connection, length: number, now: Micros): boolean {
  const { search, snd } = connection
  const { mss, nxt } = snd
  snd.mss = length
  const sent = sendData(env, connection, length, false, now)
  snd.mss = mss
  if (sent) search?.sent(length + overheadOf(connection), nxt, snd.nxt)
  return sent
}

/** How many bytes of new data to send now; 0: none yet. Silly windows, Nagle and cork decide (RFC 9293 §3.8.6.2.1, §3.7.4). */
function chooseLength(connection: Connection, pending: number, usable: number, allowed: number): number {
  const { options: settings, sendQueue, snd } = connection
  // The urgent pointer counts from each segment: none is cut from a larger one.
  const longest = snd.up === null ? Math.max(SUPER_SEGMENT, snd.mss) : snd.mss
  const most = Math.min(pending, usable, Math.max(allowed, 0), longest, burstBytes(connection))
  if (most <= 0) return 0
  if (most >= snd.mss) return most - (most < pending || settings.cork ? most % snd.mss : mssRemainder(connection, most))
  const isAll = most === pending
  if (connection.overrideOwed) return most
  if (!isAll) return most >= snd.maxWnd / SILLY_FRACTION ? most : 0
  if (sendQueue.finQueued) return most
  if (settings.cork) return 0
  // Minshall: a small segment waits only for an earlier small one.
  return settings.noDelay || !seqAfter(snd.smallEnd, snd.una) ? most : 0
}

/** What is left over beyond whole segments, where Nagle keeps it back. */
function mssRemainder(connection: Connection, length: number): number {
  const remainder = length % connection.snd.mss
  if (remainder === 0 || connection.options.noDelay || connection.sendQueue.finQueued) return 0
  return seqAfter(connection.snd.smallEnd, connection.snd.una) ? remainder : 0
}

function sendData(
  env: TcpEnvironment,
  connection: Connection,
  length: number,
  withFin: boolean,
  now: Micros,
  note = '',
): boolean {
  const { snd } = connection
  const start = snd.nxt
  const end = seqAdd(start, length + (withFin ? 1 : 0))
  if (withFin) connection.finSent = true
  snd.nxt = end
  if (!sendRange(env, connection, start, end, now, note)) {
    snd.nxt = start
    if (withFin) connection.finSent = false
    // The pool is empty: try again soon, for no ACK may come to wake us.
    connection.timers.resumeAt = after(now, MEMORY_RETRY)
    return false
  }
  connection.board.append(start, end, now)
  connection.prrOut += length
  connection.bytesSent += length
  // RFC 4022 tcpOutSegs: what is only sent again counts as TcpRetransSegs.
  env.counters.TcpOutSegs += segmentsOf(connection, length)
  connection.lastSentAt = now
  if (connection.unackedSince === NEVER) connection.unackedSince = now
  if (length % snd.mss !== 0) snd.smallEnd = end
  if (connection.timers.retransmitAt === NEVER) armRetransmit(connection, now)
  return true
}

/** Builds and sends [start, end): data from the queue, and FIN where it lies within. */
function sendRange(
  env: TcpEnvironment,
  connection: Connection,
  start: Seq,
  end: Seq,
  now: Micros,
  note: string,
): boolean {
  const { sendQueue, snd } = connection
  const packet = Packet.allocate(env.pool, 0)
  if (packet === null) return false
  packet.note = note
  const dataEnd = seqMin(end, sendQueue.end)
  const length = Math.max(0, seqDiff(dataEnd, start))
  if (length > 0) sendQueue.lend(packet, start, length)
  chargePacing(connection, length, now)
  const hasFin = connection.finSent && seqAfter(end, sendQueue.end)
  let flags = ACK
  if (hasFin) flags |= FIN
  if (length > 0 && seqAtLeast(dataEnd, sendQueue.end)) flags |= PSH
  beginOptions(connection, now)
  if (length > snd.mss) {
    packet.segmentBytes = snd.mss
    packet.segmentKind = connection.remoteAddress.family === 4 ? 'tcp4' : 'tcp6'
  }
  emit(env, connection, packet, start, flags, nextWindow(connection, now), now)
  return true
}

/** Pushes the header and hands the packet to IP. */
function emit(
  env: TcpEnvironment,
  connection: Connection,
  packet: Packet,
  seq: Seq,
  flags: number,
  window: number,
  now: Micros,
): void {
  const { rcv } = connection
  const urgentPointer = packet.segmentBytes > 0 ? 0 : urgentPointerOf(connection, seq)
  const headerLength = TCP_HEADER + tcpOptionsLength(options)
  const segments = segmentsIn(packet)
  const at = packet.push(headerLength)
  const { view } = packet.page
  emitTcp(view, at, {
    sourcePort: connection.localPort,
    destinationPort: connection.remotePort,
    seq,
    ack: (flags & ACK) !== 0 ? rcv.nxt : (0 as Seq),
    headerLength,
    flags: urgentPointer > 0 ? flags | URG : flags,
    window,
    checksum: 0,
    urgentPointer,
  })
  emitTcpOptions(view, at + TCP_HEADER, options)
  packet.transportAt = at
  const pseudo = pseudoHeaderSum(connection.localAddress, connection.remoteAddress, PROTOCOL_TCP, packet.length)
  view.setUint16(at + TCP_CHECKSUM_AT, fold(pseudo))
  packet.checksum = 'partial'
  packet.checksumStart = at
  packet.checksumField = at + TCP_CHECKSUM_AT
  if ((flags & ACK) !== 0) acknowledged(connection)
  // Until a listener's connection is established, Linux counts for nobody what it sends: tcp_info is to be the same.
  if (connection.state !== 'SYN-RECEIVED' || !connection.passive) connection.segmentsSent += segments
  if (packet.length > headerLength) connection.dataSegmentsSent += segments
  const way = env.refreshWay(connection)
  if (way === null) {
    packet.release()
    return
  }
  const { sendOptions } = env
  sendOptions.hopLimit = connection.options.hopLimit
  sendOptions.trafficClass = connection.options.trafficClass
  sendOptions.dontFragment = forbidsFragments(connection)
  env.outputFor(connection.remoteAddress).send(packet, way, sendOptions, now)
}

/** RFC 9293 MUST-62: from the segment to the octet after the urgent data, or as far towards it as the field goes; 0: none follows. */
function urgentPointerOf({ snd, state }: Connection, seq: Seq): number {
  if (snd.up === null || !isSynchronized(state)) return 0
  return Math.min(0xffff, Math.max(0, seqDiff(snd.up, seq)))
}

/** Every segment with ACK tells all that is known: nothing more is owed. */
function acknowledged(connection: Connection): void {
  connection.ackNow = false
  connection.unackedSegments = 0
  connection.timers.delayedAckAt = NEVER
  connection.rcv.acked = connection.rcv.nxt
  if (connection.quickAcks > 0) connection.quickAcks--
}

function beginOptions(connection: Connection, now: Micros): void {
  options.clear()
  if (connection.timestampsOn) stamp(connection, now)
}

function stamp(connection: Connection, now: Micros): void {
  options.timestamps = true
  options.timestampValue = timestampOf(connection, now)
  options.timestampEcho = connection.tsRecent
}

/** D-SACK first (RFC 2883 §4), then the ranges beyond the hole. */
function addSack(connection: Connection): void {
  if (!connection.sackOn) return
  const limit = connection.timestampsOn ? 3 : 4
  const { duplicateSack, receiveQueue } = connection
  if (duplicateSack === null && receiveQueue.holes === 0) return
  options.sackCount = 0
  if (duplicateSack !== null) {
    options.sackLeft[0] = duplicateSack.left
    options.sackRight[0] = duplicateSack.right
    options.sackCount = 1
    connection.duplicateSack = null
  }
  for (const { left, right } of receiveQueue.sackRanges(limit - options.sackCount)) {
    options.sackLeft[options.sackCount] = left
    options.sackRight[options.sackCount] = right
    options.sackCount++
  }
}
