// The loopback device: what is transmitted is received again by the same stack. It offers every offload,
// for nothing leaves the host: a packet with a partial checksum arrives as it is, and the receiver takes
// `partial` for verified; super-segments arrive whole.

import type { Packet } from '../buf/packet.ts'
import { PacketQueue } from '../buf/packet-queue.ts'
import { IMMEDIATELY, type Micros, NEVER } from '../time.ts'
import type { MacAddress } from '../wire/ethernet.ts'
import type { Device, Offloads } from './device.ts'
import { LinkCounters } from './link-counters.ts'

/** What Linux gives its loopback device. */
export const LOOPBACK_MTU = 65_536
const DEFAULT_LIMIT_PACKETS = 4_096
/** Charged by pages: about a thousand super-segments. */
const DEFAULT_LIMIT_BYTES = 64 * 1_024 * 1_024

export interface LoopbackOptions {
  /** Default `lo`. */
  name?: string
  limitPackets?: number
  /** Bytes of the pages that queued packets hold. */
  limitBytes?: number
}

export class LoopbackDevice implements Device {
  readonly name: string
  readonly medium = 'ip'
  readonly mtu = LOOPBACK_MTU
  readonly offloads: Offloads = { checksum: true, segmentBytes: LOOPBACK_MTU }
  readonly macAddress: MacAddress | null = null
  readonly counters = new LinkCounters()
  onReceive: ((packet: Packet) => void) | null = null
  private readonly queue: PacketQueue
  private closed = false

  constructor(options: LoopbackOptions = {}) {
    this.name = options.name ?? 'lo'
    this.queue = new PacketQueue(
      options.limitBytes ?? DEFAULT_LIMIT_BYTES,
      options.limitPackets ?? DEFAULT_LIMIT_PACKETS,
    )
  }

  transmit(packet: Packet): boolean {
    if (this.closed) return this.counters.drop(packet, 'deviceDown')
    if (packet.length > this.mtu) return this.counters.drop(packet, 'frameTooLong')
    if (!this.queue.push(packet)) return this.counters.drop(packet, 'deviceFull')
    this.counters.accept(packet)
    return true
  }

  deadline(): Micros {
    return this.queue.length > 0 ? IMMEDIATELY : NEVER
  }

  /** Delivers what was queued before the call: answers to it wait for the next poll, so a poll always ends. */
  poll(_now: Micros): void {
    for (let left = this.queue.length; left > 0; left--) {
      const packet = this.queue.shift()
      if (packet === null) return
      if (this.onReceive !== null) this.onReceive(packet)
      else this.counters.drop(packet, 'deviceDown')
    }
  }

  close(): void {
    this.closed = true
    this.queue.clear()
  }
}
