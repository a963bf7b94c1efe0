// What the sockets and servers of one host share. Made by net.ts.

import type { LookupFunction } from 'node:net'
import type { NodeHost } from '../node-host.ts'

/** Node's bounds of the time that an address is tried for, in milliseconds: less counts as the least, more is refused. */
export const SHORTEST_ATTEMPT = 10
export const LONGEST_ATTEMPT = 2 ** 31 - 1

export interface NetContext {
  readonly host: NodeHost
  /** In the shape of dns.lookup. */
  readonly lookup: LookupFunction
  /** Whether addresses of both families are tried where a name has them, and how long each, in milliseconds. */
  autoSelectFamily: boolean
  attemptTimeout: number
}
