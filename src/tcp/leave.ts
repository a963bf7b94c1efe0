// TCP of a host whose programs end before it does. A kernel goes on for a process that is no more: it tells the peers, sends
// what was written, and resets what nobody will read. Ours ends soon after the process's last wish, so whoever closes a
// host (node/host.ts) lets all go first and asks here how long it is worth waiting.

import type { Micros } from '../time.ts'
import { letGo, unlisten } from './open.ts'
import type { Tcp } from './tcp.ts'

/**
 * What close(2) does for a process that ends: listeners stop, and what waits to be accepted is reset; connections end in
 * order behind what was written, or by RST where something was not read (RFC 2525 §2.17). Their owners hear ECONNABORTED and
 * have no say in them any more.
 */
export function letAllGo(tcp: Tcp, now: Micros): void {
  for (const listener of [...tcp.listeners.values()].flat()) {
    unlisten(tcp, listener, now)
    listener.onAcceptable?.()
  }
  for (const connection of [...tcp.demux.values()]) {
    const { owner } = connection
    connection.owner = null
    letGo(tcp, connection, now)
    owner?.onClosed('ECONNABORTED')
  }
}

/** For a program that is over, and hears nothing any more: its owners are not told what becomes of their connections. */
export function forgetOwners(tcp: Tcp): void {
  for (const listener of [...tcp.listeners.values()].flat()) listener.onAcceptable = null
  for (const connection of tcp.demux.values()) connection.owner = null
}

/** Whether a peer has not acknowledged all that was written to it, the end included. */
export function owes(tcp: Tcp): boolean {
  for (const { snd, sendQueue, state } of tcp.demux.values()) {
    if (state === 'SYN-SENT' || state === 'SYN-RECEIVED' || state === 'TIME-WAIT') continue
    if (sendQueue.length > 0 || snd.una !== snd.nxt) return true
  }
  return false
}

/** Whether a peer has everything and may be about to end its direction as well. */
export function awaitsEnds(tcp: Tcp): boolean {
  for (const { state } of tcp.demux.values()) if (state === 'FIN-WAIT-2') return true
  return false
}

/** Resets connections whose end was not sent, as it will not be: a peer shall not take a part for the whole, nor wait. */
export function cutShort(tcp: Tcp, now: Micros): void {
  for (const connection of [...tcp.demux.values()]) {
    if (connection.sendQueue.finQueued && !connection.finSent) tcp.abort(connection, now)
  }
}
