// How a Socket connects: the name is looked up, one address is tried, or several of both families one after another
// with a pause between (RFC 8305, as Node does it). Node's events and errors, in Node's order.

import dns from 'node:dns'
import type { BlockList, LookupFunction } from 'node:net'
import { isIP } from 'node:net'
import type { HostTimer } from '../host-timers.ts'
import {
  hostPortError,
  invalidArgType,
  validateBoolean,
  validateFunction,
  validateInteger,
  validateNumber,
  validatePort,
  validateString,
} from '../node-errors.ts'
import { asNormalized } from './arguments.ts'
import { LONGEST_ATTEMPT, SHORTEST_ATTEMPT } from './context.ts'
import { attemptsError, badAddressError, badFamilyError, blockedError, nowhereError, plainError } from './errors.ts'
import { type SocketParts, STATE } from './socket-state.ts'
import { SystemHandle } from './system-handle.ts'
import { TcpHandle } from './tcp-handle.ts'

export interface ConnectOptions {
  port?: number | string | undefined
  host?: string | undefined
  path?: string | undefined
  localAddress?: string | undefined
  localPort?: number | undefined
  family?: number | string | undefined
  hints?: number | undefined
  lookup?: LookupFunction | undefined
  autoSelectFamily?: boolean | undefined
  autoSelectFamilyAttemptTimeout?: number | undefined
  blockList?: BlockList | undefined
}

/** An address to try, and from where. */
interface Attempt {
  readonly address: string
  readonly family: 4 | 6
  readonly port: number
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
}

interface Found {
  readonly address: string
  readonly family: number
}

/** The system looks at no more bits of a local port; one that is not what was asked for counts as taken. */
const MOST_PORT = 0xffff

/** Socket.connect. Throws for arguments that nobody can connect to; all else becomes an 'error' event. */
export function connectSocket(socket: SocketParts, args: readonly unknown[]): void {
  const [given, callback] = asNormalized(args)
  const options = given as ConnectOptions
  if (callback !== null) socket.once('connect', callback as () => void)
  if (socket._parent?.connecting) return
  if (options.port === undefined && options.path == null) throw nowhereError()
  // It was replaced when the peer of an earlier connection ended.
  if (Object.hasOwn(socket, 'write')) Reflect.deleteProperty(socket, 'write')
  const state = socket[STATE]
  if (socket.destroyed) {
    state.handle = null
    socket._peername = null
    socket._sockname = null
  }
  const { path } = options
  if (state.handle === null) {
    ;(socket as unknown as { _undestroy(): void })._undestroy()
    socket._sockname = null
    if (!path) state.attach(new TcpHandle(state.net.host))
  }
  socket._unrefTimer()
  socket.connecting = true
  if (!path) return lookUp(socket, options)
  validateString(path, 'options.path')
  connectPath(socket, path)
}

function connectPath(socket: SocketParts, path: string): void {
  const handle = SystemHandle.connect(socket[STATE].net.host, path, (code) => {
    if (socket.destroyed) return
    if (code === null) return connected(socket)
    const error = hostPortError(code, 'connect', path, undefined)
    socket.connecting = false
    socket.emit('connectionAttemptFailed', path, undefined, undefined, error)
    socket.destroy(error)
  })
  socket[STATE].attach(handle)
  socket.emit('connectionAttempt', path, undefined, undefined)
}

interface Checked {
  readonly port: number
  readonly selectsFamily: boolean
  readonly attemptTimeout: number
}

function check(socket: SocketParts, options: ConnectOptions): Checked {
  const { localAddress, localPort, port, autoSelectFamily, autoSelectFamilyAttemptTimeout } = options
  const { net } = socket[STATE]
  if (localAddress && !isIP(localAddress)) throw badAddressError(localAddress)
  if (localPort) validateNumber(localPort, 'options.localPort')
  if (port !== undefined) {
    if (typeof port !== 'number' && typeof port !== 'string') {
      throw invalidArgType('options.port', 'one of type number or string', port)
    }
    validatePort(port)
  }
  if (autoSelectFamily != null) validateBoolean(autoSelectFamily, 'options.autoSelectFamily')
  if (autoSelectFamilyAttemptTimeout != null) {
    validateInteger(autoSelectFamilyAttemptTimeout, 'options.autoSelectFamilyAttemptTimeout', 1, LONGEST_ATTEMPT)
  }
  return {
    port: Number(port) | 0,
    selectsFamily: autoSelectFamily ?? net.autoSelectFamily,
    attemptTimeout: Math.max(SHORTEST_ATTEMPT, autoSelectFamilyAttemptTimeout ?? net.attemptTimeout),
  }
}

function lookUp(socket: SocketParts, options: ConnectOptions): void {
  const { port, selectsFamily, attemptTimeout } = check(socket, options)
  const { localAddress, localPort } = options
  const host = options.host || 'localhost'
  const from = { port, localAddress, localPort }
  const literal = isIP(host)
  if (literal !== 0) {
    process.nextTick(() => {
      if (socket.connecting) tryOne(socket, { ...from, address: host, family: literal as 4 | 6 })
    })
    return
  }
  if (options.lookup != null) validateFunction(options.lookup, 'options.lookup')
  const family = options.family === 'IPv4' ? 4 : options.family === 'IPv6' ? 6 : options.family
  const isOne = family === 4 || family === 6
  const wanted = { family, hints: options.hints || (isOne ? 0 : dns.ADDRCONFIG) } as { family: number; hints: number }
  const lookup = options.lookup ?? socket[STATE].net.lookup
  socket._host = host
  if (isOne || localAddress || !selectsFamily) {
    lookup(host, wanted, (error, address, found) => {
      socket.emit('lookup', error, address, found, host)
      if (!socket.connecting) return
      const failure = error ?? faultOf({ address: address as string, family: found as number }, options)
      if (failure !== null) return failLater(socket, failure)
      socket._unrefTimer()
      tryOne(socket, { ...from, address: address as string, family: found as 4 | 6 })
    })
    return
  }
  lookup(host, { ...wanted, all: true }, (error, addresses) => {
    if (!socket.connecting) return
    if (error) {
      socket.emit('lookup', error, undefined, undefined, host)
      return failLater(socket, error)
    }
    const found = addresses as unknown as readonly Found[]
    const usable = usableOf(socket, found, host)
    if (usable === null) return
    if (usable.length === 0) return failLater(socket, faultOf(found[0]!, options))
    socket._unrefTimer()
    const attempts = usable.map(({ address, family: of }) => ({ ...from, address, family: of as 4 | 6 }))
    if (attempts.length === 1) return tryOne(socket, attempts[0]!)
    socket.autoSelectFamilyAttemptedAddresses = []
    new Attempts(socket, attempts, attemptTimeout).next()
  })
}

/** What is wrong with what a lookup found; null: nothing. */
function faultOf({ address, family }: Found, options: ConnectOptions): Error | null {
  if (isIP(address) === 0) return badAddressError(address)
  return family === 4 || family === 6 ? null : badFamilyError(family, options.host, options.port)
}

/** Nobody listens yet to a socket that connect() just returned. */
function failLater(socket: SocketParts, error: Error | null): void {
  if (error !== null) process.nextTick(() => socket.destroy(error))
}

/** Each once, the families in turn, the first one's before (RFC 8305 §4); null: the socket was destroyed meanwhile. */
function usableOf(socket: SocketParts, found: readonly Found[], host: string): Found[] | null {
  const lists: [Found[], Found[]] = [[], []]
  let first = 0
  for (const one of found) {
    const { address, family } = one
    socket.emit('lookup', null, address, family, host)
    if (!socket.connecting) return null
    if (isIP(address) === 0 || (family !== 4 && family !== 6)) continue
    if (first === 0) first = family
    const list = lists[family === first ? 0 : 1]
    if (!list.some((other) => other.address === address)) list.push(one)
  }
  const [mine, others] = lists
  const sorted: Found[] = []
  for (let index = 0; index < Math.max(mine.length, others.length); index++) {
    if (index < mine.length) sorted.push(mine[index]!)
    if (index < others.length) sorted.push(others[index]!)
  }
  return sorted
}

/** Binds where the program wants it; a code of errno(3), or null. */
function bindFor(handle: TcpHandle, { family, localPort }: Attempt, localAddress: string): string | null {
  if (isIP(localAddress) !== family) return 'EINVAL'
  const code = handle.bind(localAddress, (localPort ?? 0) & MOST_PORT, family)
  if (code !== null || !localPort || localPort < 0) return code
  return handle.getsockname()?.port === localPort ? null : 'EADDRINUSE'
}

const anyOf = (family: 4 | 6): string => (family === 4 ? '0.0.0.0' : '::')

function tryOne(socket: SocketParts, attempt: Attempt): void {
  const { address, port, family, localPort } = attempt
  const handle = socket[STATE].handle as TcpHandle
  if (socket.blockList?.check(address, family === 4 ? 'ipv4' : 'ipv6')) {
    socket.destroy(blockedError(address))
    return
  }
  const localAddress = attempt.localAddress || (localPort ? anyOf(family) : undefined)
  if (localAddress !== undefined) {
    const code = bindFor(handle, attempt, localAddress)
    if (code !== null) {
      socket.destroy(hostPortError(code, 'bind', localAddress, localPort))
      return
    }
  }
  socket.emit('connectionAttempt', address, port, family)
  const code = handle.connect(address, port, family, (failure) => {
    if (socket.destroyed) return
    if (failure === null) return connected(socket)
    const error = failureOf({ ...attempt, localAddress }, failure)
    socket.connecting = false
    socket.emit('connectionAttemptFailed', address, port, family, error)
    socket.destroy(error)
  })
  if (code !== null) socket.destroy(atOnceError(socket, attempt, code))
}

/** It could not even begin: the error names where it would have come from. */
function atOnceError(socket: SocketParts, { address, port }: Attempt, code: string): Error {
  const local = socket._getsockname()
  return hostPortError(code, 'connect', address, port, `${local.address}:${local.port}`)
}

function failureOf({ address, port, localAddress, localPort }: Attempt, code: string): Error {
  const isBound = Boolean(localAddress && localPort)
  const error = hostPortError(code, 'connect', address, port, isBound ? `${localAddress}:${localPort}` : undefined)
  return isBound ? Object.assign(error, { localAddress, localPort }) : error
}

/** Addresses tried one after another: the next one when one failed, or does not answer for some time. */
class Attempts {
  private readonly socket: SocketParts
  private readonly attempts: readonly Attempt[]
  private readonly timeout: number
  private readonly errors: Error[] = []
  private current = 0
  private timer: HostTimer | null = null

  constructor(socket: SocketParts, attempts: readonly Attempt[], timeout: number) {
    this.socket = socket
    this.attempts = attempts
    this.timeout = timeout
  }

  next(): void {
    const { socket, attempts, errors } = this
    this.stopWaiting()
    if (this.current === attempts.length) {
      socket.destroy(errors.length === 0 ? plainError('ERR_SOCKET_CONNECTION_TIMEOUT') : attemptsError(errors))
      return
    }
    const index = this.current++
    const attempt = attempts[index]!
    const { address, port, family, localPort } = attempt
    const handle = index === 0 ? (socket[STATE].handle as TcpHandle) : this.newHandle()
    if (socket.blockList?.check(address, family === 4 ? 'ipv4' : 'ipv6')) return this.fail(blockedError(address))
    if (localPort) {
      const code = bindFor(handle, attempt, anyOf(family))
      if (code !== null) return this.fail(hostPortError(code, 'bind', anyOf(family), localPort))
    }
    socket.emit('connectionAttempt', address, port, family)
    socket.autoSelectFamilyAttemptedAddresses!.push(`${address}:${port}`)
    const code = handle.connect(address, port, family, (failure) => this.answered(attempt, handle, failure))
    if (code !== null) {
      const error = atOnceError(socket, attempt, code)
      socket.emit('connectionAttemptFailed', address, port, family, error)
      return this.fail(error)
    }
    if (index < attempts.length - 1) this.wait(attempt, handle)
  }

  private newHandle(): TcpHandle {
    const state = this.socket[STATE]
    state.handle?.close()
    const handle = new TcpHandle(state.net.host)
    state.attach(handle)
    this.socket._sockname = null
    return handle
  }

  private fail(error: Error): void {
    this.errors.push(error)
    this.next()
  }

  private answered(attempt: Attempt, handle: TcpHandle, failure: string | null): void {
    const { socket } = this
    if (socket[STATE].handle !== handle) return
    this.stopWaiting()
    if (failure === null) return connected(socket)
    const error = failureOf(attempt, failure)
    this.errors.push(error)
    socket.emit('connectionAttemptFailed', attempt.address, attempt.port, attempt.family, error)
    if (socket.connecting) this.next()
  }

  private wait(attempt: Attempt, handle: TcpHandle): void {
    const { socket } = this
    this.timer = socket[STATE].net.host.timers.set(this.timeout, () => {
      if (socket[STATE].handle !== handle) return
      socket.emit('connectionAttemptTimeout', attempt.address, attempt.port, attempt.family)
      this.errors.push(failureOf(attempt, 'ETIMEDOUT'))
      handle.close()
      if (socket.connecting) this.next()
    })
  }

  private stopWaiting(): void {
    if (this.timer !== null) this.socket[STATE].net.host.timers.cancel(this.timer)
    this.timer = null
  }
}

function connected(socket: SocketParts): void {
  const state = socket[STATE]
  const { handle } = state
  if (socket.destroyed || handle === null) return
  socket.connecting = false
  socket._sockname = null
  socket._unrefTimer()
  if (state.noDelay) handle.setNoDelay(true)
  if (state.keepAlive) handle.setKeepAlive(true, state.keepAliveDelay)
  if (state.typeOfService !== null) handle.setTypeOfService(state.typeOfService)
  socket.emit('connect')
  socket.emit('ready')
  // The first read begins, or finds the end at once; it takes nothing out.
  if (!socket.isPaused()) socket.read(0)
}
