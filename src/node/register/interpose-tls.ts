// TLS to what is ours: tls.connect opens a connection of our own and encrypts over that. https, http2 and fetch go
// through it. A connection that the program opened itself, and encrypts later (STARTTLS), is known by its outside. Servers
// need nothing: TLS takes what a listening net.Server hands out.

import tls, { type ConnectionOptions, type TLSSocket } from 'node:tls'
import { normalizeArguments } from '../net/arguments.ts'
import type { ConnectOptions } from '../net/connect.ts'
import type { OwnNet } from '../net/net.ts'
import { NetSocket } from '../net/socket.ts'
import { type IsOurs, isMounted, TOLD } from './interpose-net.ts'

type Listener = () => void

const systemConnect = tls.connect as (options: ConnectionOptions, listener?: Listener) => TLSSocket

/** What TLSSocket calls when it has its socket, and that one's wrapper. */
interface Inside {
  _init(this: TLSSocket, socket: unknown, wrap: unknown): void
}

/** The program must see the change: module.syncBuiltinESMExports() is the caller's. */
export function interposeTls(net: OwnNet, isOurs: IsOurs): void {
  const connect = (...args: unknown[]): TLSSocket => {
    const { listener, options } = normalized(args)
    const isElsewhere = options.socket !== undefined || typeof options.path === 'string' || !isOurs(options.host)
    if (isElsewhere) return systemConnect(options, listener)
    const { ALPNProtocols: _, signal, timeout, ...rest } = options as ConnectionOptions & { signal?: AbortSignal }
    const socket = net.connect({ ...rest, allowHalfOpen: false } as ConnectOptions)
    const host = options.host ?? 'localhost'
    const secured = systemConnect({ ...options, host, socket: socket as never }, listener)
    if (timeout) secured.setTimeout(timeout)
    if (signal !== undefined) destroyOnAbort(secured, signal)
    return secured
  }
  tls.connect = connect as typeof tls.connect
  const inside = tls.TLSSocket.prototype as unknown as Inside
  const { _init: init } = inside
  inside._init = function over(socket, wrap) {
    init.call(this, socket, wrap)
    // Node takes a socket of its own without a handle for one that is not connected yet, and would wait for ever.
    if (isMounted(socket)) Object.assign(this, { connecting: socket.connecting })
    else if (socket instanceof NetSocket && socket.connecting) tellConnecting(this, socket)
  }
}

/** What Node's own tells of the connection that it opens. */
function tellConnecting(secured: TLSSocket, socket: NetSocket): void {
  Object.assign(secured, { connecting: true })
  for (const event of TOLD) socket.on(event, (...words: unknown[]) => secured.emit(event, ...words))
  socket.once('connect', () => {
    const { autoSelectFamilyAttemptedAddresses } = socket
    Object.assign(secured, { connecting: false, autoSelectFamilyAttemptedAddresses })
    secured.emit('connect')
    secured.emit('ready')
  })
}

/** `(options[, cb])`, or `(port[, host][, options][, cb])` and `(path[, options][, cb])`, as tls.connect has it. */
function normalized(args: readonly unknown[]): { options: ConnectionOptions; listener: Listener | undefined } {
  const [where, listener] = normalizeArguments(args)
  const given = args.slice(1, 3).find((one) => typeof one === 'object' && one !== null)
  return { options: { ...where, ...(given as ConnectionOptions | undefined) }, listener: listener ?? undefined }
}

function destroyOnAbort(socket: TLSSocket, signal: AbortSignal): void {
  const destroy = (): void => {
    socket.destroy(Object.assign(new Error('The operation was aborted'), { name: 'AbortError', code: 'ABORT_ERR' }))
  }
  if (signal.aborted) process.nextTick(destroy)
  else {
    signal.addEventListener('abort', destroy, { once: true })
    socket.once('close', () => signal.removeEventListener('abort', destroy))
  }
}
