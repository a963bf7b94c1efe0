// A bounded first-in first-out queue, linked through the packets themselves. It charges the pages that its
// packets hold, not their bytes: a one-byte datagram in a 2 KiB page costs 2 KiB.

import { assert } from '../assert.ts'
import type { Packet } from './packet.ts'

export class PacketQueue {
  /** May be changed: what is in the queue stays. */
  limitBytes: number
  readonly limitPackets: number
  length = 0
  chargedBytes = 0
  private head: Packet | null = null
  private last: Packet | null = null

  constructor(limitBytes: number, limitPackets: number = Number.MAX_SAFE_INTEGER) {
    this.limitBytes = limitBytes
    this.limitPackets = limitPackets
  }

  /** Takes the packet and returns true; where it does not fit the caller keeps it and gets false. An empty queue takes any packet. */
  push(packet: Packet): boolean {
    assert(packet.next === null, 'a packet in two queues')
    if (this.length >= this.limitPackets) return false
    const charge = packet.chargedBytes
    if (this.length > 0 && this.chargedBytes + charge > this.limitBytes) return false
    if (this.last === null) this.head = packet
    else this.last.next = packet
    this.last = packet
    this.length++
    this.chargedBytes += charge
    return true
  }

  /** The first packet, still in the queue; null when empty. */
  peek(): Packet | null {
    return this.head
  }

  /** Takes out the first packet; null when empty. */
  shift(): Packet | null {
    const packet = this.head
    if (packet === null) return null
    this.head = packet.next
    if (this.head === null) this.last = null
    packet.next = null
    this.length--
    this.chargedBytes -= packet.chargedBytes
    return packet
  }

  /** Forgets n bytes of the first packet, which keeps at least one. */
  dropFront(n: number): void {
    const packet = this.head
    assert(packet !== null && n < packet.length, 'drop of more than the first packet')
    this.chargedBytes -= packet.chargedBytes
    packet.dropFront(n)
    this.chargedBytes += packet.chargedBytes
  }

  /** Releases all packets and returns how many there were. */
  clear(): number {
    const count = this.length
    for (let packet = this.shift(); packet !== null; packet = this.shift()) packet.release()
    assert(this.length === 0 && this.chargedBytes === 0)
    return count
  }
}
