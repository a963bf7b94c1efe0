// Socket of node:net over our stack: a Duplex with the methods, properties and events of Node's net.Socket, and no
// subclass of it. Opening is in connect.ts, what it keeps for itself in socket-state.ts. Each host has a constructor
// of its own (construct.ts, net.ts), which may be called without `new`; all share this prototype.

import type { BlockList } from 'node:net'
import { Duplex } from 'node:stream'
import { outOfRange, validateFunction, validateNumber } from '../node-errors.ts'
import { connectSocket } from './connect.ts'
import { plainError } from './errors.ts'
import type { Endpoint, StreamHandle } from './handle.ts'
import { type SocketParts, type SocketState, STATE, type WriteCallback } from './socket-state.ts'
import { TcpHandle } from './tcp-handle.ts'
import { OURS } from './wrapped-streams.ts'

/** The longest wait of Node's timers. */
const LONGEST_TIMEOUT = 2 ** 31 - 1

/** The server that a socket came from. */
export interface ServerOfSocket {
  _connections: number
  _emitCloseIfDrained?(): void
}

/** One piece of a stream's buffer. */
interface Piece {
  chunk: Buffer | string
  encoding: BufferEncoding
}

export class NetSocket extends Duplex implements SocketParts {
  declare readonly [STATE]: SocketState
  declare connecting: boolean
  declare timeout: number | undefined
  declare server: ServerOfSocket | null
  declare autoSelectFamilyAttemptedAddresses: string[] | undefined
  declare blockList: BlockList | undefined
  // What old libraries look at.
  declare _hadError: boolean
  declare _parent: NetSocket | null
  declare _host: string | null
  declare _server: ServerOfSocket | null
  declare _pendingData: Buffer | string | readonly Piece[] | null
  declare _pendingEncoding: string
  declare _sockname: Endpoint | null
  declare _peername: Endpoint | null
  declare resetAndClosing: boolean

  // Opening

  connect(...args: unknown[]): this {
    connectSocket(this, args)
    return this
  }

  get _handle(): StreamHandle | null {
    return this[STATE].handle
  }

  set _handle(handle: StreamHandle | null) {
    this[STATE].attach(handle)
  }

  get _connecting(): boolean {
    return this.connecting
  }

  get pending(): boolean {
    return this._handle === null || this.connecting
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening'
    if (this.readable) return this.writable ? 'open' : 'readOnly'
    return this.writable ? 'writeOnly' : 'closed'
  }

  // Reading

  override _read(size: number): void {
    const { handle } = this[STATE]
    if (this.connecting || handle === null) this.once('connect', () => this._read(size))
    else if (!handle.reading) handle.readStart()
  }

  /** Past the stream, into memory of the program: then the handle reads as the stream would flow. */
  private readDirectly(on: boolean): void {
    const { handle, readsDirectly } = this[STATE]
    if (!readsDirectly || this.connecting || handle === null || handle.reading === on) return
    if (on) handle.readStart()
    else if (!this.destroyed) handle.readStop()
  }

  override pause(): this {
    this.readDirectly(false)
    return super.pause()
  }

  override resume(): this {
    this.readDirectly(true)
    return super.resume()
  }

  override read(size?: number): unknown {
    this.readDirectly(true)
    return super.read(size)
  }

  // Writing

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: WriteCallback): void {
    if (this.connecting) return this.writeLater(chunk, encoding, done)
    this.writeNow([bytesOf(chunk, encoding)], done)
  }

  override _writev(pieces: Piece[], done: WriteCallback): void {
    if (this.connecting) return this.writeLater(pieces, '', done)
    this.writeNow(
      pieces.map(({ chunk, encoding }) => bytesOf(chunk, encoding)),
      done,
    )
  }

  private writeLater(data: Buffer | string | Piece[], encoding: BufferEncoding | '', done: WriteCallback): void {
    this._pendingData = data
    this._pendingEncoding = encoding
    const onClose = (): void => done(plainError('ERR_SOCKET_CLOSED_BEFORE_CONNECTION'))
    this.once('connect', () => {
      this.off('close', onClose)
      if (Array.isArray(data)) this._writev(data, done)
      else this._write(data as Buffer | string, encoding as BufferEncoding, done)
    })
    this.once('close', onClose)
  }

  private writeNow(chunks: readonly Uint8Array[], done: WriteCallback): void {
    const state = this[STATE]
    this._pendingData = null
    this._pendingEncoding = ''
    if (state.handle === null) return done(plainError('ERR_SOCKET_CLOSED'))
    this._unrefTimer()
    state.write(state.handle, chunks, done)
  }

  override _final(done: WriteCallback): void {
    if (this.pending) {
      this.once('connect', () => this._final(done))
      return
    }
    this._handle!.shutdown(() => done())
  }

  // Closing

  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', this.destroy)
  }

  resetAndDestroy(): this {
    const { handle } = this[STATE]
    if (handle === null) return this.destroy(plainError('ERR_SOCKET_CLOSED'))
    if (!(handle instanceof TcpHandle)) throw plainError('ERR_INVALID_HANDLE_TYPE')
    if (this.connecting) this.once('connect', () => this._reset())
    else this._reset()
    return this
  }

  _reset(): this {
    this.resetAndClosing = true
    return this.destroy()
  }

  override _destroy(error: Error | null, done: WriteCallback): void {
    const state = this[STATE]
    const { handle } = state
    this.connecting = false
    state.clearTimeout()
    if (handle === null) {
      done(error)
      process.nextTick(() => this.emit('close'))
    } else {
      state.bytesRead = handle.bytesRead
      state.bytesWritten = handle.bytesWritten
      const onClosed = (): void => {
        this.emit('close', error !== null)
      }
      if (this.resetAndClosing) handle.reset(onClosed)
      else handle.close(onClosed)
      this.resetAndClosing = false
      state.handle = null
      this._sockname = null
      done(error)
    }
    if (this._server === null) return
    this._server._connections--
    this._server._emitCloseIfDrained?.()
  }

  // Options

  setTimeout(milliseconds: number, callback?: () => void): this {
    if (this.destroyed) return this
    this.timeout = milliseconds
    validateNumber(milliseconds, 'msecs')
    if (milliseconds < 0 || !Number.isFinite(milliseconds)) {
      throw outOfRange('msecs', 'a non-negative finite number', milliseconds)
    }
    if (milliseconds > LONGEST_TIMEOUT) {
      const text = `${milliseconds} does not fit into a 32-bit signed integer.\nTimer duration was truncated to ${LONGEST_TIMEOUT}.`
      process.emitWarning(text, 'TimeoutOverflowWarning')
    }
    this[STATE].setTimeout(Math.min(milliseconds, LONGEST_TIMEOUT))
    if (callback === undefined) return this
    validateFunction(callback, 'callback')
    if (milliseconds === 0) this.removeListener('timeout', callback)
    else this.once('timeout', callback)
    return this
  }

  /** Something happened: the time-out begins anew. */
  _unrefTimer(): void {
    this[STATE].refreshTimeout()
    this._parent?._unrefTimer()
  }

  _onTimeout(): void {
    if (this[STATE].isWriting()) this._unrefTimer()
    else this.emit('timeout')
  }

  setNoDelay(enable?: boolean): this {
    const state = this[STATE]
    const wanted = Boolean(enable ?? enable === undefined)
    if (wanted === state.noDelay) return this
    state.noDelay = wanted
    if (!this.pending) state.handle?.setNoDelay(wanted)
    return this
  }

  setKeepAlive(enable?: boolean, initialDelay?: number): this {
    const state = this[STATE]
    const wanted = Boolean(enable)
    const delay = secondsOf(initialDelay)
    if (wanted === state.keepAlive && (!wanted || delay === state.keepAliveDelay)) return this
    state.keepAlive = wanted
    state.keepAliveDelay = delay
    if (!this.pending) state.handle?.setKeepAlive(wanted, delay)
    return this
  }

  getTypeOfService(): number {
    const { handle, typeOfService } = this[STATE]
    return this.pending || handle === null ? (typeOfService ?? 0) : handle.getTypeOfService()
  }

  setTypeOfService(value: number): this {
    validateNumber(value, 'tos')
    if (!(Number.isInteger(value) && value >= 0 && value <= 255)) throw outOfRange('tos', '>= 0 && <= 255', value)
    this[STATE].typeOfService = value
    if (!this.pending) this._handle?.setTypeOfService(value)
    return this
  }

  ref(): this {
    const { handle } = this[STATE]
    if (handle === null) this.once('connect', this.ref)
    else handle.ref()
    return this
  }

  unref(): this {
    const { handle } = this[STATE]
    if (handle === null) this.once('connect', this.unref)
    else handle.unref()
    return this
  }

  // Addresses and counts

  address(): Endpoint | Record<string, never> {
    return this._getsockname()
  }

  _getsockname(): Endpoint | Record<string, never> {
    const { handle } = this[STATE]
    if (handle === null) return {}
    this._sockname ??= handle.getsockname()
    return this._sockname ?? {}
  }

  _getpeername(): Endpoint | Record<string, never> {
    const { handle } = this[STATE]
    if (handle !== null && !this.connecting) this._peername ??= handle.getpeername()
    return this._peername ?? {}
  }

  get localAddress(): string | undefined {
    return this._getsockname().address
  }

  get localPort(): number | undefined {
    return this._getsockname().port
  }

  get localFamily(): string | undefined {
    return this._getsockname().family
  }

  get remoteAddress(): string | undefined {
    return this._getpeername().address
  }

  get remotePort(): number | undefined {
    return this._getpeername().port
  }

  get remoteFamily(): string | undefined {
    return this._getpeername().family
  }

  get bytesRead(): number {
    const { handle, bytesRead } = this[STATE]
    return handle === null ? bytesRead : handle.bytesRead
  }

  get _bytesDispatched(): number {
    const { handle, bytesWritten } = this[STATE]
    return handle === null ? bytesWritten : handle.bytesWritten
  }

  /** What was written and what still waits to be, in the stream or for the connection. */
  get bytesWritten(): number | undefined {
    const waiting = (this as unknown as { writableBuffer?: readonly Piece[] }).writableBuffer
    if (waiting === undefined) return undefined
    const { _pendingData: data } = this
    let bytes = this._bytesDispatched
    for (const piece of waiting) bytes += lengthOf(piece.chunk, piece.encoding)
    if (Array.isArray(data))
      for (const piece of data as readonly Piece[]) bytes += lengthOf(piece.chunk, piece.encoding)
    else if (data !== null) bytes += lengthOf(data as Buffer | string, this._pendingEncoding as BufferEncoding)
    return bytes
  }

  get bufferSize(): number | undefined {
    return this._handle === null ? undefined : this.writableLength
  }
}

Object.defineProperty(NetSocket.prototype, OURS, { value: true })

/** The addresses and counts show among the properties of a socket, as in Node. */
for (const name of [
  'bytesRead',
  'remoteAddress',
  'remoteFamily',
  'remotePort',
  'localAddress',
  'localPort',
  'localFamily',
  '_bytesDispatched',
  'bytesWritten',
]) {
  const descriptor = Object.getOwnPropertyDescriptor(NetSocket.prototype, name)!
  Object.defineProperty(NetSocket.prototype, name, { ...descriptor, enumerable: true })
}

const bytesOf = (chunk: Buffer | string, encoding: BufferEncoding): Uint8Array =>
  typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk

const lengthOf = (chunk: Buffer | string, encoding: BufferEncoding): number =>
  typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length

/** Node's way to whole seconds: what is no number is 0. */
export const secondsOf = (milliseconds: number | undefined): number => ~~((milliseconds as number) / 1_000)
