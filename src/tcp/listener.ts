// A passive socket: who may connect, the handshakes under way (the SYN queue) and the connections that nobody has
// accepted yet (the accept queue). Tcp keeps it by port.

import { type Micros, NEVER } from '../time.ts'
import type { Family, IpAddress } from '../wire/address.ts'
import type { Acceptor, Connection } from './connection.ts'
import type { ConnectionOptions } from './connection-options.ts'

/** Node's. */
export const DEFAULT_BACKLOG = 511
/** Linux's somaxconn. */
export const MOST_BACKLOG = 4_096

export interface ListenOptions {
  readonly family: Family
  /** Default: any. */
  readonly address?: IpAddress
  /** 0: an ephemeral one. */
  readonly port: number
  readonly v6Only?: boolean
  /** Connections that may wait to be accepted. Default 511. */
  readonly backlog?: number
  readonly interfaceIndex?: number
}

export class Listener implements Acceptor {
  readonly family: Family
  readonly address: IpAddress
  readonly port: number
  readonly v6Only: boolean
  readonly interfaceIndex: number
  readonly backlog: number
  /** What accepted connections begin with. */
  options: Readonly<ConnectionOptions>
  /** Handshakes under way. */
  readonly pending = new Set<Connection>()
  /** When the last cookie went out: only then can one come back. */
  cookieAt: Micros = NEVER
  readonly accepted: Connection[] = []
  closed = false
  /** A connection can be accepted. Called from Tcp.poll, after the batch. */
  onAcceptable: (() => void) | null = null
  announced = false

  constructor(listen: ListenOptions, address: IpAddress, port: number, options: Readonly<ConnectionOptions>) {
    this.family = listen.family
    this.address = address
    this.port = port
    this.v6Only = listen.v6Only ?? false
    this.interfaceIndex = listen.interfaceIndex ?? 0
    this.backlog = Math.max(1, Math.min(listen.backlog ?? DEFAULT_BACKLOG, MOST_BACKLOG))
    this.options = options
  }

  /** How well it fits: more for each thing it insists on; -1: not at all. */
  score(local: IpAddress, interfaceIndex: number): number {
    if (local.family !== this.family && (this.family === 4 || this.v6Only)) return -1
    let score = local.family === this.family ? 1 : 0
    if (!this.address.isUnspecified) {
      if (!this.address.equals(local)) return -1
      score += 2
    }
    if (this.interfaceIndex !== 0) {
      if (this.interfaceIndex !== interfaceIndex) return -1
      score += 2
    }
    return score
  }

  /** Linux's rule: full is one more than the backlog. */
  get acceptQueueFull(): boolean {
    return this.accepted.length > this.backlog
  }

  get synQueueFull(): boolean {
    return this.pending.size >= this.backlog
  }
}
