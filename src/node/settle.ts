// For worlds that run programs of promises and of sockets: lets everything that is settled be acted on.

import { madeTurns, waitingCalls } from './net/handle.ts'

/** A stream around a socket, as TLS and HTTP/2 have it, takes a turn or two more. */
const QUIET_TURNS = 3

/** Resolves after the microtask queue ran empty and no socket has anything to tell, by way of the event loop. */
export async function settle(): Promise<void> {
  await turn()
  if (!madeTurns()) return
  for (let quiet = 1; quiet < QUIET_TURNS; quiet++) {
    if (waitingCalls() > 0) quiet = 0
    await turn()
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
