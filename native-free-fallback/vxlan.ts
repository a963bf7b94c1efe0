// VXLAN (RFC 7348) to the kernel's vxlan interface, or any other tunnel end, in another namespace or on another machine:
//
//   ip link add vx0 type vxlan id VNI remote OUR-ADDRESS dstport OUR-PORT local ITS-ADDRESS
//
// The kernel's interface takes its own UDP port on all addresses, so it cannot share it with us in one namespace.

import type { PagePool } from '../src/buf/page.ts'
import type { Counters } from '../src/counters.ts'
import type { LinkName } from '../src/link/link-name.ts'
import { type DatagramLink, openDatagramLink } from './datagram-link.ts'

export interface VxlanOptions {
  readonly pool: PagePool
  readonly counters: Counters
  readonly mtu?: number
}

export const openVxlan = (
  { vni, local, remote }: Extract<LinkName, { kind: 'vxlan' }>,
  options: VxlanOptions,
): Promise<DatagramLink> => openDatagramLink({ ...options, name: `vxlan${vni}`, vni, local, remote })
