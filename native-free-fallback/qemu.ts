// QEMU's virtual network cards: `-netdev stream` over a Unix or TCP socket (either side may listen), and `-netdev dgram`,
// one frame in each UDP datagram.

import type { PagePool } from '../src/buf/page.ts'
import type { Counters } from '../src/counters.ts'
import { EnvironmentError } from '../src/errors.ts'
import type { EdgeDevice } from '../src/link/edge-device.ts'
import type { LinkName } from '../src/link/link-name.ts'
import { type DatagramLink, openDatagramLink } from './datagram-link.ts'
import { acceptStream, connectStream, StreamLink, type StreamTarget } from './stream-link.ts'

export interface QemuOptions {
  readonly pool: PagePool
  readonly counters: Counters
  readonly mtu?: number
  /** Gives up connecting, or waiting to be connected to. */
  readonly signal?: AbortSignal
  /** We listen; the sentence says for whom, and how to start it. */
  readonly onWaiting?: (what: string) => void
}

type StreamName = Extract<LinkName, { kind: 'qemu-unix' | 'qemu-tcp' }>
type DatagramName = Extract<LinkName, { kind: 'qemu-dgram' }>

/**
 * Connects where QEMU listens (server=on). Where nobody does and the place is free, listens, and resolves when QEMU
 * (server=off) has connected.
 */
export async function openQemuStream(link: StreamName, options: QemuOptions): Promise<EdgeDevice> {
  const target: StreamTarget =
    link.kind === 'qemu-unix' ? { path: link.path } : { host: link.remote.address.toString(), port: link.remote.port }
  const where = link.kind === 'qemu-unix' ? link.path : `${link.remote.address}:${link.remote.port}`
  const what = `QEMU's socket ${where}`
  const address =
    link.kind === 'qemu-unix'
      ? `addr.type=unix,addr.path=${link.path}`
      : `addr.type=inet,addr.host=${link.remote.address},addr.port=${link.remote.port}`
  const run = (server: string): string =>
    `qemu-system-x86_64 … -netdev stream,id=n0,${server}${address} -device virtio-net-pci,netdev=n0`
  const mend = run('server=on,')
  const socket = await connectStream(target, what, mend, options.signal).catch((error: unknown) => {
    // A Unix path that does not exist is ours to make; a TCP address may be another machine's.
    if (link.kind === 'qemu-unix' && isMissing(error)) {
      const onListening = (): void => options.onWaiting?.(`waiting for QEMU at ${where}: ${run('')}`)
      return acceptStream(target, what, onListening, options.signal)
    }
    throw error
  })
  return new StreamLink(socket, { ...options, name: `qemu-${where}`, mend })
}

const isMissing = (error: unknown): boolean =>
  error instanceof EnvironmentError && error.why === 'there is no such socket'

export const openQemuDatagram = (link: DatagramName, options: QemuOptions): Promise<DatagramLink> =>
  openDatagramLink({
    ...options,
    name: `qemu-${link.remote.address}:${link.remote.port}`,
    vni: null,
    local: link.local,
    remote: link.remote,
  })
