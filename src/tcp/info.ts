// What a connection tells about itself: the fields of Linux's tcp_info, with its names and units (times in
// microseconds, or milliseconds since the last segment; windows of the sender in segments). Sockets, `hourglass up`
// and packet scripts show them.

import { type Micros, NEVER } from '../time.ts'
import { seqDiff } from '../wire/sequence.ts'
import type { Connection, TcpState } from './connection.ts'
import type { TcpConfig } from './environment.ts'
import { overheadOf } from './mss.ts'
import { rateOf } from './pacing.ts'

/** Numbers of Linux's include/net/tcp_states.h. */
export const TCP_STATE_NUMBERS: Readonly<Record<TcpState, number>> = {
  ESTABLISHED: 1,
  'SYN-SENT': 2,
  'SYN-RECEIVED': 3,
  'FIN-WAIT-1': 4,
  'FIN-WAIT-2': 5,
  'TIME-WAIT': 6,
  CLOSED: 7,
  'CLOSE-WAIT': 8,
  'LAST-ACK': 9,
  CLOSING: 11,
}
export const CA_OPEN = 0
export const CA_DISORDER = 1
export const CA_RECOVERY = 3
export const CA_LOSS = 4
export const OPTION_TIMESTAMPS = 1
export const OPTION_SACK = 2
export const OPTION_WINDOW_SCALE = 4
/** Linux's for "no threshold yet". */
export const INFINITE_SSTHRESH = 0x7fff_ffff
const MICROS_PER_MILLI = 1_000

export interface TcpInfo {
  readonly state: number
  readonly caState: number
  readonly retransmits: number
  readonly probes: number
  readonly backoff: number
  readonly options: number
  readonly sndWscale: number
  readonly rcvWscale: number
  /** Microseconds. */
  readonly rto: number
  readonly ato: number
  readonly sndMss: number
  readonly rcvMss: number
  /** Segments sent and not acknowledged; of them, reported by SACK, deemed lost, sent again. */
  readonly unacked: number
  readonly sacked: number
  readonly lost: number
  readonly retrans: number
  /** Milliseconds ago; 0 where no data was sent. */
  readonly lastDataSent: number
  readonly lastDataRecv: number
  readonly lastAckRecv: number
  readonly pmtu: number
  readonly rcvSsthresh: number
  /** Microseconds. */
  readonly rtt: number
  readonly rttvar: number
  readonly minRtt: number
  readonly rcvRtt: number
  /** Segments; reordering is Linux's 3 until some was seen, and then unknown: RACK measures time, not distance. */
  readonly sndSsthresh: number
  readonly sndCwnd: number
  readonly advmss: number
  readonly reordering: number | undefined
  /** Bytes that the program read in a round trip. */
  readonly rcvSpace: number
  readonly totalRetrans: number
  /** With what was sent again. The next two are of sequence numbers: a SYN of ours, if we connected, and each FIN count one. */
  readonly bytesSent: number
  readonly bytesAcked: number
  readonly bytesReceived: number
  readonly bytesRetrans: number
  readonly segsOut: number
  readonly segsIn: number
  readonly dataSegsOut: number
  readonly dataSegsIn: number
  readonly notsentBytes: number
  readonly dsackDups: number
  readonly reordSeen: number
  /** Payload bytes a second; 0: not paced. */
  readonly pacingRate: number
  /** Bytes. */
  readonly sndWnd: number
  readonly rcvWnd: number
  /** Segments that came out of order, ever. */
  readonly rcvOoopack: number
}

export function tcpInfo(connection: Connection, config: TcpConfig, now: Micros): TcpInfo {
  const { board, options, rcv, rtt, sendQueue, snd, window } = connection
  const counts = countSegments(connection)
  // As Linux counts: a SYN of ours that was acknowledged is a byte, and so is a FIN of the peer's; the SYN that a listener took is a
  // segment of the connection, its own answers to it are not (emit() in output.ts).
  const ownSyn = !connection.passive && snd.una !== snd.iss ? 1 : 0
  const peersFin = rcv.finSeen ? 1 : 0
  const peersSyn = connection.passive ? 1 : 0
  return {
    state: TCP_STATE_NUMBERS[connection.state],
    caState: phaseNumber(connection, counts.sacked),
    retransmits: connection.retransmits,
    probes: connection.probesSent + (options.keepAlive ? connection.keepAliveProbes : 0),
    backoff: rtt.backedOff,
    options: optionBits(connection),
    sndWscale: snd.windowScale,
    rcvWscale: rcv.windowScale,
    rto: rtt.rto,
    ato: connection.dataSegmentsReceived === 0 ? 0 : config.delayedAck,
    sndMss: snd.mss,
    rcvMss: rcv.segmentBytes,
    ...counts,
    lastDataSent: connection.dataSegmentsSent === 0 ? 0 : since(connection.lastSentAt, now),
    lastDataRecv: since(connection.lastDataReceivedAt, now),
    lastAckRecv: since(connection.lastAckReceivedAt, now),
    pmtu: connection.pathMtu > 0 ? connection.pathMtu : connection.way.linkMtu,
    rcvSsthresh: connection.receiveLimit,
    rtt: rtt.srtt,
    rttvar: rtt.rttvar,
    minRtt: rtt.least === NEVER ? 0 : rtt.least,
    rcvRtt: connection.receiverRtt,
    sndSsthresh: Number.isFinite(window.ssthresh) ? Math.floor(window.ssthresh / snd.mss) : INFINITE_SSTHRESH,
    sndCwnd: Math.floor(window.cwnd / snd.mss),
    advmss: connection.way.linkMtu - overheadOf(connection),
    reordering: connection.reorderingSeen ? undefined : 3,
    rcvSpace: connection.tunedBytes,
    totalRetrans: connection.totalRetransmits,
    bytesSent: connection.bytesSent,
    bytesAcked: connection.bytesAcked + ownSyn,
    bytesReceived: connection.bytesReceived + peersFin,
    bytesRetrans: connection.bytesRetransmitted,
    segsOut: connection.segmentsSent,
    segsIn: connection.segmentsReceived + peersSyn,
    dataSegsOut: connection.dataSegmentsSent,
    dataSegsIn: connection.dataSegmentsReceived,
    notsentBytes: board.last === null ? sendQueue.length : Math.max(0, seqDiff(sendQueue.end, snd.nxt)),
    dsackDups: connection.dsackDuplicates,
    reordSeen: connection.reorderingEvents,
    pacingRate: rateOf(connection),
    sndWnd: snd.wnd,
    rcvWnd: rcv.wnd,
    rcvOoopack: connection.outOfOrderSegments,
  }
}

const since = (instant: Micros, now: Micros): number => Math.floor((now - instant) / MICROS_PER_MILLI)

function countSegments(connection: Connection): Pick<TcpInfo, 'unacked' | 'sacked' | 'lost' | 'retrans'> {
  let unacked = 0
  let sacked = 0
  let lost = 0
  let retrans = 0
  for (let segment = connection.board.first; segment !== null; segment = segment.next) {
    const count = Math.max(1, Math.ceil(segment.length / connection.snd.mss))
    unacked += count
    if (segment.sacked) {
      sacked += count
      continue
    }
    // Linux: what was deemed lost stays so until it is acknowledged, sent again or not.
    const isRepaired = segment.retransmissions > 0 && !segment.lost
    if (segment.lost || (isRepaired && connection.phase !== 'open')) lost += count
    if (isRepaired) retrans += count
  }
  return { unacked, sacked, lost, retrans }
}

function phaseNumber(connection: Connection, sacked: number): number {
  if (connection.phase === 'loss') return CA_LOSS
  if (connection.phase === 'recovery') return CA_RECOVERY
  return sacked > 0 || connection.duplicateAcks > 0 ? CA_DISORDER : CA_OPEN
}

function optionBits(connection: Connection): number {
  let bits = connection.timestampsOn ? OPTION_TIMESTAMPS : 0
  if (connection.sackOn) bits |= OPTION_SACK
  if (connection.windowScalingOn) bits |= OPTION_WINDOW_SCALE
  return bits
}
