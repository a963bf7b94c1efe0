// Making connections and listeners: OPEN, active and passive (RFC 9293 §3.10.1), CLOSE and ABORT (§3.10.4, §3.10.5).
// What a listener does with a segment is in passive.ts.

import { NetError } from '../errors.ts'
import { codeOfNoWay, reasonOfNoWay, type Way } from '../ip/seams.ts'
import { after, type Micros, NEVER } from '../time.ts'
import { anyAddress, type IpAddress } from '../wire/address.ts'
import { Connection, canSend, isSynchronized, setState } from './connection.ts'
import { type ConnectionOptions, checkOptions } from './connection-options.ts'
import { Listener, type ListenOptions } from './listener.ts'
import { MEMORY_RETRY } from './memory.ts'
import { transmit } from './output.ts'
import { ownSuccessorOf } from './successor.ts'
import type { SegmentEnds, Tcp } from './tcp.ts'
import { QUICK_ACKS } from './text.ts'
import { armKeepAlive } from './timers.ts'
import { windowScaleFor, windowUpdateDue } from './window.ts'

/** The stack's own where nothing else is wanted: a hundred thousand connections share them. */
function withDefaults({ options }: Tcp, wanted: Partial<ConnectionOptions> = {}): Readonly<ConnectionOptions> {
  if (Object.keys(wanted).length === 0) return options
  checkOptions(wanted)
  return { ...options, ...wanted }
}

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

/**
 * Active OPEN. Throws NetError: EADDRINUSE (another socket has the local port), EADDRNOTAVAIL (the local address is not ours, or
 * the same connection exists, maybe in TIME-WAIT, or no port is free), ENETUNREACH, EACCES, EINVAL, ENOBUFS; UsageError
 * (options).
 */
export function connect(tcp: Tcp, wanted: ConnectOptions, now: Micros): Connection {
  const { remoteAddress, remotePort } = wanted
  if (remoteAddress.isMulticast || tcp.isBroadcast(remoteAddress)) {
    throw new NetError('ENETUNREACH', `connect ${remoteAddress}: TCP speaks to one host`)
  }
  if (!(Number.isInteger(remotePort) && remotePort >= 1 && remotePort <= 65_535)) {
    throw new NetError(
      'EINVAL',
      `connect ${remoteAddress} port ${remotePort}: a port is a whole number from 1 to 65535`,
    )
  }
  const { localPort: bound = 0 } = wanted
  if (!(Number.isInteger(bound) && bound >= 0 && bound <= 65_535))
    throw new NetError('EINVAL', `connect from port ${bound}: a port is a whole number from 0 to 65535`)
  const interfaceIndex = wanted.interfaceIndex ?? 0
  const source = wanted.localAddress ?? null
  if (source !== null && source.family !== remoteAddress.family) {
    throw new NetError('EINVAL', `connect ${remoteAddress} from ${source}: they are of two families`)
  }
  if (source !== null && !tcp.isLocal(source))
    throw new NetError('EADDRNOTAVAIL', `connect from ${source}: it is no address of this host`)
  const way = tcp.outputFor(remoteAddress).resolve(remoteAddress, { source, interfaceIndex })
  if (typeof way === 'string') {
    throw new NetError(codeOfNoWay(way), `connect ${remoteAddress} port ${remotePort}: ${reasonOfNoWay(way)}`)
  }
  const local = way.source
  const options = withDefaults(tcp, wanted.options)
  const localPort = chooseLocalPort(tcp, wanted, local, options.reuseAddress, now)
  const ends = { local, localPort, remote: remoteAddress, remotePort }
  const old = tcp.demux.find(local, localPort, remoteAddress, remotePort)
  const iss = ownSuccessorOf(old, now) ?? undefined
  if (old !== null) tcp.close(old, null)
  const connection = make(tcp, ends, way, options, false, now, iss)
  if (connection === null) throw new NetError('ENOBUFS', 'too many connections')
  connection.interfaceIndex = interfaceIndex
  setState(connection, 'SYN-SENT')
  connection.synOwed = true
  tcp.counters.TcpActiveOpens++
  tcp.owe(connection)
  return connection
}

/** Passive OPEN. Throws NetError: EADDRINUSE, EADDRNOTAVAIL, EINVAL; UsageError (options). */
export function listen(tcp: Tcp, wanted: ListenOptions, options: Partial<ConnectionOptions>): Listener {
  const address = wanted.address ?? anyAddress(wanted.family)
  if (!(Number.isInteger(wanted.port) && wanted.port >= 0 && wanted.port <= 65_535)) {
    throw new NetError('EINVAL', `listen on port ${wanted.port}: a port is a whole number from 0 to 65535`)
  }
  if (address.family !== wanted.family)
    throw new NetError('EINVAL', `listen on ${address} with IPv${wanted.family}: they are of two families`)
  if (wanted.backlog !== undefined && !Number.isInteger(wanted.backlog)) {
    throw new NetError('EINVAL', `listen with a backlog of ${wanted.backlog}: give a whole number`)
  }
  if (!address.isUnspecified && !tcp.isLocal(address))
    throw new NetError('EADDRNOTAVAIL', `listen on ${address}: it is no address of this host`)
  const port = wanted.port > 0 ? wanted.port : chooseListenPort(tcp, address)
  if (port === 0) throw new NetError('EADDRINUSE', 'no ephemeral port is free')
  const listener = new Listener(wanted, address, port, withDefaults(tcp, options))
  const others = tcp.listeners.get(port) ?? []
  const covers = (local: IpAddress): boolean => listener.score(local, listener.interfaceIndex) >= 0
  if (others.some((other) => clash(other, listener)) || isHeld(tcp, port, listener.options.reuseAddress, covers)) {
    throw new NetError('EADDRINUSE', `listen on ${address} port ${port}: another socket has it`)
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
  for (const connection of [...listener.pending]) tcp.abort(connection, now)
  for (const connection of listener.accepted.splice(0)) {
    connection.orphaned = true
    tcp.abort(connection, now)
  }
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

/** The program reads no more: what waits is thrown away, and so is what comes, acknowledged but unread. */
export function shutdownRead(tcp: Tcp, connection: Connection): void {
  connection.readShut = true
  tcp.forget(connection)
  if (isSynchronized(connection.state) && windowUpdateDue(connection)) {
    connection.ackNow = true
    tcp.owe(connection)
  }
}

/** Nobody holds the connection any more: it ends in order, or by RST where unread data would be lost (RFC 2525 §2.17). */
export function letGo(tcp: Tcp, connection: Connection, now: Micros): void {
  if (connection.orphaned) return
  connection.orphaned = true
  const { receiveQueue, state } = connection
  const hasUnread = receiveQueue.available > 0 || receiveQueue.holes > 0
  tcp.forget(connection)
  if (state === 'CLOSED' || state === 'TIME-WAIT') return
  if (hasUnread) {
    tcp.counters.TcpExtTCPAbortOnData++
    return reset(tcp, connection, now)
  }
  // Nobody waits for what it holds, and others need it (Linux's tcp_check_oom).
  if (tcp.memory.isFull && connection.sendQueue.chargedBytes > tcp.memory.wmem[0]) {
    tcp.counters.TcpExtTCPAbortOnMemory++
    return tcp.abort(connection, now)
  }
  shutdownWrite(tcp, connection)
  if (connection.state === 'FIN-WAIT-2') {
    connection.timers.timeWaitAt = (now + tcp.config.timeWait) as Micros
    tcp.schedule(connection)
  }
}

/**
 * RST, behind what the windows let out of what was written: output waits for the end of a turn, where the system's write()
 * sends at once, and the last words of a program would else never leave.
 */
export function reset(tcp: Tcp, connection: Connection, now: Micros): void {
  if (isSynchronized(connection.state)) transmit(tcp, connection, now)
  tcp.abort(connection, now)
}

/** A connection in CLOSED, known to the demultiplexer; null: there are too many. */
export function make(
  tcp: Tcp,
  ends: SegmentEnds,
  way: Way,
  options: Readonly<ConnectionOptions>,
  passive: boolean,
  now: Micros,
  iss = tcp.isn.next(ends.local, ends.localPort, ends.remote, ends.remotePort, now),
): Connection | null {
  if (tcp.demux.size >= tcp.config.connectionLimit) return null
  const { local, localPort, remote, remotePort } = ends
  const connection = new Connection({
    localAddress: way.source,
    localPort,
    remoteAddress: remote,
    remotePort,
    hash: tcp.demux.hash(local, localPort, remote, remotePort),
    passive,
    iss,
    way,
    memory: tcp.memory,
    options,
    makeControl: options.congestionControl ?? tcp.congestionControl,
    tsOffset: tcp.timestampOffset(ends),
    receiveLimit: Math.min(tcp.config.rmem[1], options.receiveBytes),
    sendLimit: Math.min(tcp.config.wmem[1], options.sendBytes),
    quickAcks: QUICK_ACKS,
  })
  connection.rcv.windowScale = tcp.config.windowScaling ? windowScaleFor(options.receiveBytes) : 0
  tcp.demux.add(connection)
  connection.lastAckReceivedAt = now
  connection.lastDataReceivedAt = now
  armKeepAlive(connection, now)
  return connection
}

/** As Linux has it: bind decides about the local port, and then connect about the four of both ends. */
function chooseLocalPort(tcp: Tcp, wanted: ConnectOptions, local: IpAddress, reuse: boolean, now: Micros): number {
  const { localPort = 0, remoteAddress, remotePort } = wanted
  const what = `connect ${remoteAddress} port ${remotePort} from ${local}`
  const holder = (port: number): Connection | null => tcp.demux.find(local, port, remoteAddress, remotePort)
  const isNew = (port: number): boolean => holder(port) === null
  if (localPort === 0) {
    const isFree = (port: number): boolean => isNew(port) && !tcp.listeners.has(port)
    // RFC 6191, Linux's tcp_tw_reuse: rather than none.
    const isOver = (port: number): boolean =>
      tcp.config.timestamps && ownSuccessorOf(holder(port), now) !== null && !tcp.listeners.has(port)
    const { ports } = tcp
    const chosen =
      ports.choose(local, remoteAddress, remotePort, isFree) || ports.choose(local, remoteAddress, remotePort, isOver)
    if (chosen === 0) throw new NetError('EADDRNOTAVAIL', `${what}: no ephemeral port is free`)
    return chosen
  }
  const listens = (tcp.listeners.get(localPort) ?? []).some((other) => other.score(local, other.interfaceIndex) >= 0)
  if (listens || isHeld(tcp, localPort, reuse, (other) => other.equals(local))) {
    throw new NetError('EADDRINUSE', `${what} port ${localPort}`)
  }
  if (!isNew(localPort)) throw new NetError('EADDRNOTAVAIL', `${what} port ${localPort}: that connection exists`)
  return localPort
}

/** Whether a connection, TIME-WAIT included, keeps others from binding its port: unless both sides say SO_REUSEADDR. */
function isHeld(tcp: Tcp, port: number, reuse: boolean, covers: (local: IpAddress) => boolean): boolean {
  for (const { localAddress, localPort } of reuse ? tcp.demux.exclusive : tcp.demux.values()) {
    if (localPort === port && covers(localAddress)) return true
  }
  return false
}

/** A port of no connection and no listener, not even of one that would share it. */
function chooseListenPort(tcp: Tcp, address: IpAddress): number {
  const used = new Set<number>()
  for (const { localPort } of tcp.demux.values()) used.add(localPort)
  return tcp.ports.choose(address, address, 0, (port) => !used.has(port) && !tcp.listeners.has(port))
}

function clash(a: Listener, b: Listener): boolean {
  if (a.family !== b.family) {
    const six = a.family === 6 ? a : b
    return !six.v6Only && six.address.isUnspecified
  }
  return a.address.isUnspecified || b.address.isUnspecified || a.address.equals(b.address)
}

/** Sets options of a connection that exists: timers are armed, and what waited for more bytes may go (RFC 9293 §3.7.4). Throws UsageError. */
export function setOptions(tcp: Tcp, connection: Connection, options: Partial<ConnectionOptions>, now: Micros): void {
  checkOptions(options)
  connection.options = { ...connection.options, ...options }
  connection.receiveLimit = Math.min(connection.receiveLimit, connection.options.receiveBytes)
  connection.sendLimit = Math.min(connection.sendLimit, connection.options.sendBytes)
  if (options.reuseAddress === true) tcp.demux.exclusive.delete(connection)
  else if (options.reuseAddress === false && connection.state !== 'CLOSED') tcp.demux.exclusive.add(connection)
  // The new one begins with the window that the old one leaves.
  if (options.congestionControl !== undefined) connection.controlBy(options.congestionControl ?? tcp.congestionControl)
  armKeepAlive(connection, now)
  tcp.schedule(connection)
  tcp.owe(connection)
}

/** The pool was empty when the program wrote: it is told when to try again. */
export function retryLater(tcp: Tcp, connection: Connection, now: Micros): void {
  const { timers } = connection
  if (timers.resumeAt === NEVER) timers.resumeAt = after(now, MEMORY_RETRY)
  tcp.schedule(connection)
}

/** Bytes that may still be written before the program should wait; where memory is short, no more than the least. */
export function writeRoom({ memory, sendLimit, sendQueue }: Connection): number {
  const { length } = sendQueue
  return Math.max(0, Math.min(sendLimit - length, Math.max(memory.wmem[0] - length, memory.room)))
}
