// A cable between two hosts of ours, on one machine or two: one Ethernet frame in each UDP datagram.

import type { PagePool } from '../src/buf/page.ts'
import type { Counters } from '../src/counters.ts'
import type { LinkEndpoint } from '../src/link/link-name.ts'
import { type DatagramLink, openDatagramLink } from './datagram-link.ts'

export interface UdpTunnelOptions {
  readonly local: LinkEndpoint
  readonly remote: LinkEndpoint
  readonly pool: PagePool
  readonly counters: Counters
  readonly mtu?: number
}

export const openUdpTunnel = (options: UdpTunnelOptions): Promise<DatagramLink> =>
  openDatagramLink({ ...options, name: `udp-${options.remote.address}:${options.remote.port}`, vni: null })
