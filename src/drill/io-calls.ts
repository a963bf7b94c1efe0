// The calls of a script that move data. What is written is all zero; what is read is not looked at.

import type { Stack } from '../stack.ts'
import { type Connection, canSend } from '../tcp/connection.ts'
import { writeRoom } from '../tcp/open.ts'
import { tuneReceiveBuffer, windowUpdateDue } from '../tcp/window.ts'
import { seqDiff } from '../wire/sequence.ts'
import type { Descriptor, TcpDescriptor, UdpDescriptor } from './descriptors.ts'
import type { Addresses } from './flow.ts'
import { type Call, type Expression, NotRunError } from './script.ts'
import { ERRNO, MSG_DONTWAIT, MSG_MORE, MSG_PEEK, numberOf } from './values.ts'

const KNOWN_FLAGS = MSG_PEEK | MSG_DONTWAIT | MSG_MORE | 0x20 | 0x80 | 0x100 | 0x4000

/** RFC 768: what the length field can tell. */
const MOST_DATAGRAM = 65_527

/** Bytes read; a negative errno; null: it would block. */
export function receive(stack: Stack, descriptor: Descriptor, call: Call): number | null {
  const flags = flagsOf(call, call.name === 'recvmsg' ? 2 : call.name.startsWith('recv') ? 3 : -1)
  const length = lengthOf(call)
  if (length < 0) return -ERRNO.EINVAL!
  const waits = !descriptor.nonBlocking && (flags & MSG_DONTWAIT) === 0
  if (descriptor.kind === 'udp') return receiveDatagram(descriptor, length, waits)
  const { connection } = descriptor
  if (connection === null || connection.state === 'SYN-SENT' || connection.state === 'SYN-RECEIVED') {
    if (connection !== null && waits) return null
    return connection === null ? -ERRNO.ENOTCONN! : -ERRNO.EAGAIN!
  }
  const { receiveQueue } = connection
  if (receiveQueue.available > 0 && length > 0) {
    const target = new Uint8Array(Math.min(length, receiveQueue.available))
    if ((flags & MSG_PEEK) !== 0) return receiveQueue.peek(target, 0, target.length)
    return take(stack, connection, target)
  }
  const code = descriptor.takeError()
  if (code !== null) return -ERRNO[code]!
  if (connection.rcv.finSeen || descriptor.shutForReading || connection.state === 'CLOSED' || length === 0) return 0
  return waits ? null : -ERRNO.EAGAIN!
}

function take(stack: Stack, connection: Connection, target: Uint8Array): number {
  const count = connection.receiveQueue.read(target, 0, target.length)
  tuneReceiveBuffer(connection, count, stack.clock.now())
  if (windowUpdateDue(connection)) {
    connection.ackNow = true
    stack.tcp.owe(connection)
  }
  return count
}

function receiveDatagram(descriptor: UdpDescriptor, length: number, waits: boolean): number | null {
  const code = descriptor.endpoint?.takeError() ?? null
  if (code !== null) return -ERRNO[code]!
  const packet = descriptor.endpoint?.take() ?? null
  if (packet === null) return waits ? null : -ERRNO.EAGAIN!
  const count = Math.min(length, packet.length)
  packet.release()
  return count
}

/** Bytes written; a negative errno; null: it would block. */
export function send(stack: Stack, descriptor: Descriptor, call: Call, addresses: Addresses): number | null {
  const flags = flagsOf(call, call.name === 'sendmsg' ? 2 : call.name.startsWith('send') ? 3 : -1)
  const length = lengthOf(call)
  if (length < 0) return -ERRNO.EINVAL!
  if (descriptor.kind === 'udp') return sendDatagram(stack, descriptor, length, addresses)
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

function sendDatagram(stack: Stack, descriptor: UdpDescriptor, length: number, addresses: Addresses): number {
  if (length > MOST_DATAGRAM) return -ERRNO.EMSGSIZE!
  const { flow } = descriptor
  const endpoint = descriptor.endpoint ?? stack.udp.bind({ family: addresses.family })
  descriptor.endpoint = endpoint
  flow.localPort = endpoint.localPort
  if (flow.remotePort === 0) flow.remotePort = addresses.connectPort
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
