// Reads captures: pcapng (draft-ietf-opsawg-pcapng) in either byte order, and the older pcap in its four
// forms. Bytes come in as they are there (push), items go out (next), each holding views of the reader's own
// memory. What is malformed ends the reading with one `error` item; nothing throws, nothing is kept beyond
// one block.

import { assert } from '../assert.ts'
import type { CaptureItem, ErrorItem, InterfaceItem, PacketItem } from './capture-item.ts'
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
  OPTION_TIME_OFFSET,
  OPTION_TIME_RESOLUTION,
  PCAP_MICROS_MAGIC,
  PCAP_NANOS_MAGIC,
  padded,
  SECTION_HEADER,
  SIMPLE_PACKET,
} from './pcapng-format.ts'

/** A longer block is refused: what wireshark writes stays far below. */
export const MAX_BLOCK_BYTES = 16 * 1_024 * 1_024
/** A section that describes more interfaces is refused. */
export const MAX_SECTION_INTERFACES = 65_536

interface Option {
  readonly code: number
  readonly at: number
  readonly length: number
}

const BILLION = 1_000_000_000n
const decoder = new TextDecoder('utf-8')

export class CaptureReader {
  private buffer = new Uint8Array(64 * 1_024)
  private view = new DataView(this.buffer.buffer)
  /** The unread bytes of `buffer`, and where in the capture the first lies. */
  private at = 0
  private filled = 0
  private consumed = 0
  private ended = false
  private failed = false
  private format: 'unknown' | 'pcapng' | 'pcap' = 'unknown'
  private little = true
  private interfaces: InterfaceItem[] = []

  /** Takes the next bytes of the capture. Ask next() until it returns null before pushing more: that keeps memory bounded. */
  push(chunk: Uint8Array): void {
    assert(!this.ended, 'push after end')
    if (this.failed) return
    const unread = this.filled - this.at
    if (unread + chunk.length > this.buffer.length) {
      let capacity = this.buffer.length
      while (capacity < unread + chunk.length) capacity *= 2
      const larger = new Uint8Array(capacity)
      larger.set(this.buffer.subarray(this.at, this.filled))
      this.buffer = larger
      this.view = new DataView(larger.buffer)
    } else this.buffer.copyWithin(0, this.at, this.filled)
    this.at = 0
    this.buffer.set(chunk, unread)
    this.filled = unread + chunk.length
  }

  /** No more bytes will come. */
  end(): void {
    this.ended = true
  }

  /** The next item; null: push() more, or after end() and after an error, there is no more. */
  next(): CaptureItem | null {
    while (!this.failed) {
      const unread = this.filled - this.at
      if (this.format === 'unknown' && unread >= 4) {
        const item = this.begin()
        if (item !== null) return item
      }
      if (this.format === 'pcap') return this.pcapRecord()
      const length = this.format === 'unknown' ? 0 : this.blockLength()
      if (this.failed) return this.fail('a block whose stated length cannot be')
      if (length === 0) return this.starved()
      const item = this.block(length)
      this.consume(length)
      if (item !== null) return item
    }
    return null
  }

  private begin(): CaptureItem | null {
    if (this.view.getUint32(this.at) === SECTION_HEADER) {
      this.format = 'pcapng'
      return null
    }
    this.little = isPcapMagic(this.view.getUint32(this.at, true))
    if (!this.little && !isPcapMagic(this.view.getUint32(this.at))) {
      return this.fail('neither a pcapng nor a pcap capture')
    }
    if (this.filled - this.at < 24) return null
    this.format = 'pcap'
    const nanos = this.u32(this.at) === PCAP_NANOS_MAGIC
    const item: InterfaceItem = {
      kind: 'interface',
      id: 0,
      name: '',
      description: '',
      // The high bits tell of a frame check sequence.
      linkType: this.u32(this.at + 20) & 0xffff,
      snapLength: this.u32(this.at + 16),
      ticksPerSecond: nanos ? BILLION : 1_000_000n,
      offsetSeconds: 0n,
    }
    this.interfaces = [item]
    this.consume(24)
    return item
  }

  private pcapRecord(): CaptureItem | null {
    const { at } = this
    const unread = this.filled - at
    if (unread < 16) return this.starved()
    const length = this.u32(at + 8)
    if (length > MAX_BLOCK_BYTES) return this.fail(`a packet of ${length} bytes`)
    if (unread < 16 + length) return this.starved()
    const device = this.interfaces[0]!
    const fraction = this.u32(at + 4)
    const item: PacketItem = {
      kind: 'packet',
      device,
      stamped: true,
      seconds: this.u32(at),
      nanos: device.ticksPerSecond === BILLION ? fraction : fraction * 1_000,
      bytes: this.buffer.subarray(at + 16, at + 16 + length),
      originalLength: this.u32(at + 12),
      direction: 'unknown',
      comments: [],
      dropCount: 0,
    }
    if (item.nanos >= 1_000_000_000) return this.fail('a stamp with a second or more in its fraction')
    this.consume(16 + length)
    return item
  }

  /** The length of the block that is there whole; 0: more bytes are needed. Sets `failed` where it cannot be. */
  private blockLength(): number {
    const unread = this.filled - this.at
    if (unread < 12) return 0
    const isSection = this.view.getUint32(this.at) === SECTION_HEADER
    if (isSection) {
      this.little = this.view.getUint32(this.at + 8, true) === BYTE_ORDER_MAGIC
      this.failed = !this.little && this.view.getUint32(this.at + 8) !== BYTE_ORDER_MAGIC
    }
    const length = this.u32(this.at + 4)
    if (length < (isSection ? 28 : 12) || length % 4 !== 0 || length > MAX_BLOCK_BYTES) this.failed = true
    if (this.failed || unread < length) return 0
    this.failed = this.u32(this.at + length - 4) !== length
    return this.failed ? 0 : length
  }

  private block(length: number): CaptureItem | null {
    const bodyAt = this.at + 8
    const end = this.at + length - 4
    switch (this.view.getUint32(this.at, this.little)) {
      case SECTION_HEADER:
        return this.section(bodyAt, end)
      case INTERFACE_DESCRIPTION:
        return this.describedInterface(bodyAt, end)
      case ENHANCED_PACKET:
        return this.enhancedPacket(bodyAt, end)
      case SIMPLE_PACKET:
        return this.simplePacket(bodyAt, end)
      case NAME_RESOLUTION:
        return this.names(bodyAt, end)
      case DECRYPTION_SECRETS:
        return this.secrets(bodyAt, end)
      default:
        // Blocks of other kinds are skipped, as the format asks.
        return null
    }
  }

  private section(at: number, end: number): CaptureItem {
    const options = this.options(at + 16, end)
    if (options === null) return this.fail('an option longer than its block')
    if (this.u16(at + 4) !== 1) return this.fail(`version ${this.u16(at + 4)} of the format`)
    this.interfaces = []
    return { kind: 'section', application: this.text(options, OPTION_APPLICATION) }
  }

  private describedInterface(at: number, end: number): CaptureItem {
    const options = end - at < 8 ? null : this.options(at + 8, end)
    if (options === null) return this.fail('a malformed interface description')
    if (this.interfaces.length === MAX_SECTION_INTERFACES) return this.fail('too many interfaces')
    let ticksPerSecond = 1_000_000n
    let offsetSeconds = 0n
    for (const option of options) {
      if (option.code === OPTION_TIME_RESOLUTION && option.length === 1) {
        const code = this.buffer[option.at]!
        ticksPerSecond = (code & 0x80) === 0 ? 10n ** BigInt(code) : 2n ** BigInt(code & 0x7f)
      } else if (option.code === OPTION_TIME_OFFSET && option.length === 8) {
        offsetSeconds = this.view.getBigInt64(option.at, this.little)
      }
    }
    const item: InterfaceItem = {
      kind: 'interface',
      id: this.interfaces.length,
      name: this.text(options, OPTION_NAME),
      description: this.text(options, OPTION_DESCRIPTION),
      linkType: this.u16(at),
      snapLength: this.u32(at + 4),
      ticksPerSecond,
      offsetSeconds,
    }
    this.interfaces.push(item)
    return item
  }

  private enhancedPacket(at: number, end: number): CaptureItem {
    if (end - at < 20) return this.fail('a packet block without its header')
    const device = this.interfaces[this.u32(at)]
    if (device === undefined) return this.fail(`a packet of interface ${this.u32(at)}, which is not described`)
    const length = this.u32(at + 12)
    if (length > end - at - 20) return this.fail('a packet longer than its block')
    const options = this.options(at + 20 + padded(length), end)
    if (options === null) return this.fail('an option longer than its block')
    const ticks = (BigInt(this.u32(at + 4)) << 32n) | BigInt(this.u32(at + 8))
    const comments: string[] = []
    let direction: Direction | 'unknown' = 'unknown'
    let dropCount = 0
    for (const option of options) {
      if (option.code === OPTION_COMMENT) comments.push(this.string(option.at, option.length))
      else if (option.code === OPTION_FLAGS && option.length === 4) {
        const bits = this.u32(option.at) & 3
        direction = bits === FLAG_INBOUND ? 'in' : bits === FLAG_OUTBOUND ? 'out' : 'unknown'
      } else if (option.code === OPTION_DROP_COUNT && option.length === 8) {
        dropCount = Number(this.view.getBigUint64(option.at, this.little))
      }
    }
    return {
      kind: 'packet',
      device,
      stamped: true,
      seconds: Number(ticks / device.ticksPerSecond + device.offsetSeconds),
      nanos: Number(((ticks % device.ticksPerSecond) * BILLION) / device.ticksPerSecond),
      bytes: this.buffer.subarray(at + 20, at + 20 + length),
      originalLength: this.u32(at + 16),
      direction,
      comments,
      dropCount,
    }
  }

  private simplePacket(at: number, end: number): CaptureItem {
    const device = this.interfaces[0]
    if (end - at < 4) return this.fail('a packet block without its header')
    if (device === undefined) return this.fail('a packet of interface 0, which is not described')
    const originalLength = this.u32(at)
    const limit = device.snapLength === 0 ? originalLength : device.snapLength
    const length = Math.min(originalLength, limit)
    if (length > end - at - 4) return this.fail('a packet longer than its block')
    return {
      kind: 'packet',
      device,
      stamped: false,
      seconds: 0,
      nanos: 0,
      bytes: this.buffer.subarray(at + 4, at + 4 + length),
      originalLength,
      direction: 'unknown',
      comments: [],
      dropCount: 0,
    }
  }

  private names(at: number, end: number): CaptureItem {
    const names: { address: Uint8Array; name: string }[] = []
    let record = at
    while (end - record >= 4) {
      const type = this.u16(record)
      const length = this.u16(record + 2)
      if (type === NAME_END) break
      const size = type === NAME_IPV4 ? 4 : type === NAME_IPV6 ? 16 : 0
      if (padded(length) > end - record - 4 || length < size) return this.fail('a malformed name record')
      // One record may give several names, each ended by a zero byte.
      let nameAt = record + 4 + size
      for (let to = nameAt; size > 0 && to < record + 4 + length; to++) {
        if (this.buffer[to] !== 0) continue
        const address = this.buffer.slice(record + 4, record + 4 + size)
        if (to > nameAt) names.push({ address, name: this.string(nameAt, to - nameAt) })
        nameAt = to + 1
      }
      record += 4 + padded(length)
    }
    return { kind: 'names', names }
  }

  private secrets(at: number, end: number): CaptureItem {
    const length = end - at < 8 ? -1 : this.u32(at + 4)
    if (length < 0 || length > end - at - 8) return this.fail('malformed decryption secrets')
    return { kind: 'secrets', secretsType: this.u32(at), bytes: this.buffer.subarray(at + 8, at + 8 + length) }
  }

  /** The options of [at, end); null where one does not fit. The end of the block ends them too. */
  private options(at: number, end: number): Option[] | null {
    const options: Option[] = []
    let from = at
    while (end - from >= 4) {
      const code = this.u16(from)
      const length = this.u16(from + 2)
      if (code === OPTION_END) break
      if (padded(length) > end - from - 4) return null
      options.push({ code, at: from + 4, length })
      from += 4 + padded(length)
    }
    return options
  }

  private text(options: readonly Option[], code: number): string {
    const option = options.find((candidate) => candidate.code === code)
    return option === undefined ? '' : this.string(option.at, option.length)
  }

  private string(at: number, length: number): string {
    return decoder.decode(this.buffer.subarray(at, at + length))
  }

  private u16(at: number): number {
    return this.view.getUint16(at, this.little)
  }

  private u32(at: number): number {
    return this.view.getUint32(at, this.little)
  }

  private consume(length: number): void {
    this.at += length
    this.consumed += length
  }

  /** There is not enough for another item: no matter, unless the capture has ended inside one. */
  private starved(): CaptureItem | null {
    const empty = this.filled === this.at && this.format !== 'unknown'
    if (!this.ended || empty) return null
    return this.fail(this.consumed === 0 ? 'too short for a capture' : 'the capture ends inside a record')
  }

  private fail(what: string): ErrorItem {
    this.failed = true
    return { kind: 'error', at: this.consumed, what }
  }
}

const isPcapMagic = (word: number): boolean => word === PCAP_MICROS_MAGIC || word === PCAP_NANOS_MAGIC

/** All items of a capture that is in memory whole. */
export function* readCapture(capture: Uint8Array): Generator<CaptureItem> {
  const reader = new CaptureReader()
  reader.push(capture)
  reader.end()
  for (let item = reader.next(); item !== null; item = reader.next()) yield item
}
