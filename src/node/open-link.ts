// From a link's name to its device. Whatever cannot be used is an EnvironmentError that says what, why, and the one
// step that mends it.

import { openInherited } from '../../native-free-fallback/inherited-fd.ts'
import { openMacvtap } from '../../native-free-fallback/macvtap.ts'
import { openPasst } from '../../native-free-fallback/passt.ts'
import { openQemuDatagram, openQemuStream } from '../../native-free-fallback/qemu.ts'
import { openUdpTunnel } from '../../native-free-fallback/udp-tunnel.ts'
import { openVxlan } from '../../native-free-fallback/vxlan.ts'
import { unreachable } from '../assert.ts'
import type { PagePool } from '../buf/page.ts'
import type { Counters } from '../counters.ts'
import { EnvironmentError, UsageError } from '../errors.ts'
import type { EdgeDevice } from '../link/edge-device.ts'
import type { LinkName } from '../link/link-name.ts'
import { loadLibc } from './libc.ts'
import { openTap } from './open-tap.ts'
import { openRawLink } from './raw-socket.ts'

export interface LinkOptions {
  readonly pool: PagePool
  readonly counters: Counters
  /** The longest IP packet; default: what the other side says, else 1,500. */
  readonly mtu?: number
  /** Exchange super-segments and partial checksums where the device can. Default true. */
  readonly offload?: boolean
  /** Gives up where opening waits for somebody; the promise rejects with its reason. */
  readonly signal?: AbortSignal
  /** Opening waits for somebody from now on; the sentence says for whom, and how to start it. */
  readonly onWaiting?: (what: string) => void
}

/** Opens the link. `qemu:unix:PATH` where nothing is at PATH waits until QEMU connects; all others settle at once. */
export async function openLink(link: LinkName, options: LinkOptions): Promise<EdgeDevice> {
  switch (link.kind) {
    case 'tap':
    case 'tun':
      requireLinux(link.kind)
      return openTap(await loadLibc(), { ...options, name: link.name, mode: link.kind })
    case 'macvtap':
      requireLinux(link.kind)
      return openMacvtap(link.name, options)
    case 'fd':
      requireLinux(link.kind)
      return openInherited(link.fd, options)
    case 'vxlan':
      return openVxlan(link, options)
    case 'qemu-unix':
    case 'qemu-tcp':
      return openQemuStream(link, options)
    case 'qemu-dgram':
      return openQemuDatagram(link, options)
    case 'passt':
      return openPasst(link.path, options)
    case 'udp':
      return openUdpTunnel({ ...options, local: link.local, remote: link.remote })
    case 'raw':
      return openRawLink({ ...options, protocol: link.protocol, remote: link.remote })
    case 'mem':
      throw new UsageError("the link 'mem' stays inside the process: it has no device to open")
    default:
      return unreachable(link)
  }
}

function requireLinux(kind: string): void {
  if (process.platform === 'linux') return
  throw new EnvironmentError(
    `a link of kind ${kind}`,
    `Linux makes it, and this is ${process.platform}`,
    'use udp:, vxlan: or qemu:, which run everywhere',
  )
}
