// A socket of the system as a handle: Unix sockets, and descriptors and handles of Node's own that a program hands in.
// They are not of our stack; Node's own net carries them.

import * as system from 'node:net'
import type { NodeHost } from '../node-host.ts'
import { type Endpoint, type HandleOwner, type StreamHandle, Turns, type WriteOutcome } from './handle.ts'

export class SystemHandle implements StreamHandle {
  owner: HandleOwner | null = null
  reading = false
  private readonly inner: system.Socket
  private readonly turns: Turns
  private closed = false
  private ended = false
  private writing = false

  /** Throws what Node's own constructor throws. */
  static of(host: NodeHost, options: { fd: number } | { handle: unknown }): SystemHandle {
    const given = { ...options, allowHalfOpen: true, pauseOnCreate: true } as unknown as system.SocketConstructorOpts
    return new SystemHandle(host, new system.Socket(given))
  }

  /** `done` is told null or a code. */
  static connect(host: NodeHost, path: string, done: (code: string | null) => void): SystemHandle {
    const inner = new system.Socket({ allowHalfOpen: true })
    const onError = (error: NodeJS.ErrnoException): void => done(error.code ?? 'EINVAL')
    inner.once('error', onError)
    inner.once('connect', () => {
      inner.off('error', onError)
      done(null)
    })
    inner.connect(path)
    return new SystemHandle(host, inner)
  }

  constructor(host: NodeHost, inner: system.Socket) {
    this.inner = inner
    this.turns = new Turns(host.keepAlive, 'PIPEWRAP')
    inner.pause()
    inner.on('data', (chunk: Buffer) => this.arrived(chunk))
    inner.on('end', () => this.tellEnd())
    inner.on('error', (error: NodeJS.ErrnoException) => {
      if (!this.closed && !inner.connecting) this.owner?.onHandleError(error.code ?? 'EIO')
    })
  }

  get bytesRead(): number {
    return this.inner.bytesRead
  }

  get bytesWritten(): number {
    return this.inner.bytesWritten
  }

  get writeQueueSize(): number {
    return this.inner.writableLength
  }

  readStart(): void {
    this.reading = true
    if (this.ended) this.turns.post(this, this.tellEnd)
    else this.inner.resume()
  }

  readStop(): void {
    this.reading = false
    this.inner.pause()
  }

  private arrived(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.closed && this.owner !== null; ) {
      const target = this.owner.readTarget()
      const count = target === null ? chunk.length : chunk.copy(target, 0, at)
      this.owner.onHandleData(count, target === null ? chunk : null)
      at += count
    }
  }

  private tellEnd(): void {
    this.ended = true
    if (this.reading && !this.closed) this.owner?.onHandleEnd()
  }

  write(chunks: readonly Uint8Array[]): WriteOutcome {
    if (this.inner.destroyed) return 'EPIPE'
    this.writing = true
    this.inner.cork()
    const last = chunks.length - 1
    for (const [index, chunk] of chunks.entries()) {
      this.inner.write(chunk, index < last ? undefined : (error) => this.tellWritten(error as NodeJS.ErrnoException))
    }
    this.inner.uncork()
    return 'pending'
  }

  private tellWritten(error: NodeJS.ErrnoException | null | undefined): void {
    if (!this.writing) return
    this.writing = false
    this.owner?.onHandleWritten(error ? (error.code ?? 'EPIPE') : null)
  }

  shutdown(done: () => void): void {
    this.inner.end(done)
  }

  close(done?: () => void): void {
    if (this.closed) return
    this.closed = true
    this.tellWritten(null)
    this.inner.destroy()
    this.turns.close(done)
  }

  /** A Unix socket knows no RST. */
  reset(done: () => void): void {
    this.close(done)
  }

  setNoDelay(enable: boolean): void {
    this.inner.setNoDelay(enable)
  }

  setKeepAlive(enable: boolean, delay: number): void {
    this.inner.setKeepAlive(enable, delay * 1_000)
  }

  getTypeOfService(): number {
    return 0
  }

  setTypeOfService(): void {
    // The system's sockets have none in Node 20.
  }

  getsockname(): Endpoint | null {
    const { address, family, port } = this.inner.address() as Partial<Endpoint>
    return address === undefined || family === undefined || port === undefined ? null : { address, family, port }
  }

  getpeername(): Endpoint | null {
    const { remoteAddress: address, remoteFamily: family, remotePort: port } = this.inner
    if (address === undefined || family === undefined || port === undefined) return null
    return { address, family: family as Endpoint['family'], port }
  }

  ref(): void {
    this.turns.ref(true)
    this.inner.ref()
  }

  unref(): void {
    this.turns.ref(false)
    this.inner.unref()
  }

  hasRef(): boolean {
    return this.turns.hasRef()
  }

  getAsyncId(): number {
    return this.turns.asyncId
  }
}
