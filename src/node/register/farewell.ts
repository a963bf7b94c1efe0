// The end of a process that is a host. The system's stack outlives a program: it goes on sending what the program
// left behind. Ours ends with it, so the process waits until its peers have what they were sent, for a while.

import { owes } from '../../tcp/leave.ts'
import type { ControlSocket } from '../control/control-socket.ts'
import type { Host } from '../host.ts'

/** How long the end waits for peers. */
const PATIENCE_MILLIS = 3_000
const LOOK_MILLIS = 5

/** Closes `host` when the program has nothing more to do, or ends the process. */
export function farewell(host: Host, control: ControlSocket | null): void {
  let waited = 0
  let over = false
  const end = (): void => {
    if (over) return
    over = true
    control?.close()
    host.close().catch(() => {})
    host.flushSync()
  }
  process.on('beforeExit', () => {
    if (over) return
    if (!owes(host.stack.tcp) || waited >= PATIENCE_MILLIS) {
      end()
      return
    }
    waited += LOOK_MILLIS
    // Something to do: the loop turns, and beforeExit comes again.
    setTimeout(() => {}, LOOK_MILLIS)
  })
  process.on('exit', end)
}
