// The end of a process that is a host. The system's stack outlives a program: it goes on sending what the program
// left behind. Ours ends with it, so the process waits until its peers have what they were sent, for a while.

import { letGo } from '../../tcp/open.ts'
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
    const { clock, tcp } = host.stack
    // What close(2) does for a program that ends: FIN, or RST where something was not read.
    for (const connection of [...tcp.demux.values()]) letGo(tcp, connection, clock.now())
    host.close().catch(() => {})
    host.flushSync()
  }
  process.on('beforeExit', () => {
    if (over) return
    if (!owes(host) || waited >= PATIENCE_MILLIS) {
      end()
      return
    }
    waited += LOOK_MILLIS
    // Something to do: the loop turns, and beforeExit comes again.
    setTimeout(() => {}, LOOK_MILLIS)
  })
  process.on('exit', end)
}

/** Whether a connection has bytes, or its end, that the peer has not acknowledged. */
function owes(host: Host): boolean {
  for (const { snd, sendQueue, state } of host.stack.tcp.demux.values()) {
    if (state === 'SYN-SENT' || state === 'SYN-RECEIVED' || state === 'TIME-WAIT') continue
    if (sendQueue.length > 0 || snd.una !== snd.nxt) return true
  }
  return false
}
