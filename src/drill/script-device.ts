// The link of a script: what the stack transmits is kept for comparison, what the script sends is handed in.

import { Packet } from '../buf/packet.ts'
import type { PagePool } from '../buf/page.ts'
import { type Device, NO_OFFLOADS } from '../link/device.ts'
import { type Clock, type Micros, NEVER } from '../time.ts'
import type { MacAddress } from '../wire/ethernet.ts'
import { type LivePacket, readPacket } from './live-packet.ts'

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

  constructor(clock: Clock, mtu: number) {
    this.clock = clock
    this.mtu = mtu
  }

  transmit(packet: Packet): boolean {
    this.sent.push(readPacket(packet.toBytes(), this.clock.now()))
    packet.release()
    return true
  }

  inject(pool: PagePool, bytes: Uint8Array): void {
    const packet = Packet.from(pool, bytes)
    if (packet !== null) this.onReceive?.(packet)
  }

  deadline(): Micros {
    return NEVER
  }

  poll(): void {}

  close(): void {}
}
