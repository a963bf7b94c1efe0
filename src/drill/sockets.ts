// The system calls of a script, acted out on the stack: which descriptor, which call, what it returns. A call that
// would block returns null, and is tried again as time goes on.

import { NetError } from '../errors.ts'
import type { Stack } from '../stack.ts'
import type { ConnectionOptions } from '../tcp/connection-options.ts'
import { connect, letGo, listen, shutdownRead, shutdownWrite, unlisten } from '../tcp/open.ts'
import { micros } from '../time.ts'
import { type Descriptor, lowestFree, TcpDescriptor, UdpDescriptor } from './descriptors.ts'
import { type Addresses, Flow } from './flow.ts'
import { receive, send, unreadBytes, unsentBytes } from './io-calls.ts'
import { revents } from './poll.ts'
import { type Call, type Expression, NotRunError } from './script.ts'
import { getOption, setCongestion, setOption } from './socket-options.ts'
import {
  AF_UNSPEC,
  ERRNO,
  expectAddress,
  nameOf,
  numberOf,
  O_NONBLOCK,
  O_RDWR,
  POLLNVAL,
  portOf,
  SHUT_RD,
  SHUT_WR,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
} from './values.ts'

/** What a call returned; `wrong` tells of values it gave that are not those of the script. */
export interface Outcome {
  /** Negative: that of an errno. */
  readonly value: number
  readonly wrong: string | null
}

export type Attempt = () => Outcome | null

const INT_BYTES = 4
const LINGER_BYTES = 8

const done = (value: number): Outcome => ({ value, wrong: null })
const failed = (code: string): Outcome => done(-(ERRNO[code] ?? 1))

export class Sockets {
  readonly table = new Map<number, Descriptor>()
  /** The flow under test. */
  current: Flow | null = null
  readonly flows: Flow[] = []
  /** The number that the stack's side would have given to the latest descriptor. */
  latestNumber = 0
  readonly addresses: Addresses
  private readonly stack: Stack
  /** What sockets begin with, beside the stack's own defaults. */
  private readonly defaults: Partial<ConnectionOptions>

  constructor(stack: Stack, addresses: Addresses, defaults: Partial<ConnectionOptions>) {
    this.stack = stack
    this.defaults = defaults
    this.addresses = addresses
  }

  /** How the call is to be tried. */
  begin(call: Call): Attempt {
    const { args } = call
    const started = this.stack.clock.now()
    switch (call.name) {
      case 'socket':
        return () => this.socket(call)
      case 'poll':
        return () => this.poll(args, started)
    }
    const descriptor = this.table.get(numberOf(args[0]))
    if (descriptor === undefined) return () => failed('EBADF')
    const attempt = this.attemptOf(call, descriptor)
    return () => {
      try {
        return attempt()
      } catch (error) {
        if (error instanceof NetError) return failed(error.code)
        throw error
      }
    }
  }

  private attemptOf(call: Call, descriptor: Descriptor): Attempt {
    const { args, name } = call
    switch (name) {
      case 'bind':
        return () => this.bind(descriptor, args)
      case 'listen':
        return () => this.listen(descriptor, numberOf(args[1]))
      case 'accept':
        return () => this.accept(descriptor, call)
      case 'connect':
        return this.connector(descriptor, args)
      case 'read':
      case 'readv':
      case 'recv':
      case 'recvfrom':
      case 'recvmsg':
        return () => receive(this.stack, descriptor, call)
      case 'write':
      case 'writev':
      case 'send':
      case 'sendto':
      case 'sendmsg':
        return () => orNull(send(this.stack, descriptor, call, this.addresses))
      case 'close':
        return () => this.close(descriptor, numberOf(args[0]))
      case 'shutdown':
        return () => this.shutdown(descriptor, numberOf(args[1]))
      case 'setsockopt':
        return () => this.setsockopt(descriptor, args)
      case 'getsockopt':
        return () => this.getsockopt(descriptor, args)
      case 'fcntl':
        return () => this.fcntl(descriptor, args)
      case 'ioctl':
        return () => this.ioctl(descriptor, args)
      default:
        throw new NotRunError(`the call ${name}`)
    }
  }

  private socket(call: Call): Outcome {
    const { addresses } = this
    const type = numberOf(call.args[1], 1)
    const isUdp = (type & 0xf) === SOCK_DGRAM
    if ((type & 0xf) > SOCK_DGRAM) throw new NotRunError('sockets of that type')
    const flow = new Flow({ ...addresses, protocol: isUdp ? 'udp' : 'tcp', localPort: 0, remotePort: 0 })
    const descriptor = isUdp ? new UdpDescriptor(flow) : new TcpDescriptor(flow)
    if (descriptor.kind === 'tcp') Object.assign(descriptor.options, this.defaults)
    descriptor.nonBlocking = (type & SOCK_NONBLOCK) !== 0
    this.flows.push(flow)
    this.current = flow
    return this.enter(descriptor, call)
  }

  /** Binds the script's number to the descriptor. */
  private enter(descriptor: Descriptor, call: Call): Outcome {
    this.latestNumber = lowestFree(this.table)
    const wanted = numberOf(call.result)
    const number = wanted >= 0 ? wanted : this.latestNumber
    this.table.set(number, descriptor)
    return done(number)
  }

  private bind(descriptor: Descriptor, args: readonly Expression[]): Outcome {
    expectAddress(args[1], this.addresses.local)
    const port = portOf(args[1]) ?? this.addresses.bindPort
    descriptor.boundPort = port
    descriptor.flow.localPort = port
    if (descriptor.kind === 'udp') {
      const { family } = this.addresses
      descriptor.endpoint = this.stack.udp.bind({ family, port, reuseAddress: descriptor.reuseAddress })
      descriptor.flow.localPort = descriptor.endpoint.localPort
    } else if (this.stack.tcp.listeners.has(port)) return failed('EADDRINUSE')
    return done(0)
  }

  private listen(descriptor: Descriptor, backlog: number): Outcome {
    if (descriptor.kind === 'udp') return failed('EOPNOTSUPP')
    const { family } = this.addresses
    descriptor.listener = listen(this.stack.tcp, { family, port: descriptor.boundPort, backlog }, descriptor.options)
    descriptor.flow.localPort = descriptor.listener.port
    return done(0)
  }

  private accept(descriptor: Descriptor, call: Call): Outcome | null {
    if (descriptor.kind === 'udp') return failed('EOPNOTSUPP')
    const { listener } = descriptor
    if (listener === null) return failed('EINVAL')
    const connection = listener.accepted.shift()
    if (connection === undefined) return descriptor.nonBlocking ? failed('EAGAIN') : null
    const flow = this.flows.find(
      ({ localPort, remotePort }) => localPort === connection.localPort && remotePort === connection.remotePort,
    )
    const accepted = new TcpDescriptor(flow ?? descriptor.flow)
    Object.assign(accepted.options, connection.options)
    accepted.own(connection)
    return this.enter(accepted, call)
  }

  private connector(descriptor: Descriptor, args: readonly Expression[]): Attempt {
    if (descriptor.kind === 'udp') return () => this.connectUdp(descriptor, args)
    if (isUnspecified(args[1])) return () => this.disconnect(descriptor)
    let started = false
    return () => {
      const { connection } = descriptor
      if (connection !== null) {
        if (connection.state === 'SYN-SENT' || connection.state === 'SYN-RECEIVED') {
          if (!started) return failed('EALREADY')
          return null
        }
        const code = descriptor.takeError()
        if (code !== null) return failed(code)
        if (connection.state === 'CLOSED') return failed('ECONNABORTED')
        return started ? done(0) : failed('EISCONN')
      }
      started = true
      this.connectTcp(descriptor, args)
      return descriptor.nonBlocking ? failed('EINPROGRESS') : null
    }
  }

  private connectTcp(descriptor: TcpDescriptor, args: readonly Expression[]): void {
    const { flow } = descriptor
    expectAddress(args[1], flow.remote)
    const remotePort = portOf(args[1]) ?? this.addresses.connectPort
    const connection = connect(
      this.stack.tcp,
      { remoteAddress: flow.remote, remotePort, localPort: descriptor.boundPort, options: descriptor.options },
      this.stack.clock.now(),
    )
    descriptor.own(connection)
    flow.localPort = connection.localPort
    flow.remotePort = remotePort
    flow.connection = connection
  }

  /** connect() to AF_UNSPEC: the socket is as new; the peer of a connection hears it by RST. */
  private disconnect(descriptor: TcpDescriptor): Outcome {
    const { connection, listener } = descriptor
    const now = this.stack.clock.now()
    if (listener !== null) unlisten(this.stack.tcp, listener, now)
    if (connection !== null && connection.state !== 'CLOSED') this.stack.tcp.abort(connection, now)
    descriptor.takeError()
    descriptor.listener = null
    descriptor.connection = null
    return done(0)
  }

  private connectUdp(descriptor: UdpDescriptor, args: readonly Expression[]): Outcome {
    expectAddress(args[1], descriptor.flow.remote)
    const endpoint = descriptor.endpoint ?? this.stack.udp.bind({ family: this.addresses.family })
    descriptor.endpoint = endpoint
    endpoint.remoteAddress = descriptor.flow.remote
    endpoint.remotePort = portOf(args[1]) ?? this.addresses.connectPort
    descriptor.flow.localPort = endpoint.localPort
    descriptor.flow.remotePort = endpoint.remotePort
    return done(0)
  }

  private close(descriptor: Descriptor, number: number): Outcome {
    this.table.delete(number)
    const { stack } = this
    if (descriptor.kind === 'udp') {
      if (descriptor.endpoint !== null) stack.udp.close(descriptor.endpoint)
      return done(0)
    }
    const now = stack.clock.now()
    if (descriptor.listener !== null) unlisten(stack.tcp, descriptor.listener, now)
    const { connection } = descriptor
    if (connection === null) return done(0)
    if (descriptor.resetOnClose) stack.tcp.abort(connection, now)
    else letGo(stack.tcp, connection, now)
    return done(0)
  }

  private shutdown(descriptor: Descriptor, how: number): Outcome {
    if (descriptor.kind === 'udp') return done(0)
    const { connection } = descriptor
    const isOpen = connection !== null && connection.state !== 'CLOSED' && connection.state !== 'TIME-WAIT'
    if (!isOpen) return failed('ENOTCONN')
    if (how !== SHUT_RD) {
      descriptor.shutForWriting = true
      shutdownWrite(this.stack.tcp, connection)
    }
    if (how !== SHUT_WR) {
      descriptor.shutForReading = true
      shutdownRead(this.stack.tcp, connection)
    }
    return done(0)
  }

  private setsockopt(descriptor: Descriptor, args: readonly Expression[]): Outcome {
    const name = nameOf(args[2])
    if (name === 'TCP_CONGESTION' && args[3]?.kind === 'string') {
      return done(setCongestion(this.stack, descriptor, args[3].value))
    }
    const value = setOption(this.stack, descriptor, name, optionValue(descriptor, name, args[3]))
    return { value, wrong: wrongLength(args, name === 'SO_LINGER' ? LINGER_BYTES : INT_BYTES) }
  }

  private getsockopt(descriptor: Descriptor, args: readonly Expression[]): Outcome {
    const name = nameOf(args[2])
    if (name === 'SO_LINGER' || name === 'TCP_INFO' || name === 'TCP_CC_INFO')
      throw new NotRunError(`getsockopt of ${name}`)
    const value = getOption(descriptor, name)
    if (value < 0) return done(value)
    const expected = numberOf(args[3], value)
    const wrong = expected === value ? null : `${name} is ${value}, ${expected} was expected`
    return { value: 0, wrong: wrong ?? wrongLength(args, INT_BYTES) }
  }

  private fcntl(descriptor: Descriptor, args: readonly Expression[]): Outcome {
    const command = nameOf(args[1])
    if (command === 'F_GETFL') return done(O_RDWR | (descriptor.nonBlocking ? O_NONBLOCK : 0))
    if (command !== 'F_SETFL') throw new NotRunError(`fcntl ${command}`)
    descriptor.nonBlocking = (numberOf(args[2]) & O_NONBLOCK) !== 0
    return done(0)
  }

  private ioctl(descriptor: Descriptor, args: readonly Expression[]): Outcome {
    const command = nameOf(args[1])
    let value: number
    if (command === 'SIOCINQ' || command === 'FIONREAD') value = unreadBytes(descriptor)
    else if (command === 'SIOCOUTQ' || command === 'TIOCOUTQ') value = unsentBytes(descriptor, true)
    else if (command === 'SIOCOUTQNSD') value = unsentBytes(descriptor, false)
    else throw new NotRunError(`ioctl ${command}`)
    const expected = numberOf(args[2], value)
    return { value: 0, wrong: expected === value ? null : `${command} gives ${value}, ${expected} was expected` }
  }

  private poll(args: readonly Expression[], started: number): Outcome | null {
    const list = args[0]
    if (list?.kind !== 'list') throw new NotRunError('poll() without a list')
    const { length } = list.items
    if (numberOf(args[1], length) !== length) {
      return { value: 0, wrong: `poll() is of ${numberOf(args[1])} descriptors, but lists ${length}` }
    }
    let ready = 0
    const wrong: string[] = []
    for (const item of list.items) {
      if (item.kind !== 'record') throw new NotRunError('poll() without records')
      const fd = numberOf(item.fields.get('fd'))
      const descriptor = this.table.get(fd)
      const seen = descriptor === undefined ? POLLNVAL : revents(descriptor, numberOf(item.fields.get('events')))
      const expected = numberOf(item.fields.get('revents'))
      if (seen !== 0) ready++
      if (seen !== expected) wrong.push(`revents of ${fd} are ${seen}, ${expected} were expected`)
    }
    const timeout = numberOf(args[2])
    const isOver = timeout >= 0 && this.stack.clock.now() >= started + timeout * 1_000
    if (ready === 0 && !isOver) return null
    return { value: ready, wrong: wrong[0] ?? null }
  }
}

const orNull = (value: number | null): Outcome | null => (value === null ? null : done(value))

/** The value of setsockopt; SO_LINGER's record is dealt with here. */
function optionValue(descriptor: Descriptor, name: string, expression: Expression | undefined): number {
  if (name === 'TCP_CONGESTION') throw new NotRunError('the socket option TCP_CONGESTION')
  if (name !== 'SO_LINGER') return numberOf(expression)
  if (expression?.kind !== 'record') throw new NotRunError('SO_LINGER without its record')
  const on = numberOf(expression.fields.get('onoff')) !== 0
  if (descriptor.kind === 'tcp') descriptor.resetOnClose = on && numberOf(expression.fields.get('linger')) === 0
  return 0
}

/** What was written as a list or record has a length of its own. */
function wrongLength(args: readonly Expression[], bytes: number): string | null {
  const kind = args[3]?.kind
  const length = numberOf(args[4], bytes)
  return (kind !== 'list' && kind !== 'record') || length === bytes
    ? null
    : `the option has ${bytes} bytes, not ${length}`
}

function isUnspecified(expression: Expression | undefined): boolean {
  if (expression?.kind === 'word') return expression.name === 'AF_UNSPEC'
  if (expression?.kind !== 'record') return false
  const family = expression.fields.get('sa_family')
  return family !== undefined && family.kind !== 'ellipsis' && numberOf(family) === AF_UNSPEC
}

/** When a poll() of this call would give up; never for others. */
export function timeoutOf(call: Call, started: number): number {
  if (call.name !== 'poll') return Number.POSITIVE_INFINITY
  const timeout = numberOf(call.args[2])
  return timeout < 0 ? Number.POSITIVE_INFINITY : micros(started + timeout * 1_000)
}
