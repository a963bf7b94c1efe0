// What one direction of a link counts. Devices keep their own, since a cable or a fault belongs to no stack.

import type { Packet } from '../buf/packet.ts'
import { type Drop, Drops } from '../counters.ts'

export class LinkCounters {
  /** Packets and bytes accepted for transmission, Ethernet headers included. */
  packets = 0
  bytes = 0
  readonly drops = new Drops()

  accept(packet: Packet): void {
    this.packets++
    this.bytes += packet.length
  }

  /** Counts the packet, notes why, and releases it. False, so that transmit() can return it. */
  drop(packet: Packet, reason: Drop): false {
    this.drops[reason]++
    packet.note = reason
    packet.release()
    return false
  }
}
