// What stands behind the file descriptors of a script: a table of our own, straight over src/tcp and src/udp.

import type { NetErrorCode } from '../errors.ts'
import type { Connection, ConnectionOwner } from '../tcp/connection.ts'
import type { ConnectionOptions } from '../tcp/connection-options.ts'
import { DEFAULT_CONNECTION_OPTIONS } from '../tcp/default-options.ts'
import type { Listener } from '../tcp/listener.ts'
import type { UdpEndpoint } from '../udp/endpoint.ts'
import type { Flow } from './flow.ts'

interface Common {
  readonly flow: Flow
  nonBlocking: boolean
  reuseAddress: boolean
  boundPort: number
}

export class TcpDescriptor implements Common, ConnectionOwner {
  readonly kind = 'tcp'
  readonly flow: Flow
  nonBlocking = false
  reuseAddress = false
  boundPort = 0
  readonly options: ConnectionOptions = { ...DEFAULT_CONNECTION_OPTIONS, reuseAddress: false }
  listener: Listener | null = null
  connection: Connection | null = null
  /** close() is to reset (SO_LINGER of 0). */
  resetOnClose = false
  shutForReading = false
  shutForWriting = false
  /** Waits to be told, once. */
  private pending: NetErrorCode | null = null
  /** What options were set to that change nothing here, to be read back. */
  readonly stored = new Map<string, number>()

  constructor(flow: Flow) {
    this.flow = flow
  }

  own(connection: Connection): void {
    this.connection = connection
    connection.owner = this
    this.pending = connection.state === 'CLOSED' ? connection.error : null
  }

  /** The error that waits, once; then what the path reported. */
  takeError(): NetErrorCode | null {
    const { connection } = this
    const code = this.pending ?? connection?.softError ?? null
    this.pending = null
    if (connection !== null) connection.softError = null
    return code
  }

  get failed(): boolean {
    return this.pending !== null
  }

  onEstablished(): void {}

  onReadable(): void {}

  onWritable(): void {}

  onReport(): void {}

  onClosed(error: NetErrorCode | null): void {
    this.pending = error
  }
}

export class UdpDescriptor implements Common {
  readonly kind = 'udp'
  readonly flow: Flow
  nonBlocking = false
  reuseAddress = false
  boundPort = 0
  endpoint: UdpEndpoint | null = null
  readonly stored = new Map<string, number>()

  constructor(flow: Flow) {
    this.flow = flow
  }
}

export type Descriptor = TcpDescriptor | UdpDescriptor

/** The lowest number that is free, as in POSIX; 0 to 2 are taken. */
export function lowestFree(table: ReadonlyMap<number, Descriptor>): number {
  let number = 3
  while (table.has(number)) number++
  return number
}
