// One TCP connection: its variables under their RFC 9293 names, and the one door through which its state changes.
// Data only; input.ts, output.ts, recovery.ts and timers.ts act on it.

import { assert } from '../assert.ts'
import type { NetErrorCode } from '../errors.ts'
import type { Way } from '../ip/seams.ts'
import { type Micros, micros } from '../time.ts'
import type { IpAddress } from '../wire/address.ts'
import { type Seq, seq, seqAdd, seqDiff } from '../wire/sequence.ts'
import { type CongestionControl, CongestionWindow } from './congestion.ts'
import type { ConnectionOptions } from './connection-options.ts'
import {
  DEADLINE_AT,
  FRESH,
  INVALID_ACK_AT,
  LAST_ACK_RECEIVED_AT,
  LAST_DATA_RECEIVED_AT,
  LAST_RECEIVED_AT,
  LAST_SENT_AT,
  MEASURE_AT,
  PACED_UNTIL,
  RACK_SENT_AT,
  SCHEDULED_AT,
  Timers,
  TS_RECENT_AT,
  TUNE_AT,
  UNACKED_SINCE,
} from './instants.ts'
import type { TcpMemory } from './memory.ts'
import type { MtuSearch } from './mtu-search.ts'
import { ReceiveQueue } from './receive-queue.ts'
import { RttEstimator } from './rtt.ts'
import { Scoreboard } from './scoreboard.ts'
import { SendQueue } from './send-queue.ts'
import { ReceiveVariables, SendVariables } from './variables.ts'

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
  private controlMade: CongestionControl | null = null
  private makeControl: () => CongestionControl
  private readonly instants = FRESH.slice()
  readonly timers = new Timers(this.instants)
  /** Many connections share one: who changes them makes a copy (open.ts). */
  options: Readonly<ConnectionOptions>
  readonly memory: TcpMemory
  readonly sendQueue: SendQueue
  readonly receiveQueue: ReceiveQueue
  readonly board: Scoreboard
  way: Way

  // What SYNs agreed on.
  sackOn = false
  timestampsOn = false
  windowScalingOn = false
  /** RFC 7323 §4.3. */
  tsRecent = 0
  /** Added to our time stamps, so that they tell no stranger our clock. */
  readonly tsOffset: number

  // What is owed.
  outputQueued = false
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

  // Retries.
  retransmits = 0
  probesSent = 0
  /** Doublings of the persist timer since the window closed. */
  persistBackoffs = 0
  keepAliveProbes = 0

  // The path (mss.ts).
  /** The path MTU that snd.mss was made for; 0: none yet. */
  pathMtu = 0
  /** What black-hole detection lets through, and how more is found out; null: anything. */
  search: MtuSearch | null = null

  // Auto-tuning of the buffers (window.ts).
  receiveLimit: number
  sendLimit: number
  measureSeq: Seq | null = null
  tuneBytes = 0
  tunedBytes = 0
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
    options: Readonly<ConnectionOptions>
    makeControl: () => CongestionControl
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
    this.makeControl = fields.makeControl
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

  /** Made when it is first asked, which is when data goes out: most connections are idle most of the time. */
  get control(): CongestionControl {
    this.controlMade ??= this.makeControl()
    return this.controlMade
  }

  /** From now on another one decides. */
  controlBy(makeControl: () => CongestionControl): void {
    this.makeControl = makeControl
    this.controlMade = null
  }

  get deadlineAt(): Micros {
    return this.instants[DEADLINE_AT]!
  }

  set deadlineAt(at: Micros) {
    this.instants[DEADLINE_AT] = at
  }

  get scheduledAt(): Micros {
    return this.instants[SCHEDULED_AT]!
  }

  set scheduledAt(at: Micros) {
    this.instants[SCHEDULED_AT] = at
  }

  /** RFC 7323 §4.3. */
  get tsRecentAt(): Micros {
    return this.instants[TS_RECENT_AT]!
  }

  set tsRecentAt(at: Micros) {
    this.instants[TS_RECENT_AT] = at
  }

  /** RACK (RFC 8985 §5.2). */
  get rackSentAt(): Micros {
    return this.instants[RACK_SENT_AT]!
  }

  set rackSentAt(at: Micros) {
    this.instants[RACK_SENT_AT] = at
  }

  get lastSentAt(): Micros {
    return this.instants[LAST_SENT_AT]!
  }

  set lastSentAt(at: Micros) {
    this.instants[LAST_SENT_AT] = at
  }

  get lastReceivedAt(): Micros {
    return this.instants[LAST_RECEIVED_AT]!
  }

  set lastReceivedAt(at: Micros) {
    this.instants[LAST_RECEIVED_AT] = at
  }

  get lastDataReceivedAt(): Micros {
    return this.instants[LAST_DATA_RECEIVED_AT]!
  }

  set lastDataReceivedAt(at: Micros) {
    this.instants[LAST_DATA_RECEIVED_AT] = at
  }

  get lastAckReceivedAt(): Micros {
    return this.instants[LAST_ACK_RECEIVED_AT]!
  }

  set lastAckReceivedAt(at: Micros) {
    this.instants[LAST_ACK_RECEIVED_AT] = at
  }

  /** When the oldest unacknowledged data was first sent; NEVER: none is. */
  get unackedSince(): Micros {
    return this.instants[UNACKED_SINCE]!
  }

  set unackedSince(at: Micros) {
    this.instants[UNACKED_SINCE] = at
  }

  /** When an ACK last answered what did not fit: challenge.ts says how often it may. */
  get invalidAckAt(): Micros {
    return this.instants[INVALID_ACK_AT]!
  }

  set invalidAckAt(at: Micros) {
    this.instants[INVALID_ACK_AT] = at
  }

  /** When the receive buffer was last looked at, and when the measuring of its round trip began. */
  get tuneAt(): Micros {
    return this.instants[TUNE_AT]!
  }

  set tuneAt(at: Micros) {
    this.instants[TUNE_AT] = at
  }

  get measureAt(): Micros {
    return this.instants[MEASURE_AT]!
  }

  set measureAt(at: Micros) {
    this.instants[MEASURE_AT] = at
  }

  /** When the pacing rate has room for more (pacing.ts), in microseconds and fractions of them. */
  get pacedUntil(): number {
    return this.instants[PACED_UNTIL]!
  }

  set pacedUntil(at: number) {
    this.instants[PACED_UNTIL] = at as Micros
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
