// The end of a process that is a host. The system's stack outlives a program: it goes on sending what the program
// left behind. Ours ends with it, so the process waits until its peers have what they were sent, for a while. The program
// hears 'beforeExit' as often as without us, and its listeners may still use the network.

import { forgetOwners, owes } from '../../tcp/leave.ts'
import type { ControlSocket } from '../control/control-socket.ts'
import type { Host } from '../host.ts'

/** How long the end waits for peers. */
const PATIENCE_MILLIS = 3_000
const LOOK_MILLIS = 5
/** Rounds of ticks and microtasks in which what listeners of 'beforeExit' began has come to a timer, a handle or an end. */
const LISTENER_ROUNDS = 16

type Emit = (event: string | symbol, ...words: unknown[]) => boolean

/** Closes `host` when the program has nothing more to do, or ends the process. */
export function farewell(host: Host, control: ControlSocket | null): void {
  let waited = 0
  let over = false
  const end = (): void => {
    if (over) return
    over = true
    control?.close()
    // A process that ends closes no socket of its program.
    forgetOwners(host.stack.tcp)
    host.close().catch(() => {})
    host.flushSync()
  }
  process.on('exit', end)
  const emit = process.emit as Emit
  const beforeExit = (words: readonly unknown[]): boolean => {
    if (over) return false
    if (owes(host.stack.tcp) && waited < PATIENCE_MILLIS) {
      waited += LOOK_MILLIS
      // Something to do: the loop turns, and Node comes back here.
      setTimeout(() => {}, LOOK_MILLIS)
      return false
    }
    const before = work()
    const heard = Reflect.apply(emit, process, ['beforeExit', ...words])
    afterRounds(LISTENER_ROUNDS, () => {
      if (work() === before) end()
    })
    return heard
  }
  process.emit = ((event: string | symbol, ...words: unknown[]) =>
    event === 'beforeExit' ? beforeExit(words) : Reflect.apply(emit, process, [event, ...words])) as typeof process.emit
}

/** What keeps the process alive; some of it, like a terminal, is there at the end as well. */
const work = (): string => process.getActiveResourcesInfo().sort().join(' ')

function afterRounds(count: number, then: () => void): void {
  // Node runs all ticks before the first microtask, and all microtasks before the next tick.
  if (count === 0) then()
  else process.nextTick(() => queueMicrotask(() => afterRounds(count - 1, then)))
}
