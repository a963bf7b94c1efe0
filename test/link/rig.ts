// What the link tests share: a clock that only tests move, frames with a number in them, and a log of arrivals.

import { Packet } from '../../src/buf/packet.ts'
import type { PagePool } from '../../src/buf/page.ts'
import type { Device } from '../../src/link/device.ts'
import { type Clock, type Machine, type Micros, micros, NEVER } from '../../src/time.ts'
import { ETHERNET_HEADER, ETHERTYPE_IPV4, emitEthernet, MacAddress } from '../../src/wire/ethernet.ts'

export class VirtualClock implements Clock {
  instant = 0

  now(): Micros {
    return micros(this.instant)
  }

  wall(): Micros {
    return micros(this.instant)
  }

  /** Runs the machines to the instant, stopping at each of their deadlines; then the clock stands there. */
  runTo(instant: number, machines: readonly Machine[]): void {
    for (let round = 0; round < 1_000_000; round++) {
      const next = Math.min(...machines.map((machine) => machine.deadline()))
      if (next > instant) {
        this.instant = instant
        return
      }
      if (next > this.instant) this.instant = next
      for (const machine of machines) machine.poll(this.now())
    }
    throw new Error('the machines never come to rest')
  }

  /** Runs the machines until none has anything left to do. */
  settle(machines: readonly Machine[]): void {
    for (;;) {
      const next = Math.min(...machines.map((machine) => machine.deadline()))
      if (next === NEVER) return
      this.runTo(Math.max(next, this.instant), machines)
    }
  }
}

export const mac = (n: number): MacAddress => new MacAddress(0x0200, n)

/** A frame of `length` bytes with a number behind its header. */
export function frame(
  pool: PagePool,
  number: number,
  options: { length?: number; from?: MacAddress; to?: MacAddress } = {},
): Packet {
  const { length = 64, from = mac(1), to = mac(2) } = options
  const packet = Packet.allocate(pool, length)!
  const at = packet.put(length)
  emitEthernet(packet.page.view, at, to, from, ETHERTYPE_IPV4)
  packet.page.bytes.fill(0, at + ETHERNET_HEADER, at + length)
  packet.page.view.setUint32(at + ETHERNET_HEADER, number)
  return packet
}

export const numberOf = (packet: Packet): number => packet.page.view.getUint32(packet.data + ETHERNET_HEADER)

export interface Arrival {
  at: number
  number: number
}

/** Notes number and instant of what the device delivers, and releases it. */
export function log(device: Device, clock: Clock): Arrival[] {
  const arrivals: Arrival[] = []
  device.onReceive = (packet) => {
    arrivals.push({ at: clock.now(), number: numberOf(packet) })
    packet.release()
  }
  return arrivals
}

export const numbers = (arrivals: readonly Arrival[]): number[] => arrivals.map(({ number }) => number)
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
