// The Socket of node:dgram over a host of ours: its methods, the order of its events and its errors are those of Node
// 20. udp-handle.ts does the work; here is what Node does in JavaScript.

import { AsyncResource } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import { EventEmitter, errorMonitor } from 'node:events'
import * as errors from '../node-errors.ts'
import { bufferList, slice } from './payload.ts'
import {
  BINDING,
  BOUND,
  boundLookup,
  CONNECTED,
  CONNECTING,
  check,
  type DgramOptions,
  type DgramParts,
  DISCONNECTED,
  isConnected,
  kState,
  type Listener,
  notConnected,
  runningState,
  type SendCallback,
  type State,
  UNBOUND,
} from './socket-state.ts'
import { type SocketAddressInfo, UdpHandle } from './udp-handle.ts'

const created = channel('udp.socket')
const MAX_U32 = 0xffff_ffff

interface BindOptions {
  port?: number
  address?: string
  exclusive?: boolean
  fd?: number
}

export class DgramSocket extends EventEmitter {
  readonly type: 'udp4' | 'udp6'
  readonly [kState]: State

  /** Throws what Node's own throws for wrong options. */
  constructor(parts: DgramParts, typeOrOptions: unknown, listener: unknown) {
    super()
    const options =
      typeof typeOrOptions === 'object' && typeOrOptions !== null ? (typeOrOptions as DgramOptions) : undefined
    const type = options === undefined ? typeOrOptions : options.type
    for (const name of ['recvBufferSize', 'sendBufferSize'] as const)
      if (options?.[name]) errors.validateInteger(options[name], `options.${name}`, 0, MAX_U32)
    if (options?.lookup !== undefined) errors.validateFunction(options.lookup, 'lookup')
    if (type !== 'udp4' && type !== 'udp6') {
      const message = 'Bad socket type specified. Valid types are: udp4, udp6'
      throw errors.codedError(TypeError, 'ERR_SOCKET_BAD_TYPE', message)
    }
    this.type = type
    if (typeof listener === 'function') this.on('message', listener as Listener)
    this[kState] = {
      handle: new UdpHandle(parts.host, type === 'udp4' ? 4 : 6),
      lookup: boundLookup(options?.lookup ?? parts.lookup, type),
      scope: new AsyncResource('UDPWRAP'),
      receiving: false,
      bindState: UNBOUND,
      connectState: DISCONNECTED,
      queue: undefined,
      reuseAddr: !!options?.reuseAddr,
      ipv6Only: !!options?.ipv6Only,
      recvBufferSize: options?.recvBufferSize,
      sendBufferSize: options?.sendBufferSize,
    }
    Object.defineProperty(this, kState, { enumerable: false })
    if (options?.signal !== undefined) closeOnAbort(this, options.signal)
    if (created.hasSubscribers) created.publish({ socket: this })
  }

  /** ([port][, address][, callback]) or ([options][, callback]). */
  bind(...given: unknown[]): this {
    const state = runningState(this)
    if (state.bindState !== UNBOUND)
      throw errors.codedError(Error, 'ERR_SOCKET_ALREADY_BOUND', 'Socket is already bound')
    state.bindState = BINDING
    const [port_, address_] = given
    const callback = given.at(-1)
    if (typeof callback === 'function') callOnListening(this, callback as Listener)
    const options = typeof port_ === 'object' ? (port_ as BindOptions | null) : null
    // A descriptor of the system's is no socket of this host.
    if (options !== null && Number.isInteger(options.fd) && options.fd! > 0) throw errors.errnoError('EINVAL', 'open')
    const port: unknown = options === null ? port_ : options.port
    const address = options === null ? (typeof address_ === 'function' ? '' : address_) : options.address
    state.lookup((address || (this.type === 'udp4' ? '0.0.0.0' : '::')) as string, (error, ip) => {
      if (state.handle === null) return
      if (error) return bindFailed(this, error)
      const flags = { reuseAddress: state.reuseAddr, v6Only: state.ipv6Only }
      const code = state.handle.bind(ip, Number(port) >>> 0, flags)
      if (code === null) startListening(this)
      else bindFailed(this, errors.hostPortError(code, 'bind', ip, port as number))
    })
    return this
  }

  connect(port: unknown, address?: unknown, callback?: unknown): void {
    const number = errors.validatePort(port, 'Port', false)
    let host: unknown = address
    let whenConnected = callback
    if (typeof address === 'function') {
      whenConnected = address
      host = ''
    } else if (address === undefined) host = ''
    errors.validateString(host, 'address')
    const state = runningState(this)
    if (state.connectState !== DISCONNECTED) throw isConnected()
    state.connectState = CONNECTING
    if (state.bindState === UNBOUND) this.bind({ port: 0, exclusive: true }, null)
    const go = connecting(this, number, host, whenConnected as Listener | undefined)
    if (state.bindState !== BOUND) enqueue(this, go)
    else go()
  }

  disconnect(): void {
    const state = this[kState]
    if (state.connectState !== CONNECTED) throw notConnected()
    const code = state.handle!.disconnect()
    if (code !== null) throw errors.errnoError(code, 'connect')
    state.connectState = DISCONNECTED
  }

  sendto(
    buffer: unknown,
    offset: unknown,
    length: unknown,
    port: unknown,
    address: unknown,
    callback?: SendCallback,
  ): void {
    errors.validateNumber(offset, 'offset')
    errors.validateNumber(length, 'length')
    errors.validateNumber(port, 'port')
    errors.validateString(address, 'address')
    this.send(buffer, offset, length, port, address, callback)
  }

  /** (bytes or list[, offset, length][, port][, address][, callback]); port and address only while not connected. */
  send(
    buffer: unknown,
    offset?: unknown,
    length?: unknown,
    port?: unknown,
    address?: unknown,
    callback?: unknown,
  ): void {
    const state = this[kState]
    const connected = state.connectState === CONNECTED
    let call = callback
    let [to, host, bytes] = [port, address, buffer]
    if (!connected) {
      if (address || (port && typeof port !== 'function')) bytes = slice(buffer, offset, length)
      else [call, to, host] = [port, offset, length]
    } else {
      if (typeof length === 'number') {
        bytes = slice(buffer, offset, length)
        if (typeof port === 'function') [call, to] = [port, null]
      } else call = offset
      if (to || host) throw isConnected()
    }
    const list = bufferList(bytes)
    const number = connected ? 0 : errors.validatePort(to, 'Port', false)
    if (typeof call !== 'function') call = undefined
    if (typeof host === 'function') [call, host] = [host, undefined]
    else if (host !== undefined && host !== null) errors.validateString(host, 'address')
    runningState(this)
    if (state.bindState === UNBOUND) this.bind({ port: 0, exclusive: true }, null)
    if (state.bindState !== BOUND) {
      enqueue(this, () => this.send(list, to, host, call))
      return
    }
    const request = {
      list,
      port: number,
      address: host as string | undefined,
      callback: call as SendCallback | undefined,
    }
    if (connected) transmit(this, request, null, null)
    else state.lookup(host as string, (error, ip) => transmit(this, request, error, ip))
  }

  close(callback?: Listener): this {
    const state = this[kState]
    if (typeof callback === 'function') this.on('close', callback)
    if (state.queue !== undefined) {
      state.queue.push(() => this.close())
      return this
    }
    runningState(this)
    state.receiving = false
    state.handle!.close()
    state.handle = null
    process.nextTick(() => this.emit('close'))
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this[kState].handle === null) return
    await new Promise<void>((resolve) => this.close(() => resolve()))
  }

  address(): SocketAddressInfo {
    const name = runningState(this).handle!.getsockname()
    if (name === null) throw errors.errnoError('EBADF', 'getsockname')
    return name
  }

  remoteAddress(): SocketAddressInfo {
    const state = runningState(this)
    if (state.connectState !== CONNECTED) throw notConnected()
    return state.handle!.getpeername()
  }

  setBroadcast(on: boolean): void {
    check(this[kState].handle!.setBroadcast(!!on), 'setBroadcast')
  }

  setTTL(ttl: number): number {
    errors.validateNumber(ttl, 'ttl')
    check(this[kState].handle!.setTTL(ttl), 'setTTL')
    return ttl
  }

  setMulticastTTL(ttl: number): number {
    errors.validateNumber(ttl, 'ttl')
    check(this[kState].handle!.setMulticastTTL(ttl), 'setMulticastTTL')
    return ttl
  }

  setMulticastLoopback(on: boolean): boolean {
    check(this[kState].handle!.setMulticastLoopback(!!on), 'setMulticastLoopback')
    return on
  }

  setMulticastInterface(interfaceAddress: string): void {
    runningState(this)
    errors.validateString(interfaceAddress, 'interfaceAddress')
    check(this[kState].handle!.setMulticastInterface(interfaceAddress), 'setMulticastInterface')
  }

  addMembership(multicastAddress: string, interfaceAddress?: string): void {
    const { handle } = runningState(this)
    if (!multicastAddress) throw errors.missingArgs('multicastAddress')
    check(handle!.addMembership(multicastAddress, interfaceAddress), 'addMembership')
  }

  dropMembership(multicastAddress: string, interfaceAddress?: string): void {
    const { handle } = runningState(this)
    if (!multicastAddress) throw errors.missingArgs('multicastAddress')
    check(handle!.dropMembership(multicastAddress, interfaceAddress), 'dropMembership')
  }

  addSourceSpecificMembership(sourceAddress: string, groupAddress: string, interfaceAddress?: string): void {
    const { handle } = runningState(this)
    errors.validateString(sourceAddress, 'sourceAddress')
    errors.validateString(groupAddress, 'groupAddress')
    const code = handle!.addSourceSpecificMembership(sourceAddress, groupAddress, interfaceAddress)
    check(code, 'addSourceSpecificMembership')
  }

  dropSourceSpecificMembership(sourceAddress: string, groupAddress: string, interfaceAddress?: string): void {
    const { handle } = runningState(this)
    errors.validateString(sourceAddress, 'sourceAddress')
    errors.validateString(groupAddress, 'groupAddress')
    const code = handle!.dropSourceSpecificMembership(sourceAddress, groupAddress, interfaceAddress)
    check(code, 'dropSourceSpecificMembership')
  }

  ref(): this {
    this[kState].handle?.ref()
    return this
  }

  unref(): this {
    this[kState].handle?.unref()
    return this
  }

  setRecvBufferSize(size: number): void {
    bufferSize(this, size, true)
  }

  setSendBufferSize(size: number): void {
    bufferSize(this, size, false)
  }

  getRecvBufferSize(): number {
    return bufferSize(this, 0, true)
  }

  getSendBufferSize(): number {
    return bufferSize(this, 0, false)
  }

  getSendQueueSize(): number {
    return this[kState].handle!.getSendQueueSize()
  }

  getSendQueueCount(): number {
    return this[kState].handle!.getSendQueueCount()
  }
}

function closeOnAbort(socket: DgramSocket, signal: AbortSignal): void {
  errors.validateAbortSignal(signal, 'options.signal')
  const onAbort = (): void => {
    if (socket[kState].handle !== null) socket.close()
  }
  if (signal.aborted) return onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', onAbort))
}

/** The callback of bind() hears of this bind alone: a failed one takes it away. */
function callOnListening(socket: DgramSocket, callback: Listener): void {
  const remove = (): void => {
    socket.removeListener('error', remove)
    socket.removeListener('listening', onListening)
  }
  const onListening = (): void => {
    remove()
    callback.call(socket)
  }
  socket.on('error', remove)
  socket.on('listening', onListening)
}

function bindFailed(socket: DgramSocket, error: Error): void {
  socket[kState].bindState = UNBOUND
  socket.emit('error', error)
}

function startListening(socket: DgramSocket): void {
  const state = socket[kState]
  const handle = state.handle!
  handle.onMessage = (bytes, from) => state.scope.runInAsyncScope(() => socket.emit('message', bytes, from))
  handle.onError = (code) => state.scope.runInAsyncScope(() => socket.emit('error', errors.errnoError(code, 'recvmsg')))
  handle.onGone = () => state.scope.runInAsyncScope(() => socket.close())
  handle.recvStart()
  state.receiving = true
  state.bindState = BOUND
  if (state.recvBufferSize) bufferSize(socket, state.recvBufferSize, true)
  if (state.sendBufferSize) bufferSize(socket, state.sendBufferSize, false)
  socket.emit('listening')
}

function bufferSize(socket: DgramSocket, size: number, isReceive: boolean): number {
  if (size >>> 0 !== size) {
    const message = 'Buffer size must be a positive integer'
    throw errors.codedError(TypeError, 'ERR_SOCKET_BAD_BUFFER_SIZE', message)
  }
  const result = socket[kState].handle!.bufferSize(size, isReceive)
  if (typeof result === 'number') return result
  throw errors.bufferSizeError(result, isReceive ? 'uv_recv_buffer_size' : 'uv_send_buffer_size')
}

/** Calls later, when the bind that is under way has succeeded; if it fails, never. */
function enqueue(socket: DgramSocket, call: () => void): void {
  const state = socket[kState]
  if (state.queue === undefined) {
    state.queue = []
    const onFailure = (): void => {
      socket.removeListener('listening', onSuccess)
      state.queue = undefined
    }
    const onSuccess = (): void => {
      socket.removeListener(errorMonitor, onFailure)
      const queue = state.queue ?? []
      state.queue = undefined
      for (const queued of queue) queued()
    }
    socket.once(errorMonitor, onFailure)
    socket.once('listening', onSuccess)
  }
  state.queue.push(call)
}

function connecting(socket: DgramSocket, port: number, address: string, callback: Listener | undefined): () => void {
  const state = socket[kState]
  const done = (failed: Error | null, ip: string): void => {
    if (state.handle === null) return
    const code = failed === null ? state.handle.connect(ip, port) : null
    const error = code === null ? failed : errors.hostPortError(code, 'connect', address, port)
    state.connectState = error === null ? CONNECTED : DISCONNECTED
    if (error === null) {
      process.nextTick(() => socket.emit('connect'))
      return
    }
    process.nextTick(() => {
      if (callback) {
        socket.removeListener('connect', callback)
        callback(error)
      } else socket.emit('error', error)
    })
  }
  return () => {
    if (callback) socket.once('connect', callback)
    state.lookup(address, done)
  }
}

interface SendRequest {
  readonly list: readonly Uint8Array[]
  readonly port: number
  readonly address: string | undefined
  readonly callback: SendCallback | undefined
}

/** Without a callback, what fails after the name was found is told to nobody: as Node has it. */
function transmit(socket: DgramSocket, request: SendRequest, error: Error | null, ip: string | null): void {
  const { list, port, address, callback } = request
  if (error) {
    if (callback !== undefined) process.nextTick(callback, error)
    else process.nextTick(() => socket.emit('error', error))
    return
  }
  const { handle } = socket[kState]
  if (handle === null) return
  const result = handle.send(list, port, ip)
  if (callback === undefined) return
  if (typeof result === 'number') process.nextTick(callback, null, result)
  else process.nextTick(callback, errors.hostPortError(result, 'send', address, port))
}
