// What TCP is made of and with: stack.ts hands it to Tcp.

import type { PagePool } from '../buf/page.ts'
import type { Counters } from '../counters.ts'
import type { IpOutput, Way } from '../ip/seams.ts'
import type { Random } from '../random.ts'
import type { Micros } from '../time.ts'
import type { UserCalls } from '../user-calls.ts'
import type { IpAddress } from '../wire/address.ts'
import type { CongestionControl } from './congestion.ts'
import type { TcpConfig } from './environment.ts'
import type { InitialSequenceNumbers } from './isn.ts'

export interface TcpParts {
  readonly pool: PagePool
  readonly counters: Counters
  readonly random: Random
  readonly calls: UserCalls
  readonly ipv4: IpOutput
  readonly ipv6: IpOutput
  readonly isLocal: (address: IpAddress) => boolean
  readonly isBroadcast: (address: IpAddress) => boolean
  /** The neighbour on the way answered. */
  readonly confirm: (way: Way, now: Micros) => void
  /** Nothing comes back on this way: its neighbour may be dead. */
  readonly doubt: (way: Way) => void
  readonly config?: Partial<TcpConfig>
  readonly isn?: InitialSequenceNumbers
  /** Makes the congestion control of each new connection. Default CUBIC. */
  readonly congestionControl?: () => CongestionControl
}
