// A TCP connection or listener of our stack in the manner of libuv's TCP handle: the lower half of Socket and Server.
// What the stack tells within a batch becomes a turn of the event loop; back-pressure is reading that stops, and the
// window that closes with it.

import type { NetErrorCode } from '../../errors.ts'
import { NetError } from '../../errors.ts'
import { giveBytes, leavesHost, takeBytes } from '../../socket/stream-io.ts'
import { type Connection, type ConnectionOwner, canSend } from '../../tcp/connection.ts'
import type { ConnectionOptions } from '../../tcp/connection-options.ts'
import type { Listener } from '../../tcp/listener.ts'
import { connect, letGo, listen, reset, setOptions, shutdownWrite, unlisten } from '../../tcp/open.ts'
import { seconds } from '../../time.ts'
import { anyAddress, type Family, type IpAddress } from '../../wire/address.ts'
import type { NodeHost } from '../node-host.ts'
import { type Endpoint, type HandleOwner, type StreamHandle, Turns, type WriteOutcome } from './handle.ts'
import { destinationOf, isListening, type Place, placeOf, takenFrom } from './place.ts'
import { ReadBuffers } from './read-buffers.ts'

/** libuv reads so often before others get their turn. */
const MOST_READS = 32
/**
 * What a program writes before what it caused gets its turn. Without it a writer that never waits would fill the send buffer
 * of megabytes first, and each byte would have left the cache before it is looked at again.
 */
const MOST_WRITTEN = 256 * 1_024
/** libuv's keep-alive where a delay is given: a probe a second, ten of them. */
const KEEP_ALIVE_INTERVAL = seconds(1)
const KEEP_ALIVE_COUNT = 10
/** Linux's MAX_TCP_KEEPIDLE. */
const MOST_KEEP_ALIVE_SECONDS = 32_767
/** How the stack ends connections that are not ended in order and by no peer: Stack.close. */
const GONE = 'ECONNABORTED' satisfies NetErrorCode
const TRAFFIC_CLASS_LIMIT = 255

export class TcpHandle implements StreamHandle, ConnectionOwner {
  owner: HandleOwner | null = null
  /** A connection came, on a listening handle. */
  onAccept: ((handle: StreamHandle) => void) | null = null
  onGone: (() => void) | null = null
  bytesRead = 0
  bytesWritten = 0
  reading = false
  closed = false
  private readonly host: NodeHost
  private readonly turns: Turns
  private connection: Connection | null = null
  private listener: Listener | null = null
  /** Known before the address is; 0: not yet. A socket of IPv6 shows its IPv4 peers as mapped addresses. */
  private family: Family | 0 = 0
  private bound: Place | null = null
  /** The port is another's: as with a kernel, listen() is the first to say so. */
  private inUse = false
  private isKnownConnected = false
  private v6Only = false
  private onConnect: ((code: string | null) => void) | null = null
  private acceptsWaiting = 0
  private readsWaiting = 0
  private endTold = false
  private failure: NetErrorCode | null = null
  private failureTold = false
  private pending: readonly Uint8Array[] | null = null
  private pendingIndex = 0
  private pendingAt = 0
  private writtenInTurn = 0

  constructor(host: NodeHost, type: 'TCPWRAP' | 'TCPSERVERWRAP' = 'TCPWRAP') {
    this.host = host
    this.turns = new Turns(host.keepAlive, type)
  }

  // Opening

  /** null, or EADDRNOTAVAIL, EINVAL. A port that is taken is told by listen(), or by getsockname(), as in libuv. */
  bind(text: string, port: number, family: Family, v6Only = false): string | null {
    const address = placeOf(this.host.stack, text, port)
    this.family = family
    if (address === null) return 'EINVAL'
    const { tcp } = this.host.stack
    if (!address.address.isUnspecified && !tcp.isLocal(address.address)) return 'EADDRNOTAVAIL'
    this.v6Only = v6Only
    this.inUse = port > 0 && isListening(tcp.listeners.get(port), address.address)
    if (!this.inUse) this.bound = address
    return null
  }

  /** null: `done` will be told, else a code: it could not even begin. */
  connect(text: string, port: number, family: Family, done: (code: string | null) => void): string | null {
    if (this.onConnect !== null) return 'EALREADY'
    if (this.isKnownConnected) return 'EISCONN'
    // Linux says of a connect() that does not wait that it went well when it is asked again, once.
    this.isKnownConnected = this.connection !== null
    const code = this.connection === null ? this.open(text, port, family) : null
    if (code !== null) return code
    this.onConnect = done
    this.turns.request(1)
    if (this.connection === null || this.isKnownConnected) this.turns.post(this, this.tellConnected)
    else this.host.stack.onWork?.()
    return null
  }

  private open(text: string, port: number, family: Family): string | null {
    const { stack } = this.host
    const place = placeOf(stack, text, port)
    this.family = family
    if (place === null) return 'EINVAL'
    const { bound } = this
    try {
      this.connection = connect(
        stack.tcp,
        {
          remoteAddress: destinationOf(place.address),
          // The system tries port 0 like any other, and nobody answers there.
          remotePort: port,
          interfaceIndex: place.interfaceIndex,
          ...(bound === null ? {} : { localPort: bound.port }),
          ...(bound === null || bound.address.isUnspecified ? {} : { localAddress: bound.address }),
        },
        stack.clock.now(),
      )
      this.connection.owner = this
    } catch (error) {
      if (!(error instanceof NetError)) throw error
      if (error.code !== 'EINVAL' || port !== 0) return bound === null ? error.code : takenFrom(error.code)
      this.failure = 'ECONNREFUSED'
    }
    return null
  }

  /** null, or a code. */
  listen(backlog: number): string | null {
    if (this.inUse) return 'EADDRINUSE'
    const place = this.bound ?? { address: anyAddress(this.family || 4), port: 0, interfaceIndex: 0 }
    const { tcp } = this.host.stack
    const { address, port, interfaceIndex } = place
    try {
      this.listener = listen(
        tcp,
        { family: address.family, address, port, interfaceIndex, v6Only: this.v6Only, backlog: backlog | 0 },
        {},
      )
    } catch (error) {
      if (error instanceof NetError) return error.code
      throw error
    }
    this.bound = { ...place, port: this.listener.port }
    this.listener.onAcceptable = () => this.acceptable()
    this.turns.activate(true)
    return null
  }

  private adopt(connection: Connection, family: Family): this {
    this.connection = connection
    this.family = family
    connection.owner = this
    this.isKnownConnected = true
    if (connection.state === 'CLOSED') this.failure = connection.error
    return this
  }

  private acceptable(): void {
    const { listener } = this
    if (listener === null || this.closed) return
    if (listener.closed) return this.turns.post(this, this.tellGone)
    for (; this.acceptsWaiting < listener.accepted.length; this.acceptsWaiting++) this.turns.post(this, this.accept)
  }

  private accept(): void {
    this.acceptsWaiting--
    const connection = this.closed ? undefined : this.listener?.accepted.shift()
    if (connection === undefined) return
    this.onAccept?.(new TcpHandle(this.host).adopt(connection, this.family || 4))
  }

  // ConnectionOwner: called within a batch.

  onEstablished(): void {
    if (this.onConnect !== null) this.turns.post(this, this.tellConnected)
  }

  onReadable(): void {
    this.wakeReader()
  }

  onWritable(): void {
    if (this.connection !== null) this.connection.wantsRoom = false
    if (this.pending !== null) this.turns.post(this, this.goOnWriting)
  }

  onClosed(error: NetErrorCode | null): void {
    this.failure = error
    if (error === GONE) return this.turns.post(this, this.tellGone)
    if (this.onConnect !== null) return this.turns.post(this, this.tellConnected)
    this.wakeReader()
    if (this.pending !== null) this.turns.post(this, this.goOnWriting)
  }

  onReport(): void {
    // Node tells its programs nothing of this kind.
  }

  private tellGone(): void {
    if (this.closed) return
    if (this.listener !== null) this.onGone?.()
    else this.owner?.onHandleGone()
  }

  private tellConnected(): void {
    const done = this.onConnect
    if (done === null || this.closed) return
    this.onConnect = null
    this.turns.request(-1)
    done(this.failure)
    if (this.failure !== null) this.failureTold = true
  }

  // Reading

  readStart(): void {
    if (this.closed) return
    this.reading = true
    this.turns.activate(true)
    this.wakeReader()
  }

  readStop(): void {
    this.reading = false
    this.turns.activate(false)
  }

  /** A turn for each buffer that is full, and one for the end or the failure behind them. */
  private wakeReader(): void {
    const { connection } = this
    if (!this.reading || this.closed || connection === null) return
    const { available } = connection.receiveQueue
    const isOver = connection.rcv.finSeen || this.failure !== null
    const turns = Math.ceil(available / ReadBuffers.MOST_BYTES) + (isOver && !this.endTold ? 1 : 0)
    const wanted = Math.min(turns, MOST_READS)
    for (; this.readsWaiting < wanted; this.readsWaiting++) this.turns.post(this, this.read)
  }

  private read(): void {
    this.readsWaiting--
    const { connection, owner } = this
    if (!this.reading || this.closed || owner === null || connection === null || this.endTold) return
    const { available } = connection.receiveQueue
    if (available > 0) this.readSome(connection, owner, available)
    else if (this.failure !== null && !connection.rcv.finSeen) {
      if (this.failureTold) return
      this.failureTold = true
      this.readStop()
      owner.onHandleError(this.failure)
    } else if (connection.rcv.finSeen) {
      this.endTold = true
      this.readStop()
      owner.onHandleEnd()
    }
    if (this.readsWaiting === 0) this.wakeReader()
  }

  private readSome(connection: Connection, owner: HandleOwner, available: number): void {
    const { stack } = this.host
    const target = owner.readTarget()
    const chunk = target === null ? ReadBuffers.take(available) : null
    const count = takeBytes(stack, connection, target ?? chunk!)
    this.bytesRead += count
    owner.onHandleData(count, chunk)
  }

  // Writing

  get writeQueueSize(): number {
    const { pending } = this
    if (pending === null) return 0
    let bytes = -this.pendingAt
    for (let index = this.pendingIndex; index < pending.length; index++) bytes += pending[index]!.length
    return bytes
  }

  write(chunks: readonly Uint8Array[]): WriteOutcome {
    for (const chunk of chunks) this.bytesWritten += chunk.length
    this.pending = chunks
    this.pendingIndex = 0
    this.pendingAt = 0
    const outcome = this.giveAway()
    if (outcome === 'pending') this.turns.request(1)
    else this.pending = null
    return outcome
  }

  private giveAway(): WriteOutcome {
    const { connection } = this
    const pending = this.pending!
    const refused = this.refusal()
    if (refused !== null || connection === null) return refused
    while (this.pendingIndex < pending.length) {
      const chunk = pending[this.pendingIndex]!
      const given = giveBytes(this.host.stack, connection, chunk, this.pendingAt)
      this.writtenInTurn += given
      this.pendingAt += given
      if (this.pendingAt < chunk.length) {
        connection.wantsRoom = true
        return 'pending'
      }
      this.pendingIndex++
      this.pendingAt = 0
    }
    if (this.writtenInTurn < MOST_WRITTEN) return null
    this.turns.post(this, this.goOnWriting)
    return 'pending'
  }

  /** The first write after the end is told why the connection ended, all others that the pipe is broken. */
  private refusal(): string | null {
    const { connection } = this
    if (connection === null) return 'EBADF'
    if (canSend(connection.state) && !connection.sendQueue.finQueued) return null
    if (this.failure === null || this.failureTold) return 'EPIPE'
    this.failureTold = true
    return this.failure
  }

  private goOnWriting(): void {
    this.writtenInTurn = 0
    if (this.pending === null || this.closed) return
    const outcome = this.giveAway()
    if (outcome === 'pending') return
    this.pending = null
    this.turns.request(-1)
    this.owner?.onHandleWritten(outcome)
  }

  // Closing

  shutdown(done: () => void): void {
    const { connection } = this
    const { stack } = this.host
    if (connection !== null) {
      shutdownWrite(stack.tcp, connection)
      stack.onWork?.(leavesHost(stack, connection))
    }
    this.turns.request(1)
    this.turns.soon(this, () => {
      if (this.closed) return
      this.turns.request(-1)
      done()
    })
  }

  close(done?: () => void): void {
    this.finish(done, letGo)
  }

  reset(done: () => void): void {
    this.finish(done, (tcp, connection, now) => {
      // The host let it go already.
      if (connection.orphaned) return
      connection.orphaned = true
      reset(tcp, connection, now)
    })
  }

  private finish(done: (() => void) | undefined, end: typeof letGo): void {
    if (this.closed) return
    const { stack } = this.host
    this.closed = true
    this.reading = false
    if (this.pending !== null) this.turns.post(this, this.cancelWrite)
    this.onConnect = null
    if (this.listener !== null) unlisten(stack.tcp, this.listener, stack.clock.now())
    const { connection } = this
    if (connection !== null) {
      connection.owner = null
      end(stack.tcp, connection, stack.clock.now())
    }
    this.turns.close(done)
    stack.onWork?.(connection !== null && leavesHost(stack, connection))
  }

  private cancelWrite(): void {
    this.pending = null
    this.owner?.onHandleWritten('ECANCELED')
  }

  // The rest

  setNoDelay(enable: boolean): void {
    this.set({ noDelay: enable })
  }

  setKeepAlive(enable: boolean, delay: number): void {
    // Linux takes no other delays; libuv has switched it on by then, and nobody hears of the rest.
    if (!enable || delay < 1 || delay > MOST_KEEP_ALIVE_SECONDS) return this.set({ keepAlive: enable })
    this.set({
      keepAlive: true,
      keepAliveIdle: seconds(delay),
      keepAliveInterval: KEEP_ALIVE_INTERVAL,
      keepAliveCount: KEEP_ALIVE_COUNT,
    })
  }

  getTypeOfService(): number {
    return this.connection?.options.trafficClass ?? 0
  }

  setTypeOfService(value: number): void {
    this.set({ trafficClass: value & TRAFFIC_CLASS_LIMIT })
  }

  private set(options: Partial<ConnectionOptions>): void {
    const { stack } = this.host
    if (this.connection === null || this.connection.state === 'CLOSED') return
    setOptions(stack.tcp, this.connection, options, stack.clock.now())
    stack.onWork?.()
  }

  getsockname(): Endpoint | null {
    const { connection, family } = this
    if (connection !== null) return this.show(connection.localAddress, connection.localPort)
    if (family === 0) return null
    const { address, port } = this.bound ?? { address: anyAddress(family), port: 0 }
    return this.show(address, port)
  }

  getpeername(): Endpoint | null {
    const { connection } = this
    return connection === null ? null : this.show(connection.remoteAddress, connection.remotePort)
  }

  private show(address: IpAddress, port: number): Endpoint {
    const isSix = this.family === 6
    const text = isSix && address.family === 4 ? `::ffff:${address}` : String(address)
    return { address: text, family: isSix ? 'IPv6' : 'IPv4', port }
  }

  ref(): void {
    this.turns.ref(true)
  }

  unref(): void {
    this.turns.ref(false)
  }

  hasRef(): boolean {
    return this.turns.hasRef()
  }

  getAsyncId(): number {
    return this.turns.asyncId
  }
}
