// Putting fragments together again (RFC 791, RFC 8200 §4.5), for both families. Bounded per host and per source;
// a datagram whose fragments overlap is dropped whole (RFC 5722, RFC 8200; the same policy for IPv4, whose
// overlaps only attackers send), and so are its later fragments until it times out. An exact repetition of a
// fragment is dropped alone.

import { assert } from '../assert.ts'
import type { Packet } from '../buf/packet.ts'
import type { Counters, Drop } from '../counters.ts'
import { after, type Machine, type Micros, NEVER, seconds } from '../time.ts'
import { DeadlineHeap } from '../timers.ts'
import type { IpAddress } from '../wire/address.ts'
import { AddressTable } from './address-table.ts'

/** RFC 8200 §4.5 says 60 seconds, RFC 1122 §3.3.2 between 60 and 120 for IPv4; Linux takes 30 for IPv4. */
export const REASSEMBLY_TIMEOUT4 = seconds(30)
export const REASSEMBLY_TIMEOUT6 = seconds(60)
/** Page bytes held by unfinished datagrams, of all sources together and of one. */
export const REASSEMBLY_BYTES = 4 * 1_024 * 1_024
export const REASSEMBLY_BYTES_PER_SOURCE = 1_024 * 1_024
/** Fragments of one datagram: 64 KiB in pieces of 296 bytes. */
export const FRAGMENTS_PER_DATAGRAM = 256
/** Unfinished datagrams of one source. */
export const DATAGRAMS_PER_SOURCE = 64
const MAX_PAYLOAD = 65_535

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

interface Piece {
  readonly offset: number
  readonly end: number
  readonly packet: Packet
}

class Datagram {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  readonly identification: number
  /** In order of their offsets, never overlapping. */
  readonly pieces: Piece[] = []
  /** Payload bytes here so far. */
  bytes = 0
  /** Payload bytes in all; -1 until the last fragment came. */
  total = -1
  chargedBytes = 0
  /** An overlap was seen: what comes is dropped until the time-out. */
  poisoned = false
  deadlineAt: Micros = NEVER
  scheduledAt: Micros = NEVER
  done = false

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
}

interface Source {
  readonly address: IpAddress
  readonly datagrams: Datagram[]
  chargedBytes: number
}

/** The outcome of one fragment: the whole datagram, or nothing yet (kept, or dropped and counted). */
export type Reassembled = Packet | null

export class Reassembly implements Machine {
  private readonly sources = new AddressTable<Source>()
  private readonly heap = new DeadlineHeap<Datagram>()
  private readonly counters: Counters
  /** Called with the first fragment of a datagram that timed out; it stays the caller's. */
  onTimeout: ((first: Packet, now: Micros) => void) | null = null
  private chargedBytes = 0

  constructor(counters: Counters) {
    this.counters = counters
  }

  /** Unfinished datagrams, for display and tests. */
  get pending(): number {
    let count = 0
    for (const source of this.sources.values()) count += source.datagrams.length
    return count
  }

  /**
   * Takes a fragment whose data begins at its payload, networkAt at its IP header. Consumes it. Returns the whole
   * datagram once complete: the first fragment's packet, headers as they were, with all the payload.
   */
  insert(packet: Packet, info: FragmentInfo, now: Micros): Reassembled {
    const length = packet.length
    const end = info.offset + length
    // All but the last carry a multiple of 8 bytes (RFC 8200 §4.5).
    if (length === 0 || (info.more && (length & 7) !== 0)) return this.discard(packet, 'fragmentMalformed')
    if (end > MAX_PAYLOAD) return this.discard(packet, 'fragmentTooLong')
    const source = this.sourceOf(info.source)
    const datagram = this.datagramOf(source, info, now)
    if (datagram === null) return this.discard(packet, 'fragmentLimitSource')
    if (datagram.poisoned) return this.discard(packet, 'fragmentOverlap')
    const charge = packet.chargedBytes
    if (source.chargedBytes + charge > REASSEMBLY_BYTES_PER_SOURCE) {
      return this.refuse(source, datagram, packet, 'fragmentLimitSource')
    }
    if (this.chargedBytes + charge > REASSEMBLY_BYTES) {
      return this.refuse(source, datagram, packet, 'fragmentLimitHost')
    }
    if (!this.place(source, datagram, { offset: info.offset, end, packet }, info.more)) return null
    datagram.chargedBytes += charge
    source.chargedBytes += charge
    this.chargedBytes += charge
    return datagram.total === datagram.bytes ? this.complete(source, datagram) : null
  }

  deadline(): Micros {
    return this.heap.next()
  }

  poll(now: Micros): void {
    for (let due = this.heap.takeDue(now); due !== null; due = this.heap.takeDue(now)) {
      if (due.done) continue
      this.counters.drops.fragmentTimeout += due.pieces.length
      this.countFailure(due, true)
      const first = due.pieces[0]
      if (first !== undefined && first.offset === 0) this.onTimeout?.(first.packet, now)
      this.remove(this.sourceOf(due.source), due)
    }
  }

  /** Forgets everything. */
  clear(): void {
    for (const source of [...this.sources.values()]) {
      for (const datagram of [...source.datagrams]) this.remove(source, datagram)
    }
    assert(this.chargedBytes === 0)
  }

  /** Puts the piece in its place and returns true; else drops it, with the whole datagram where it overlaps. */
  private place(source: Source, datagram: Datagram, piece: Piece, more: boolean): boolean {
    const { pieces } = datagram
    if (pieces.length >= FRAGMENTS_PER_DATAGRAM) {
      this.refuse(source, datagram, piece.packet, 'fragmentTooMany')
      return false
    }
    if (!more) {
      const known = datagram.total
      const beyond = pieces.length > 0 && pieces[pieces.length - 1]!.end > piece.end
      if ((known >= 0 && known !== piece.end) || beyond) return this.poison(source, datagram, piece.packet)
    } else if (datagram.total >= 0 && piece.end > datagram.total) return this.poison(source, datagram, piece.packet)
    let index = pieces.length
    while (index > 0 && pieces[index - 1]!.offset >= piece.offset) index--
    const before = index > 0 ? pieces[index - 1]! : null
    const behind = index < pieces.length ? pieces[index]! : null
    if (behind !== null && behind.offset === piece.offset && behind.end === piece.end) {
      this.discard(piece.packet, 'fragmentDuplicate')
      return false
    }
    if ((before !== null && before.end > piece.offset) || (behind !== null && behind.offset < piece.end)) {
      return this.poison(source, datagram, piece.packet)
    }
    pieces.splice(index, 0, piece)
    datagram.bytes += piece.end - piece.offset
    if (!more) datagram.total = piece.end
    return true
  }

  private complete(source: Source, datagram: Datagram): Packet {
    const [first, ...rest] = datagram.pieces.splice(0)
    assert(first !== undefined && first.offset === 0, 'complete without a beginning')
    for (const piece of rest) first.packet.append(piece.packet)
    this.remove(source, datagram)
    first.packet.checksum = 'unchecked'
    return first.packet
  }

  private poison(source: Source, datagram: Datagram, packet: Packet): false {
    this.counters.drops.fragmentOverlap += datagram.pieces.length
    this.countFailure(datagram, false)
    this.release(source, datagram)
    datagram.poisoned = true
    this.discard(packet, 'fragmentOverlap')
    return false
  }

  /** A limit was met: the datagram cannot become whole, so all of it goes. */
  private refuse(source: Source, datagram: Datagram, packet: Packet, reason: Drop): null {
    this.counters.drops[reason] += datagram.pieces.length
    this.countFailure(datagram, false)
    this.remove(source, datagram)
    return this.discard(packet, reason)
  }

  private sourceOf(address: IpAddress): Source {
    const known = this.sources.get(address)
    if (known !== undefined) return known
    return { address, datagrams: [], chargedBytes: 0 }
  }

  private datagramOf(source: Source, info: FragmentInfo, now: Micros): Datagram | null {
    const known = source.datagrams.find((datagram) => datagram.matches(info))
    if (known !== undefined) return known
    if (source.datagrams.length >= DATAGRAMS_PER_SOURCE || this.sources.size >= SOURCE_LIMIT) return null
    const datagram = new Datagram(info)
    datagram.deadlineAt = after(now, info.source.family === 4 ? REASSEMBLY_TIMEOUT4 : REASSEMBLY_TIMEOUT6)
    this.heap.schedule(datagram)
    source.datagrams.push(datagram)
    this.sources.set(source.address, source)
    return datagram
  }

  private remove(source: Source, datagram: Datagram): void {
    this.release(source, datagram)
    datagram.done = true
    datagram.deadlineAt = NEVER
    const index = source.datagrams.indexOf(datagram)
    if (index >= 0) source.datagrams.splice(index, 1)
    if (source.datagrams.length === 0) this.sources.delete(source.address)
  }

  private release(source: Source, datagram: Datagram): void {
    for (const piece of datagram.pieces.splice(0)) piece.packet.release()
    source.chargedBytes -= datagram.chargedBytes
    this.chargedBytes -= datagram.chargedBytes
    datagram.chargedBytes = 0
    datagram.bytes = 0
  }

  private countFailure(datagram: Datagram, timeout: boolean): void {
    if (datagram.source.family === 4) {
      this.counters.IpReasmFails++
      if (timeout) this.counters.IpReasmTimeout++
    } else {
      this.counters.Ip6ReasmFails++
      if (timeout) this.counters.Ip6ReasmTimeout++
    }
  }

  private discard(packet: Packet, reason: Drop): null {
    this.counters.drops[reason]++
    packet.note = reason
    packet.release()
    return null
  }
}

/** Sources with unfinished datagrams. A flood from forged ones fills it, and is counted; it empties by time-out. */
export const SOURCE_LIMIT = 4_096
