// node:dgram for one host of ours, real or simulated: the same exports, with the host bound into them.

import type { Stack } from '../../stack.ts'
import { makeDns } from '../dns/dns.ts'
import { nodeHost } from '../node-host.ts'
import { DgramSocket } from './socket.ts'
import type { Lookup } from './socket-state.ts'

export type DgramModule = typeof import('node:dgram')

export interface DgramModuleOptions {
  /** Looks names up, in the shape of dns.lookup. Default: literal addresses and localhost alone. */
  lookup?: Lookup
}

/** node:dgram for `stack`: that of a Host, or of a world's host. A world must be run with the `settle` of src/node. */
export function makeDgram(stack: Stack, options: DgramModuleOptions = {}): DgramModule {
  const parts = { host: nodeHost(stack), lookup: options.lookup ?? makeDns(stack).lookup }
  class Socket extends DgramSocket {
    constructor(type: unknown, listener?: unknown) {
      super(parts, type, listener)
    }
  }
  const createSocket = (type: unknown, listener?: unknown): Socket => new Socket(type, listener)
  return { createSocket, Socket } as unknown as DgramModule
}
