// A point-to-point link in memory: two ends, each a device, and a line in each direction (line.ts). The end
// that receives is the one that is polled. A packet moves as it is, also between stacks with pools of their
// own: each page knows its pool and goes back there. What only the sender's stack knows of it is wiped, so
// that the receiver looks at the bytes as it would behind a real wire.
//
// The rate counts the Ethernet header, but not preamble, check sequence and gap; medium `ip` has bare packets.

import { assert } from '../assert.ts'
import type { Packet } from '../buf/packet.ts'
import { UsageError } from '../errors.ts'
import { type Clock, type Micros, NEVER } from '../time.ts'
import { ETHERNET_HEADER, ETHERTYPE_VLAN, etherType, type MacAddress, VLAN_TAG } from '../wire/ethernet.ts'
import { type Device, NO_OFFLOADS, type Offloads } from './device.ts'
import { Line, type LineProfile } from './line.ts'

const DEFAULT_MTU = 1_500

/** Both directions get the profile; `fromA` and `fromB` change it for one. */
export interface CableOptions extends Partial<LineProfile> {
  /** Default `cable`; the ends are called `NAME-a` and `NAME-b`. */
  name?: string
  /** Default ethernet. */
  medium?: 'ethernet' | 'ip'
  /** Default 1,500. */
  mtu?: number
  /** What the ends take. Default nothing: checksums are completed and segments cut before they get here. */
  offloads?: Offloads
  fromA?: Partial<LineProfile>
  fromB?: Partial<LineProfile>
}

/** The end from which a packet travels. */
export type CableSide = 'a' | 'b'

export class CableEnd implements Device {
  readonly name: string
  readonly medium: 'ethernet' | 'ip'
  readonly mtu: number
  readonly offloads: Offloads
  readonly macAddress: MacAddress | null = null
  /** What this end sends, with its counters. */
  readonly outbound: Line
  readonly inbound: Line
  onReceive: ((packet: Packet) => void) | null = null
  private readonly clock: Clock
  private closed = false

  constructor(options: {
    name: string
    medium: 'ethernet' | 'ip'
    mtu: number
    offloads: Offloads
    clock: Clock
    outbound: Line
    inbound: Line
  }) {
    this.name = options.name
    this.medium = options.medium
    this.mtu = options.mtu
    this.offloads = options.offloads
    this.clock = options.clock
    this.outbound = options.outbound
    this.inbound = options.inbound
  }

  transmit(packet: Packet): boolean {
    const { counters } = this.outbound
    if (this.closed) return counters.drop(packet, 'deviceDown')
    if (this.medium === 'ethernet' && packet.length < ETHERNET_HEADER) return counters.drop(packet, 'frameTooShort')
    if (packet.length > this.longest(packet)) return counters.drop(packet, 'frameTooLong')
    assert(packet.checksum !== 'partial' || this.offloads.checksum, 'a partial checksum, and nobody to complete it')
    return this.outbound.send(packet, this.clock.now())
  }

  deadline(): Micros {
    return this.closed ? NEVER : this.inbound.nextArrival()
  }

  poll(now: Micros): void {
    if (!this.closed) this.inbound.deliver(now, this.deliver)
  }

  /** What is on the way to this end is released; what this end sent still arrives. */
  close(): void {
    this.closed = true
    this.inbound.close()
  }

  private longest(packet: Packet): number {
    const bytes = packet.segmentBytes > 0 ? Math.max(this.offloads.segmentBytes, this.mtu) : this.mtu
    if (this.medium === 'ip') return bytes
    const tagged = packet.headLength >= ETHERNET_HEADER && etherType(packet.page.view, packet.data) === ETHERTYPE_VLAN
    return bytes + ETHERNET_HEADER + (tagged ? VLAN_TAG : 0)
  }

  private readonly deliver = (packet: Packet): void => {
    if (this.onReceive === null) {
      this.inbound.counters.drop(packet, 'deviceDown')
      return
    }
    packet.networkAt = -1
    packet.transportAt = -1
    if (packet.checksum !== 'partial') packet.checksum = 'unchecked'
    packet.interfaceIndex = 0
    packet.linkCast = 'host'
    this.onReceive(packet)
  }
}

export class Cable {
  readonly name: string
  readonly a: CableEnd
  readonly b: CableEnd

  constructor(clock: Clock, options: CableOptions = {}) {
    const { name = 'cable', medium = 'ethernet', mtu = DEFAULT_MTU, offloads = NO_OFFLOADS } = options
    const { fromA, fromB, ...shared } = options
    if (!(Number.isSafeInteger(mtu) && mtu >= 1)) throw new UsageError(`mtu is ${mtu}: give a whole number of bytes`)
    this.name = name
    const right = new Line(lineProfile(shared, fromA))
    const left = new Line(lineProfile(shared, fromB))
    const common = { medium, mtu, offloads, clock }
    this.a = new CableEnd({ ...common, name: `${name}-a`, outbound: right, inbound: left })
    this.b = new CableEnd({ ...common, name: `${name}-b`, outbound: left, inbound: right })
  }

  /** Loses all that is on the way and all that follows: what travels from one side, or from both. */
  cut(from?: CableSide): void {
    if (from !== 'b') this.a.outbound.cut()
    if (from !== 'a') this.b.outbound.cut()
  }

  mend(from?: CableSide): void {
    if (from !== 'b') this.a.outbound.mend()
    if (from !== 'a') this.b.outbound.mend()
  }

  /** Changes some of the profile for packets to come. */
  configure(profile: Partial<LineProfile>, from?: CableSide): void {
    if (from !== 'b') this.a.outbound.configure(profile)
    if (from !== 'a') this.b.outbound.configure(profile)
  }

  /** Closes both ends: nothing stays on the way. */
  close(): void {
    this.a.close()
    this.b.close()
  }
}

/** The knobs of a line out of the options of a cable, without those that nobody gave. */
function lineProfile(shared: CableOptions, own: Partial<LineProfile> = {}): Partial<LineProfile> {
  const { delay, bitsPerSecond, queuePackets, queueBytes } = { ...shared, ...own }
  return {
    ...(delay !== undefined && { delay }),
    ...(bitsPerSecond !== undefined && { bitsPerSecond }),
    ...(queuePackets !== undefined && { queuePackets }),
    ...(queueBytes !== undefined && { queueBytes }),
  }
}
