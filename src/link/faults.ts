// Faults around any device: what its packets suffer on the way out and on the way in (fault-line.ts has the
// faults themselves, fault-options.ts the knobs). The device inside is driven through the wrapper.
//
// Faults happen to what a wire carries. So a faulty device offers no offload: checksums are complete and
// segments cut before they get here, else a lost packet would be forty of them, and a flipped bit would be
// covered up by whoever completes the checksum afterwards.

import type { Packet } from '../buf/packet.ts'
import { UsageError } from '../errors.ts'
import { type Random, SeededRandom } from '../random.ts'
import { type Clock, earlier, type Micros } from '../time.ts'
import type { MacAddress } from '../wire/ethernet.ts'
import { type Device, NO_OFFLOADS, type Offloads } from './device.ts'
import type { EdgeDevice } from './edge-device.ts'
import { EdgeWrapper } from './edge-wrapper.ts'
import { FaultLine } from './fault-line.ts'
import type { FaultOptions } from './fault-options.ts'

export interface Faults {
  /** What happens to packets that this device transmits. */
  readonly outbound?: Partial<FaultOptions>
  /** What happens to packets that it receives. */
  readonly inbound?: Partial<FaultOptions>
}

/** Wraps a device; one that reads from outside the process stays one. Throws UsageError where a knob is turned too far. */
export function faulty(device: EdgeDevice, faults: Faults, random: Random, clock: Clock): FaultyEdgeDevice
export function faulty(device: Device, faults: Faults, random: Random, clock: Clock): FaultyDevice
export function faulty(device: Device | EdgeDevice, faults: Faults, random: Random, clock: Clock): FaultyDevice {
  for (const name of Object.keys(faults)) {
    if (name !== 'outbound' && name !== 'inbound')
      throw new UsageError(`faults have no direction '${name}': give those of outbound, of inbound, or both`)
  }
  const plain = new PlainFaultyDevice(device, faults, random, clock)
  if (!('drain' in device)) return plain
  return Object.assign(new EdgeWrapper(device, plain), { outbound: plain.outbound, inbound: plain.inbound })
}

export interface FaultyDevice extends Device {
  readonly outbound: FaultLine
  readonly inbound: FaultLine
}

export type FaultyEdgeDevice = EdgeDevice & FaultyDevice

class PlainFaultyDevice implements FaultyDevice {
  readonly name: string
  readonly medium: 'ethernet' | 'ip'
  readonly mtu: number
  readonly offloads: Offloads = NO_OFFLOADS
  readonly macAddress: MacAddress | null
  readonly outbound: FaultLine
  readonly inbound: FaultLine
  onReceive: ((packet: Packet) => void) | null = null
  private readonly inner: Device
  private readonly clock: Clock

  constructor(inner: Device, faults: Faults, random: Random, clock: Clock) {
    this.name = inner.name
    this.medium = inner.medium
    this.mtu = inner.mtu
    this.macAddress = inner.macAddress
    this.inner = inner
    this.clock = clock
    this.outbound = new FaultLine(faults.outbound ?? {}, fork(random), (packet) => inner.transmit(packet))
    this.inbound = new FaultLine(faults.inbound ?? {}, fork(random), (packet) => this.deliver(packet))
    inner.onReceive = (packet) => {
      this.inbound.take(packet, clock.now())
    }
  }

  transmit(packet: Packet): boolean {
    return this.outbound.take(packet, this.clock.now())
  }

  deadline(): Micros {
    return earlier(this.inner.deadline(), earlier(this.outbound.next(), this.inbound.next()))
  }

  poll(now: Micros): void {
    this.outbound.release(now)
    this.inner.poll(now)
    this.inbound.release(now)
  }

  close(): void {
    this.outbound.close()
    this.inbound.close()
    this.inner.close()
  }

  private deliver(packet: Packet): boolean {
    if (this.onReceive === null) return this.inbound.counters.drop(packet, 'deviceDown')
    this.onReceive(packet)
    return true
  }
}

const fork = (random: Random): SeededRandom => new SeededRandom(random.u32() + random.below(0x1f_ffff) * 0x1_0000_0000)
