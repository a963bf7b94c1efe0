// What the modules that stand in for node:net, node:dgram and node:dns need of a host, real or simulated: its stack,
// what keeps the process alive for its sockets, and timers by its clock. One for each stack, however often asked.

import type { Stack } from '../stack.ts'
import { HostTimers } from './host-timers.ts'
import { KeepAlive } from './keep-alive.ts'

export interface NodeHost {
  readonly stack: Stack
  readonly keepAlive: KeepAlive
  readonly timers: HostTimers
}

const made = new WeakMap<Stack, NodeHost>()

/** The same parts for the same stack. */
export function nodeHost(stack: Stack): NodeHost {
  const known = made.get(stack)
  if (known !== undefined) return known
  const timers = new HostTimers(() => stack.onWork?.(true))
  stack.attach(timers)
  const host = { stack, keepAlive: new KeepAlive(), timers }
  made.set(stack, host)
  return host
}
