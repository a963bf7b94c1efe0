// Writes a pcapng capture into memory (draft-ietf-opsawg-pcapng): little-endian, stamps in nanoseconds. It
// never waits: whoever owns it drains it with take() (src/node/capture-file.ts, tests), and what comes while
// the bytes not yet taken stand at the limit is counted and left out. Two buffers change places at take(),
// so that in the steady state no record costs an allocation.
//
//   block:  type(4)  length(4)  body, padded to 4  options  length(4)
//   option: code(2)  length(2)  value, padded to 4          the last one is code 0, length 0

import { assert } from '../assert.ts'
import {
  BYTE_ORDER_MAGIC,
  DECRYPTION_SECRETS,
  type Direction,
  ENHANCED_PACKET,
  FLAG_INBOUND,
  FLAG_OUTBOUND,
  INTERFACE_DESCRIPTION,
  NAME_END,
  NAME_IPV4,
  NAME_IPV6,
  NAME_RESOLUTION,
  OPTION_APPLICATION,
  OPTION_COMMENT,
  OPTION_DESCRIPTION,
  OPTION_DROP_COUNT,
  OPTION_END,
  OPTION_FLAGS,
  OPTION_NAME,
  OPTION_TIME_RESOLUTION,
  padded,
  SECRETS_TLS_KEYS,
  SECTION_HEADER,
  SNAP_LENGTH,
} from './pcapng-format.ts'
import { writeUtf8 } from './utf8.ts'

/** Longer comments are cut, at a whole character. */
export const MAX_COMMENT_BYTES = 1_024
/** Longer names and descriptions are cut, at a whole character. */
export const MAX_NAME_BYTES = 255
/** Devices of one capture. */
export const MAX_INTERFACES = 65_536
const DEFAULT_LIMIT_BYTES = 8 * 1_024 * 1_024
const INITIAL_BYTES = 64 * 1_024
const NANOSECONDS = 9

const BLOCK_OVERHEAD = 12
const PACKET_HEADER = 28
/** The most that options add to a packet: flags 8, drop count 12, comment, end 4. */
const PACKET_OPTIONS = 24 + 4 + MAX_COMMENT_BYTES

export interface PcapngWriterOptions {
  /** Written into the header. */
  application?: string
  /** Bytes that may wait for take(). Default 8 MiB. */
  limitBytes?: number
}

export interface PacketFields {
  /** What addInterface() returned. */
  interfaceId: number
  /** Since 1970. */
  seconds: number
  nanos: number
  /** Bytes recorded, at most SNAP_LENGTH. */
  capturedLength: number
  /** Bytes that the packet had. */
  originalLength: number
  direction: Direction
  /** '' for none. */
  comment: string
}

export interface NameFields {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array
  readonly name: string
}

export class PcapngWriter {
  readonly limitBytes: number
  /** The memory that packet() returns an offset into. Replaced as it grows: read it anew after each call. */
  bytes = new Uint8Array(INITIAL_BYTES)
  /** Packets, comments, names and secrets left out since nobody drained. */
  droppedRecords = 0
  /** Packets recorded. After packet() it is that packet's number in the capture, from 1 as tshark counts: what addComment() takes. */
  packets = 0
  /** Set once by the owner: there is something to take. It is called inside packet(), so take later, not in it. */
  onPending: (() => void) | null = null
  private view = new DataView(this.bytes.buffer)
  private spare = new Uint8Array(INITIAL_BYTES)
  private spareView = new DataView(this.spare.buffer)
  private used = 0
  /** `packets` when the bytes were taken last. */
  private takenPackets = 0
  private signalled = false
  /** Per interface: packets left out since the last one that was written. */
  private readonly lost: number[] = []

  constructor(options: PcapngWriterOptions = {}) {
    this.limitBytes = options.limitBytes ?? DEFAULT_LIMIT_BYTES
    this.writeSection(options.application ?? 'hourglass')
  }

  /** Bytes that wait for take(). */
  get pendingBytes(): number {
    return this.used
  }

  /** All that was written since the last call, in order. Valid until the next call; whole blocks only. */
  take(): Uint8Array<ArrayBuffer> {
    const { view } = this
    const chunk = this.takeInPlace()
    const filled = this.bytes
    this.bytes = this.spare
    this.view = this.spareView
    this.spare = filled
    this.spareView = view
    return chunk
  }

  /** The same, but valid only until anything else is written: for who writes it out at once, while it holds the last take(). */
  takeInPlace(): Uint8Array<ArrayBuffer> {
    const chunk = this.bytes.subarray(0, this.used)
    this.takenPackets = this.packets
    this.used = 0
    this.signalled = false
    return chunk
  }

  /** Describes a device and returns its number for packet(); -1 when there are MAX_INTERFACES. */
  addInterface(name: string, linkType: number, description = ''): number {
    if (this.lost.length === MAX_INTERFACES) return -1
    // Packets refer to it, so it is written whatever the limit says.
    this.grow(BLOCK_OVERHEAD + 8 + 2 * (4 + MAX_NAME_BYTES + 1) + 12)
    const at = this.begin(INTERFACE_DESCRIPTION)
    this.view.setUint16(this.used, linkType, true)
    this.view.setUint16(this.used + 2, 0, true)
    this.view.setUint32(this.used + 4, SNAP_LENGTH, true)
    this.used += 8
    this.textOption(OPTION_NAME, name, MAX_NAME_BYTES)
    this.textOption(OPTION_DESCRIPTION, description, MAX_NAME_BYTES)
    this.optionHeader(OPTION_TIME_RESOLUTION, 1)
    this.view.setUint32(this.used, NANOSECONDS, true)
    this.used += 4
    this.optionHeader(OPTION_END, 0)
    this.end(at)
    this.lost.push(0)
    return this.lost.length - 1
  }

  /**
   * Records a packet, all but its bytes: returns where in `bytes` the caller puts `capturedLength` of them, before
   * anything else is written. -1: left out, as the limit is reached, and counted.
   */
  packet(fields: PacketFields): number {
    const { interfaceId, capturedLength, seconds } = fields
    assert(interfaceId >= -1 && interfaceId < this.lost.length, 'an interface that was not added')
    assert(capturedLength <= SNAP_LENGTH && seconds >= 0, 'a packet out of range')
    const size = padded(capturedLength)
    if (interfaceId < 0 || !this.reserve(PACKET_HEADER + size + PACKET_OPTIONS + 4)) {
      this.droppedRecords++
      if (interfaceId >= 0) this.lost[interfaceId]!++
      return -1
    }
    const at = this.begin(ENHANCED_PACKET)
    this.packets++
    const { view } = this
    view.setUint32(at + 8, interfaceId, true)
    this.stamp(at + 12, seconds, fields.nanos)
    view.setUint32(at + 20, capturedLength, true)
    view.setUint32(at + 24, fields.originalLength, true)
    const dataAt = at + PACKET_HEADER
    if (size > capturedLength) view.setUint32(dataAt + size - 4, 0, true)
    this.used = dataAt + size
    this.optionHeader(OPTION_FLAGS, 4)
    view.setUint32(this.used, fields.direction === 'in' ? FLAG_INBOUND : FLAG_OUTBOUND, true)
    this.used += 4
    const lost = this.lost[interfaceId]!
    if (lost > 0) {
      this.optionHeader(OPTION_DROP_COUNT, 8)
      view.setUint32(this.used, lost, true)
      view.setUint32(this.used + 4, 0, true)
      this.used += 8
      this.lost[interfaceId] = 0
    }
    this.textOption(OPTION_COMMENT, fields.comment, MAX_COMMENT_BYTES)
    this.optionHeader(OPTION_END, 0)
    this.end(at)
    return dataAt
  }

  /**
   * Adds a comment to a packet already recorded, for what turned out only afterwards. False where it has been taken
   * or there is no room, and counted. The further back the packet, the slower.
   */
  addComment(packetNumber: number, comment: string): boolean {
    assert(packetNumber > 0 && packetNumber <= this.packets, 'a packet that was not recorded')
    // Twice the room: behind the last record the option is written first, then moved to its place.
    if (packetNumber <= this.takenPackets || !this.reserve(2 * (4 + MAX_COMMENT_BYTES))) {
      this.droppedRecords++
      return false
    }
    const at = this.findPacket(packetNumber)
    const length = this.view.getUint32(at + 4, true)
    // Before the end of the options and the block's second length.
    const insertAt = at + length - 8
    const scratchAt = this.used
    this.textOption(OPTION_COMMENT, comment, MAX_COMMENT_BYTES)
    const size = this.used - scratchAt
    this.used = scratchAt
    if (size === 0) return true
    this.bytes.copyWithin(insertAt + size, insertAt, scratchAt)
    this.used = insertAt
    this.textOption(OPTION_COMMENT, comment, MAX_COMMENT_BYTES)
    this.used = scratchAt + size
    this.view.setUint32(at + 4, length + size, true)
    this.view.setUint32(at + length + size - 4, length + size, true)
    return true
  }

  /** Writes names of addresses, for readers to show. False: left out and counted, as the limit is reached. */
  addNames(names: readonly NameFields[]): boolean {
    if (!this.reserveOrCount(BLOCK_OVERHEAD + 4 + names.length * (4 + 16 + MAX_NAME_BYTES + 1 + 3))) return false
    const at = this.begin(NAME_RESOLUTION)
    for (const { address, name } of names) {
      assert(address.length === 4 || address.length === 16, 'an address of 4 or 16 bytes')
      const recordAt = this.used
      this.bytes.set(address, recordAt + 4)
      const nameAt = recordAt + 4 + address.length
      const length = address.length + writeUtf8(this.bytes, nameAt, name, MAX_NAME_BYTES) + 1
      this.clear(nameAt + length - address.length - 1, recordAt + 4 + padded(length))
      this.optionHeader(address.length === 4 ? NAME_IPV4 : NAME_IPV6, length)
      this.used += padded(length)
    }
    this.optionHeader(NAME_END, 0)
    this.end(at)
    return true
  }

  /** Writes a TLS key log, lines as in SSLKEYLOGFILE, ahead of the packets that need it. False: left out and counted. */
  addTlsKeys(keyLog: string): boolean {
    const limit = keyLog.length * 3
    if (!this.reserveOrCount(BLOCK_OVERHEAD + 8 + padded(limit))) return false
    const at = this.begin(DECRYPTION_SECRETS)
    const length = writeUtf8(this.bytes, at + 16, keyLog, limit)
    this.view.setUint32(at + 8, SECRETS_TLS_KEYS, true)
    this.view.setUint32(at + 12, length, true)
    this.used = at + 16 + padded(length)
    this.clear(at + 16 + length, this.used)
    this.end(at)
    return true
  }

  /** Where the packet's block begins. Backwards, over the second length of each block. */
  private findPacket(packetNumber: number): number {
    let at = this.used
    for (let number = this.packets + 1; number > packetNumber; ) {
      at -= this.view.getUint32(at - 4, true)
      if (this.view.getUint32(at, true) === ENHANCED_PACKET) number--
    }
    return at
  }

  private writeSection(application: string): void {
    const at = this.begin(SECTION_HEADER)
    this.view.setUint32(at + 8, BYTE_ORDER_MAGIC, true)
    this.view.setUint16(at + 12, 1, true)
    this.view.setUint16(at + 14, 0, true)
    // The section's length: not known.
    this.view.setInt32(at + 16, -1, true)
    this.view.setInt32(at + 20, -1, true)
    this.used = at + 24
    this.textOption(OPTION_APPLICATION, application, MAX_NAME_BYTES)
    this.optionHeader(OPTION_END, 0)
    this.end(at)
  }

  /** Writes type and returns where the block begins; there must be room for all of it. */
  private begin(type: number): number {
    const at = this.used
    this.view.setUint32(at, type, true)
    this.used = at + 8
    return at
  }

  private end(at: number): void {
    const length = this.used + 4 - at
    this.view.setUint32(at + 4, length, true)
    this.view.setUint32(this.used, length, true)
    this.used += 4
    if (this.signalled) return
    this.signalled = true
    if (this.onPending !== null) this.onPending()
  }

  private optionHeader(code: number, length: number): void {
    this.view.setUint16(this.used, code, true)
    this.view.setUint16(this.used + 2, length, true)
    this.used += 4
  }

  /** Nothing for ''. */
  private textOption(code: number, text: string, limit: number): void {
    if (text === '') return
    const length = writeUtf8(this.bytes, this.used + 4, text, limit)
    this.optionHeader(code, length)
    this.clear(this.used + length, this.used + padded(length))
    this.used += padded(length)
  }

  private clear(from: number, to: number): void {
    for (let at = from; at < to; at++) this.bytes[at] = 0
  }

  /** seconds * 10^9 + nanos as two words, the high one first: 2^16 seconds at a time, so that no step leaves 53 bits. */
  private stamp(at: number, seconds: number, nanos: number): void {
    const upper = Math.floor(seconds / 0x1_0000) * 1_000_000_000
    const lower = (upper % 0x1_0000) * 0x1_0000 + (seconds % 0x1_0000) * 1_000_000_000 + nanos
    this.view.setUint32(at, Math.floor(upper / 0x1_0000) + Math.floor(lower / 0x1_0000_0000), true)
    this.view.setUint32(at + 4, lower % 0x1_0000_0000, true)
  }

  private reserveOrCount(size: number): boolean {
    if (this.reserve(size)) return true
    this.droppedRecords++
    return false
  }

  private reserve(size: number): boolean {
    if (this.used + size > this.limitBytes) return false
    this.grow(size)
    return true
  }

  private grow(size: number): void {
    const needed = this.used + size
    if (needed <= this.bytes.length) return
    let capacity = this.bytes.length
    while (capacity < needed) capacity *= 2
    const larger = new Uint8Array(capacity)
    larger.set(this.bytes)
    this.bytes = larger
    this.view = new DataView(larger.buffer)
  }
}
