// What a Socket keeps for itself: its handle, what was wished of it before there was one, its time-out, and the way of
// bytes from the handle into the stream and back. Socket (socket.ts) is the surface that programs see.

import { AsyncResource } from 'node:async_hooks'
import type { BlockList } from 'node:net'
import type { Duplex } from 'node:stream'
import type { HostTimer } from '../host-timers.ts'
import { errnoError } from '../node-errors.ts'
import type { NetContext } from './context.ts'
import type { Endpoint, HandleOwner, StreamHandle } from './handle.ts'

export type WriteCallback = (error?: Error | null) => void

/** Memory of the program for what is read, and who is told of it. */
export interface OnRead {
  buffer: Uint8Array | (() => Uint8Array)
  callback: (bytes: number, buffer: Uint8Array) => boolean
}

/** Where a socket keeps its own. */
export const STATE = Symbol('hourglass socket')

/** What the parts of a Socket need of it: socket.ts is it. */
export interface SocketParts extends Duplex {
  readonly [STATE]: SocketState
  connecting: boolean
  autoSelectFamilyAttemptedAddresses: string[] | undefined
  blockList: BlockList | undefined
  _parent: SocketParts | null
  _host: string | null
  _sockname: Endpoint | null
  _peername: Endpoint | null
  _getsockname(): Partial<Endpoint>
  _unrefTimer(): void
  _onTimeout(): void
}

export class SocketState implements HandleOwner {
  readonly socket: SocketParts
  readonly net: NetContext
  handle: StreamHandle | null = null
  noDelay = false
  keepAlive = false
  /** Seconds. */
  keepAliveDelay = 0
  typeOfService: number | null = null
  /** Of a handle that is gone. */
  bytesRead = 0
  bytesWritten = 0
  private onRead: OnRead | null
  private target: Uint8Array | null = null
  private written: WriteCallback | null = null
  private timer: HostTimer | null = null
  /** Bytes that a pending write had left when the time-out looked last. */
  private lastQueueSize = 0

  constructor(socket: SocketParts, net: NetContext, onRead: OnRead | null) {
    this.socket = socket
    this.net = net
    this.onRead = onRead
  }

  /** Takes over a handle; null: there is none any more. */
  attach(handle: StreamHandle | null): void {
    this.handle = handle
    if (handle === null) return
    handle.owner = this
    const { onRead } = this
    if (onRead !== null) this.takeTarget(typeof onRead.buffer === 'function' ? onRead.buffer() : onRead.buffer)
  }

  /** Whether the program reads into memory of its own, past the stream. */
  get readsDirectly(): boolean {
    return this.onRead !== null
  }

  private takeTarget(buffer: unknown): void {
    if (buffer instanceof Uint8Array) this.target = buffer
  }

  // HandleOwner

  readTarget(): Uint8Array | null {
    return this.target
  }

  onHandleData(count: number, chunk: Buffer | null): void {
    const { socket, onRead, target } = this
    socket._unrefTimer()
    if (socket.destroyed) return
    let wantsMore = true
    if (onRead !== null && target !== null) {
      wantsMore = onRead.callback(count, target) !== false
      if (typeof onRead.buffer === 'function') this.takeTarget(onRead.buffer())
    } else if (chunk !== null) wantsMore = socket.push(chunk)
    if (!wantsMore) this.handle?.readStop()
  }

  onHandleEnd(): void {
    const { socket } = this
    socket._unrefTimer()
    if (socket.readableEnded) return
    socket.push(null)
    // The end is to be noticed even where nobody reads.
    socket.read(0)
  }

  onHandleError(code: string): void {
    this.socket._unrefTimer()
    this.socket.destroy(errnoError(code, 'read'))
  }

  onHandleGone(): void {
    this.socket.destroy()
  }

  onHandleWritten(code: string | null): void {
    const { socket, written } = this
    this.written = null
    if (written === null) return
    if (socket.destroyed) return written(null)
    if (code !== null) return written(errnoError(code, 'write'))
    socket._unrefTimer()
    this.lastQueueSize = 0
    written(null)
  }

  /** `done` at once where all bytes are taken, as Node does. */
  write(handle: StreamHandle, chunks: readonly Uint8Array[], done: WriteCallback): void {
    const outcome = handle.write(chunks)
    if (outcome === 'pending') {
      this.written = done
      this.lastQueueSize = handle.writeQueueSize
    } else done(outcome === null ? null : errnoError(outcome, 'write'))
  }

  // Time-outs

  /** 0: none. The time-out keeps no process alive. */
  setTimeout(milliseconds: number): void {
    this.clearTimeout()
    if (milliseconds === 0) return
    const { timers } = this.net.host
    const context = new AsyncResource('Timeout', { requireManualDestroy: true })
    const call = (): void => {
      context.runInAsyncScope(this.socket._onTimeout, this.socket)
    }
    if (this.timer === null) this.timer = timers.set(milliseconds, call)
    else timers.reset(this.timer, milliseconds, call)
  }

  refreshTimeout(): void {
    if (this.timer !== null) this.net.host.timers.refresh(this.timer)
  }

  clearTimeout(): void {
    if (this.timer !== null) this.net.host.timers.cancel(this.timer)
  }

  /** Whether a write goes on, slowly: that is no time-out. */
  isWriting(): boolean {
    if (this.lastQueueSize === 0 || this.handle === null) return false
    const { writeQueueSize } = this.handle
    const moved = writeQueueSize !== this.lastQueueSize
    this.lastQueueSize = writeQueueSize
    return moved
  }
}
