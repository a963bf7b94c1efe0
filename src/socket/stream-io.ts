// Bytes of a connection to and from a program, without waiting: what TcpSocket and src/node/net have in common.

import { UsageError } from '../errors.ts'
import type { Stack } from '../stack.ts'
import type { Connection } from '../tcp/connection.ts'
import { retryLater, writeRoom } from '../tcp/open.ts'
import { programRead } from '../tcp/window.ts'

/** Whether its packets go to another host. Both ends of one to ourselves hear of each other in the order of what was done. */
export const leavesHost = (stack: Stack, connection: Connection): boolean =>
  connection.way.interfaceIndex !== stack.loopback.index

/** Copies what has arrived to `target`, and returns how many bytes that were. The peer hears of it where it may wait for that. */
export function takeBytes(stack: Stack, connection: Connection, target: Uint8Array): number {
  const count = connection.receiveQueue.read(target, 0, target.length)
  if (count === 0) return 0
  if (programRead(stack.tcp, connection, count, stack.clock.now())) stack.onWork?.(leavesHost(stack, connection))
  return count
}

/** Copies as many bytes from `at` on as the send buffer has room for, and returns how many. The connection must be one that can send. */
export function giveBytes(stack: Stack, connection: Connection, bytes: Uint8Array, at: number): number {
  const count = Math.min(writeRoom(connection), bytes.length - at)
  const done = count > 0 ? connection.sendQueue.append(bytes, at, count) : 0
  if (done < count) retryLater(stack.tcp, connection, stack.clock.now())
  if (count > 0) {
    if (done > 0) stack.tcp.owe(connection)
    stack.onWork?.(leavesHost(stack, connection))
  }
  return done
}

/** Throws UsageError for what is no array of bytes, also one of another realm. */
export function checkBytes(operation: string, bytes: unknown): void {
  const kind = Object.prototype.toString.call(bytes)
  if (kind !== '[object Uint8Array]') throw new UsageError(`${operation}: give a Uint8Array, not ${kind.slice(8, -1)}`)
}
