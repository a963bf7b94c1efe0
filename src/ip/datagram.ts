// One datagram that is being put together from its fragments. reassembly.ts keeps them, and decides what they may
// cost; this file knows how pieces fit. Fragments are kept as they came, one page each, until their pages cost more
// than one large page: then all payload moves into such a page, where each further fragment is copied to its place.
// So an unfinished datagram costs one large page and a small one at most, however small its fragments are.

import { assert } from '../assert.ts'
import { Packet } from '../buf/packet.ts'
import { LARGE_PAGE, type PagePool } from '../buf/page.ts'
import { type Micros, NEVER } from '../time.ts'
import type { IpAddress } from '../wire/address.ts'
import type { Aged } from './age-list.ts'

/** The most payload that a datagram can have. */
export const MAX_PAYLOAD = 65_535
/** Where payload begins in a large page: headers stand before it. A multiple of 4. */
const PAYLOAD_AT = 2_048
/** The longest chain of headers that stands before the payload; the rest is headroom for what is sent in answer. */
export const MAX_HEADERS = PAYLOAD_AT - 256

/** What reassembly needs to know of one fragment. */
export interface FragmentInfo {
  source: IpAddress
  destination: IpAddress
  /** 0 for IPv6, whose datagrams are told apart by addresses and identification alone. */
  protocol: number
  identification: number
  /** In bytes. */
  offset: number
  more: boolean
}

/** Where a fragment belongs: an index, or why it has no place. */
export type Place = number | 'duplicate' | 'overlap'

interface Piece {
  readonly offset: number
  readonly end: number
  /** Null where its payload lies in the datagram's own page. */
  packet: Packet | null
}

export class Datagram implements Aged<Datagram> {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  readonly identification: number
  /** In order of their offsets, never overlapping. */
  private readonly pieces: Piece[] = []
  /** The large page; null while fragments are kept as they came. */
  private whole: Packet | null = null
  /** The headers of the first fragment are in the large page. */
  private hasHeaders = false
  /** Payload bytes here so far. */
  private bytes = 0
  /** Payload bytes in all; -1 until the last fragment came. */
  private total = -1
  /** Bytes of the pages it holds. */
  chargedBytes = 0
  /** An overlap was seen: what comes is dropped until the time-out. */
  poisoned = false
  deadlineAt: Micros = NEVER
  older: Datagram | null = null
  newer: Datagram | null = null
  listed = false

  constructor(info: FragmentInfo) {
    this.source = info.source
    this.destination = info.destination
    this.protocol = info.protocol
    this.identification = info.identification
  }

  matches(info: FragmentInfo): boolean {
    return (
      this.identification === info.identification &&
      this.protocol === info.protocol &&
      this.destination.equals(info.destination)
    )
  }

  /** Fragments here so far. */
  get fragments(): number {
    return this.pieces.length
  }

  get isComplete(): boolean {
    return this.total === this.bytes
  }

  /** The first fragment, or all there is behind its headers; null: it did not come. It stays the datagram's. */
  get first(): Packet | null {
    const [first] = this.pieces
    if (first === undefined || first.offset > 0) return null
    return first.packet ?? this.whole
  }

  /** Where the bytes [offset, end) belong. Anything that is neither new nor an exact repetition is an overlap. */
  placeOf(offset: number, end: number, more: boolean): Place {
    const { pieces, total } = this
    const last = pieces.length > 0 ? pieces[pieces.length - 1]!.end : 0
    if (more ? total >= 0 && end > total : (total >= 0 && total !== end) || last > end) return 'overlap'
    let low = 0
    let high = pieces.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (pieces[middle]!.offset < offset) low = middle + 1
      else high = middle
    }
    const before = low > 0 ? pieces[low - 1]! : null
    const behind = low < pieces.length ? pieces[low]! : null
    // A repetition must agree on whether it is the last, too.
    const isLast = total >= 0 && end === total
    if (behind !== null && behind.offset === offset && behind.end === end) {
      return more === isLast ? 'overlap' : 'duplicate'
    }
    if ((before !== null && before.end > offset) || (behind !== null && behind.offset < end)) return 'overlap'
    return low
  }

  /** Bytes of pages that it will hold with this packet in it. */
  costWith(packet: Packet): number {
    return Math.min(this.chargedBytes + packet.chargedBytes, LARGE_PAGE)
  }

  /** Puts the payload of the packet in its place and consumes it. False: the pool is empty, and the packet is the caller's. */
  put(index: number, offset: number, more: boolean, packet: Packet, pool: PagePool): boolean {
    const end = offset + packet.length
    const piece: Piece = { offset, end, packet }
    if (this.whole === null && this.chargedBytes + packet.chargedBytes > LARGE_PAGE) {
      if (!this.gather(pool)) return false
    }
    this.pieces.splice(index, 0, piece)
    this.bytes += packet.length
    if (!more) this.total = end
    if (this.whole === null) this.chargedBytes += packet.chargedBytes
    else this.move(piece, this.whole)
    return true
  }

  /** The datagram: headers as in the first fragment, all the payload behind. Nothing is left. */
  take(): Packet {
    const { whole, total } = this
    assert(this.isComplete && this.first !== null, 'complete without a beginning')
    if (whole !== null) {
      whole.tail = whole.data + total
      this.whole = null
      this.forget()
      return whole
    }
    const [first, ...rest] = this.pieces.map(({ packet }) => packet!)
    for (const packet of rest) first!.append(packet)
    first!.checksum = 'unchecked'
    this.forget()
    return first!
  }

  /** Gives all pages back. */
  release(): void {
    for (const { packet } of this.pieces) packet?.release()
    this.whole?.release()
    this.whole = null
    this.forget()
  }

  private forget(): void {
    this.pieces.length = 0
    this.bytes = 0
    this.total = -1
    this.chargedBytes = 0
    this.hasHeaders = false
  }

  /** Moves everything into one large page. False: there is none, and nothing changed. */
  private gather(pool: PagePool): boolean {
    const page = pool.take(LARGE_PAGE)
    if (page === null) return false
    const whole = new Packet(page, PAYLOAD_AT, PAYLOAD_AT)
    this.whole = whole
    this.chargedBytes = LARGE_PAGE
    for (const piece of this.pieces) this.move(piece, whole)
    return true
  }

  private move(piece: Piece, whole: Packet): void {
    const packet = piece.packet!
    const { bytes } = whole.page
    packet.copyTo(0, packet.length, bytes, PAYLOAD_AT + piece.offset)
    if (piece.offset === 0 && !this.hasHeaders) {
      const length = packet.data - packet.networkAt
      packet.page.copyTo(packet.networkAt, length, bytes, PAYLOAD_AT - length)
      whole.networkAt = PAYLOAD_AT - length
      whole.interfaceIndex = packet.interfaceIndex
      whole.linkCast = packet.linkCast
      // What stands there can be quoted when the rest does not come.
      whole.tail = PAYLOAD_AT + packet.length
      this.hasHeaders = true
    }
    packet.release()
    piece.packet = null
  }
}
