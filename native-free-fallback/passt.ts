// passt(1): a user-mode gateway that speaks Ethernet over a Unix stream and the host's own sockets on the other side. The
// stack gets to the network without any privilege.

import type { PagePool } from '../src/buf/page.ts'
import type { Counters } from '../src/counters.ts'
import type { EdgeDevice } from '../src/link/edge-device.ts'
import { connectStream, StreamLink } from './stream-link.ts'

/** passt offers its guests 65,520 and takes what they use. */
const DEFAULT_MTU = 1_500

export interface PasstOptions {
  readonly pool: PagePool
  readonly counters: Counters
  readonly mtu?: number
  /** Gives up connecting. */
  readonly signal?: AbortSignal
}

export async function openPasst(path: string, options: PasstOptions): Promise<EdgeDevice> {
  const mend = `passt --socket ${path}`
  const socket = await connectStream({ path }, `passt's socket ${path}`, mend, options.signal)
  return new StreamLink(socket, { mtu: DEFAULT_MTU, ...options, name: 'passt', mend })
}
