// getsockopt and setsockopt: which option of Linux is what here. What has no meaning in this stack is stored and
// read back, so that scripts that set it in passing run.

import type { Stack } from '../stack.ts'
import type { CongestionControl } from '../tcp/congestion.ts'
import { Cubic } from '../tcp/cubic.ts'
import { NewReno } from '../tcp/newreno.ts'
import { setOptions } from '../tcp/open.ts'
import { QUICK_ACKS } from '../tcp/text.ts'
import { armKeepAlive } from '../tcp/timers.ts'
import { micros, millis, NEVER, seconds } from '../time.ts'
import type { Descriptor, TcpDescriptor } from './descriptors.ts'
import { NotRunError } from './script.ts'
import { ERRNO } from './values.ts'

/** Set and read back; nothing else happens. */
const STORED = [
  'SO_REUSEPORT',
  'SO_PRIORITY',
  'SO_MARK',
  'SO_BUSY_POLL',
  'SO_RCVLOWAT',
  'SO_ZEROCOPY',
  'SO_RCVTIMEO',
  'SO_SNDTIMEO',
  'SO_TIMESTAMPING',
  'SO_LINGER',
  'TCP_LINGER2',
  'TCP_NOTSENT_LOWAT',
  'TCP_SAVE_SYN',
  'IP_MTU_DISCOVER',
  'IP_RECVERR',
  'IPV6_RECVERR',
  'IPV6_V6ONLY',
]

/** Linux's SOCK_MIN_RCVBUF and SOCK_MIN_SNDBUF. */
const LEAST_RECEIVE_BUFFER = 2_304
const LEAST_SEND_BUFFER = 4_608

/** What this stack cannot do: a script that needs it is not run. */
const MISSING = [
  'TCP_DEFER_ACCEPT',
  'TCP_FASTOPEN',
  'TCP_FASTOPEN_CONNECT',
  'TCP_MD5SIG',
  'TCP_REPAIR',
  'TCP_ULP',
  'TCP_WINDOW_CLAMP',
]

const CONTROLS: ReadonlyMap<string, () => CongestionControl> = new Map<string, () => CongestionControl>([
  ['cubic', () => new Cubic()],
  ['reno', () => new NewReno()],
])

/** 0, or the number of an errno, negative. */
export function setOption(stack: Stack, descriptor: Descriptor, name: string, value: number): number {
  if (MISSING.includes(name)) throw new NotRunError(`the socket option ${name}`)
  if (name === 'SO_REUSEADDR') {
    descriptor.reuseAddress = value !== 0
    if (descriptor.kind === 'tcp') descriptor.options.reuseAddress = descriptor.reuseAddress
    return 0
  }
  if (STORED.includes(name)) {
    descriptor.stored.set(name, value)
    return 0
  }
  if (descriptor.kind === 'udp') return setUdpOption(descriptor, name, value)
  const code = setTcpOption(descriptor, name, value)
  apply(stack, descriptor)
  return code
}

/** TCP_CONGESTION by name; 0, or the number of an errno, negative. */
export function setCongestion(stack: Stack, descriptor: Descriptor, name: string): number {
  if (descriptor.kind === 'udp') return -ERRNO.ENOPROTOOPT!
  const make = CONTROLS.get(name)
  if (make === undefined) return -ERRNO.ENOENT!
  descriptor.options.congestionControl = make
  if (descriptor.listener !== null) descriptor.listener.options = { ...descriptor.options }
  if (descriptor.connection !== null) {
    setOptions(stack.tcp, descriptor.connection, { congestionControl: make }, stack.clock.now())
  }
  return 0
}

function setUdpOption(descriptor: Descriptor, name: string, value: number): number {
  if (!['SO_RCVBUF', 'SO_SNDBUF', 'IP_TTL', 'IP_TOS', 'SO_BROADCAST'].includes(name)) return -ERRNO.ENOPROTOOPT!
  descriptor.stored.set(name, value)
  return 0
}

function setTcpOption(descriptor: TcpDescriptor, name: string, value: number): number {
  const { options } = descriptor
  switch (name) {
    case 'TCP_NODELAY':
      options.noDelay = value !== 0
      return 0
    case 'TCP_CORK':
      options.cork = value !== 0
      return 0
    case 'SO_KEEPALIVE':
      options.keepAlive = value !== 0
      return 0
    case 'TCP_KEEPIDLE':
      return positive(value, () => (options.keepAliveIdle = seconds(value)))
    case 'TCP_KEEPINTVL':
      return positive(value, () => (options.keepAliveInterval = seconds(value)))
    case 'TCP_KEEPCNT':
      return positive(value, () => (options.keepAliveCount = value))
    case 'TCP_MAXSEG':
      // Linux's bounds. The handshake is what it counts for.
      if (value !== 0 && (value < 88 || value > 32_767)) return -ERRNO.EINVAL!
      options.segmentLimit = value
      return 0
    case 'TCP_QUICKACK':
      quickAck(descriptor, value !== 0)
      return 0
    case 'TCP_USER_TIMEOUT':
      options.userTimeout = millis(value)
      return 0
    case 'SO_RCVBUF':
      options.receiveBytes = Math.max(value, LEAST_RECEIVE_BUFFER)
      return 0
    case 'SO_SNDBUF':
      options.sendBytes = Math.max(value, LEAST_SEND_BUFFER)
      return 0
    case 'IP_TTL':
    case 'IPV6_UNICAST_HOPS':
      options.hopLimit = value
      return 0
    case 'IP_TOS':
    case 'IPV6_TCLASS':
      options.trafficClass = value
      return 0
    default:
      throw new NotRunError(`the socket option ${name}`)
  }
}

/** Acknowledge at once from now on, or not; and what waits already. */
function quickAck({ connection, stored }: TcpDescriptor, on: boolean): void {
  stored.set('TCP_QUICKACK', Number(on))
  if (connection === null) return
  connection.quickAcks = on ? QUICK_ACKS : 0
  if (on && connection.timers.delayedAckAt !== NEVER) connection.ackNow = true
}

function positive(value: number, set: () => void): number {
  if (value <= 0) return -ERRNO.EINVAL!
  set()
  return 0
}

/** A connection that exists already takes over what was set, and acts on it. */
function apply(stack: Stack, descriptor: TcpDescriptor): void {
  const { connection, listener, options } = descriptor
  if (listener !== null) listener.options = { ...options }
  if (connection === null) return
  const keepAliveChanged =
    connection.options.keepAlive !== options.keepAlive || connection.options.keepAliveIdle !== options.keepAliveIdle
  connection.options = { ...options }
  connection.sendLimit = Math.min(connection.sendLimit, options.sendBytes)
  if (keepAliveChanged) armKeepAlive(connection, stack.clock.now())
  stack.tcp.owe(connection)
  stack.tcp.schedule(connection)
}

/** The value; a negative number is that of an errno. */
export function getOption(descriptor: Descriptor, name: string): number {
  if (name === 'SO_ERROR') {
    const code = descriptor.kind === 'tcp' ? descriptor.takeError() : (descriptor.endpoint?.takeError() ?? null)
    return code === null ? 0 : (ERRNO[code] ?? 0)
  }
  if (name === 'SO_REUSEADDR') return Number(descriptor.reuseAddress)
  if (name === 'SO_TYPE') return descriptor.kind === 'tcp' ? 1 : 2
  const stored = descriptor.stored.get(name)
  if (stored !== undefined || STORED.includes(name)) return stored ?? 0
  if (descriptor.kind === 'udp') throw new NotRunError(`the socket option ${name}`)
  return getTcpOption(descriptor, name)
}

function getTcpOption(descriptor: TcpDescriptor, name: string): number {
  const { connection } = descriptor
  const options = connection?.options ?? descriptor.options
  switch (name) {
    case 'TCP_NODELAY':
      return Number(options.noDelay)
    case 'TCP_CORK':
      return Number(options.cork)
    case 'SO_KEEPALIVE':
      return Number(options.keepAlive)
    case 'TCP_KEEPIDLE':
      return micros(options.keepAliveIdle / 1_000_000)
    case 'TCP_KEEPINTVL':
      return micros(options.keepAliveInterval / 1_000_000)
    case 'TCP_KEEPCNT':
      return options.keepAliveCount
    case 'TCP_USER_TIMEOUT':
      return micros(options.userTimeout / 1_000)
    // Linux counts its own overhead in: twice what was asked.
    case 'SO_RCVBUF':
      return 2 * options.receiveBytes
    case 'SO_SNDBUF':
      return 2 * options.sendBytes
    case 'IP_TTL':
    case 'IPV6_UNICAST_HOPS':
      return options.hopLimit
    case 'IP_TOS':
    case 'IPV6_TCLASS':
      return options.trafficClass
    case 'TCP_MAXSEG':
      return connection?.snd.mss ?? (options.segmentLimit || 536)
    case 'TCP_QUICKACK':
      return descriptor.stored.get('TCP_QUICKACK') ?? 1
    case 'SO_ACCEPTCONN':
      return Number(descriptor.listener !== null)
    default:
      throw new NotRunError(`the socket option ${name}`)
  }
}
