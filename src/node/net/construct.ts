// What the constructor of Socket does: options checked as Node checks them, the stream begun, a handle taken that is
// given. The prototype is in socket.ts.

import { BlockList } from 'node:net'
import { Duplex, type DuplexOptions } from 'node:stream'
import { invalidArgType, invalidArgValue, validateNumber } from '../node-errors.ts'
import type { NetContext } from './context.ts'
import { endedByPeerError } from './errors.ts'
import type { StreamHandle } from './handle.ts'
import { type NetSocket, secondsOf } from './socket.ts'
import { type OnRead, SocketState, STATE, type WriteCallback } from './socket-state.ts'
import { SystemHandle } from './system-handle.ts'
import { TcpHandle } from './tcp-handle.ts'
import { isWrapped } from './wrapped-streams.ts'

export interface SocketOptions extends Omit<DuplexOptions, 'read' | 'write'> {
  fd?: number | undefined
  /** One of ours, or one of Node's. */
  handle?: unknown
  onread?: OnRead | undefined
  readable?: boolean | undefined
  writable?: boolean | undefined
  noDelay?: boolean | undefined
  keepAlive?: boolean | undefined
  /** Milliseconds. */
  keepAliveInitialDelay?: number | undefined
  blockList?: BlockList | undefined
  typeOfService?: number | undefined
  pauseOnCreate?: boolean | undefined
  manualStart?: boolean | undefined
}

/** What Node's constructor does, for `socket` of the constructor of `net`. */
export function construct(socket: NetSocket, net: NetContext, given: SocketOptions | number | undefined): void {
  const wanted: SocketOptions = typeof given === 'number' ? { fd: given } : { ...given }
  checkOptions(wanted)
  const before = { connecting: false, _hadError: false, _parent: null, _host: null }
  const onRead = wanted.onread
  const state = new SocketState(socket, net, isOnRead(onRead) ? onRead : null)
  Object.defineProperty(socket, STATE, { value: state })
  Object.assign(socket, before)
  const initialize = Duplex as unknown as (this: Duplex, options: DuplexOptions) => void
  const options = { ...wanted, allowHalfOpen: Boolean(wanted.allowHalfOpen) }
  initialize.call(socket, { ...options, emitClose: false, autoDestroy: true, decodeStrings: false } as DuplexOptions)
  state.noDelay = Boolean(wanted.noDelay)
  state.keepAlive = Boolean(wanted.keepAlive)
  state.keepAliveDelay = secondsOf(wanted.keepAliveInitialDelay)
  state.typeOfService = wanted.typeOfService ?? null
  socket.on('end', onEnd)
  const after = {
    _pendingData: null,
    _pendingEncoding: '',
    server: null,
    _server: null,
    _sockname: null,
    _peername: null,
  }
  Object.assign(socket, after, { resetAndClosing: false, blockList: wanted.blockList })
  const handle = handleOf(net, wanted)
  if (handle === null) return
  socket._handle = handle
  if (wanted.readable === false) return
  if (wanted.pauseOnCreate) {
    handle.readStop()
    ;(socket as unknown as { readableFlowing: boolean }).readableFlowing = false
  } else if (!wanted.manualStart) socket.read(0)
}

function checkOptions(options: SocketOptions): void {
  for (const name of ['objectMode', 'readableObjectMode', 'writableObjectMode'] as const) {
    if (options[name]) throw invalidArgValue(`options.${name}`, options[name], 'is not supported')
  }
  if (options.keepAliveInitialDelay !== undefined) {
    validateNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay')
    options.keepAliveInitialDelay = Math.max(0, options.keepAliveInitialDelay)
  }
  if (options.blockList && !(options.blockList instanceof BlockList)) {
    throw invalidArgType('options.blockList', 'an instance of net.BlockList', options.blockList)
  }
}

function isOnRead(onRead: unknown): onRead is OnRead {
  if (typeof onRead !== 'object' || onRead === null) return false
  const { buffer, callback } = onRead as Partial<OnRead>
  return (buffer instanceof Uint8Array || typeof buffer === 'function') && typeof callback === 'function'
}

/** A handle or descriptor that is given: ours as it is, Node's by a socket of Node's around it. */
function handleOf(net: NetContext, { handle, fd }: SocketOptions): StreamHandle | null {
  if (handle instanceof TcpHandle || handle instanceof SystemHandle) return handle
  if (handle !== undefined && handle !== null) return SystemHandle.of(net.host, { handle })
  return fd === undefined ? null : SystemHandle.of(net.host, { fd })
}

/** The peer has ended: who writes now hears of it in plain words. TLS above has its last words still to say. */
function onEnd(this: NetSocket): void {
  if (isWrapped(this)) this.allowHalfOpen = true
  if (!this.allowHalfOpen) this.write = writeAfterEnd
}

function writeAfterEnd(this: NetSocket, chunk: unknown, ...rest: unknown[]): boolean {
  const [encoding] = rest
  const callback = rest.find((argument) => typeof argument === 'function') as WriteCallback | undefined
  if (!this.writableEnded) {
    const write = Duplex.prototype.write as (chunk: unknown, encoding?: unknown, callback?: unknown) => boolean
    return write.call(this, chunk, typeof encoding === 'function' ? undefined : encoding, callback)
  }
  const error = endedByPeerError()
  if (callback !== undefined) process.nextTick(callback, error)
  this.destroy(error)
  return false
}
