// One TCP connection: its variables under their RFC 9293 names, and the one door through which its state changes.
// Data only; input.ts, output.ts, recovery.ts and timers.ts act on it.

import { assert } from '../assert.ts'
import type { NetErrorCode } from '../errors.ts'
import type { Way } from '../ip/seams.ts'
import { type Micros, micros, NEVER } from '../time.ts'
import type { IpAddress } from '../wire/address.ts'
import { type Seq, seq, seqAdd, seqDiff } from '../wire/sequence.ts'
import { type CongestionControl, CongestionWindow } from './congestion.ts'
import type { TcpMemory } from './memory.ts'
import { ReceiveQueue } from './receive-queue.ts'
import { RttEstimator } from './rtt.ts'
import { Scoreboard } from './scoreboard.ts'
import { SendQueue } from './send-queue.ts'

export type TcpState =
  | 'CLOSED'
  | 'SYN-SENT'
  | 'SYN-RECEIVED'
  | 'ESTABLISHED'
  | 'FIN-WAIT-1'
  | 'FIN-WAIT-2'
  | 'CLOSE-WAIT'
  | 'CLOSING'
  | 'LAST-ACK'
  | 'TIME-WAIT'

/** RFC 9293 figure 5, with the ways to CLOSED that RST, time-outs and aborts take. LISTEN is a class of its own. */
const LEGAL: Readonly<Record<TcpState, readonly TcpState[]>> = {
  CLOSED: ['SYN-SENT', 'SYN-RECEIVED'],
  'SYN-SENT': ['SYN-RECEIVED', 'ESTABLISHED', 'CLOSED'],
  'SYN-RECEIVED': ['ESTABLISHED', 'FIN-WAIT-1', 'CLOSE-WAIT', 'CLOSED'],
  ESTABLISHED: ['FIN-WAIT-1', 'CLOSE-WAIT', 'CLOSED'],
  'FIN-WAIT-1': ['FIN-WAIT-2', 'CLOSING', 'TIME-WAIT', 'CLOSED'],
  'FIN-WAIT-2': ['TIME-WAIT', 'CLOSED'],
  'CLOSE-WAIT': ['LAST-ACK', 'CLOSED'],
  CLOSING: ['TIME-WAIT', 'CLOSED'],
  'LAST-ACK': ['CLOSED'],
  'TIME-WAIT': ['CLOSED'],
}

/** RFC 9293 §3.3.1, the send sequence variables. */
export class SendVariables {
  /** Oldest unacknowledged sequence number. */
  una: Seq
  /** Next to be sent, retransmissions apart. */
  nxt: Seq
  /** The peer's window in bytes, scaled. */
  wnd = 0
  /** Segment sequence and acknowledgment numbers of the last window update. */
  wl1: Seq
  wl2: Seq
  /** Initial sequence number. */
  readonly iss: Seq
  /** The largest window the peer ever offered, for silly-window avoidance and RFC 5961. */
  maxWnd = 0
  /** To be applied to the windows that the peer sends. */
  windowScale = 0
  /** The largest payload of one segment, options of every segment taken off. */
  mss = 536
  /** What the peer said it takes, options not taken off. */
  peerMss = 536
  /** SND.UP: the sequence number after the urgent data (RFC 9293 MUST-62); null: all of it is acknowledged. */
  up: Seq | null = null
  /** End of the last segment smaller than mss, for Nagle's algorithm as Minshall modified it. */
  smallEnd: Seq

  constructor(iss: Seq) {
    this.iss = iss
    this.una = iss
    this.nxt = iss
    this.wl1 = seq(0)
    this.wl2 = iss
    this.smallEnd = iss
  }
}

/** RFC 9293 §3.3.1, the receive sequence variables. */
export class ReceiveVariables {
  /** Next expected. */
  nxt: Seq = seq(0)
  /** Initial sequence number of the peer. */
  irs: Seq = seq(0)
  /** The right edge that was last advertised: it never moves left. */
  edge: Seq = seq(0)
  /** To be applied to the windows that we send. */
  windowScale = 0
  /** RCV.UP: the sequence number after the peer's urgent data; null: none was announced. */
  up: Seq | null = null
  /** The acknowledgment number that was last sent. */
  acked: Seq = seq(0)
  /** The segments that the peer sends when it can: what "full-sized" means for delayed ACKs. */
  segmentBytes = 536
  /** Payload of its latest segment. */
  lastBytes = 0
  /** FIN arrived in order. */
  finSeen = false
  /** Where the peer's FIN lies when it came out of order. */
  finAt: Seq | null = null

  /** RCV.WND: what the peer may still send. */
  get wnd(): number {
    return Math.max(0, seqDiff(this.edge, this.nxt))
  }
}

/** Deadlines; NEVER where a timer is off. */
export class Timers {
  retransmitAt: Micros = NEVER
  /** Tail loss probe (RFC 8985 §7). */
  probeAt: Micros = NEVER
  /** RACK's reordering timer (RFC 8985 §6.3). */
  reorderAt: Micros = NEVER
  persistAt: Micros = NEVER
  delayedAckAt: Micros = NEVER
  keepAliveAt: Micros = NEVER
  /** TIME-WAIT, and FIN-WAIT-2 of a socket that nobody holds any more. */
  timeWaitAt: Micros = NEVER
  /** Sending again what the path had no room for. */
  resumeAt: Micros = NEVER
  /** Sending what the pacing rate held back. */
  paceAt: Micros = NEVER

  least(): Micros {
    let least = this.retransmitAt
    if (this.probeAt < least) least = this.probeAt
    if (this.reorderAt < least) least = this.reorderAt
    if (this.persistAt < least) least = this.persistAt
    if (this.delayedAckAt < least) least = this.delayedAckAt
    if (this.keepAliveAt < least) least = this.keepAliveAt
    if (this.timeWaitAt < least) least = this.timeWaitAt
    if (this.resumeAt < least) least = this.resumeAt
    if (this.paceAt < least) least = this.paceAt
    return least
  }

  clear(): void {
    this.retransmitAt = NEVER
    this.probeAt = NEVER
    this.reorderAt = NEVER
    this.persistAt = NEVER
    this.delayedAckAt = NEVER
    this.keepAliveAt = NEVER
    this.timeWaitAt = NEVER
    this.resumeAt = NEVER
    this.paceAt = NEVER
  }
}

/** What a program may set on a connection. Times in microseconds. */
export interface ConnectionOptions {
  noDelay: boolean
  /** Send only full segments until it is switched off (Linux's TCP_CORK). */
  cork: boolean
  keepAlive: boolean
  keepAliveIdle: Micros
  keepAliveInterval: Micros
  keepAliveCount: number
  /** How long sent data may stay unacknowledged (RFC 5482, local); 0: as many retries as the stack allows. */
  userTimeout: Micros
  hopLimit: number
  trafficClass: number
  /** Upper bounds of the buffers, which tune themselves below them. */
  receiveBytes: number
  sendBytes: number
  /** Its port may be bound again while it lasts, TIME-WAIT included, if who binds it says so too (SO_REUSEADDR). A listener's is never shared. */
  reuseAddress: boolean
  /** Makes the congestion control; null: the stack's (Linux's TCP_CONGESTION). */
  congestionControl: (() => CongestionControl) | null
}

/** Who holds the connection: a socket. Told from Tcp.poll, after the batch. */
export interface ConnectionOwner {
  onEstablished(): void
  onReadable(): void
  onWritable(): void
  /** RFC 9293 §3.9.1.8, ERROR_REPORT: some of EVENT_REPORTS. The connection goes on. */
  onReport(events: number): void
  /** The connection is CLOSED; null: in good order. */
  onClosed(error: NetErrorCode | null): void
}

/** Where passive connections come from and wait: the listener (listener.ts). */
export interface Acceptor {
  /** Handshakes under way. */
  readonly pending: Set<Connection>
  readonly accepted: Connection[]
  readonly acceptQueueFull: boolean
  readonly closed: boolean
  announced: boolean
  onAcceptable: (() => void) | null
}

/** What the owner is to be told. */
export const EVENT_ESTABLISHED = 1
export const EVENT_READABLE = 2
export const EVENT_WRITABLE = 4
export const EVENT_CLOSED = 8
/** An ICMP error arrived: `softError`. */
export const EVENT_SOFT_ERROR = 16
/** A segment was sent again R1 times. */
export const EVENT_DELIVERY = 32
/** The urgent pointer advanced: `rcv.up`. */
export const EVENT_URGENT = 64
export const EVENT_REPORTS = EVENT_SOFT_ERROR | EVENT_DELIVERY | EVENT_URGENT

/** Loss recovery of RFC 5681, 6675, 8985: which phase, and until when. */
export type RecoveryPhase = 'open' | 'recovery' | 'loss'

export class Connection {
  readonly localAddress: IpAddress
  readonly localPort: number
  readonly remoteAddress: IpAddress
  readonly remotePort: number
  /** Demultiplexing: its hash, and the next of its chain. */
  readonly hash: number
  chain: Connection | null = null
  state: TcpState = 'CLOSED'
  /** Came from a listener: an RST in SYN-RECEIVED returns it there (RFC 9293 §3.10.7.4). */
  readonly passive: boolean
  readonly snd: SendVariables
  readonly rcv = new ReceiveVariables()
  readonly rtt = new RttEstimator()
  readonly window: CongestionWindow
  control: CongestionControl
  readonly timers = new Timers()
  readonly options: ConnectionOptions
  readonly memory: TcpMemory
  readonly sendQueue: SendQueue
  readonly receiveQueue: ReceiveQueue
  readonly board: Scoreboard
  way: Way
  deadlineAt: Micros = NEVER
  scheduledAt: Micros = NEVER

  // What SYNs agreed on.
  sackOn = false
  timestampsOn = false
  windowScalingOn = false
  /** RFC 7323 §4.3. */
  tsRecent = 0
  tsRecentAt: Micros = micros(0)
  /** Added to our time stamps, so that they tell no stranger our clock. */
  readonly tsOffset: number

  // What is owed.
  outputQueued = false
  /** An ICMP error lowered the path MTU: segments are to be cut anew. */
  mtuReduced = false
  synOwed = false
  ackNow = false
  /** An ACK with SACK blocks, which no segment with data carries. */
  sackOwed = false
  /** ACKs for segments beyond a hole: without SACK the sender counts them (RFC 5681 §3.2), so each has its own, in a batch too. */
  duplicateAcksOwed = 0
  /** A tail loss probe: one segment, whatever cwnd says. */
  tlpOwed = false
  /** The window has been silly for too long: what fits is sent (RFC 9293 §3.8.6.2.1). */
  overrideOwed = false
  /** A segment below the window, which the peer answers: a zero-window probe or a keep-alive. */
  probeOwed = false
  /** In-order segments that no ACK was sent for. */
  unackedSegments = 0
  /** ACKs still to be sent at once, as at the beginning and after loss. */
  quickAcks: number
  /** D-SACK to report with the next ACK (RFC 2883); null: none. */
  duplicateSack: { left: Seq; right: Seq } | null = null
  events = 0

  // Recovery (recovery.ts).
  phase: RecoveryPhase = 'open'
  /** snd.nxt when recovery began: it ends when that is acknowledged. */
  recoveryPoint: Seq
  duplicateAcks = 0
  /** RFC 6582 §3.2 step 2: snd.nxt when the last recovery began; null: there was none. */
  recover: Seq | null = null
  /** Proportional rate reduction (RFC 9937): bytes delivered and sent since recovery began, and the flight then. */
  prrDelivered = 0
  prrOut = 0
  recoveryFlight = 0
  /** F-RTO (RFC 5682): 0 off, 1 after the time-out, 2 after the first ACK, when new data goes instead of old. */
  frto = 0
  /** Undo: the time stamp of the first retransmission of this recovery (null: none), and retransmitted bytes not yet reported by D-SACK (-1: off). */
  retransmitStamp: number | null = null
  undoBytes = -1
  undoMarker: Seq
  /** RACK (RFC 8985 §5.2). */
  rackSentAt: Micros = -1 as Micros
  rackEnd: Seq
  rackRtt: Micros = micros(0)
  reorderingSeen = false
  reorderWindowMultiplier = 1
  reorderWindowPersist = 16
  dsackRound: Seq | null = null
  /** Tail loss probe: the end of the probe in flight, whether it was a retransmission; null: none. */
  tlpEnd: Seq | null = null
  tlpIsRetransmit = false

  // Congestion bookkeeping.
  /** The window kept us from sending: growing it makes sense. */
  windowLimited = false
  /** End of the round trip that is being counted. */
  roundEnd: Seq
  lastSentAt: Micros = micros(0)
  /** When the pacing rate has room for more (pacing.ts), in microseconds and fractions of them. */
  pacedUntil = 0

  // Retries.
  retransmits = 0
  probesSent = 0
  /** Doublings of the persist timer since the window closed. */
  persistBackoffs = 0
  keepAliveProbes = 0
  lastReceivedAt: Micros = micros(0)
  lastDataReceivedAt: Micros = micros(0)
  lastAckReceivedAt: Micros = micros(0)
  /** When the oldest unacknowledged data was first sent; NEVER: none is. */
  unackedSince: Micros = NEVER
  /** When an ACK last answered a segment without data from outside the window: two hosts must not answer each other for ever. */
  invalidAckAt: Micros = NEVER

  // The path (mss.ts).
  /** The path MTU that snd.mss was made for; 0: none yet. */
  pathMtu = 0
  /** What black-hole detection lets through; 0: anything. And until when. */
  pathLimit = 0
  pathLimitUntil: Micros = NEVER

  // Receive buffer auto-tuning.
  receiveLimit: number
  sendLimit: number
  tuneAt: Micros = micros(0)
  measureSeq: Seq | null = null
  tuneBytes = 0
  tunedBytes = 0
  measureAt: Micros = micros(0)
  receiverRtt: Micros = micros(0)

  // The program's side.
  /** Where it came from, until the handshake is complete; null for active opens. */
  listener: Acceptor | null = null
  interfaceIndex = 0
  owner: ConnectionOwner | null = null
  /** The program reads no more: what comes is acknowledged and thrown away, or answered by RST once it writes no more either. */
  readShut = false
  /** Nobody holds it any more: it lives on until it is closed in order. */
  orphaned = false
  /** The program waits for room in the send buffer. */
  wantsRoom = false
  /** Why it ended; null: in good order, or not yet. */
  error: NetErrorCode | null = null
  softError: NetErrorCode | null = null
  finSent = false

  // Counts, as tcp_info has them.
  bytesSent = 0
  bytesRetransmitted = 0
  bytesAcked = 0
  bytesReceived = 0
  segmentsSent = 0
  segmentsReceived = 0
  dataSegmentsSent = 0
  dataSegmentsReceived = 0
  outOfOrderSegments = 0
  totalRetransmits = 0
  dsackDuplicates = 0
  reorderingEvents = 0

  constructor(fields: {
    localAddress: IpAddress
    localPort: number
    remoteAddress: IpAddress
    remotePort: number
    hash: number
    passive: boolean
    iss: Seq
    way: Way
    memory: TcpMemory
    options: ConnectionOptions
    control: CongestionControl
    tsOffset: number
    receiveLimit: number
    sendLimit: number
    quickAcks: number
  }) {
    const first = seqAdd(fields.iss, 1)
    this.localAddress = fields.localAddress
    this.localPort = fields.localPort
    this.remoteAddress = fields.remoteAddress
    this.remotePort = fields.remotePort
    this.hash = fields.hash
    this.passive = fields.passive
    this.snd = new SendVariables(fields.iss)
    this.way = fields.way
    this.options = fields.options
    this.control = fields.control
    this.window = new CongestionWindow(this.snd.mss)
    this.memory = fields.memory
    this.sendQueue = new SendQueue(fields.memory, first)
    this.receiveQueue = new ReceiveQueue(fields.memory, seq(0))
    this.board = new Scoreboard(first)
    this.tsOffset = fields.tsOffset
    this.receiveLimit = fields.receiveLimit
    this.sendLimit = fields.sendLimit
    this.quickAcks = fields.quickAcks
    this.recoveryPoint = fields.iss
    this.undoMarker = fields.iss
    this.rackEnd = fields.iss
    this.roundEnd = fields.iss
  }
}

/** The one door through which the state changes. */
export function setState(connection: Connection, state: TcpState): void {
  assert(LEGAL[connection.state].includes(state), `from ${connection.state} to ${state}`)
  connection.state = state
}

/** RFC 9293 MUST-33: the bytes that are to be read before the urgent data is over; 0: there is none. */
export function urgentBytes({ rcv, receiveQueue }: Connection): number {
  if (rcv.up === null) return 0
  const read = seqAdd(rcv.nxt, -receiveQueue.available - (rcv.finSeen ? 1 : 0))
  return Math.max(0, seqDiff(rcv.up, read))
}

/** Whether our FIN was acknowledged. */
export const finAcked = (connection: Connection): boolean =>
  connection.finSent && connection.snd.una === connection.snd.nxt

/** Whether the program may still send. */
export const canSend = (state: TcpState): boolean => state === 'ESTABLISHED' || state === 'CLOSE-WAIT'

/** Whether data of the peer is still expected. */
export const canReceive = (state: TcpState): boolean =>
  state === 'ESTABLISHED' || state === 'FIN-WAIT-1' || state === 'FIN-WAIT-2'

export const isSynchronized = (state: TcpState): boolean =>
  state !== 'CLOSED' && state !== 'SYN-SENT' && state !== 'SYN-RECEIVED'
