// A listening socket of the system, for Unix sockets and for descriptors and handles of Node's own: what it accepts are
// system-handle.ts.

import * as system from 'node:net'
import type { NodeHost } from '../node-host.ts'
import type { Endpoint, ListenHandle, StreamHandle } from './handle.ts'
import { SystemHandle } from './system-handle.ts'

export class SystemListener implements ListenHandle {
  onAccept: ((handle: StreamHandle) => void) | null = null
  onGone: (() => void) | null = null
  onError: ((error: Error) => void) | null = null
  private readonly inner: system.Server
  private readonly where: Readonly<Record<string, unknown>>

  constructor(host: NodeHost, where: Readonly<Record<string, unknown>>) {
    this.where = where
    this.inner = new system.Server({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.onAccept?.(new SystemHandle(host, socket)),
    )
    this.inner.on('error', (error) => this.onError?.(error))
  }

  /** Throws what Node's own listen throws. */
  begin(onListening: () => void): void {
    this.inner.listen(this.where, onListening)
  }

  getsockname(): Endpoint | null {
    const address = this.inner.address()
    return typeof address === 'object' ? (address as Endpoint | null) : null
  }

  close(): void {
    this.inner.close()
  }

  ref(): void {
    this.inner.ref()
  }

  unref(): void {
    this.inner.unref()
  }
}
