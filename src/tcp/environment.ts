// What the functions that work on a connection need of the whole: Tcp (tcp.ts) is it.

import type { PagePool } from '../buf/page.ts'
import type { Counters } from '../counters.ts'
import type { NetErrorCode } from '../errors.ts'
import type { IpOutput, SendOptions, Way } from '../ip/seams.ts'
import type { Random } from '../random.ts'
import { type Micros, millis, seconds } from '../time.ts'
import type { IpAddress } from '../wire/address.ts'
import type { Seq } from '../wire/sequence.ts'
import { TcpOptions } from '../wire/tcp-options.ts'
import type { Connection } from './connection.ts'
import type { BufferLimits, MemoryLimits } from './memory.ts'

/** What holds for all connections of a stack. */
export interface TcpConfig {
  readonly timestamps: boolean
  readonly sack: boolean
  readonly windowScaling: boolean
  /** Twice the maximum segment lifetime: how long TIME-WAIT lasts (RFC 9293 §3.4.2 says 4 minutes, everybody takes 1). */
  readonly timeWait: Micros
  /** Repetitions of a SYN (MUST-23: over three minutes), of a SYN-ACK, and of data before a connection is given up (RFC 9293 §3.8.3). */
  readonly synRetries: number
  readonly synAckRetries: number
  readonly dataRetries: number
  /** Repetitions once nobody holds the connection any more. */
  readonly orphanRetries: number
  readonly delayedAck: Micros
  /** Connections in TIME-WAIT at most: the oldest goes first. */
  readonly timeWaitLimit: number
  /** Connections of all states at most. */
  readonly connectionLimit: number
  /** Bytes of pages that the queues of all connections may hold (Linux's tcp_mem, which counts pages); null: shares of the page pool. */
  readonly mem: MemoryLimits | null
  readonly rmem: BufferLimits
  readonly wmem: BufferLimits
  /** Challenge ACKs a second of the whole stack (RFC 5961 §7): the number of each second is drawn between half of this and one and a half. */
  readonly challengeAcksPerSecond: number
  /** After idle time the congestion window shrinks (RFC 5681 §4.1; Linux's tcp_slow_start_after_idle). */
  readonly slowStartAfterIdle: boolean
}

export const DEFAULT_TCP_CONFIG: TcpConfig = {
  timestamps: true,
  sack: true,
  windowScaling: true,
  timeWait: seconds(60),
  // RFC 9293 MUST-23: three minutes at least. Linux's six repetitions end after 127 seconds, these after 247.
  synRetries: 7,
  synAckRetries: 5,
  dataRetries: 15,
  orphanRetries: 8,
  delayedAck: millis(40),
  timeWaitLimit: 65_536,
  connectionLimit: 1_048_576,
  mem: null,
  rmem: [4_096, 128 * 1_024, 6 * 1_024 * 1_024],
  wmem: [4_096, 256 * 1_024, 6 * 1_024 * 1_024],
  challengeAcksPerSecond: 1_000,
  slowStartAfterIdle: true,
}

/** The segment being processed: read from its header once, used again for the next. */
export class Segment {
  seq: Seq = 0 as Seq
  ack: Seq = 0 as Seq
  flags = 0
  /** As it was on the wire, not scaled. */
  window = 0
  /** Payload bytes. */
  length = 0
  urgentPointer = 0
  readonly options = new TcpOptions()

  has(flag: number): boolean {
    return (this.flags & flag) !== 0
  }
}

export interface TcpEnvironment {
  readonly counters: Counters
  readonly config: TcpConfig
  readonly pool: PagePool
  readonly random: Random
  outputFor(address: IpAddress): IpOutput
  /** The connection's transmit() runs in this poll. */
  owe(connection: Connection): void
  /** The connection's deadlines changed. */
  schedule(connection: Connection): void
  /** Its owner is to be told of these events after the batch. */
  notify(connection: Connection, events: number): void
  /** Ends it: CLOSED and out of the demultiplexer; only what may still be read keeps its pages. */
  close(connection: Connection, error: NetErrorCode | null): void
  /** Sends an ACK that an attacker may have asked for, if the rate allows (RFC 5961). */
  challengeAck(connection: Connection, now: Micros): void
  /** The connection is in TIME-WAIT from now on. */
  enterTimeWait(connection: Connection, now: Micros): void
  /** A connection of a listener completed its handshake. False: there is no room for it. */
  completed(connection: Connection): boolean
  readonly sendOptions: { -readonly [Name in keyof SendOptions]: SendOptions[Name] }
  /** The way to the peer, resolved anew where the routes changed; null: there is none. */
  refreshWay(connection: Connection): Way | null
  /** RST and CLOSED (RFC 9293 §3.10.5). */
  abort(connection: Connection, now: Micros, error?: NetErrorCode): void
  /** Answers by RST an ACK that does not fit a handshake under way (RFC 9293 §3.5.2, group 2). */
  refuse(segment: Segment, connection: Connection, now: Micros): void
  /** The peer answered: its neighbour entry is reachable (RFC 4861 §7.3.1). */
  confirm(connection: Connection, now: Micros): void
  /** The peer does not answer: perhaps the neighbour on the way is dead (RFC 9293 §3.8.3, negative advice). */
  doubt(connection: Connection): void
}
