// What connections begin with. A stack has one record of it, which all its connections share until a program changes
// something (open.ts).

import { type Micros, seconds } from '../time.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { DEFAULT_TCP_CONFIG, type TcpConfig } from './environment.ts'

/** The bounds of the buffers are the stack's, where it has others: rmem, wmem. */
export const DEFAULT_CONNECTION_OPTIONS: Readonly<ConnectionOptions> = {
  noDelay: false,
  cork: false,
  keepAlive: false,
  keepAliveIdle: seconds(7_200),
  keepAliveInterval: seconds(75),
  keepAliveCount: 9,
  userTimeout: 0 as Micros,
  hopLimit: 64,
  trafficClass: 0,
  receiveBytes: DEFAULT_TCP_CONFIG.rmem[2],
  sendBytes: DEFAULT_TCP_CONFIG.wmem[2],
  reuseAddress: true,
  segmentLimit: 0,
  congestionControl: null,
}

/** What the connections of a stack begin with. */
export const optionsOf = ({ rmem, wmem }: TcpConfig): Readonly<ConnectionOptions> => ({
  ...DEFAULT_CONNECTION_OPTIONS,
  receiveBytes: rmem[2],
  sendBytes: wmem[2],
})
