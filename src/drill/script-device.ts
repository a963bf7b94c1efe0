// The link of a script: what the stack transmits is kept for comparison, what the script sends is handed in.

import { Packet } from '../buf/packet.ts'
import type { PagePool } from '../buf/page.ts'
import { type Device, NO_OFFLOADS } from '../link/device.ts'
import { type Clock, type Micros, NEVER } from '../time.ts'
import type { MacAddress } from '../wire/ethernet.ts'
import { PROTOCOL_TCP } from '../wire/ipv4.ts'
import { type LivePacket, payloadLength, readPacket } from './live-packet.ts'

export class ScriptDevice implements Device {
  readonly name = 'script'
  readonly medium = 'ip'
  readonly mtu: number
  readonly offloads = NO_OFFLOADS
  readonly macAddress: MacAddress | null = null
  onReceive: ((packet: Packet) => void) | null = null
  /** What the stack sent and no event has taken yet. */
  readonly sent: LivePacket[] = []
  private readonly clock: Clock
  private readonly mss: number

  /** `mss`: what the script sends in larger packets came as so many segments; 0: as one. */
  constructor(clock: Clock, mtu: number, mss: number) {
    this.clock = clock
    this.mtu = mtu
    this.mss = mss
  }

  transmit(packet: Packet): boolean {
    this.sent.push(readPacket(packet.toBytes(), this.clock.now()))
    packet.release()
    return true
  }

  inject(pool: PagePool, bytes: Uint8Array): void {
    const packet = Packet.from(pool, bytes)
    if (packet === null) return
    if (this.mss > 0) this.markSegments(packet, bytes)
    this.onReceive?.(packet)
  }

  /** As a device does that put segments together. */
  private markSegments(packet: Packet, bytes: Uint8Array): void {
    const live = readPacket(bytes, this.clock.now())
    if (live.protocol !== PROTOCOL_TCP || payloadLength(live) <= this.mss) return
    packet.segmentBytes = this.mss
    packet.segmentKind = live.family === 4 ? 'tcp4' : 'tcp6'
  }

  deadline(): Micros {
    return NEVER
  }

  poll(): void {}

  close(): void {}
}
