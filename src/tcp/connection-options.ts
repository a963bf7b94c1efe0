// What a program may set on a connection; the defaults are in default-options.ts.

import type { Micros } from '../time.ts'
import type { CongestionControl } from './congestion.ts'

/** What a program may set on a connection. Times in microseconds. */
export interface ConnectionOptions {
  noDelay: boolean
  /** Send only full segments until it is switched off (Linux's TCP_CORK). */
  cork: boolean
  keepAlive: boolean
  keepAliveIdle: Micros
  keepAliveInterval: Micros
  keepAliveCount: number
  /** How long sent data may stay unacknowledged (RFC 5482, local); 0: as many retries as the stack allows. */
  userTimeout: Micros
  hopLimit: number
  trafficClass: number
  /** Upper bounds of the buffers, which tune themselves below them. */
  receiveBytes: number
  sendBytes: number
  /** Its port may be bound again while it lasts, TIME-WAIT included, if who binds it says so too (SO_REUSEADDR). A listener's is never shared. */
  reuseAddress: boolean
  /** The largest segment to announce and to send, options not taken off (Linux's TCP_MAXSEG); 0: what link and peer take. */
  segmentLimit: number
  /** Makes the congestion control; null: the stack's (Linux's TCP_CONGESTION). */
  congestionControl: (() => CongestionControl) | null
}
