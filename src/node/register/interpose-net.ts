// A program's node:net over our host. Only two methods of Node's are replaced: Socket.prototype.connect and
// Server.prototype.listen. Whoever calls them, http and fetch too, gets a socket of ours inside the one it has; and as
// no constructor changes, pipes and terminals stay what they are.

import cluster from 'node:cluster'
import { EventEmitter } from 'node:events'
import { Server, Socket } from 'node:net'
import { asNormalized } from '../net/arguments.ts'
import type { OwnNet } from '../net/net.ts'
import type { NetServer } from '../net/server.ts'
import type { NetSocket } from '../net/socket.ts'
import { type OnRead, STATE } from '../net/socket-state.ts'
import { isWrapped, OURS } from '../net/wrapped-streams.ts'
import { validateAbortSignal } from '../node-errors.ts'

/** Which destinations are our host's; the others stay the system's. */
export type IsOurs = (host: string | undefined) => boolean

const systemConnect = Socket.prototype.connect as (this: Socket, ...args: unknown[]) => Socket
const systemListen = Server.prototype.listen as (this: Server, ...args: unknown[]) => Server

/** Sends connections to what is ours, and servers, to the host of `net`. */
export function interposeNet(net: OwnNet, isOurs: IsOurs): void {
  Socket.prototype.connect = function connect(this: Socket, ...args: unknown[]): Socket {
    const [options, callback] = asNormalized(args)
    if (!isTcp(options) || !isOurs(options.host as string | undefined)) {
      if (isMounted(this) && this.destroyed) becomeSystems(this)
      return systemConnect.apply(this, args)
    }
    return mount(this, net, options, callback as (() => void) | null)
  } as typeof Socket.prototype.connect
  Server.prototype.listen = function listen(this: Server, ...args: unknown[]): Server {
    const [options] = asNormalized(args)
    const isPlain = args.length === 0 || typeof args[0] === 'function' || isTcp(options)
    if (!isPlain || !isOurs(options.host as string | undefined) || isOfWorkers(this))
      return systemListen.apply(this, args)
    return listenOn(this, net, args)
  } as typeof Server.prototype.listen
}

/** Not a Unix socket, a descriptor or a handle. */
function isTcp(options: Readonly<Record<string, unknown>>): boolean {
  if (options.path !== undefined && options.path !== null) return false
  const { fd, handle, _handle } = options
  return !(typeof fd === 'number' && fd >= 0) && !isObject(handle) && !isObject(_handle)
}

/**
 * A server by which the cluster module listens for its workers: like all children they stay the system's. Node takes the
 * handle away from it, and has made it with a listener that fails.
 */
function isOfWorkers(server: Server): boolean {
  if (!cluster.isPrimary || Object.keys(cluster.workers ?? {}).length === 0) return false
  const [first] = server.listeners('connection')
  return first?.name === 'fail'
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null

/** The events of ours that the program hears from its own. */
export const TOLD = ['lookup', 'connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout'] as const
/** What is read from ours. */
const READ = [
  'bytesRead',
  '_bytesDispatched',
  'localAddress',
  'localPort',
  'localFamily',
  'remoteAddress',
  'remotePort',
  'remoteFamily',
  'pending',
  'autoSelectFamilyAttemptedAddresses',
] as const

/** What the program's socket is the outside of. */
interface Inside {
  readonly inner: NetSocket
  readonly closing: Closing
}

const mounted = new WeakMap<object, Inside>()

/** Whether it is the outside of one of our sockets. */
export const isMounted = (socket: unknown): socket is Socket =>
  typeof socket === 'object' && socket !== null && mounted.has(socket)

/** A socket of Node's without a handle becomes the outside of one of ours; one that was before, of another one. */
function mount(
  outer: Socket,
  net: OwnNet,
  options: Readonly<Record<string, unknown>>,
  callback: (() => void) | null,
): Socket {
  const { signal: _, ...rest } = options
  if (callback !== null) outer.once('connect', callback)
  const known = mounted.get(outer)?.inner
  if (known !== undefined && !outer.destroyed) {
    known.connect(asNormalized([{ ...rest, signal: undefined }]))
    Object.assign(outer, { connecting: known.connecting })
    return outer
  }
  begin(outer)
  // The outer one ends when the program says so, by its own allowHalfOpen.
  const inner = new net.Socket({ ...rest, onread: onReadOf(outer), allowHalfOpen: true })
  stayOpen(inner)
  const closing: Closing = { open: 2, hadError: false }
  mounted.set(outer, { inner, closing })
  becomeOutside(outer)
  for (const event of TOLD) {
    inner.on(event, (...args: unknown[]) => {
      Object.assign(outer, { connecting: inner.connecting })
      outer.emit(event, ...args)
    })
  }
  Object.assign(outer, { connecting: true })
  inner.on('connect', () => {
    Object.assign(outer, { connecting: false })
    outer.emit('connect')
    outer.emit('ready')
    if (!outer.isPaused()) outer.read(0)
  })
  inner.on('data', (chunk: Buffer) => {
    touch(outer)
    if (!outer.push(chunk)) inner.pause()
  })
  inner.on('end', () => {
    if (isWrapped(outer)) outer.allowHalfOpen = true
    outer.push(null)
    // The end is to be noticed even where nobody reads.
    outer.read(0)
  })
  inner.on('error', (error) => outer.destroy(error))
  inner.once('close', () => {
    closeHalf(outer, closing)
    if (mounted.get(outer)?.inner === inner && !outer.destroyed) outer.destroy()
  })
  // Nothing flows before the program reads.
  inner.pause()
  inner.connect(asNormalized([{ ...rest, signal: undefined }]))
  Object.assign(outer, { _host: inner._host })
  return outer
}

/** What the program gave its socket to read into, past the stream; undefined: nothing. Node keeps it under symbols. */
function onReadOf(outer: Socket): OnRead | undefined {
  const kept = new Map(Object.getOwnPropertySymbols(outer).map((key) => [key.description, Reflect.get(outer, key)]))
  const callback = kept.get('kBufferCb') as OnRead['callback'] | null | undefined
  if (!callback) return undefined
  return {
    buffer: kept.get('kBufferGen') ?? kept.get('kBuffer'),
    callback: (bytes, buffer) => {
      touch(outer)
      return callback.call(outer, bytes, buffer)
    },
  }
}

/** It is closed when the outside is, which may hold what nobody has read when both directions are over. */
function stayOpen(inner: NetSocket): void {
  const { _readableState, _writableState } = inner as unknown as Record<string, { autoDestroy: boolean }>
  for (const state of [_readableState!, _writableState!]) state.autoDestroy = false
}

/** A socket may connect again when its connection is over, as Node's own method has it. */
function begin(outer: Socket): void {
  // It was replaced when the peer ended.
  if (Object.hasOwn(outer, 'write')) Reflect.deleteProperty(outer, 'write')
  ;(outer as unknown as { _undestroy(): void })._undestroy()
}

/** What was handed to ours, and what still waits in the program's. */
function writtenBytes(outer: Socket, inner: NetSocket): number {
  const { writableBuffer: waiting = [] } = outer as unknown as { writableBuffer?: readonly Piece[] }
  return waiting.reduce((sum, piece) => sum + bytesOf(piece).length, inner.bytesWritten ?? 0)
}

/**
 * Node closes a socket without a handle a turn sooner than one with it, and in fewer words: the program hears of its end
 * when both are closed, the outside and ours.
 */
interface Closing {
  open: number
  hadError: boolean
}

/** Ends that Node is about to tell of: a socket that is connected again at once has one of before. */
const untold = new WeakMap<object, Closing[]>()

const closeHalf = (outer: Socket, closing: Closing): boolean =>
  --closing.open === 0 && EventEmitter.prototype.emit.call(outer, 'close', closing.hadError)

type Done = (error?: Error | null) => void

interface Piece {
  readonly chunk: Buffer | string
  readonly encoding: BufferEncoding
}

const bytesOf = ({ chunk, encoding }: Piece): Buffer =>
  typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk

const inside = (outer: Socket): NetSocket => mounted.get(outer)!.inner

const METHODS: Record<string, (this: Socket, ...args: never[]) => unknown> & ThisType<Socket> = {
  _read() {
    inside(this).resume()
  },
  // Past the stream inside, which would take a tick for each: what was written leaves before what comes after it.
  _write(chunk: Buffer | string, encoding: BufferEncoding, done: Done) {
    touch(this)
    inside(this)._write(chunk, encoding, done)
  },
  _writev(pieces: Piece[], done: Done) {
    touch(this)
    inside(this)._writev(pieces, done)
  },
  _final(done: Done) {
    inside(this).end(() => done())
  },
  _destroy(error: Error | null, done: Done) {
    const { inner, closing } = mounted.get(this)!
    inner.destroy()
    closing.hadError = error !== null
    untold.set(this, [...(untold.get(this) ?? []), closing])
    Socket.prototype._destroy.call(this, error, done)
  },
  emit(event: string, ...words: unknown[]) {
    const ended = event === 'close' ? untold.get(this)?.shift() : undefined
    if (ended === undefined) return EventEmitter.prototype.emit.call(this, event, ...words)
    return closeHalf(this, ended)
  },
  pause() {
    const inner = inside(this)
    if (inner[STATE].readsDirectly) inner.pause()
    return Socket.prototype.pause.call(this)
  },
  resume() {
    const inner = inside(this)
    if (inner[STATE].readsDirectly) inner.resume()
    return Socket.prototype.resume.call(this)
  },
  resetAndDestroy() {
    if (this.connecting) return this.once('connect', () => this.resetAndDestroy())
    inside(this).resetAndDestroy()
    return this.destroy()
  },
  address() {
    return inside(this).address()
  },
  setNoDelay(...args: [boolean?]) {
    inside(this).setNoDelay(...args)
    return this
  },
  setKeepAlive(...args: [boolean?, number?]) {
    inside(this).setKeepAlive(...args)
    return this
  },
  ref() {
    inside(this).ref()
    return this
  },
  unref() {
    inside(this).unref()
    return this
  },
}

/** What all outsides have between themselves and the prototype that they had. */
function outsideDescriptors(): PropertyDescriptorMap & ThisType<Socket> {
  const getters: Record<string, (this: Socket) => unknown> = {
    bytesWritten() {
      return writtenBytes(this, inside(this))
    },
    bufferSize() {
      return inside(this)._handle === null ? undefined : this.writableLength
    },
  }
  for (const name of READ) {
    getters[name] = function read(this: Socket) {
      return inside(this)[name]
    }
  }
  const descriptors: PropertyDescriptorMap = { [OURS]: { value: true } }
  for (const [name, value] of Object.entries(METHODS)) descriptors[name] = { value, writable: true, configurable: true }
  for (const [name, get] of Object.entries(getters)) descriptors[name] = { get, configurable: true, enumerable: true }
  return descriptors
}

/** The prototypes of outsides, by those that were; each is its own. */
const outsides = new WeakMap<object, object>()

/** By its prototype, which all share: methods of its own would cost each socket some kilobytes. */
function becomeOutside(outer: Socket): void {
  const before = Object.getPrototypeOf(outer) as object
  const known = outsides.get(before)
  const prototype = known ?? (Object.create(before, outsideDescriptors()) as object)
  if (known === undefined) {
    outsides.set(before, prototype)
    outsides.set(prototype, prototype)
  }
  for (const name of Object.keys(METHODS)) if (Object.hasOwn(outer, name)) Reflect.deleteProperty(outer, name)
  Object.setPrototypeOf(outer, prototype)
}

/** A socket whose connection is over, and whose next one is the system's. */
function becomeSystems(outer: Socket): void {
  mounted.delete(outer)
  Object.setPrototypeOf(outer, Object.getPrototypeOf(Object.getPrototypeOf(outer)) as object)
}

/** Its time-out begins anew. */
const touch = (socket: Socket): void => (socket as unknown as { _unrefTimer(): void })._unrefTimer()

/** What Node's Server keeps, and its own methods use. */
interface ServerInside {
  _handle: object | null
  _connections: number
  _unref: boolean
  // Not in each 20.
  _listeningId: number | undefined
  allowHalfOpen: boolean
  pauseOnConnect: boolean
  noDelay: boolean
  keepAlive: boolean
  /** Seconds. */
  keepAliveInitialDelay: number
  highWaterMark?: number
  _emitCloseIfDrained(): void
}

const MILLIS_PER_SECOND = 1_000

/** A server of Node's listens on our host: its handle is a server of ours. `args` are those of Server.listen. */
export function listenOn(server: Server, net: OwnNet, args: readonly unknown[]): Server {
  const outer = server as unknown as Server & ServerInside
  // Node's own method refuses a second listen in its words.
  if (outer._handle !== null) return systemListen.apply(server, [...args])
  const inner = net.createServer({
    allowHalfOpen: outer.allowHalfOpen,
    pauseOnConnect: outer.pauseOnConnect,
    noDelay: outer.noDelay,
    keepAlive: outer.keepAlive,
    keepAliveInitialDelay: outer.keepAliveInitialDelay * MILLIS_PER_SECOND,
    ...(outer.highWaterMark === undefined ? {} : { highWaterMark: outer.highWaterMark }),
  })
  // One count of connections, and one limit: the program's.
  Object.defineProperties(inner, {
    _connections: {
      get: () => outer._connections,
      set: (count: number) => {
        outer._connections = count
      },
    },
    maxConnections: { get: () => outer.maxConnections },
  })
  // Not that which began last, or one that was closed, while its name was looked up.
  const isStale = (): boolean => outer._listeningId !== id
  inner.on('listening', () => {
    if (isStale()) return inner.close()
    begun()
    return outer.emit('listening')
  })
  inner.on('drop', (data) => outer.emit('drop', data))
  inner.on('error', (error) => {
    if (isStale()) return
    if (!inner.listening) outer._handle = null
    outer.emit('error', error)
  })
  inner.on('connection', (socket) => {
    socket.server = outer
    socket._server = outer
    outer.emit('connection', socket as unknown as Socket)
  })
  const handle = handleOver(inner)
  const begun = (): void => {
    outer._handle = handle
    if (outer._unref) inner.unref()
    else inner.ref()
  }
  const [options, callback] = asNormalized(args)
  if (callback !== null) outer.once('listening', callback as () => void)
  outer._listeningId = (outer._listeningId ?? 0) + 1
  const id = outer._listeningId
  const { signal } = options as { signal?: AbortSignal }
  if (signal !== undefined) closeOnAbort(outer, signal)
  const words = args.filter((word) => typeof word !== 'function')
  const first = words[0]
  if (signal !== undefined && isObject(first)) {
    const { signal: _, ...rest } = first as { signal?: AbortSignal }
    words[0] = rest
  }
  inner.listen(...words)
  if (inner.listening) begun()
  return server
}

function closeOnAbort(server: Server, signal: AbortSignal): void {
  validateAbortSignal(signal, 'options.signal')
  const close = (): void => {
    server.close()
  }
  if (signal.aborted) process.nextTick(close)
  else {
    signal.addEventListener('abort', close, { once: true })
    server.once('close', () => signal.removeEventListener('abort', close))
  }
}

/** What Node's Server asks of a handle. */
function handleOver(inner: NetServer): object {
  return {
    close: () => {
      inner.close()
    },
    ref: () => inner.ref(),
    unref: () => inner.unref(),
    hasRef: () => inner._handle !== null && !inner._unref,
    getsockname: (out: object): number => {
      Object.assign(out, inner.address())
      return 0
    },
    getAsyncId: () => 0,
  }
}
