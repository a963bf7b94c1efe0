// Records what passes a device, with the reason why: captured() wraps any device, a PacketCapture writes
// pcapng. A packet is recorded when it arrives or leaves; what is dropped afterwards, by the host or by the
// device, gets the reason as a second comment on the same record.

import type { Packet } from '../buf/packet.ts'
import { type Direction, LINK_ETHERNET, LINK_RAW, SNAP_LENGTH } from '../capture/pcapng-format.ts'
import type { PacketFields, PcapngWriter } from '../capture/pcapng-writer.ts'
import { Drops } from '../counters.ts'
import type { Clock, Micros } from '../time.ts'
import type { IpAddress } from '../wire/address.ts'
import { addPiece, complement, sumOctets } from '../wire/checksum.ts'
import type { Device } from './device.ts'
import type { EdgeDevice } from './edge-device.ts'
import { type Observer, observed } from './observed.ts'

export interface CaptureSink {
  /** Makes a device known; its number is what the other calls want. */
  addInterface(name: string, medium: Device['medium'], description?: string): number
  /**
   * Records the packet as it is now and keeps nothing of it: `instant` by the wall, '' for no comment. Returns its
   * number in the capture, for addComment(); -1: it was left out, and counted.
   */
  packet(interfaceId: number, packet: Packet, direction: Direction, instant: Micros, comment: string): number
  /** Adds to a packet recorded lately what is known only now: why it was dropped. */
  addComment(packetNumber: number, comment: string): void
}

/** The device, recorded. Packets that the host drops before onReceive returns get the note it leaves on them. */
export function captured(device: EdgeDevice, sink: CaptureSink, clock: Clock, name?: string): EdgeDevice
export function captured(device: Device, sink: CaptureSink, clock: Clock, name?: string): Device
export function captured(device: Device, sink: CaptureSink, clock: Clock, name = device.name): Device {
  return observed(device, new Recorder(device, sink, clock, name))
}

const REASONS = new Drops()

/** A bare reason is spelled out as what it is; other notes stay as they are. */
export const noteText = (note: string): string => (Object.hasOwn(REASONS, note) ? `dropped: ${note}` : note)

class Recorder implements Observer {
  private readonly sink: CaptureSink
  private readonly clock: Clock
  private readonly interfaceId: number

  constructor(device: Device, sink: CaptureSink, clock: Clock, name: string) {
    this.sink = sink
    this.clock = clock
    this.interfaceId = sink.addInterface(name, device.medium)
  }

  before(packet: Packet, direction: Direction): number {
    return this.sink.packet(this.interfaceId, packet, direction, this.clock.wall(), noteText(packet.note))
  }

  after(mark: number, note: string, refused: boolean): void {
    if (mark < 0) return
    this.sink.addComment(mark, note === '' && refused ? 'dropped: refused by the device' : noteText(note))
  }
}

export class PacketCapture implements CaptureSink {
  private readonly writer: PcapngWriter
  private readonly fields: PacketFields = {
    interfaceId: 0,
    seconds: 0,
    nanos: 0,
    capturedLength: 0,
    originalLength: 0,
    direction: 'in',
    comment: '',
  }

  constructor(writer: PcapngWriter) {
    this.writer = writer
  }

  addInterface(name: string, medium: Device['medium'], description = ''): number {
    return this.writer.addInterface(name, medium === 'ethernet' ? LINK_ETHERNET : LINK_RAW, description)
  }

  /** Names an address in the capture. */
  addName(address: IpAddress, name: string): void {
    const bytes = new Uint8Array(address.size)
    address.writeTo(new DataView(bytes.buffer), 0)
    this.writer.addNames([{ address: bytes, name }])
  }

  packet(interfaceId: number, packet: Packet, direction: Direction, instant: Micros, comment: string): number {
    const { fields, writer } = this
    const { length } = packet
    fields.interfaceId = interfaceId
    fields.seconds = Math.floor(instant / 1_000_000)
    fields.nanos = (instant - fields.seconds * 1_000_000) * 1_000
    fields.capturedLength = Math.min(length, SNAP_LENGTH)
    fields.originalLength = length
    fields.direction = direction
    fields.comment = comment
    const at = writer.packet(fields)
    if (at < 0) return -1
    packet.copyTo(0, fields.capturedLength, writer.bytes, at)
    if (packet.checksum === 'partial') completeChecksum(packet, writer.bytes, at)
    return writer.packets
  }

  addComment(packetNumber: number, comment: string): void {
    this.writer.addComment(packetNumber, comment)
  }
}

/** Where UDP keeps its checksum: there 0 means that there is none (RFC 768). */
const UDP_CHECKSUM_AT = 6

/** Finishes the checksum in the copy at `at`, of a super-segment as if it were one segment: the packet itself stays partial, for the device to complete. */
function completeChecksum(packet: Packet, bytes: Uint8Array, at: number): void {
  const { page, data, tail, checksumStart, checksumField } = packet
  // A host may be told nonsense by the far side of a TAP: then the bytes stay as they came.
  if (checksumStart < data || checksumField < checksumStart || checksumField + 2 > tail) return
  let covered = tail - checksumStart
  let sum = sumOctets(page, checksumStart, covered)
  for (const { page: next, offset, length } of packet.fragments) {
    sum = addPiece(sum, covered, sumOctets(next, offset, length))
    covered += length
  }
  let checksum = complement(sum)
  if (checksum === 0 && checksumField - checksumStart === UDP_CHECKSUM_AT) checksum = 0xffff
  const fieldAt = at + checksumField - data
  bytes[fieldAt] = checksum >>> 8
  bytes[fieldAt + 1] = checksum & 0xff
}
