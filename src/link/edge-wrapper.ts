// The second half of a device around a device (faults.ts, observed.ts): what wraps one that reads from outside the process
// is read from in the same way.

import type { Packet } from '../buf/packet.ts'
import type { Micros } from '../time.ts'
import type { MacAddress } from '../wire/ethernet.ts'
import type { Device, Offloads } from './device.ts'
import type { EdgeDevice } from './edge-device.ts'

/** Packets go through `plain`, which stands around `inner`; `inner` is asked for them, and tells when there are some. */
export class EdgeWrapper implements EdgeDevice {
  readonly name: string
  readonly medium: Device['medium']
  readonly offloads: Offloads
  readonly macAddress: MacAddress | null
  private readonly inner: EdgeDevice
  private readonly plain: Device

  constructor(inner: EdgeDevice, plain: Device) {
    this.name = plain.name
    this.medium = plain.medium
    this.offloads = plain.offloads
    this.macAddress = plain.macAddress
    this.inner = inner
    this.plain = plain
  }

  get mtu(): number {
    return this.plain.mtu
  }

  get onReceive(): Device['onReceive'] {
    return this.plain.onReceive
  }

  set onReceive(receive: Device['onReceive']) {
    this.plain.onReceive = receive
  }

  get onReadable(): EdgeDevice['onReadable'] {
    return this.inner.onReadable
  }

  set onReadable(readable: EdgeDevice['onReadable']) {
    this.inner.onReadable = readable
  }

  get onFailure(): EdgeDevice['onFailure'] {
    return this.inner.onFailure
  }

  set onFailure(failure: EdgeDevice['onFailure']) {
    this.inner.onFailure = failure
  }

  transmit(packet: Packet): boolean {
    return this.plain.transmit(packet)
  }

  drain(budget: number): number {
    return this.inner.drain(budget)
  }

  arm(): void {
    this.inner.arm()
  }

  deadline(): Micros {
    return this.plain.deadline()
  }

  poll(now: Micros): void {
    this.plain.poll(now)
  }

  close(): void {
    this.plain.close()
  }
}
