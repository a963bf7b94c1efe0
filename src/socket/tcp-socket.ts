// A TCP connection for programs: promises begin here. Knows nothing of Node; src/node mounts node:net on it.

import { NetError, type NetErrorCode, UsageError } from '../errors.ts'
import type { Stack } from '../stack.ts'
import {
  type Connection,
  type ConnectionOwner,
  canSend,
  EVENT_DELIVERY,
  EVENT_SOFT_ERROR,
  EVENT_URGENT,
  urgentBytes,
} from '../tcp/connection.ts'
import type { ConnectionOptions } from '../tcp/connection-options.ts'
import { type TcpInfo, tcpInfo } from '../tcp/info.ts'
import { type ConnectOptions, connect, letGo, setOptions, shutdownRead, shutdownWrite } from '../tcp/open.ts'
import { IpAddress } from '../wire/address.ts'
import { checkBytes, giveBytes, takeBytes } from './stream-io.ts'
import { Waiters } from './waiters.ts'

/** What a program may hear of a connection that goes on (RFC 9293 §3.9.1.8). */
export type TcpReport =
  /** An ICMP error arrived. */
  | { readonly kind: 'soft-error'; readonly code: NetErrorCode }
  /** The same segment was sent several times, and is not acknowledged. */
  | { readonly kind: 'delivery-problem' }
  /** So many bytes are to be read until the peer's urgent data is over. */
  | { readonly kind: 'urgent'; readonly bytes: number }

export interface TcpConnectOptions extends Omit<ConnectOptions, 'remoteAddress' | 'localAddress'> {
  readonly remoteAddress: IpAddress | string
  /** Default: chosen by RFC 6724. */
  readonly localAddress?: IpAddress | string
  readonly signal?: AbortSignal
}

/** Writes that wait their turn: of most sockets there are none. */
const NO_WRITES: readonly object[] = []

export class TcpSocket implements ConnectionOwner {
  readonly connection: Connection
  /** Called when something is to be reported while the connection lives; null: nobody wants to know. */
  report: ((report: TcpReport) => void) | null = null
  private readonly stack: Stack
  private readonly readers = new Waiters()
  private readonly writers = new Waiters()
  private readonly established = new Waiters()
  /** What write() could not put into the buffer at once, in the order of the calls: the first is at it. */
  private writes = NO_WRITES
  private ended: { error: NetErrorCode | null } | null = null
  private closing = false

  /** Connects. Rejects with NetError: ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH …, or the signal's reason. */
  static async connect(stack: Stack, options: TcpConnectOptions): Promise<TcpSocket> {
    options.signal?.throwIfAborted()
    const { localAddress: local, ...rest } = options
    const from = local === undefined ? {} : { localAddress: IpAddress.of(local) }
    const wanted = { ...rest, ...from, remoteAddress: IpAddress.of(options.remoteAddress) }
    const socket = new TcpSocket(stack, connect(stack.tcp, wanted, stack.clock.now()))
    stack.onWork?.()
    try {
      while (socket.connection.state === 'SYN-SENT' || socket.connection.state === 'SYN-RECEIVED') {
        await socket.established.wait(options.signal)
      }
    } catch (reason) {
      socket.abort()
      throw reason
    }
    socket.throwEnded('connect')
    return socket
  }

  /** Wraps an accepted connection: tcp-listener.ts. */
  constructor(stack: Stack, connection: Connection) {
    this.stack = stack
    this.connection = connection
    connection.owner = this
    if (connection.state === 'CLOSED') this.ended = { error: connection.error }
  }

  get localAddress(): IpAddress {
    return this.connection.localAddress
  }

  get localPort(): number {
    return this.connection.localPort
  }

  get remoteAddress(): IpAddress {
    return this.connection.remoteAddress
  }

  get remotePort(): number {
    return this.connection.remotePort
  }

  get options(): Readonly<ConnectionOptions> {
    return this.connection.options
  }

  /** What an ICMP error last said of the path; null: nothing since the peer last acknowledged data (RFC 9293 §3.9.1.8). */
  get softError(): NetErrorCode | null {
    return this.connection.softError
  }

  /** How the connection is doing, in the fields of Linux's tcp_info; what `ss -i` prints. */
  info(): TcpInfo {
    return tcpInfo(this.connection, this.stack.tcp.config, this.stack.clock.now())
  }

  /** Changes options; what was held back by them is sent. */
  setOptions(options: Partial<ConnectionOptions>): void {
    setOptions(this.stack.tcp, this.connection, options, this.stack.clock.now())
    this.stack.onWork?.()
  }

  /**
   * Copies what has arrived into `target`, at least one byte, and returns how many; 0: the peer has finished. Rejects
   * with NetError, with the signal's reason, and with UsageError where `target` has no room.
   */
  async read(target: Uint8Array, options: { signal?: AbortSignal } = {}): Promise<number> {
    options.signal?.throwIfAborted()
    checkBytes('read', target)
    if (target.length === 0) throw new UsageError('read: the array has no room: give one of a byte at least')
    for (;;) {
      const count = this.tryRead(target)
      if (count !== 0 || this.atEnd) return count
      this.throwEnded('read')
      if (this.ended !== null) return 0
      if (this.closing) throw new NetError('EBADF', 'read: the socket is closed')
      await this.readers.wait(options.signal)
    }
  }

  /** Like read, but returns 0 where nothing has arrived. */
  tryRead(target: Uint8Array): number {
    return takeBytes(this.stack, this.connection, target)
  }

  /** Whether the peer has finished, and everything was read; or nothing will be read any more. */
  get atEnd(): boolean {
    const { rcv, readShut, receiveQueue } = this.connection
    return (rcv.finSeen || readShut) && receiveQueue.available === 0
  }

  /** How many bytes are to be read until the peer's urgent data is over; 0: none is announced (RFC 6093: it is read in line). */
  get urgentBytes(): number {
    return urgentBytes(this.connection)
  }

  /**
   * Copies all bytes into the send buffer, waiting for room; they are sent as windows allow, after those of earlier
   * calls. With `urgent` the peer is told at once how far they reach. Rejects with NetError: EPIPE, ECONNRESET …, with the
   * signal's reason, and with UsageError for what is no Uint8Array, or none any more.
   */
  async write(bytes: Uint8Array, options: { signal?: AbortSignal; urgent?: boolean } = {}): Promise<void> {
    options.signal?.throwIfAborted()
    checkBytes('write', bytes)
    const { length } = bytes
    if (length === 0) return
    let at = this.writes.length === 0 ? this.put(bytes, 0, options.urgent) : 0
    if (at === length) return
    const turn = {}
    this.writes = [...this.writes, turn]
    try {
      while (at < length) {
        await this.waitForRoom(options.signal)
        if (bytes.length !== length) throw new UsageError('write: the array was taken away before all of it was copied')
        if (this.writes[0] === turn) at += this.put(bytes, at, options.urgent)
      }
    } finally {
      const rest = this.writes.filter((other) => other !== turn)
      this.writes = rest.length === 0 ? NO_WRITES : rest
      if (rest.length > 0) this.writers.wake()
    }
  }

  /** Copies as many bytes from `at` on as there is room for, and returns how many; 0 while a write() waits for room. Throws NetError, UsageError. */
  tryWrite(bytes: Uint8Array, at = 0): number {
    checkBytes('write', bytes)
    if (!(Number.isInteger(at) && at >= 0 && at <= bytes.length)) {
      throw new UsageError(`write from byte ${at} on: give a whole number from 0 to ${bytes.length}`)
    }
    return this.writes.length === 0 ? this.put(bytes, at) : 0
  }

  /** Resolves when the peer has acknowledged all that was written. Rejects with NetError where the connection failed before. */
  async flush(options: { signal?: AbortSignal } = {}): Promise<void> {
    options.signal?.throwIfAborted()
    while (this.connection.sendQueue.length > 0) {
      this.throwEnded('flush')
      await this.waitForRoom(options.signal)
    }
    // A connection that fails drops what it had to send: an empty queue alone proves nothing.
    if (this.ended !== null && this.ended.error !== null) this.throwEnded('flush')
  }

  /**
   * Shuts one direction, or both. 'write' sends FIN after what was written: the peer reads to an end; reading goes on.
   * After 'read' reads give 0; what waits to be read and what the peer still sends is thrown away, and the peer does not
   * learn of it. Of both, it learns by RST when it sends more.
   */
  shutdown(direction: 'read' | 'write' | 'both' = 'write'): void {
    const { connection, stack } = this
    if (direction !== 'read') shutdownWrite(stack.tcp, connection)
    if (direction !== 'write') {
      shutdownRead(stack.tcp, connection)
      this.readers.wake()
    }
    stack.onWork?.()
  }

  /** Lets go: what was written is sent, then FIN; unread data makes it an RST. */
  close(): void {
    if (this.closing) return
    this.closing = true
    letGo(this.stack.tcp, this.connection, this.stack.clock.now())
    this.wakeAll()
    this.stack.onWork?.()
  }

  /** RST, at once. */
  abort(): void {
    this.closing = true
    // The host may have let it go: then it ends in its own way.
    if (this.connection.owner === this) {
      this.connection.orphaned = true
      this.stack.tcp.abort(this.connection, this.stack.clock.now())
    }
    this.wakeAll()
    this.stack.onWork?.()
  }

  onEstablished(): void {
    this.established.wake()
  }

  onReadable(): void {
    this.readers.wake()
  }

  onWritable(): void {
    this.connection.wantsRoom = false
    this.writers.wake()
  }

  onReport(events: number): void {
    const { report } = this
    if (report === null) return
    const { softError } = this.connection
    if ((events & EVENT_SOFT_ERROR) !== 0 && softError !== null) report({ kind: 'soft-error', code: softError })
    if ((events & EVENT_DELIVERY) !== 0) report({ kind: 'delivery-problem' })
    if ((events & EVENT_URGENT) !== 0) report({ kind: 'urgent', bytes: this.urgentBytes })
  }

  onClosed(error: NetErrorCode | null): void {
    this.ended = { error }
    this.wakeAll()
  }

  private put(bytes: Uint8Array, at: number, urgent = false): number {
    const { connection, stack } = this
    this.throwEnded('write')
    if (!canSend(connection.state) || connection.sendQueue.finQueued)
      throw new NetError('EPIPE', 'write: the socket is shut for writing')
    const count = giveBytes(stack, connection, bytes, at)
    if (urgent && count > 0) connection.snd.up = connection.sendQueue.end
    return count
  }

  private waitForRoom(signal?: AbortSignal): Promise<void> {
    this.connection.wantsRoom = true
    return this.writers.wait(signal)
  }

  private wakeAll(): void {
    this.established.wake()
    this.readers.wake()
    this.writers.wake()
  }

  private throwEnded(operation: string): void {
    if (this.ended === null) return
    const { remoteAddress, remotePort } = this
    const code = this.ended.error ?? 'EPIPE'
    if (operation === 'read' && this.ended.error === null) return
    throw new NetError(code, `${operation} ${remoteAddress} port ${remotePort}`)
  }
}
