// Making connections and listeners: OPEN, active and passive (RFC 9293 §3.10.1), CLOSE and ABORT (§3.10.4, §3.10.5),
// and what a listener does with a segment (§3.10.7.2).

import type { Packet } from '../buf/packet.ts'
import type { Drop } from '../counters.ts'
import { NetError } from '../errors.ts'
import type { NoWay, Way } from '../ip/seams.ts'
import { type Micros, seconds } from '../time.ts'
import { anyAddress, type IpAddress } from '../wire/address.ts'
import { seqAdd } from '../wire/sequence.ts'
import { ACK, FIN, RST, SYN } from '../wire/tcp.ts'
import { Connection, type ConnectionOptions, canSend, setState } from './connection.ts'
import type { Segment } from './environment.ts'
import { QUICK_ACKS, segmentArrives, takeSynOptions } from './input.ts'
import { Listener, type ListenOptions } from './listener.ts'
import { bareSegment } from './stray.ts'
import type { SegmentEnds, Tcp } from './tcp.ts'
import { armKeepAlive } from './timers.ts'
import { FIRST_RECEIVE_BYTES, MOST_RECEIVE_BYTES, windowScaleFor } from './window.ts'

export const DEFAULT_CONNECTION_OPTIONS: ConnectionOptions = {
  noDelay: false,
  cork: false,
  keepAlive: false,
  keepAliveIdle: seconds(7_200),
  keepAliveInterval: seconds(75),
  keepAliveCount: 9,
  userTimeout: 0 as Micros,
  hopLimit: 64,
  trafficClass: 0,
  receiveBytes: MOST_RECEIVE_BYTES,
  sendBytes: 4 * 1_024 * 1_024,
}

/** What a send buffer begins with; it grows with the congestion window. */
const FIRST_SEND_BYTES = 256 * 1_024

export interface ConnectOptions {
  readonly remoteAddress: IpAddress
  readonly remotePort: number
  /** Default: chosen by RFC 6724. */
  readonly localAddress?: IpAddress
  /** 0: an ephemeral one. */
  readonly localPort?: number
  readonly interfaceIndex?: number
  readonly options?: Partial<ConnectionOptions>
}

/** Active OPEN. Throws NetError: EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH, EACCES, EINVAL, ENOBUFS. */
export function connect(tcp: Tcp, wanted: ConnectOptions, now: Micros): Connection {
  const { remoteAddress, remotePort } = wanted
  if (remoteAddress.isMulticast || remoteAddress.isLimitedBroadcast) {
    throw new NetError('ENETUNREACH', `connect ${remoteAddress}: TCP speaks to one host`)
  }
  if (!(Number.isInteger(remotePort) && remotePort >= 1 && remotePort <= 65_535)) {
    throw new NetError('EINVAL', `connect ${remoteAddress} port ${remotePort}`)
  }
  const interfaceIndex = wanted.interfaceIndex ?? 0
  const source = wanted.localAddress ?? null
  if (source !== null && !tcp.isLocal(source)) throw new NetError('EADDRNOTAVAIL', `connect from ${source}`)
  const way = tcp.outputFor(remoteAddress).resolve(remoteAddress, { source, interfaceIndex })
  if (typeof way === 'string') throw new NetError(codeOf(way), `connect ${remoteAddress} port ${remotePort}`)
  const local = way.source
  const isFree = (port: number): boolean => isPortFree(tcp, local, port, remoteAddress, remotePort)
  const asked = wanted.localPort ?? 0
  const localPort = asked > 0 ? asked : tcp.ports.choose(local, remoteAddress, remotePort, isFree)
  if (localPort === 0 || !isFree(localPort)) {
    throw new NetError('EADDRINUSE', `connect ${remoteAddress} port ${remotePort} from port ${asked}`)
  }
  const ends = { local, localPort, remote: remoteAddress, remotePort }
  const connection = make(tcp, ends, way, { ...DEFAULT_CONNECTION_OPTIONS, ...wanted.options }, false, now)
  if (connection === null) throw new NetError('ENOBUFS', 'too many connections')
  connection.interfaceIndex = interfaceIndex
  setState(connection, 'SYN-SENT')
  connection.synOwed = true
  tcp.counters.TcpActiveOpens++
  tcp.owe(connection)
  return connection
}

/** Passive OPEN. Throws NetError: EADDRINUSE, EADDRNOTAVAIL, EINVAL. */
export function listen(tcp: Tcp, wanted: ListenOptions, options: Partial<ConnectionOptions>): Listener {
  const address = wanted.address ?? anyAddress(wanted.family)
  if (!(Number.isInteger(wanted.port) && wanted.port >= 0 && wanted.port <= 65_535)) {
    throw new NetError('EINVAL', `listen on port ${wanted.port}`)
  }
  if (!address.isUnspecified && !tcp.isLocal(address)) throw new NetError('EADDRNOTAVAIL', `listen on ${address}`)
  const isFree = (candidate: number): boolean => !tcp.listeners.has(candidate)
  const port = wanted.port > 0 ? wanted.port : tcp.ports.choose(address, address, 0, isFree)
  if (port === 0) throw new NetError('EADDRINUSE', 'no ephemeral port is free')
  const listener = new Listener(wanted, address, port, { ...DEFAULT_CONNECTION_OPTIONS, ...options })
  const others = tcp.listeners.get(port) ?? []
  if (others.some((other) => clash(other, listener))) {
    throw new NetError('EADDRINUSE', `listen on ${address} port ${port}`)
  }
  tcp.listeners.set(port, [...others, listener])
  return listener
}

/** Stops listening; what nobody accepted is reset. */
export function unlisten(tcp: Tcp, listener: Listener, now: Micros): void {
  if (listener.closed) return
  listener.closed = true
  const others = (tcp.listeners.get(listener.port) ?? []).filter((other) => other !== listener)
  if (others.length === 0) tcp.listeners.delete(listener.port)
  else tcp.listeners.set(listener.port, others)
  for (const connection of listener.accepted.splice(0)) tcp.abort(connection, now)
}

/** CLOSE (RFC 9293 §3.10.4): no more data will be written. What is queued goes first. */
export function shutdownWrite(tcp: Tcp, connection: Connection): void {
  const { sendQueue, state } = connection
  if (sendQueue.finQueued) return
  if (state === 'SYN-SENT') return tcp.close(connection, null)
  if (!canSend(state) && state !== 'SYN-RECEIVED') return
  sendQueue.finQueued = true
  if (state === 'ESTABLISHED') setState(connection, 'FIN-WAIT-1')
  else if (state === 'CLOSE-WAIT') setState(connection, 'LAST-ACK')
  tcp.owe(connection)
}

/** Nobody holds the connection any more: it ends in order, or by RST where unread data would be lost (RFC 2525 §2.17). */
export function letGo(tcp: Tcp, connection: Connection, now: Micros): void {
  if (connection.orphaned || connection.state === 'CLOSED') return
  connection.orphaned = true
  if (connection.receiveQueue.available > 0 && connection.state !== 'TIME-WAIT') {
    tcp.counters.TcpExtTCPAbortOnData++
    return tcp.abort(connection, now)
  }
  shutdownWrite(tcp, connection)
  if (connection.state === 'FIN-WAIT-2') {
    connection.timers.timeWaitAt = (now + tcp.config.timeWait) as Micros
    tcp.schedule(connection)
  }
}

/** RFC 9293 §3.10.7.2: a segment for a listener. The packet stays the caller's. 'tcpNoConnection' asks for RST. */
export function listenArrives(
  tcp: Tcp,
  listener: Listener,
  segment: Segment,
  packet: Packet,
  ends: SegmentEnds,
  now: Micros,
): Drop | undefined {
  // First, check for a RST.
  if (segment.has(RST)) return 'tcpResetOutOfPlace'
  // Second, check for an ACK: none is acceptable, but that of a cookie.
  if (segment.has(ACK))
    return segment.has(SYN) ? 'tcpNoConnection' : acceptCookie(tcp, listener, segment, packet, ends, now)
  // Third, check for a SYN.
  if (!segment.has(SYN)) return 'tcpNoAck'
  if (segment.has(FIN)) return 'tcpUnexpectedSyn'
  if (listener.acceptQueueFull) {
    tcp.counters.TcpExtListenOverflows++
    return 'tcpListenFull'
  }
  if (listener.synQueueFull) {
    sendCookie(tcp, segment, ends, now)
    return 'tcpListenFull'
  }
  const way = wayBack(tcp, ends, packet.interfaceIndex)
  if (way === null) return 'noRoute'
  const connection = make(tcp, ends, way, { ...listener.options }, true, now)
  if (connection === null) return 'tcpListenFull'
  setState(connection, 'SYN-RECEIVED')
  connection.listener = listener
  listener.halfOpen++
  beginPassive(tcp, connection, segment, now)
  connection.synOwed = true
  tcp.owe(connection)
  packet.release()
  return undefined
}

function beginPassive(tcp: Tcp, connection: Connection, segment: Segment, now: Micros): void {
  const { rcv, snd } = connection
  rcv.irs = segment.seq
  rcv.nxt = seqAdd(segment.seq, 1)
  rcv.acked = rcv.nxt
  takeSynOptions(tcp, connection, segment, now)
  snd.wnd = segment.window
  snd.maxWnd = segment.window
  snd.wl1 = segment.seq
  connection.lastReceivedAt = now
}

/** The final ACK of a handshake that left no trace here (RFC 4987 §3.6). */
function acceptCookie(
  tcp: Tcp,
  listener: Listener,
  segment: Segment,
  packet: Packet,
  ends: SegmentEnds,
  now: Micros,
): Drop | undefined {
  const { local, localPort, remote, remotePort } = ends
  const irs = seqAdd(segment.seq, -1)
  const iss = seqAdd(segment.ack, -1)
  const mss = tcp.cookies.check(local, localPort, remote, remotePort, irs, iss, now)
  if (mss === 0) {
    tcp.counters.TcpExtSyncookiesFailed++
    return 'tcpNoConnection'
  }
  if (listener.acceptQueueFull) return 'tcpListenFull'
  const way = wayBack(tcp, ends, packet.interfaceIndex)
  if (way === null) return 'noRoute'
  const connection = make(tcp, ends, way, { ...listener.options }, true, now, iss)
  if (connection === null) return 'tcpListenFull'
  tcp.counters.TcpExtSyncookiesRecv++
  setState(connection, 'SYN-RECEIVED')
  connection.listener = listener
  listener.halfOpen++
  const { rcv, snd } = connection
  rcv.irs = irs
  rcv.nxt = segment.seq
  rcv.acked = segment.seq
  rcv.edge = seqAdd(segment.seq, Math.min(connection.receiveLimit, 0xffff))
  rcv.windowScale = 0
  snd.nxt = seqAdd(iss, 1)
  snd.mss = mss
  connection.window.mss = mss
  snd.wl1 = irs
  const outcome = segmentArrives(tcp, connection, segment, packet, now)
  if (outcome === 'kept') return undefined
  if (outcome !== 'handled') return outcome
  packet.release()
  return undefined
}

/** SYN, ACK without a connection behind it: its sequence number remembers the MSS; no option is offered. */
function sendCookie(tcp: Tcp, segment: Segment, ends: SegmentEnds, now: Micros): void {
  const { local, localPort, remote, remotePort } = ends
  const mss = segment.options.mss > 0 ? segment.options.mss : 536
  const cookie = tcp.cookies.make(local, localPort, remote, remotePort, segment.seq, mss, now)
  const way = wayBack(tcp, ends, 0)
  const fields = { seq: cookie, ack: seqAdd(segment.seq, 1), flags: SYN | ACK, window: 0xffff }
  const packet = way === null ? null : bareSegment(tcp.pool, ends, fields)
  if (packet === null || way === null) return
  tcp.counters.TcpExtSyncookiesSent++
  tcp.counters.TcpOutSegs++
  tcp.outputFor(remote).send(packet, way, tcp.sendOptions, now)
}

function make(
  tcp: Tcp,
  ends: SegmentEnds,
  way: Way,
  options: ConnectionOptions,
  passive: boolean,
  now: Micros,
  iss = tcp.isn.next(ends.local, ends.localPort, ends.remote, ends.remotePort, now),
): Connection | null {
  if (tcp.demux.size >= tcp.config.connectionLimit) return null
  const { local, localPort, remote, remotePort } = ends
  const connection = new Connection({
    localAddress: local,
    localPort,
    remoteAddress: remote,
    remotePort,
    hash: tcp.demux.hash(local, localPort, remote, remotePort),
    passive,
    iss,
    way,
    pool: tcp.pool,
    options,
    control: tcp.congestionControl(),
    tsOffset: tcp.random.u32() | 0,
    receiveLimit: Math.min(FIRST_RECEIVE_BYTES, options.receiveBytes),
    sendLimit: Math.min(FIRST_SEND_BYTES, options.sendBytes),
    quickAcks: QUICK_ACKS,
  })
  connection.rcv.windowScale = tcp.config.windowScaling ? windowScaleFor(options.receiveBytes) : 0
  tcp.demux.add(connection)
  armKeepAlive(connection, now)
  return connection
}

function wayBack(tcp: Tcp, ends: SegmentEnds, interfaceIndex: number): Way | null {
  const index = ends.remote.isLinkLocal && ends.remote.family === 6 ? interfaceIndex : 0
  const way = tcp.outputFor(ends.remote).resolve(ends.remote, { source: ends.local, interfaceIndex: index })
  return typeof way === 'string' ? null : way
}

function isPortFree(tcp: Tcp, local: IpAddress, port: number, remote: IpAddress, remotePort: number): boolean {
  return tcp.demux.find(local, port, remote, remotePort) === null && !tcp.listeners.has(port)
}

function clash(a: Listener, b: Listener): boolean {
  if (a.family !== b.family) {
    const six = a.family === 6 ? a : b
    return !six.v6Only && six.address.isUnspecified
  }
  return a.address.isUnspecified || b.address.isUnspecified || a.address.equals(b.address)
}

function codeOf(way: NoWay): 'EADDRNOTAVAIL' | 'EACCES' | 'ENETUNREACH' {
  if (way === 'no-source') return 'EADDRNOTAVAIL'
  return way === 'prohibited' ? 'EACCES' : 'ENETUNREACH'
}

/** Bytes that may still be written before the program should wait. */
export const writeRoom = (connection: Connection): number =>
  Math.max(0, connection.sendLimit - connection.sendQueue.length)
