// A device around a device, for those who only look on: captures and traces. Everything goes through as it
// is; the observer sees each packet before it passes, and afterwards what became of it. An EdgeDevice stays one.

import type { Packet } from '../buf/packet.ts'
import type { Micros } from '../time.ts'
import type { MacAddress } from '../wire/ethernet.ts'
import type { Device, Offloads } from './device.ts'
import type { EdgeDevice } from './edge-device.ts'
import { EdgeWrapper } from './edge-wrapper.ts'

export interface Observer {
  /** A packet is about to be delivered (in) or transmitted (out). It stays whole and unchanged. Returns a mark of its own. */
  before(packet: Packet, direction: 'in' | 'out'): number
  /** What was passed on came back: `note` is the packet's, where it changed meanwhile, else ''. `refused`: transmit() said so. */
  after(mark: number, note: string, refused: boolean): void
}

export function observed(device: EdgeDevice, observer: Observer): EdgeDevice
export function observed(device: Device, observer: Observer): Device
export function observed(device: Device | EdgeDevice, observer: Observer): Device {
  const plain = new ObservedDevice(device, observer)
  return 'drain' in device ? new EdgeWrapper(device, plain) : plain
}

class ObservedDevice implements Device {
  readonly name: string
  readonly medium: Device['medium']
  readonly offloads: Offloads
  readonly macAddress: MacAddress | null
  onReceive: ((packet: Packet) => void) | null = null
  private readonly inner: Device
  private readonly observer: Observer

  constructor(inner: Device, observer: Observer) {
    this.name = inner.name
    this.medium = inner.medium
    this.offloads = inner.offloads
    this.macAddress = inner.macAddress
    this.inner = inner
    this.observer = observer
    inner.onReceive = (packet) => this.receive(packet)
  }

  get mtu(): number {
    return this.inner.mtu
  }

  transmit(packet: Packet): boolean {
    const { note } = packet
    const mark = this.observer.before(packet, 'out')
    const accepted = this.inner.transmit(packet)
    // The packet's bytes are gone; the object still tells its note.
    if (!accepted || packet.note !== note) this.observer.after(mark, packet.note === note ? '' : packet.note, !accepted)
    return accepted
  }

  deadline(): Micros {
    return this.inner.deadline()
  }

  poll(now: Micros): void {
    this.inner.poll(now)
  }

  close(): void {
    this.inner.close()
  }

  private receive(packet: Packet): void {
    const { note } = packet
    const mark = this.observer.before(packet, 'in')
    if (this.onReceive === null) packet.release()
    else this.onReceive(packet)
    if (packet.note !== note) this.observer.after(mark, packet.note, false)
  }
}
