// A listening TCP socket: accepts connections, one at a time or as an async iterable.

import { NetError } from '../errors.ts'
import type { Stack } from '../stack.ts'
import type { ConnectionOptions } from '../tcp/connection-options.ts'
import type { Listener, ListenOptions } from '../tcp/listener.ts'
import { listen, unlisten } from '../tcp/open.ts'
import { IpAddress } from '../wire/address.ts'
import { TcpSocket } from './tcp-socket.ts'
import { Waiters } from './waiters.ts'

export interface TcpListenOptions extends Omit<ListenOptions, 'address'> {
  /** Default: any. */
  readonly address?: IpAddress | string
}

export class TcpListener {
  readonly listener: Listener
  private readonly stack: Stack
  private readonly acceptors = new Waiters()

  /** Throws NetError: EADDRINUSE, EADDRNOTAVAIL, EINVAL. */
  constructor(stack: Stack, options: TcpListenOptions, connectionOptions: Partial<ConnectionOptions> = {}) {
    this.stack = stack
    const { address: on, ...rest } = options
    const wanted = on === undefined ? rest : { ...rest, address: IpAddress.of(on) }
    this.listener = listen(stack.tcp, wanted, connectionOptions)
    this.listener.onAcceptable = () => this.acceptors.wake()
  }

  get address(): IpAddress {
    return this.listener.address
  }

  get port(): number {
    return this.listener.port
  }

  get closed(): boolean {
    return this.listener.closed
  }

  /** The connection that has waited longest; null: none waits. */
  tryAccept(): TcpSocket | null {
    const connection = this.listener.accepted.shift()
    return connection === undefined ? null : new TcpSocket(this.stack, connection)
  }

  /** Waits for a connection. Rejects with NetError EBADF when closed, or the signal's reason. */
  async accept(options: { signal?: AbortSignal } = {}): Promise<TcpSocket> {
    options.signal?.throwIfAborted()
    for (;;) {
      if (this.closed) throw new NetError('EBADF', 'accept: the listener is closed')
      const socket = this.tryAccept()
      if (socket !== null) return socket
      await this.acceptors.wait(options.signal)
    }
  }

  /** Connections until the listener is closed. */
  async *[Symbol.asyncIterator](): AsyncIterator<TcpSocket> {
    while (!this.closed) {
      const socket = this.tryAccept()
      if (socket !== null) yield socket
      else await this.acceptors.wait()
    }
  }

  /** Stops; connections that nobody accepted are reset. A second call does nothing. */
  close(): void {
    unlisten(this.stack.tcp, this.listener, this.stack.clock.now())
    this.acceptors.wake()
    this.stack.onWork?.()
  }
}
