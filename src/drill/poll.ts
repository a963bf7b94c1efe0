// What poll() would say of a descriptor, as Linux does.

import { type Connection, canSend } from '../tcp/connection.ts'
import { writeRoom } from '../tcp/open.ts'
import { seqDiff } from '../wire/sequence.ts'
import type { Descriptor, TcpDescriptor } from './descriptors.ts'
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP } from './values.ts'

/** What poll() reports whether it was asked or not. */
const UNASKED = POLLERR | POLLHUP

export function revents(descriptor: Descriptor, asked: number): number {
  if (descriptor.kind === 'udp') {
    const { endpoint } = descriptor
    const isReadable = endpoint !== null && endpoint.queue.length > 0
    const isBroken = endpoint?.pendingError != null
    return (asked & (POLLOUT | (isReadable ? POLLIN : 0))) | (isBroken ? POLLERR : 0)
  }
  return tcpEvents(descriptor) & (asked | UNASKED)
}

function tcpEvents(descriptor: TcpDescriptor): number {
  const { connection, listener } = descriptor
  if (listener !== null) return listener.accepted.length > 0 ? POLLIN : 0
  if (connection === null) return POLLOUT | POLLHUP
  if (connection.state === 'SYN-SENT' || connection.state === 'SYN-RECEIVED') return 0
  const isOver = connection.state === 'CLOSED'
  const isAtEnd = isOver || connection.rcv.finSeen || descriptor.shutForReading
  let events = descriptor.failed ? POLLERR : 0
  if (isAtEnd) events |= POLLIN | POLLRDHUP
  if (connection.receiveQueue.available > 0) events |= POLLIN
  if (isOver || (isAtEnd && connection.sendQueue.finQueued)) events |= POLLHUP
  if (isOver || !canSend(connection.state) || hasRoom(descriptor, connection)) events |= POLLOUT
  return events
}

/** TCP_NOTSENT_LOWAT: room is told of when less than that was not sent yet; all bits set: whenever there is some. */
function hasRoom({ stored }: TcpDescriptor, connection: Connection): boolean {
  const least = (stored.get('TCP_NOTSENT_LOWAT') ?? 0) >>> 0
  const unsent = Math.max(0, seqDiff(connection.sendQueue.end, connection.snd.nxt))
  return writeRoom(connection) > 0 && (least === 0 || unsent < least)
}
