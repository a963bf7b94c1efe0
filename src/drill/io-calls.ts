// The calls of a script that move data. What is written is all zero; what is read is not looked at.

import type { Stack } from '../stack.ts'
import { type Connection, canSend } from '../tcp/connection.ts'
import { writeRoom } from '../tcp/open.ts'
import { programRead } from '../tcp/window.ts'
import { seqDiff } from '../wire/sequence.ts'
import type { Descriptor, TcpDescriptor, UdpDescriptor } from './descriptors.ts'
import type { Addresses } from './flow.ts'
import { type Call, type Expression, NotRunError } from './script.ts'
import {
  ERRNO,
  expectAddress,
  MSG_DONTWAIT,
  MSG_EOR,
  MSG_MORE,
  MSG_NOSIGNAL,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_WAITALL,
  numberOf,
  portOf,
} from './values.ts'

/** MSG_EOR and MSG_NOSIGNAL change nothing here. */
const KNOWN_FLAGS = MSG_PEEK | MSG_DONTWAIT | MSG_MORE | MSG_TRUNC | MSG_WAITALL | MSG_EOR | MSG_NOSIGNAL

/** RFC 768: what the length field can tell. */
const MOST_DATAGRAM = 65_527

/** What came of a call that reads: `value` is of bytes, or a negative errno. */
interface Received {
  readonly value: number
  readonly wrong: string | null
}

/** Null: it would block. */
export function receive(stack: Stack, descriptor: Descriptor, call: Call): Received | null {
  const flags = flagsOf(call, call.name === 'recvmsg' ? 2 : call.name.startsWith('recv') ? 3 : -1)
  const length = lengthOf(call)
  if (length < 0) return { value: -ERRNO.EINVAL!, wrong: null }
  const waits = !descriptor.nonBlocking && (flags & MSG_DONTWAIT) === 0
  if (descriptor.kind === 'udp') return receiveDatagram(descriptor, call, { length, waits, flags })
  const value = receiveBytes(stack, descriptor, length, waits, flags)
  return value === null ? null : { value, wrong: value < 0 ? null : wrongMessage(call, 0) }
}

function receiveBytes(
  stack: Stack,
  descriptor: TcpDescriptor,
  length: number,
  waits: boolean,
  flags: number,
): number | null {
  const { connection } = descriptor
  if (connection === null || connection.state === 'SYN-SENT' || connection.state === 'SYN-RECEIVED') {
    if (connection !== null && waits) return null
    return connection === null ? -ERRNO.ENOTCONN! : -ERRNO.EAGAIN!
  }
  const { receiveQueue } = connection
  const isAtEnd = connection.rcv.finSeen || descriptor.shutForReading || connection.state === 'CLOSED'
  const isEnough = (flags & MSG_WAITALL) === 0 || !waits || isAtEnd || receiveQueue.available >= length
  if (receiveQueue.available > 0 && length > 0) {
    if (!isEnough) return null
    const target = new Uint8Array(Math.min(length, receiveQueue.available))
    if ((flags & MSG_PEEK) !== 0) return receiveQueue.peek(target, 0, target.length)
    return take(stack, connection, target)
  }
  const code = descriptor.takeError()
  if (code !== null) return -ERRNO[code]!
  if (isAtEnd || length === 0) return 0
  return waits ? null : -ERRNO.EAGAIN!
}

/** recvmsg() tells flags and control messages too; of the latter there are none here. */
function wrongMessage(call: Call, seen: number): string | null {
  const [, message] = call.args
  if (call.name !== 'recvmsg' || message?.kind !== 'record') return null
  const control = message.fields.get('msg_control')
  if (control?.kind === 'list' && control.items.length > 0) throw new NotRunError('control messages')
  const expected = numberOf(message.fields.get('msg_flags'), seen)
  return expected === seen ? null : `msg_flags are ${seen}, ${expected} were expected`
}

function take(stack: Stack, connection: Connection, target: Uint8Array): number {
  const count = connection.receiveQueue.read(target, 0, target.length)
  programRead(stack.tcp, connection, count, stack.clock.now())
  return count
}

function receiveDatagram(
  descriptor: UdpDescriptor,
  call: Call,
  { length, waits, flags }: { length: number; waits: boolean; flags: number },
): Received | null {
  const { endpoint } = descriptor
  const code = endpoint?.takeError() ?? null
  if (code !== null) return { value: -ERRNO[code]!, wrong: null }
  const isPeek = (flags & MSG_PEEK) !== 0
  const packet = (isPeek ? endpoint?.queue.peek() : endpoint?.take()) ?? null
  if (packet === null) return waits ? null : { value: -ERRNO.EAGAIN!, wrong: null }
  const whole = packet.length
  if (!isPeek) packet.release()
  const value = (flags & MSG_TRUNC) === 0 ? Math.min(length, whole) : whole
  return { value, wrong: wrongMessage(call, whole > length ? MSG_TRUNC : 0) }
}

/** Bytes written; a negative errno; null: it would block. */
export function send(stack: Stack, descriptor: Descriptor, call: Call, addresses: Addresses): number | null {
  const flags = flagsOf(call, call.name === 'sendmsg' ? 2 : call.name.startsWith('send') ? 3 : -1)
  const length = lengthOf(call)
  if (length < 0) return -ERRNO.EINVAL!
  if (descriptor.kind === 'udp') return sendDatagram(stack, descriptor, call, length, addresses)
  const { connection } = descriptor
  if (connection === null) return -ERRNO.EPIPE!
  const code = descriptor.takeError()
  if (code !== null) return -ERRNO[code]!
  const waits = !descriptor.nonBlocking && (flags & MSG_DONTWAIT) === 0
  if (connection.state === 'SYN-SENT' || connection.state === 'SYN-RECEIVED') return waits ? null : -ERRNO.EAGAIN!
  if (!canSend(connection.state) || connection.sendQueue.finQueued) return -ERRNO.EPIPE!
  const count = Math.min(length, writeRoom(connection))
  if (count === 0 && length > 0) return waits ? null : -ERRNO.EAGAIN!
  cork(connection, descriptor, (flags & MSG_MORE) !== 0)
  connection.sendQueue.append(new Uint8Array(count), 0, count)
  stack.tcp.owe(connection)
  return count
}

/** MSG_MORE corks until the next write without it. */
function cork(connection: Connection, descriptor: TcpDescriptor, more: boolean): void {
  connection.options = { ...connection.options, cork: descriptor.options.cork || more }
}

function sendDatagram(
  stack: Stack,
  descriptor: UdpDescriptor,
  call: Call,
  length: number,
  addresses: Addresses,
): number {
  if (length > MOST_DATAGRAM) return -ERRNO.EMSGSIZE!
  const { flow } = descriptor
  const endpoint = descriptor.endpoint ?? stack.udp.bind({ family: addresses.family })
  descriptor.endpoint = endpoint
  flow.localPort = endpoint.localPort
  const named = call.name === 'sendto' ? call.args[4] : undefined
  expectAddress(named, flow.remote)
  const port = portOf(named)
  if (port !== null) flow.remotePort = port
  else if (flow.remotePort === 0) flow.remotePort = addresses.connectPort
  const pending = endpoint.takeError()
  if (pending !== null) return -ERRNO[pending]!
  const target = { address: flow.remote, port: flow.remotePort, interfaceIndex: 0, source: null }
  const code = stack.udp.send(endpoint, new Uint8Array(length), 0, length, target, stack.clock.now())
  return code === null ? length : -ERRNO[code]!
}

function flagsOf(call: Call, index: number): number {
  if (index < 0) return 0
  const flags = numberOf(call.args[index])
  if ((flags & ~KNOWN_FLAGS) !== 0) throw new NotRunError(`message flags 0x${(flags & ~KNOWN_FLAGS).toString(16)}`)
  return flags
}

/** How many bytes the call is for. */
function lengthOf(call: Call): number {
  const [, second, third] = call.args
  switch (call.name) {
    case 'readv':
    case 'writev':
      return vectorLength(second)
    case 'recvmsg':
    case 'sendmsg':
      if (second?.kind !== 'record') throw new NotRunError(`${call.name}() without a record`)
      return vectorLength(second.fields.get('msg_iov'))
    default:
      return numberOf(third)
  }
}

function vectorLength(expression: Expression | undefined): number {
  if (expression?.kind !== 'list') throw new NotRunError('a vector that is no list')
  return expression.items.reduce((sum, item) => sum + (item.kind === 'record' ? numberOf(item.items[1]) : 0), 0)
}

export function unreadBytes(descriptor: Descriptor): number {
  if (descriptor.kind === 'tcp') return descriptor.connection?.receiveQueue.available ?? 0
  return descriptor.endpoint?.queue.peek()?.length ?? 0
}

/** Bytes that the peer has not acknowledged, or that were never sent. */
export function unsentBytes(descriptor: Descriptor, withUnacknowledged: boolean): number {
  if (descriptor.kind === 'udp' || descriptor.connection === null) return 0
  const { sendQueue, snd } = descriptor.connection
  if (withUnacknowledged) return sendQueue.length
  return Math.max(0, seqDiff(sendQueue.end, snd.nxt))
}
