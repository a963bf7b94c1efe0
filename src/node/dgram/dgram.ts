// node:dgram for one host of ours, real or simulated: the same exports, with the host bound into them.

import type { NodeHost } from '../node-host.ts'
import { DgramSocket } from './socket.ts'
import type { Lookup } from './socket-state.ts'

export type DgramModule = typeof import('node:dgram')

/** The module. `lookup` gives the host's dns.lookup, and is asked when the first socket is made. */
export function makeDgram(host: NodeHost, lookup: () => Lookup): DgramModule {
  const parts = { host, lookup }
  class Socket extends DgramSocket {
    constructor(type: unknown, listener?: unknown) {
      super(parts, type, listener)
    }
  }
  const createSocket = (type: unknown, listener?: unknown): Socket => new Socket(type, listener)
  return { createSocket, Socket } as unknown as DgramModule
}
