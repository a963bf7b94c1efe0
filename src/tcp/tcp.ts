// TCP as a transport: segments in, to connections and listeners; connections by the program's wish; timers and
// output in poll(). What happens to one connection is in input.ts, output.ts, recovery.ts and timers.ts.

import { assert } from '../assert.ts'
import type { Packet } from '../buf/packet.ts'
import type { PagePool } from '../buf/page.ts'
import type { Counters, Drop } from '../counters.ts'
import type { NetErrorCode } from '../errors.ts'
import type { IcmpError, IpOutput, SendOptions, Transport, Way } from '../ip/seams.ts'
import { KeyedHash } from '../keyed-hash.ts'
import { sumFrom } from '../link/segmentation.ts'
import type { Random } from '../random.ts'
import { RateLimiter } from '../rate-limit.ts'
import { after, IMMEDIATELY, type Machine, type Micros, NEVER } from '../time.ts'
import { DeadlineHeap } from '../timers.ts'
import type { IpAddress } from '../wire/address.ts'
import { fold } from '../wire/checksum.ts'
import { PROTOCOL_TCP, pseudoHeaderSum } from '../wire/ipv4.ts'
import { type Seq, seqBefore } from '../wire/sequence.ts'
import { checkTcp, RST, TCP_MAX_HEADER, tcpDestinationPort, tcpSeq, tcpSourcePort } from '../wire/tcp.ts'
import { ChallengeLimit, takeAnswer } from './challenge.ts'
import type { CongestionControl } from './congestion.ts'
import {
  type Acceptor,
  type Connection,
  EVENT_CLOSED,
  EVENT_ESTABLISHED,
  EVENT_READABLE,
  EVENT_REPORTS,
  EVENT_SOFT_ERROR,
  EVENT_WRITABLE,
  isSynchronized,
  setState,
} from './connection.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { Cubic } from './cubic.ts'
import { optionsOf } from './default-options.ts'
import { Demux } from './demux.ts'
import { DEFAULT_TCP_CONFIG, Segment, type TcpConfig, type TcpEnvironment } from './environment.ts'
import { codeOf, isHard } from './icmp-errors.ts'
import { segmentArrives } from './input.ts'
import { HashedIsn, hashConnection, type InitialSequenceNumbers } from './isn.ts'
import type { Listener } from './listener.ts'
import { TcpMemory } from './memory.ts'
import { sendReset, transmit } from './output.ts'
import type { TcpParts } from './parts.ts'
import { EphemeralPorts } from './ports.ts'
import { readSegment, segmentsIn } from './segment-reader.ts'
import { resetFor } from './stray.ts'
import { successorOf } from './successor.ts'
import { SynCookies } from './syn-cookies.ts'
import { runTimers } from './timers.ts'

/** Answers by RST to segments of no connection: a second, and at once. */
const RESETS_PER_SECOND = 1_000

export class Tcp implements Transport, Machine, TcpEnvironment {
  readonly pool: PagePool
  readonly counters: Counters
  readonly random: Random
  readonly config: TcpConfig
  /** What connections begin with. */
  readonly options: Readonly<ConnectionOptions>
  readonly memory: TcpMemory
  readonly isn: InitialSequenceNumbers
  readonly isBroadcast: (address: IpAddress) => boolean
  readonly ports: EphemeralPorts
  readonly cookies: SynCookies
  readonly demux: Demux
  readonly listeners = new Map<number, Listener[]>()
  readonly congestionControl: () => CongestionControl
  readonly sendOptions: { -readonly [Name in keyof SendOptions]: SendOptions[Name] } = {
    protocol: PROTOCOL_TCP,
    hopLimit: 64,
    trafficClass: 0,
    dontFragment: true,
    routerAlert: false,
    multicastLoop: true,
  }
  /** What arrives at a listener: passive.ts. */
  onListen:
    | ((listener: Listener, segment: Segment, packet: Packet, ends: SegmentEnds, now: Micros) => Drop | undefined)
    | null = null
  private readonly parts: TcpParts
  private readonly heap = new DeadlineHeap<Connection>()
  private readonly owing: Connection[] = []
  private readonly notified: Connection[] = []
  private readonly acceptable: Acceptor[] = []
  /** In the order in which they came. */
  private readonly timeWaiting = new Set<Connection>()
  /** Closed, with bytes that a program may still read. */
  private readonly unread = new Set<Connection>()
  private readonly timestamps: KeyedHash
  private readonly challenges: ChallengeLimit
  private readonly resets: RateLimiter
  private readonly segment = new Segment()

  constructor(parts: TcpParts) {
    this.parts = parts
    this.pool = parts.pool
    this.counters = parts.counters
    this.random = parts.random
    this.config = { ...DEFAULT_TCP_CONFIG, ...parts.config }
    this.options = optionsOf(this.config)
    this.isBroadcast = parts.isBroadcast
    this.memory = new TcpMemory(parts.pool, parts.counters, this.config)
    this.isn = parts.isn ?? new HashedIsn(parts.random)
    this.ports = new EphemeralPorts(parts.random)
    this.cookies = new SynCookies(parts.random)
    this.demux = new Demux(parts.random)
    this.timestamps = new KeyedHash(parts.random)
    this.congestionControl = parts.congestionControl ?? (() => new Cubic())
    this.challenges = new ChallengeLimit(parts.random, this.config.challengeAcksPerSecond)
    this.resets = new RateLimiter(RESETS_PER_SECOND, RESETS_PER_SECOND)
  }

  isLocal(address: IpAddress): boolean {
    return this.parts.isLocal(address)
  }

  receive(packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): Drop | undefined {
    const { counters, segment } = this
    counters.TcpInSegs++
    const drop = this.check(packet, source, destination)
    if (drop !== undefined) {
      counters.TcpInErrs++
      return drop
    }
    const { view } = packet.page
    const at = packet.data
    const ends = {
      local: destination,
      localPort: tcpDestinationPort(view, at),
      remote: source,
      remotePort: tcpSourcePort(view, at),
    }
    packet.transportAt = at
    readSegment(packet, segment)
    counters.TcpInSegs += segmentsIn(packet) - 1
    const connection = this.demux.find(ends.local, ends.localPort, ends.remote, ends.remotePort)
    // RFC 9293 MUST-57, MUST-63: on a link without link-layer addresses only this tells a broadcast.
    if (connection === null && (source.isUnspecified || !this.isLocal(destination))) return 'tcpNotUnicast'
    const listener =
      connection === null || connection.state === 'TIME-WAIT' ? this.findListener(ends, packet.interfaceIndex) : null
    const successor = listener === null || connection === null ? null : successorOf(connection, segment)
    if (connection !== null && successor !== null) {
      this.counters.TcpExtTWRecycled++
      this.close(connection, null)
    }
    if (connection !== null && successor === null) {
      const outcome = segmentArrives(this, connection, segment, packet, now)
      if (outcome === 'kept') return undefined
      if (outcome !== 'handled') return outcome
      packet.release()
      return undefined
    }
    if (listener !== null && this.onListen !== null) {
      const listened = this.onListen(listener, segment, packet, { ...ends, successorIss: successor ?? undefined }, now)
      if (listened !== 'tcpNoConnection') return listened
    }
    this.reset(segment, ends, now)
    return 'tcpNoConnection'
  }

  /** RFC 5927 §4.1, RFC 5461: believed where it quotes something in flight; hard errors end a handshake, soft ones are remembered. */
  error(packet: Packet, error: IcmpError, _now: Micros): boolean {
    const { view } = packet.page
    const at = packet.data
    const connection = this.demux.find(
      error.source,
      tcpSourcePort(view, at),
      error.destination,
      tcpDestinationPort(view, at),
    )
    if (connection === null) return false
    const quoted = tcpSeq(view, at)
    const { snd } = connection
    if (seqBefore(quoted, snd.una) || !seqBefore(quoted, snd.nxt)) return false
    if (error.kind === 'packet-too-big') {
      this.owe(connection)
      return true
    }
    const code = codeOf(error)
    if (code === null) return true
    // RFC 5461 §4: whoever connects need not wait, and may try another address. Nobody waits for a handshake of a listener's, so
    // it outlives soft errors.
    const isFatal = !isSynchronized(connection.state) && (!connection.passive || isHard(error))
    if (isFatal) this.close(connection, code)
    else {
      connection.softError = code
      this.notify(connection, EVENT_SOFT_ERROR)
    }
    this.schedule(connection)
    return true
  }

  deadline(): Micros {
    if (this.owing.length > 0 || this.notified.length > 0 || this.acceptable.length > 0) return IMMEDIATELY
    return this.heap.next()
  }

  poll(now: Micros): void {
    for (let due = this.heap.takeDue(now); due !== null; due = this.heap.takeDue(now)) {
      if (due.state !== 'CLOSED') runTimers(this, due, now)
    }
    // A connection that owes again while its output runs waits for the next poll.
    for (const connection of this.owing.splice(0)) {
      connection.outputQueued = false
      transmit(this, connection, now)
    }
    this.boundTimeWait()
    this.tellOwners()
  }

  /** Runs after the output: a connection that may not stay has then acknowledged the peer's FIN, too. */
  private boundTimeWait(): void {
    for (const oldest of this.timeWaiting) {
      if (this.timeWaiting.size <= this.config.timeWaitLimit) return
      this.counters.TcpExtTCPTimeWaitOverflow++
      this.close(oldest, null)
    }
  }

  // TcpEnvironment

  outputFor(address: IpAddress): IpOutput {
    return address.family === 4 ? this.parts.ipv4 : this.parts.ipv6
  }

  owe(connection: Connection): void {
    if (connection.outputQueued || connection.state === 'CLOSED') return
    connection.outputQueued = true
    this.owing.push(connection)
  }

  schedule(connection: Connection): void {
    connection.deadlineAt = connection.timers.least()
    this.heap.schedule(connection)
  }

  notify(connection: Connection, events: number): void {
    if (connection.events === 0) this.notified.push(connection)
    connection.events |= events
  }

  close(connection: Connection, error: NetErrorCode | null): void {
    if (connection.state === 'CLOSED') return
    const { state } = connection
    connection.listener?.pending.delete(connection)
    if (state === 'SYN-SENT' || state === 'SYN-RECEIVED') this.counters.TcpAttemptFails++
    if (state === 'TIME-WAIT') this.timeWaiting.delete(connection)
    setState(connection, 'CLOSED')
    connection.error = error
    connection.timers.clear()
    connection.deadlineAt = NEVER
    connection.sendQueue.clear()
    connection.board.clear()
    // What arrived in order may still be read, as in Linux, also before a reset: RFC 9293 §3.10.7.4 would flush it, and with
    // it the last words of a peer that closed with something unread. Nobody reads after an abort of our own.
    connection.receiveQueue.dropBeyond()
    if (error === 'ECONNABORTED' || connection.orphaned) connection.receiveQueue.clear()
    else if (connection.receiveQueue.available > 0) this.unread.add(connection)
    this.demux.remove(connection)
    this.notify(connection, EVENT_CLOSED)
  }

  abort(connection: Connection, now: Micros, error: NetErrorCode = 'ECONNABORTED'): void {
    const { state } = connection
    if (state === 'TIME-WAIT' || state === 'CLOSED') return this.forget(connection)
    // RFC 9293 §3.10.5 would say nothing in CLOSING and LAST-ACK. But if our FIN was lost, the peer would wait for it for ever.
    if (state !== 'SYN-SENT') sendReset(this, connection, now)
    this.close(connection, error)
  }

  /** Nobody will read what arrived. */
  forget(connection: Connection): void {
    connection.receiveQueue.clear()
    this.unread.delete(connection)
  }

  /** What is added to the time stamps of a connection: the same for each incarnation, so that they go on (RFC 7323 §5.4). */
  timestampOffset(ends: SegmentEnds): number {
    return hashConnection(this.timestamps, ends.local, ends.localPort, ends.remote, ends.remotePort)
  }

  challengeAck(connection: Connection, now: Micros): void {
    if (!takeAnswer(connection, now)) {
      this.counters.TcpExtTCPACKSkippedChallenge++
      return
    }
    if (!this.challenges.take(now)) return
    this.counters.TcpExtTCPChallengeACK++
    connection.ackNow = true
    this.owe(connection)
  }

  enterTimeWait(connection: Connection, now: Micros): void {
    setState(connection, 'TIME-WAIT')
    connection.timers.clear()
    connection.timers.timeWaitAt = after(now, this.config.timeWait)
    connection.sendQueue.clear()
    this.counters.TcpExtTW++
    this.timeWaiting.add(connection)
    this.owe(connection)
    this.schedule(connection)
  }

  completed(connection: Connection): boolean {
    const { listener } = connection
    assert(listener !== null, 'a passive connection without its listener')
    if (listener.closed) return false
    if (!listener.pending.has(connection)) return false
    if (listener.acceptQueueFull) {
      this.counters.TcpExtListenOverflows++
      return false
    }
    listener.pending.delete(connection)
    listener.accepted.push(connection)
    if (!listener.announced) {
      listener.announced = true
      this.acceptable.push(listener)
    }
    this.counters.TcpPassiveOpens++
    return true
  }

  refuse(segment: Segment, connection: Connection, now: Micros): void {
    const { localAddress: local, localPort, remoteAddress: remote, remotePort } = connection
    this.reset(segment, { local, localPort, remote, remotePort }, now)
  }

  refreshWay(connection: Connection): Way | null {
    const output = this.outputFor(connection.remoteAddress)
    if (output.isFresh(connection.way)) return connection.way
    const way = output.resolve(connection.remoteAddress, {
      source: connection.localAddress,
      interfaceIndex: connection.interfaceIndex,
    })
    if (typeof way === 'string') return null
    connection.way = way
    return way
  }

  confirm(connection: Connection, now: Micros): void {
    this.parts.confirm(connection.way, now)
  }

  doubt(connection: Connection): void {
    this.parts.doubt(connection.way)
  }

  /** Drops every connection and listener without a word: the host goes away. */
  closeAll(): void {
    for (const connection of [...this.demux.values()]) this.close(connection, 'ECONNABORTED')
    for (const connection of [...this.unread]) this.forget(connection)
    for (const listeners of this.listeners.values()) {
      for (const listener of listeners) {
        listener.closed = true
        listener.accepted.length = 0
        this.parts.calls.run(() => listener.onAcceptable?.())
      }
    }
    this.listeners.clear()
    this.tellOwners()
  }

  /** The listener that fits best, as bind rules have it. */
  findListener(ends: SegmentEnds, interfaceIndex: number): Listener | null {
    let best: Listener | null = null
    let bestScore = -1
    for (const listener of this.listeners.get(ends.localPort) ?? []) {
      const score = listener.score(ends.local, interfaceIndex)
      if (score > bestScore) {
        best = listener
        bestScore = score
      }
    }
    return best
  }

  private check(packet: Packet, source: IpAddress, destination: IpAddress): Drop | undefined {
    if (packet.linkCast !== 'host' || destination.isMulticast || source.isMulticast) return 'tcpNotUnicast'
    if (!packet.linearize(Math.min(packet.length, TCP_MAX_HEADER))) return 'noBuffer'
    const malformed = checkTcp(packet.page.view, packet.data, packet.headLength)
    if (malformed !== undefined) return malformed
    if (packet.checksum === 'partial' || packet.checksum === 'verified') return undefined
    const pseudo = pseudoHeaderSum(source, destination, PROTOCOL_TCP, packet.length)
    if (fold(sumFrom(packet, packet.data) + pseudo) === 0xffff) return undefined
    this.counters.TcpInCsumErrors++
    return 'tcpChecksum'
  }

  private reset(segment: Segment, ends: SegmentEnds, now: Micros): void {
    // An RST gets no answer, and must not use up the answers that others are owed.
    if (segment.has(RST) || !this.resets.take(now)) return
    const reply = resetFor(this.pool, segment, ends)
    if (reply === null) return
    const output = this.outputFor(ends.remote)
    const way = output.resolve(ends.remote, { source: ends.local, interfaceIndex: 0 })
    if (typeof way === 'string') return reply.release()
    this.counters.TcpOutRsts++
    this.sendStray(reply, way, now)
  }

  /** Sends a segment that no connection stands behind. */
  sendStray(packet: Packet, way: Way, now: Micros): void {
    this.counters.TcpOutSegs++
    this.sendOptions.hopLimit = this.options.hopLimit
    this.sendOptions.trafficClass = this.options.trafficClass
    this.sendOptions.dontFragment = true
    this.outputFor(way.destination).send(packet, way, this.sendOptions, now)
  }

  private tellOwners(): void {
    const { calls } = this.parts
    for (const connection of this.notified.splice(0)) {
      const { events, owner } = connection
      connection.events = 0
      if (owner === null) continue
      if ((events & EVENT_ESTABLISHED) !== 0) calls.run(() => owner.onEstablished())
      if ((events & EVENT_READABLE) !== 0) calls.run(() => owner.onReadable())
      if ((events & EVENT_WRITABLE) !== 0) calls.run(() => owner.onWritable())
      if ((events & EVENT_REPORTS) !== 0) calls.run(() => owner.onReport(events & EVENT_REPORTS))
      if ((events & EVENT_CLOSED) !== 0) calls.run(() => owner.onClosed(connection.error))
    }
    for (const listener of this.acceptable.splice(0)) {
      listener.announced = false
      if (!listener.closed) calls.run(() => listener.onAcceptable?.())
    }
  }
}

/** Addresses and ports of a segment that arrived, from our side. */
export interface SegmentEnds {
  readonly local: IpAddress
  readonly localPort: number
  readonly remote: IpAddress
  readonly remotePort: number
  /** What our sequence numbers must begin with, where it follows one in TIME-WAIT. */
  readonly successorIss?: Seq | undefined
}
