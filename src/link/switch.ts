// A learning Ethernet switch (IEEE 802.1D §7, without spanning tree and VLANs: tags are carried, not looked at).
// Its ports are devices: port() makes a cable and returns the far end for a stack to own; attach() bridges
// any device, a TAP among them. The switch forwards as its ports deliver: cable ports poll it, attached devices
// are polled by it. It has no queue of its own; those of the ports bound it.

import { assert } from '../assert.ts'
import type { Packet } from '../buf/packet.ts'
import { UsageError } from '../errors.ts'
import { type Clock, earlier, type Machine, type Micros, NEVER } from '../time.ts'
import { ETHERNET_HEADER, MacAddress } from '../wire/ethernet.ts'
import { Cable, type CableEnd, type CableOptions } from './cable.ts'
import type { Device } from './device.ts'
import { LinkCounters } from './link-counters.ts'
import { MacTable } from './mac-table.ts'
import { isReady, prepare } from './segmentation.ts'

const DEFAULT_PORTS = 256
/** 01:80:c2:00:00:00 to 0f: bridge protocols, which stay on their link (IEEE 802.1D-2004 table 7-10). */
const RESERVED_HIGH = 0x0180
const RESERVED_LOW = 0xc200_0000 | 0

export interface SwitchOptions {
  /** Default `switch`; ports are called `NAME-0` and so on. */
  name?: string
  /** Of the cables that port() makes. Default 1,500. */
  mtu?: number
  /** Stations remembered at most. Default 1,024. */
  stations?: number
  /** Ports at most. Default 256. */
  ports?: number
}

/** What a host plugs into: a cable's end, with the switch driven from it. */
export interface SwitchPort extends Device {
  readonly cable: Cable
}

export class Switch implements Machine {
  readonly name: string
  /** Frames that came in; drops.switchTableFull counts sources not learned, whose frames were forwarded all the same. */
  readonly counters = new LinkCounters()
  private readonly clock: Clock
  private readonly mtu: number
  private readonly portLimit: number
  private readonly table: MacTable
  private readonly ports: Device[] = []
  private polling = false

  constructor(clock: Clock, options: SwitchOptions = {}) {
    this.clock = clock
    this.name = options.name ?? 'switch'
    this.mtu = options.mtu ?? 1_500
    this.portLimit = options.ports ?? DEFAULT_PORTS
    this.table = new MacTable(options.stations)
  }

  /** Stations known at the moment, aged ones included. */
  get stations(): number {
    return this.table.size
  }

  /** A new port on a cable of the given profile; the returned end is the host's, and polling it drives the switch too. */
  port(options: CableOptions = {}): SwitchPort {
    const name = options.name ?? `${this.name}-${this.ports.length}`
    const cable = new Cable(this.clock, { ...options, name, mtu: options.mtu ?? this.mtu })
    this.attach(cable.b)
    return new CablePort(this, cable)
  }

  /** Makes a port of any Ethernet device: the switch receives from it and polls it from now on. Returns its number. */
  attach(device: Device): number {
    if (device.medium !== 'ethernet') throw new UsageError(`${device.name} carries ${device.medium}, not Ethernet`)
    if (this.ports.length >= this.portLimit) throw new UsageError(`${this.name} has ${this.portLimit} ports, all taken`)
    const port = this.ports.length
    this.ports.push(device)
    device.onReceive = (packet) => this.forward(packet, port)
    return port
  }

  /** Forgets what was learned behind a port: for a port whose cable was moved. */
  forgetPort(port: number): void {
    this.table.forgetPort(port)
  }

  deadline(): Micros {
    let deadline = NEVER
    for (const device of this.ports) deadline = earlier(deadline, device.deadline())
    return deadline
  }

  poll(now: Micros): void {
    // A host that is polled by its own port polls the switch: not again from inside.
    if (this.polling) return
    this.polling = true
    for (const device of this.ports) device.poll(now)
    this.polling = false
  }

  close(): void {
    for (const device of this.ports) device.close()
  }

  private forward(packet: Packet, from: number): void {
    if (!packet.linearize(ETHERNET_HEADER)) {
      this.counters.drop(packet, packet.length < ETHERNET_HEADER ? 'frameTooShort' : 'noBuffer')
      return
    }
    this.counters.accept(packet)
    const now = this.clock.now()
    const { view } = packet.page
    const destination = MacAddress.read(view, packet.data)
    const source = MacAddress.read(view, packet.data + 6)
    if (source.isMulticast || source.isZero) {
      this.counters.drop(packet, 'switchBadSource')
      return
    }
    if (destination.high === RESERVED_HIGH && (destination.low & ~0xf) === RESERVED_LOW) {
      this.counters.drop(packet, 'switchFiltered')
      return
    }
    if (!this.table.learn(source.key, from, now)) this.counters.drops.switchTableFull++
    const to = destination.isMulticast ? -1 : this.table.lookup(destination.key, now)
    if (to === from) this.counters.drop(packet, 'switchFiltered')
    else if (to >= 0) this.send(packet, this.ports[to]!)
    else this.flood(packet, from)
  }

  /** Sends to all ports but one. Each copy has a head of its own, for its receiver may write there; payload pages are shared. */
  private flood(packet: Packet, from: number): void {
    for (let port = 0; port < this.ports.length; port++) {
      if (port === from) continue
      const twin = packet.clone()
      if (twin.unshare()) this.send(twin, this.ports[port]!)
      else this.counters.drop(twin, 'noBuffer')
    }
    packet.release()
  }

  private send(packet: Packet, device: Device): void {
    if (isReady(packet, device.offloads)) {
      device.transmit(packet)
      return
    }
    // A device with offloads delivered what this one cannot send: cut it, and put the Ethernet header back on each piece.
    const { view } = packet.page
    const at = packet.pull(ETHERNET_HEADER) - ETHERNET_HEADER
    const words = [view.getInt32(at), view.getInt32(at + 4), view.getInt32(at + 8)] as const
    const type = view.getUint16(at + 12)
    const done = prepare(packet, device.offloads, (part) => {
      const header = part.push(ETHERNET_HEADER)
      words.forEach((word, index) => {
        part.page.view.setInt32(header + index * 4, word)
      })
      part.page.view.setUint16(header + 12, type)
      device.transmit(part)
    })
    if (!done) this.counters.drops.noBuffer++
  }
}

/** The host's end of a cable to a switch. */
class CablePort implements SwitchPort {
  readonly cable: Cable
  private readonly owner: Switch
  private readonly end: CableEnd

  constructor(owner: Switch, cable: Cable) {
    this.owner = owner
    this.cable = cable
    this.end = cable.a
    assert(this.end.medium === 'ethernet')
  }

  get name(): string {
    return this.cable.name
  }

  get medium(): 'ethernet' {
    return 'ethernet'
  }

  get mtu(): number {
    return this.end.mtu
  }

  get offloads(): Device['offloads'] {
    return this.end.offloads
  }

  get macAddress(): MacAddress | null {
    return null
  }

  get onReceive(): Device['onReceive'] {
    return this.end.onReceive
  }

  set onReceive(receive: Device['onReceive']) {
    this.end.onReceive = receive
  }

  transmit(packet: Packet): boolean {
    return this.end.transmit(packet)
  }

  deadline(): Micros {
    return earlier(this.owner.deadline(), this.end.deadline())
  }

  poll(now: Micros): void {
    this.owner.poll(now)
    this.end.poll(now)
  }

  /** Nothing goes in or out any more; the switch keeps the port. */
  close(): void {
    this.cable.close()
  }
}
