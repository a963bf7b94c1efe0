// node:net over the stack of a host, real or simulated: an object with everything that `import net from 'node:net'`
// gives. Its sockets are Duplexes of our own, shaped like Node's (docs/node.md).

import { channel } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import * as system from 'node:net'
import { Duplex } from 'node:stream'
import type { Stack } from '../../stack.ts'
import { validateBoolean, validateInteger } from '../node-errors.ts'
import { type NodeHost, nodeHost } from '../node-host.ts'
import { normalizeArguments } from './arguments.ts'
import type { ConnectOptions } from './connect.ts'
import { construct, type SocketOptions } from './construct.ts'
import { LONGEST_ATTEMPT, type NetContext, SHORTEST_ATTEMPT } from './context.ts'
import { lookupLocally } from './lookup.ts'
import {
  type ConnectionListener,
  constructServer,
  NetServer,
  type ServerContext,
  type ServerOptions,
} from './server.ts'
import { NetSocket } from './socket.ts'
import { seeThroughWrappers } from './wrapped-streams.ts'

export interface NetOptions {
  /** Looks names up, in the shape of dns.lookup. Default: literal addresses and localhost alone. */
  lookup?: system.LookupFunction
}

export interface SocketConstructor {
  new (options?: SocketOptions | number): NetSocket
  (options?: SocketOptions | number): NetSocket
  readonly prototype: NetSocket
}

export interface ServerConstructor {
  new (options?: ServerOptions | ConnectionListener | null, listener?: ConnectionListener): NetServer
  (options?: ServerOptions | ConnectionListener | null, listener?: ConnectionListener): NetServer
  readonly prototype: NetServer
}

type ConnectArguments =
  | [options: ConnectOptions & SocketOptions & { timeout?: number }, listener?: () => void]
  | [port: number, host?: string, listener?: () => void]
  | [port: number, listener?: () => void]
  | [path: string, listener?: () => void]

const sockets = channel('net.client.socket')

/** node:net for one host, with the types of Node's own. */
export type Net = typeof system & {
  readonly host: NodeHost
  readonly lookup: system.LookupFunction
}

/** The same as it is: what of ours stands behind Node's types. */
export interface OwnNet {
  readonly host: NodeHost
  readonly lookup: system.LookupFunction
  readonly Socket: SocketConstructor
  readonly Stream: SocketConstructor
  readonly Server: ServerConstructor
  readonly BlockList: typeof system.BlockList
  readonly SocketAddress: typeof system.SocketAddress
  readonly isIP: typeof system.isIP
  readonly isIPv4: typeof system.isIPv4
  readonly isIPv6: typeof system.isIPv6
  createServer(options?: ServerOptions | ConnectionListener | null, listener?: ConnectionListener): NetServer
  connect(...args: ConnectArguments): NetSocket
  createConnection(...args: ConnectArguments): NetSocket
  getDefaultAutoSelectFamily(): boolean
  setDefaultAutoSelectFamily(value: boolean): void
  getDefaultAutoSelectFamilyAttemptTimeout(): number
  setDefaultAutoSelectFamilyAttemptTimeout(value: number): void
  _normalizeArgs: typeof normalizeArguments
  _setSimultaneousAccepts(): void
}

/** node:net for `stack`: that of a Host, or of a world's host. A world must be run with the `settle` of src/node. */
export function makeNet(stack: Stack, options: NetOptions = {}): Net {
  seeThroughWrappers()
  const context: NetContext = {
    host: nodeHost(stack),
    lookup: options.lookup ?? lookupLocally,
    autoSelectFamily: system.getDefaultAutoSelectFamily(),
    attemptTimeout: system.getDefaultAutoSelectFamilyAttemptTimeout(),
  }
  const Socket = socketConstructor(context)
  const Server = serverConstructor({ ...context, Socket })
  const connect = (...args: ConnectArguments): NetSocket => {
    const normalized = normalizeArguments(args)
    const [given] = normalized
    const socket = new Socket(given as SocketOptions)
    if (sockets.hasSubscribers) sockets.publish({ socket })
    const { timeout } = given as { timeout?: number }
    if (timeout) socket.setTimeout(timeout)
    return socket.connect(normalized)
  }
  const net: OwnNet = {
    host: context.host,
    lookup: context.lookup,
    Socket,
    Stream: Socket,
    Server,
    BlockList: system.BlockList,
    SocketAddress: system.SocketAddress,
    isIP: system.isIP,
    isIPv4: system.isIPv4,
    isIPv6: system.isIPv6,
    connect,
    createConnection: connect,
    createServer: (given, listener) => new Server(given, listener),
    getDefaultAutoSelectFamily: () => context.autoSelectFamily,
    setDefaultAutoSelectFamily: (value) => {
      validateBoolean(value, 'value')
      context.autoSelectFamily = value
    },
    getDefaultAutoSelectFamilyAttemptTimeout: () => context.attemptTimeout,
    setDefaultAutoSelectFamilyAttemptTimeout: (value) => {
      validateInteger(value, 'value', 1, LONGEST_ATTEMPT)
      context.attemptTimeout = Math.max(SHORTEST_ATTEMPT, value)
    },
    _normalizeArgs: normalizeArguments,
    _setSimultaneousAccepts: () => warnOfSimultaneousAccepts(),
  }
  return net as unknown as Net
}

/** A function, not a class: old programs call it without `new`, or on an object of their own that inherits from it. */
function socketConstructor(context: NetContext): SocketConstructor {
  function Socket(this: unknown, options?: SocketOptions | number): NetSocket | undefined {
    if (!(this instanceof Made)) return new Made(options)
    construct(this, context, options)
    return undefined
  }
  const Made = Socket as unknown as SocketConstructor
  inherit(Made, Duplex, NetSocket.prototype)
  return Made
}

function serverConstructor(context: ServerContext): ServerConstructor {
  function Server(this: unknown, options?: unknown, listener?: unknown): NetServer | undefined {
    if (!(this instanceof Made)) return new Made(options as ServerOptions, listener as ConnectionListener)
    constructServer(this, context, options, listener)
    return undefined
  }
  const Made = Server as unknown as ServerConstructor
  inherit(Made, EventEmitter, NetServer.prototype)
  return Made
}

function inherit(made: object, parent: object, methods: object): void {
  const prototype = Object.create(methods, {
    constructor: { value: made, writable: true, configurable: true },
  })
  Object.defineProperty(made, 'prototype', { value: prototype, writable: false })
  Object.setPrototypeOf(made, parent)
}

let warned = false

function warnOfSimultaneousAccepts(): void {
  if (warned) return
  warned = true
  const text = 'net._setSimultaneousAccepts() is deprecated and will be removed.'
  process.emitWarning(text, 'DeprecationWarning', 'DEP0121')
}
