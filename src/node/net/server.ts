// Server of node:net over our stack: it listens, and makes a Socket of each connection. Each host has a constructor of
// its own (net.ts), which may be called without `new`.

import { channel } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import { BlockList, isIP } from 'node:net'
import { getDefaultHighWaterMark } from 'node:stream'
import { promisify } from 'node:util'
import { DEFAULT_BACKLOG } from '../../tcp/listener.ts'
import {
  invalidArgType,
  invalidArgValue,
  listenError,
  validateAbortSignal,
  validateNumber,
  validatePort,
} from '../node-errors.ts'
import { isPath, normalizeArguments, toNumber } from './arguments.ts'
import type { SocketOptions } from './construct.ts'
import type { NetContext } from './context.ts'
import { plainError } from './errors.ts'
import type { Endpoint, ListenHandle, StreamHandle } from './handle.ts'
import { type NetSocket, secondsOf } from './socket.ts'
import { STATE } from './socket-state.ts'
import { SystemListener } from './system-listener.ts'
import { TcpHandle } from './tcp-handle.ts'

export interface ServerOptions {
  allowHalfOpen?: boolean | undefined
  pauseOnConnect?: boolean | undefined
  noDelay?: boolean | undefined
  keepAlive?: boolean | undefined
  /** Milliseconds. */
  keepAliveInitialDelay?: number | undefined
  highWaterMark?: number | undefined
  blockList?: BlockList | undefined
}

export interface ListenOptions {
  port?: number | string | null | undefined
  host?: string | undefined
  path?: string | undefined
  fd?: number | undefined
  backlog?: number | undefined
  exclusive?: boolean | undefined
  ipv6Only?: boolean | undefined
  reusePort?: boolean | undefined
  readableAll?: boolean | undefined
  writableAll?: boolean | undefined
  signal?: AbortSignal | undefined
}

export type ConnectionListener = (socket: NetSocket) => void

const sockets = channel('net.server.socket')

/** What a server needs of the net of its host. */
export interface ServerContext extends NetContext {
  readonly Socket: new (options: SocketOptions) => NetSocket
}

/** Where a server keeps that. */
const NET = Symbol('hourglass net')

export class NetServer extends EventEmitter {
  declare readonly [NET]: ServerContext
  declare allowHalfOpen: boolean
  declare pauseOnConnect: boolean
  declare noDelay: boolean
  declare keepAlive: boolean
  /** Seconds. */
  declare keepAliveInitialDelay: number
  declare highWaterMark: number
  declare maxConnections: number | undefined
  declare blockList: BlockList | undefined
  // What old libraries look at.
  declare _connections: number
  declare _handle: ListenHandle | null
  declare _unref: boolean
  declare _listeningId: number
  declare _connectionKey: string | undefined
  declare _pipeName: string | undefined

  get listening(): boolean {
    return this._handle !== null
  }

  listen(...args: unknown[]): this {
    const [given, callback] = normalizeArguments(args)
    if (this._handle !== null) throw plainError('ERR_SERVER_ALREADY_LISTEN')
    if (callback !== null) this.once('listening', callback as () => void)
    const backlog = toNumber(args.length > 1 && args[1]) || toNumber(args.length > 2 && args[2]) || 0
    const { _handle: inner, handle = inner } = given as { _handle?: unknown; handle?: unknown }
    this._listeningId++
    if (handle instanceof TcpHandle) return this.share(handle)
    if (typeof handle === 'object' && handle !== null) return this.listenOn({ handle }, null, backlog)
    const options = given as ListenOptions
    this.closeOnAbort(options.signal)
    if (typeof options.fd === 'number' && options.fd >= 0) return this.listenOn({ fd: options.fd }, null, backlog)
    const isAnyPort = args.length === 0 || typeof args[0] === 'function' || options.port === null
    const port = isAnyPort || (options.port === undefined && 'port' in options) ? 0 : options.port
    if (typeof port === 'number' || typeof port === 'string') {
      const checked = validatePort(port, 'options.port')
      const wanted = { backlog: options.backlog || backlog, v6Only: options.ipv6Only === true }
      if (options.host) this.lookUpAndListen(checked, options.host, wanted)
      else this.listenTcp('::', checked, 6, wanted)
      return this
    }
    return this.listenPath(options, backlog)
  }

  private listenPath(options: ListenOptions, backlog: number): this {
    const { path, readableAll, writableAll } = options
    if (path && isPath(path)) {
      if (path[0] === '\0' && (readableAll || writableAll)) {
        const reason = 'can not set readableAll or writableAllt to true when path is abstract unix socket'
        throw invalidArgValue('options', options, reason)
      }
      this._pipeName = path
      return this.listenOn({ path, readableAll, writableAll }, path, options.backlog || backlog)
    }
    if (!('port' in options || 'path' in options)) {
      throw invalidArgValue('options', options, 'must have the property "port" or "path"')
    }
    throw invalidArgValue('options', options)
  }

  private closeOnAbort(signal: AbortSignal | undefined): void {
    if (signal === undefined) return
    validateAbortSignal(signal, 'options.signal')
    const onAbort = (): void => {
      this.close()
    }
    if (signal.aborted) {
      process.nextTick(onAbort)
      return
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.once('close', () => signal.removeEventListener('abort', onAbort))
  }

  private lookUpAndListen(port: number, host: string, wanted: { backlog: number; v6Only: boolean }): void {
    const id = this._listeningId
    this[NET].lookup(host, {}, (error, address, family) => {
      if (id !== this._listeningId) return
      if (error) this.emit('error', error)
      else this.listenTcp(address as string, port, family === 6 ? 6 : 4, wanted)
    })
  }

  /** At '::' of both families, unless `v6Only`. */
  private listenTcp(
    address: string,
    port: number,
    family: 4 | 6,
    { backlog, v6Only }: { backlog: number; v6Only: boolean },
  ): void {
    const handle = new TcpHandle(this[NET].host, 'TCPSERVERWRAP')
    const code = handle.bind(address, port, family, v6Only) ?? handle.listen(backlog || DEFAULT_BACKLOG)
    if (code !== null) {
      handle.close()
      process.nextTick(() => this.emit('error', listenError(code, 'listen', address, port)))
      return
    }
    this.share(handle, `${family}:${address}:${port}`)
  }

  /** What a listening handle accepts comes here from now on, also where another server began with it. */
  private share(handle: TcpHandle, key = '-1:null:-1'): this {
    handle.onAccept = (accepted) => this.accept(accepted)
    handle.onGone = () => this.close()
    this.began(handle, key)
    return this
  }

  /** What belongs to the system: Unix sockets, descriptors, handles of Node's. */
  private listenOn(where: Readonly<Record<string, unknown>>, key: string | null, backlog: number): this {
    const handle = new SystemListener(this[NET].host, { ...where, backlog: backlog || DEFAULT_BACKLOG })
    handle.onAccept = (accepted) => this.accept(accepted)
    handle.onError = (error) => {
      this._handle = null
      this.emit('error', error)
    }
    this.began(handle, `-1:${key}:-1`, (tell) => handle.begin(tell))
    return this
  }

  private began(handle: ListenHandle, key: string, announce = (tell: () => void) => process.nextTick(tell)): void {
    this._handle = handle
    this._connectionKey = key
    if (this._unref) handle.unref()
    announce(() => {
      if (this._handle === handle) this.emit('listening')
    })
  }

  private accept(handle: StreamHandle): void {
    const peer = handle.getpeername()
    if (peer !== null && this.blockList?.check(peer.address, isIP(peer.address) === 6 ? 'ipv6' : 'ipv4')) {
      handle.close()
      return
    }
    if (this.maxConnections && this._connections >= this.maxConnections) {
      this.emit('drop', dropped(handle.getsockname(), peer))
      handle.close()
      return
    }
    const socket = new this[NET].Socket({
      handle,
      allowHalfOpen: this.allowHalfOpen,
      pauseOnCreate: this.pauseOnConnect,
      readable: true,
      writable: true,
      readableHighWaterMark: this.highWaterMark,
      writableHighWaterMark: this.highWaterMark,
    })
    const state = socket[STATE]
    if (this.noDelay) {
      state.noDelay = true
      handle.setNoDelay(true)
    }
    if (this.keepAlive) {
      state.keepAlive = true
      state.keepAliveDelay = this.keepAliveInitialDelay
      handle.setKeepAlive(true, this.keepAliveInitialDelay)
    }
    this._connections++
    socket.server = this
    socket._server = this
    this.emit('connection', socket)
    if (sockets.hasSubscribers) sockets.publish({ socket })
  }

  address(): Endpoint | string | null {
    const { _handle: handle } = this
    return handle?.getsockname() ?? this._pipeName ?? null
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    process.nextTick(callback, null, this._connections)
    return this
  }

  close(callback?: (error?: Error) => void): this {
    this._listeningId++
    const { _handle: handle } = this
    if (typeof callback === 'function') {
      const wasRunning = handle !== null
      this.once('close', () => (wasRunning ? callback() : callback(plainError('ERR_SERVER_NOT_RUNNING'))))
    }
    this._handle = null
    handle?.close()
    this._emitCloseIfDrained()
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this._handle !== null) await promisify((done: (error?: Error) => void) => this.close(done))()
  }

  _emitCloseIfDrained(): void {
    if (this._handle === null && this._connections === 0) process.nextTick(() => this.emit('close'))
  }

  /** What becomes of an asynchronous listener that fails. */
  [Symbol.for('nodejs.rejection')](error: Error, event: string, socket: NetSocket): void {
    if (event === 'connection') socket.destroy(error)
    else this.emit('error', error)
  }

  ref(): this {
    this._unref = false
    this._handle?.ref()
    return this
  }

  unref(): this {
    this._unref = true
    this._handle?.unref()
    return this
  }
}

function dropped(local: Endpoint | null, remote: Endpoint | null): Record<string, unknown> | undefined {
  if (local === null && remote === null) return undefined
  return Object.assign(Object.create(null), {
    localAddress: local?.address,
    localPort: local?.port,
    localFamily: local?.family,
    remoteAddress: remote?.address,
    remotePort: remote?.port,
    remoteFamily: remote?.family,
  })
}

/** What Node's constructor does, for `server` of the constructor of `net`. */
export function constructServer(server: NetServer, net: ServerContext, given: unknown, listener: unknown): void {
  ;(EventEmitter as unknown as (this: EventEmitter) => void).call(server)
  if (typeof given !== 'function' && typeof given !== 'object' && given !== undefined) {
    throw invalidArgType('options', 'of type object', given)
  }
  const onConnection = typeof given === 'function' ? given : listener
  if (typeof onConnection === 'function') server.on('connection', onConnection as ConnectionListener)
  const options: ServerOptions = typeof given === 'function' ? {} : { ...given }
  if (options.keepAliveInitialDelay !== undefined) {
    validateNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay')
  }
  if (options.highWaterMark !== undefined) validateNumber(options.highWaterMark, 'options.highWaterMark')
  if (options.blockList && !(options.blockList instanceof BlockList)) {
    throw invalidArgType('options.blockList', 'an instance of net.BlockList', options.blockList)
  }
  const { keepAliveInitialDelay: delay, highWaterMark = -1 } = options
  Object.defineProperty(server, NET, { value: net })
  Object.assign(server, {
    _connections: 0,
    _handle: null,
    _unref: false,
    _listeningId: 1,
    allowHalfOpen: options.allowHalfOpen || false,
    pauseOnConnect: Boolean(options.pauseOnConnect),
    noDelay: Boolean(options.noDelay),
    keepAlive: Boolean(options.keepAlive),
    keepAliveInitialDelay: secondsOf(delay === undefined ? undefined : Math.max(0, delay)),
    highWaterMark: highWaterMark < 0 ? getDefaultHighWaterMark(false) : highWaterMark,
    blockList: options.blockList,
  })
}
