// What a socket of node:dgram remembers, and which of Node's errors it has for being in the wrong state.

import type { AsyncResource } from 'node:async_hooks'
import { codedError, errnoError } from '../node-errors.ts'
import type { NodeHost } from '../node-host.ts'
import type { UdpHandle } from './udp-handle.ts'

export type Lookup = (
  hostname: string,
  family: 4 | 6,
  callback: (error: Error | null, address: string) => void,
) => unknown

/** What a host lends to its sockets. */
export interface DgramParts {
  readonly host: NodeHost
  readonly lookup: Lookup
}

export interface DgramOptions {
  type: 'udp4' | 'udp6'
  reuseAddr?: boolean | undefined
  ipv6Only?: boolean | undefined
  recvBufferSize?: number | undefined
  sendBufferSize?: number | undefined
  lookup?: Lookup | undefined
  signal?: AbortSignal | undefined
}

export type Listener = (...values: unknown[]) => void
/** Of the socket's own family. */
export type BoundLookup = (hostname: string, callback: Parameters<Lookup>[2]) => void
export type SendCallback = (error: Error | null, bytes?: number) => void

export const UNBOUND = 0
export const BINDING = 1
export const BOUND = 2
export const DISCONNECTED = 0
export const CONNECTING = 1
export const CONNECTED = 2
export const kState = Symbol('state symbol')

export interface State {
  handle: UdpHandle | null
  readonly lookup: BoundLookup
  readonly scope: AsyncResource
  receiving: boolean
  bindState: typeof UNBOUND | typeof BINDING | typeof BOUND
  connectState: typeof DISCONNECTED | typeof CONNECTING | typeof CONNECTED
  /** Calls that wait for the end of a bind. */
  queue: (() => void)[] | undefined
  readonly reuseAddr: boolean
  readonly ipv6Only: boolean
  readonly recvBufferSize: number | undefined
  readonly sendBufferSize: number | undefined
}

export const notRunning = (): Error => codedError(Error, 'ERR_SOCKET_DGRAM_NOT_RUNNING', 'Not running')
export const notConnected = (): Error => codedError(Error, 'ERR_SOCKET_DGRAM_NOT_CONNECTED', 'Not connected')
export const isConnected = (): Error => codedError(Error, 'ERR_SOCKET_DGRAM_IS_CONNECTED', 'Already connected')

/** What has the state of a socket. */
export interface HasState {
  readonly [kState]: State
}

/** The state of a socket that is not closed. Throws ERR_SOCKET_DGRAM_NOT_RUNNING. */
export function runningState(socket: HasState): State {
  const state = socket[kState]
  if (state.handle === null) throw notRunning()
  return state
}

export function check(code: string | null, syscall: string): void {
  if (code !== null) throw errnoError(code, syscall)
}

/** No address means this host. */
export function boundLookup(lookup: Lookup, type: 'udp4' | 'udp6'): BoundLookup {
  const [loopback, family] = type === 'udp4' ? (['127.0.0.1', 4] as const) : (['::1', 6] as const)
  return (hostname, callback) => lookup(hostname || loopback, family, callback)
}
