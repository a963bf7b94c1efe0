// A packet is offsets into a pooled page, plus fragments of other pages. It has one owner at a time: who
// receives it forwards it, queues it or releases it.
//
//   page:  0 ........ data ============ tail ........ size     fragments: [(page, offset, length), ...]
//          headroom          linear part       tailroom        length = tail - data + sum(fragments)
//
// Headers grow downwards: push() takes headroom, pull() gives it back as layers are consumed. A page that
// others hold too (a clone, a slice) is read-only; push() and put() assert it, unshare() mends it.

import { assert } from '../assert.ts'
import { LARGE_PAGE, type Page, type PagePool, SMALL_PAGE } from './page.ts'

/**
 * Bytes kept before the data of a packet that we build: virtio-net 12, Ethernet 14 and 802.1Q 4, IPv6 40 with
 * a fragment header 8, TCP with options 60. A multiple of 4, so that each IP header starts on a 4-byte boundary.
 */
export const HEADROOM = 144

/** Bytes kept before a frame read from a device: 64, and 2 more so that what follows 14 bytes of Ethernet is aligned. */
export const RECEIVE_HEADROOM = 66

/**
 * What is known of the transport checksum. unchecked: nothing. partial: it holds the pseudo-header's sum only,
 * and whoever sends it on completes it from checksumStart. complete: it is on the packet. verified: a device or
 * an earlier look found it right.
 */
export type ChecksumState = 'unchecked' | 'partial' | 'complete' | 'verified'

/** How the frame was addressed, as the link saw it. */
export type LinkCast = 'host' | 'broadcast' | 'multicast' | 'other'

/** What kind of super-segment this is; 'none' for an ordinary packet. */
export type SegmentKind = 'none' | 'tcp4' | 'tcp6' | 'udp'

export interface Fragment {
  readonly page: Page
  readonly offset: number
  readonly length: number
}

const NO_FRAGMENTS: Fragment[] = []

export class Packet {
  page: Page
  data: number
  tail: number
  fragments: Fragment[] = NO_FRAGMENTS
  fragmentBytes = 0
  /** The next packet of the queue that owns this one. */
  next: Packet | null = null

  /** Offsets of headers within `page`, written by the layer that parsed or pushed them; -1 before. */
  networkAt = -1
  transportAt = -1

  checksum: ChecksumState = 'unchecked'
  /** partial: where the sum begins, and where the checksum field is, both as offsets in `page`. */
  checksumStart = 0
  checksumField = 0
  /** Payload bytes of each segment that this super-segment is to be cut into; 0: it is one segment. */
  segmentBytes = 0
  segmentKind: SegmentKind = 'none'

  /** The interface it came in by, by its index; 0: made here. */
  interfaceIndex = 0
  linkCast: LinkCast = 'host'
  /** Why it was sent or dropped, for captures and traces; '' when there is nothing to say. */
  note = ''

  constructor(page: Page, data: number, tail: number) {
    this.page = page
    this.data = data
    this.tail = tail
  }

  /** A packet with no data yet and the given headroom, in a page that holds `capacity` bytes after it; null: the pool is empty. */
  static allocate(pool: PagePool, capacity: number, headroom = HEADROOM): Packet | null {
    const page = pool.take(headroom + capacity)
    return page === null ? null : new Packet(page, headroom, headroom)
  }

  /** A packet holding a copy of `bytes`; null: the pool is empty. */
  static from(pool: PagePool, bytes: Uint8Array, headroom = HEADROOM): Packet | null {
    const packet = Packet.allocate(pool, bytes.length, headroom)
    if (packet !== null) packet.page.bytes.set(bytes, packet.put(bytes.length))
    return packet
  }

  /** Bytes of the whole packet. */
  get length(): number {
    return this.tail - this.data + this.fragmentBytes
  }

  /** Bytes in the linear part. */
  get headLength(): number {
    return this.tail - this.data
  }

  /**
   * What a queue charges for it: its own page whole, and of pages that it shares with others as many small pages as
   * its part would fill.
   */
  get chargedBytes(): number {
    let sum = this.page.size
    for (const { length } of this.fragments) sum += Math.ceil(length / SMALL_PAGE) * SMALL_PAGE
    return sum
  }

  /** Grows the packet by n bytes at the front and returns the offset of the first. */
  push(n: number): number {
    assert(n <= this.data, 'no headroom')
    assert(this.page.references === 1, 'push into a shared page')
    this.data -= n
    return this.data
  }

  /** Removes n bytes of the linear part from the front and returns the offset of the new first byte. */
  pull(n: number): number {
    assert(n <= this.tail - this.data, 'pull beyond the linear part')
    this.data += n
    return this.data
  }

  /** Gives the packet back what was pulled since its data began at offset `at`. */
  rewind(at: number): void {
    assert(at >= 0 && at <= this.data, 'rewind to where no header was')
    this.data = at
  }

  /** Grows the linear part by n bytes at the end and returns the offset of the first new one. */
  put(n: number): number {
    assert(this.fragmentBytes === 0, 'put behind fragments')
    assert(this.tail + n <= this.page.size, 'no tailroom')
    assert(this.page.references === 1, 'put into a shared page')
    const at = this.tail
    this.tail += n
    return at
  }

  /** Shortens the whole packet to `length` bytes. */
  trim(length: number): void {
    assert(length <= this.length, 'trim to more than there is')
    const head = this.tail - this.data
    if (length <= head) {
      this.tail = this.data + length
      for (const fragment of this.fragments) fragment.page.release()
      this.fragments = NO_FRAGMENTS
      this.fragmentBytes = 0
      return
    }
    const kept: Fragment[] = []
    let left = length - head
    this.fragmentBytes = left
    for (const fragment of this.fragments) {
      if (left === 0) fragment.page.release()
      else if (fragment.length <= left) kept.push(fragment)
      else kept.push({ page: fragment.page, offset: fragment.offset, length: left })
      left -= Math.min(left, fragment.length)
    }
    this.fragments = kept
  }

  /** Forgets the first n bytes, wherever they lie; pages that hold nothing more of it go. */
  dropFront(n: number): void {
    assert(n <= this.length, 'drop of more than there is')
    const linear = Math.min(n, this.tail - this.data)
    this.data += linear
    if (n > linear) this.dropFragmentBytes(n - linear)
  }

  /** Appends `length` bytes of `page` without copying; the packet takes a reference of its own. */
  addFragment(page: Page, offset: number, length: number): void {
    assert(offset >= 0 && length > 0 && offset + length <= page.size, 'a fragment outside its page')
    page.retain()
    if (this.fragments === NO_FRAGMENTS) this.fragments = []
    this.fragments.push({ page, offset, length })
    this.fragmentBytes += length
  }

  /** Moves the whole content of `other` behind this one's; `other` is consumed. Its headers must have been pulled. */
  append(other: Packet): void {
    if (other.tail > other.data) this.addFragment(other.page, other.data, other.tail - other.data)
    for (const fragment of other.fragments) this.addFragment(fragment.page, fragment.offset, fragment.length)
    other.release()
  }

  /** A second packet over the same pages. Both are read-only until unshare(). */
  clone(): Packet {
    this.page.retain()
    const twin = new Packet(this.page, this.data, this.tail)
    for (const fragment of this.fragments) twin.addFragment(fragment.page, fragment.offset, fragment.length)
    twin.networkAt = this.networkAt
    twin.transportAt = this.transportAt
    twin.checksumStart = this.checksumStart
    twin.checksumField = this.checksumField
    twin.describeLike(this)
    return twin
  }

  /** A packet of its own pages with the same bytes, linear, the same headroom; null: the pool is empty. */
  copy(pool: PagePool): Packet | null {
    const length = this.length
    const page = pool.take(Math.min(this.data + length, LARGE_PAGE))
    if (page === null) return null
    // A packet longer than what fits behind its headroom keeps less of it, still 4-byte congruent.
    let data = this.data
    while (data + length > page.size) data -= 4
    assert(data >= 0, 'a packet longer than the largest page')
    const twin = new Packet(page, data, data + length)
    const shift = data - this.data
    // Consumed headers below data stay readable: they are copied too.
    this.page.copyTo(-shift, data, page.bytes, 0)
    this.copyTo(0, length, page.bytes, data)
    twin.networkAt = this.networkAt < 0 ? -1 : this.networkAt + shift
    twin.transportAt = this.transportAt < 0 ? -1 : this.transportAt + shift
    twin.checksumStart = this.checksumStart + shift
    twin.checksumField = this.checksumField + shift
    twin.describeLike(this)
    return twin
  }

  /** A new packet with `headroom`, holding bytes [at, at + length) of this one as fragments of the same pages; null: the pool is empty. */
  slice(pool: PagePool, at: number, length: number, headroom = HEADROOM): Packet | null {
    assert(at >= 0 && at + length <= this.length, 'a slice outside the packet')
    const part = Packet.allocate(pool, SMALL_PAGE - headroom, headroom)
    if (part === null) return null
    this.share(part, at, length)
    part.note = this.note
    return part
  }

  /** Appends bytes [at, at + length) of this packet to `target` as fragments of the same pages. */
  share(target: Packet, at: number, length: number): void {
    let skip = at
    let left = length
    const head = this.tail - this.data
    if (skip < head && left > 0) {
      const run = Math.min(left, head - skip)
      target.addFragment(this.page, this.data + skip, run)
      left -= run
      skip = 0
    } else skip -= head
    for (const fragment of this.fragments) {
      if (left === 0) return
      if (skip >= fragment.length) {
        skip -= fragment.length
        continue
      }
      const run = Math.min(left, fragment.length - skip)
      target.addFragment(fragment.page, fragment.offset + skip, run)
      left -= run
      skip = 0
    }
  }

  /**
   * Makes the first n bytes of the packet linear and returns true; false when the packet is shorter or the pool
   * is empty. Header offsets stay true.
   */
  linearize(n: number): boolean {
    const head = this.tail - this.data
    if (n <= head) return true
    if (n > this.length) return false
    const missing = n - head
    if (this.page.references > 1 || this.tail + missing > this.page.size) {
      if (!this.moveHead(n)) return false
    }
    this.copyTo(head, missing, this.page.bytes, this.tail)
    this.tail += missing
    this.dropFragmentBytes(missing)
    return true
  }

  /** Makes the linear part this packet's own, so that it may be written; false: the pool is empty. */
  unshare(): boolean {
    return this.page.references === 1 || this.moveHead(this.tail - this.data)
  }

  /** Copies bytes [at, at + length) of the packet to `target`. */
  copyTo(at: number, length: number, target: Uint8Array, targetAt: number): void {
    assert(at >= 0 && at + length <= this.length, 'copy of more than there is')
    let skip = at
    let left = length
    let to = targetAt
    const head = this.tail - this.data
    if (skip < head) {
      const run = Math.min(left, head - skip)
      this.page.copyTo(this.data + skip, run, target, to)
      to += run
      left -= run
      skip = 0
    } else skip -= head
    for (const { page, offset, length: size } of this.fragments) {
      if (left === 0) return
      if (skip >= size) {
        skip -= size
        continue
      }
      const run = Math.min(left, size - skip)
      page.copyTo(offset + skip, run, target, to)
      to += run
      left -= run
      skip = 0
    }
  }

  /** The whole packet as an array of its own: for tests, captures and errors, not for the data path. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.length)
    this.copyTo(0, bytes.length, bytes, 0)
    return bytes
  }

  /** Gives all pages back. The packet must not be used afterwards. */
  release(): void {
    assert(this.next === null, 'a queued packet was released')
    assert(this.data >= 0, 'a packet was released twice')
    this.data = -1
    this.tail = -1
    this.page.release()
    for (const fragment of this.fragments) fragment.page.release()
    this.fragments = NO_FRAGMENTS
    this.fragmentBytes = 0
  }

  private describeLike(other: Packet): void {
    this.checksum = other.checksum
    this.segmentBytes = other.segmentBytes
    this.segmentKind = other.segmentKind
    this.interfaceIndex = other.interfaceIndex
    this.linkCast = other.linkCast
    this.note = other.note
  }

  /** Moves headers and linear part to a page of their own with room for n linear bytes, offsets unchanged where they fit. */
  private moveHead(n: number): boolean {
    const wanted = this.data + n
    const page = this.page.pool.take(Math.min(wanted, LARGE_PAGE))
    if (page === null) return false
    let shift = 0
    while (wanted + shift > page.size) shift -= 4
    assert(this.data + shift >= 0, 'more linear bytes than the largest page holds')
    // Consumed headers below data stay readable: they are copied too.
    const from = Math.max(0, -shift)
    this.page.copyTo(from, this.tail - from, page.bytes, from + shift)
    this.page.release()
    this.page = page
    this.data += shift
    this.tail += shift
    if (this.networkAt >= 0) this.networkAt += shift
    if (this.transportAt >= 0) this.transportAt += shift
    this.checksumStart += shift
    this.checksumField += shift
    return true
  }

  /** Forgets the first n bytes of the fragments. */
  private dropFragmentBytes(n: number): void {
    let skip = n
    const kept: Fragment[] = []
    for (const fragment of this.fragments) {
      if (skip >= fragment.length) {
        skip -= fragment.length
        fragment.page.release()
      } else if (skip > 0) {
        kept.push({ page: fragment.page, offset: fragment.offset + skip, length: fragment.length - skip })
        skip = 0
      } else kept.push(fragment)
    }
    this.fragments = kept.length === 0 ? NO_FRAGMENTS : kept
    this.fragmentBytes -= n
  }
}

/**
 * Copies up to `limit` bytes of the packet to `target`, beginning at the offset `from` of its page, where a header
 * was pulled, and returns how many.
 */
export function copyHead(packet: Packet, from: number, limit: number, target: Uint8Array, targetAt: number): number {
  const linear = Math.min(limit, packet.tail - from)
  packet.page.copyTo(from, linear, target, targetAt)
  const rest = Math.min(limit - linear, packet.fragmentBytes)
  if (rest > 0) packet.copyTo(packet.headLength, rest, target, targetAt + linear)
  return linear + rest
}
