// What the sockets and servers of one host share. Made by net.ts.

import type { LookupFunction } from 'node:net'
import type { NodeHost } from '../node-host.ts'

export interface NetContext {
  readonly host: NodeHost
  /** In the shape of dns.lookup. */
  readonly lookup: LookupFunction
  /** Whether addresses of both families are tried where a name has them, and how long each, in milliseconds. */
  autoSelectFamily: boolean
  attemptTimeout: number
}
