// What every part of the IP layer of one host shares. Made once by stack.ts; nothing here has behaviour of
// its own.

import type { Packet } from '../buf/packet.ts'
import type { PagePool } from '../buf/page.ts'
import type { Counters, Drop } from '../counters.ts'
import type { Random } from '../random.ts'
import type { UserCalls } from '../user-calls.ts'
import type { IpAddress } from '../wire/address.ts'
import type { Interfaces } from './interfaces.ts'
import type { PathMtuCache } from './path-mtu.ts'
import type { RouteTable } from './routes.ts'
import type { Way } from './seams.ts'

/** Whether a packet's source must be reachable by the interface it came in by, by any, or need not be (RFC 3704). */
export type ReversePathFilter = 'strict' | 'loose' | 'off'

export interface IpContext {
  readonly pool: PagePool
  readonly counters: Counters
  readonly random: Random
  readonly interfaces: Interfaces
  readonly routes: RouteTable
  readonly pathMtu: PathMtuCache
  /** How a user's callbacks are called. */
  readonly calls: UserCalls
  /** Whether packets for others are passed on: a host, or a router (RFC 1122 §3.3.4.2). May change at any time. */
  forwarding: boolean
  reversePathFilter: ReversePathFilter
  /** Hop limit of what this host sends, unless a router or a socket says otherwise. */
  hopLimit: number
}

/** Whether packets with a loopback source would leave the host (RFC 1122 §3.2.1.3 g, RFC 4291 §2.5.3). */
export const leaksLoopback = (way: Way, context: IpContext): boolean =>
  way.source.isLoopback && context.interfaces.byIndex(way.interfaceIndex)?.isLoopback !== true

/** Whether packets from `source` are this host's own; nobody outside has seen one from a loopback address. */
export const isOwn = (source: IpAddress, heardBy: Packet, { interfaces }: IpContext): boolean =>
  interfaces.isLocal(source) && (!source.isLoopback || interfaces.byIndex(heardBy.interfaceIndex)?.isLoopback === true)

/** Counts a packet that is not delivered, and releases it. */
export function discard(context: IpContext, packet: Packet, reason: Drop): void {
  context.counters.drops[reason]++
  packet.note = reason
  packet.release()
}
