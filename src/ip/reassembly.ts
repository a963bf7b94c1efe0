// Putting fragments together again (RFC 791, RFC 8200 §4.5), for both families. A datagram whose fragments overlap
// is dropped whole (RFC 5722, RFC 8200; the same policy for IPv4, whose overlaps only attackers send), and so are
// its later fragments until it times out. An exact repetition of a fragment is dropped alone.
//
// Bounded per datagram, per source and per host. Where a limit is met, the oldest unfinished datagram makes room: of
// the same source, or of all. So what never becomes whole is the first to go, and a flood from forged sources can
// hurt only a datagram that takes longer to arrive than the flood needs to fill the table.

import { assert } from '../assert.ts'
import type { Packet } from '../buf/packet.ts'
import type { PagePool } from '../buf/page.ts'
import type { Counters, Drop } from '../counters.ts'
import { after, earlier, type Machine, type Micros, seconds } from '../time.ts'
import type { IpAddress } from '../wire/address.ts'
import { AddressTable } from './address-table.ts'
import { AgeList } from './age-list.ts'
import { Datagram, type FragmentInfo, MAX_HEADERS, MAX_PAYLOAD } from './datagram.ts'

/** RFC 8200 §4.5 says 60 seconds, RFC 1122 §3.3.2 between 60 and 120 for IPv4; Linux takes 30 for IPv4. */
export const REASSEMBLY_TIMEOUT4 = seconds(30)
export const REASSEMBLY_TIMEOUT6 = seconds(60)
/** Page bytes held by unfinished datagrams, of all sources together and of one. */
export const REASSEMBLY_BYTES = 4 * 1_024 * 1_024
export const REASSEMBLY_BYTES_PER_SOURCE = 1_024 * 1_024
/** Fragments of one datagram: 64 KiB in the pieces that the smallest MTU of IPv4 leaves, 48 bytes, and some more. */
export const FRAGMENTS_PER_DATAGRAM = 1_536
/** Unfinished datagrams of one source, and of all. */
export const DATAGRAMS_PER_SOURCE = 64
export const DATAGRAM_LIMIT = 4_096

interface Source {
  readonly address: IpAddress
  /** The oldest first. */
  readonly datagrams: Datagram[]
  chargedBytes: number
}

/** The outcome of one fragment: the whole datagram, or nothing yet (kept, or dropped and counted). */
export type Reassembled = Packet | null

export class Reassembly implements Machine {
  /** Called with the first fragment of a datagram that timed out; it stays the caller's. */
  onTimeout: ((first: Packet, now: Micros) => void) | null = null
  private readonly sources = new AddressTable<Source>()
  /** One for each family, as their time-outs differ. */
  private readonly ages4 = new AgeList<Datagram>()
  private readonly ages6 = new AgeList<Datagram>()
  private readonly counters: Counters
  private readonly pool: PagePool
  private chargedBytes = 0

  constructor(counters: Counters, pool: PagePool) {
    this.counters = counters
    this.pool = pool
  }

  /** Unfinished datagrams, for display and tests. */
  get pending(): number {
    return this.ages4.size + this.ages6.size
  }

  /** Bytes of the pages that they hold. */
  get pendingBytes(): number {
    return this.chargedBytes
  }

  /**
   * Takes a fragment whose data begins at its payload, networkAt at its IP header. Consumes it. Returns the whole
   * datagram once complete: headers as in the first fragment, with all the payload.
   */
  insert(packet: Packet, info: FragmentInfo, now: Micros): Reassembled {
    const { length } = packet
    const end = info.offset + length
    // All but the last carry a multiple of 8 bytes (RFC 8200 §4.5).
    if (length === 0 || (info.more && (length & 7) !== 0)) return this.discard(packet, 'fragmentMalformed')
    if (packet.data - packet.networkAt > MAX_HEADERS) return this.discard(packet, 'fragmentMalformed')
    if (end > MAX_PAYLOAD) return this.discard(packet, 'fragmentTooLong')
    const source = this.sourceOf(info.source)
    const datagram = source.datagrams.find((known) => known.matches(info)) ?? this.begin(source, info, now)
    if (datagram.poisoned) return this.discard(packet, 'fragmentOverlap')
    const place = datagram.placeOf(info.offset, end, info.more)
    if (place === 'duplicate') return this.discard(packet, 'fragmentDuplicate')
    if (place === 'overlap') return this.poison(source, datagram, packet)
    if (datagram.fragments >= FRAGMENTS_PER_DATAGRAM) return this.refuse(source, datagram, packet, 'fragmentTooMany')
    const before = datagram.chargedBytes
    this.makeRoom(source, datagram, datagram.costWith(packet) - before)
    if (!datagram.put(place, info.offset, info.more, packet, this.pool)) {
      return this.refuse(source, datagram, packet, 'noBuffer')
    }
    source.chargedBytes += datagram.chargedBytes - before
    this.chargedBytes += datagram.chargedBytes - before
    return datagram.isComplete ? this.complete(source, datagram) : null
  }

  deadline(): Micros {
    return earlier(this.ages4.deadline(), this.ages6.deadline())
  }

  poll(now: Micros): void {
    for (const ages of [this.ages4, this.ages6]) {
      for (let due = ages.oldest; due !== null && due.deadlineAt <= now; due = ages.oldest) this.timeOut(due, now)
    }
  }

  /** Forgets everything. */
  clear(): void {
    for (let oldest = this.oldest(null); oldest !== null; oldest = this.oldest(null)) {
      this.remove(this.sourceOf(oldest.source), oldest)
    }
    assert(this.chargedBytes === 0 && this.sources.size === 0)
  }

  private timeOut(datagram: Datagram, now: Micros): void {
    if (!datagram.poisoned) {
      const { first } = datagram
      this.counters.drops.fragmentTimeout += datagram.fragments
      this.countFailure(datagram, true)
      if (first !== null) this.onTimeout?.(first, now)
    }
    this.remove(this.sourceOf(datagram.source), datagram)
  }

  private begin(source: Source, info: FragmentInfo, now: Micros): Datagram {
    if (source.datagrams.length >= DATAGRAMS_PER_SOURCE) this.evict(source.datagrams[0]!, 'fragmentLimitSource')
    if (this.pending >= DATAGRAM_LIMIT) this.evict(this.oldest(null)!, 'fragmentLimitHost')
    const datagram = new Datagram(info)
    source.datagrams.push(datagram)
    this.sources.set(source.address, source)
    this.agesOf(datagram).add(datagram, after(now, timeoutOf(datagram)))
    return datagram
  }

  /** Lets old datagrams go until `datagram` may grow by so many bytes. One datagram alone is within every limit. */
  private makeRoom(source: Source, datagram: Datagram, growth: number): void {
    while (source.chargedBytes + growth > REASSEMBLY_BYTES_PER_SOURCE) {
      const oldest = source.datagrams.find((other) => other !== datagram)
      assert(oldest !== undefined, 'one datagram beyond the limit of its source')
      this.evict(oldest, 'fragmentLimitSource')
    }
    while (this.chargedBytes + growth > REASSEMBLY_BYTES) {
      const oldest = this.oldest(datagram)
      assert(oldest !== null, 'one datagram beyond the limit of the host')
      this.evict(oldest, 'fragmentLimitHost')
    }
  }

  /** The one that began first, but for `except`. */
  private oldest(except: Datagram | null): Datagram | null {
    let a = this.ages4.oldest
    let b = this.ages6.oldest
    if (a !== null && a === except) a = a.newer
    if (b !== null && b === except) b = b.newer
    if (a === null || b === null) return a ?? b
    return a.deadlineAt - REASSEMBLY_TIMEOUT4 <= b.deadlineAt - REASSEMBLY_TIMEOUT6 ? a : b
  }

  private complete(source: Source, datagram: Datagram): Packet {
    this.uncharge(source, datagram)
    const packet = datagram.take()
    this.remove(source, datagram)
    return packet
  }

  private poison(source: Source, datagram: Datagram, packet: Packet): null {
    this.counters.drops.fragmentOverlap += datagram.fragments
    this.countFailure(datagram, false)
    this.uncharge(source, datagram)
    datagram.release()
    datagram.poisoned = true
    return this.discard(packet, 'fragmentOverlap')
  }

  /** The datagram cannot become whole, so all of it goes. */
  private refuse(source: Source, datagram: Datagram, packet: Packet, reason: Drop): null {
    this.counters.drops[reason] += datagram.fragments
    this.countFailure(datagram, false)
    this.remove(source, datagram)
    return this.discard(packet, reason)
  }

  private evict(datagram: Datagram, reason: Drop): void {
    this.counters.drops[reason] += datagram.fragments
    if (!datagram.poisoned) this.countFailure(datagram, false)
    this.remove(this.sourceOf(datagram.source), datagram)
  }

  private remove(source: Source, datagram: Datagram): void {
    this.uncharge(source, datagram)
    datagram.release()
    this.agesOf(datagram).remove(datagram)
    const index = source.datagrams.indexOf(datagram)
    if (index >= 0) source.datagrams.splice(index, 1)
    if (source.datagrams.length === 0) this.sources.delete(source.address)
  }

  private uncharge(source: Source, datagram: Datagram): void {
    source.chargedBytes -= datagram.chargedBytes
    this.chargedBytes -= datagram.chargedBytes
    datagram.chargedBytes = 0
  }

  private sourceOf(address: IpAddress): Source {
    return this.sources.get(address) ?? { address, datagrams: [], chargedBytes: 0 }
  }

  private agesOf(datagram: Datagram): AgeList<Datagram> {
    return datagram.source.family === 4 ? this.ages4 : this.ages6
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

const timeoutOf = (datagram: Datagram): Micros =>
  datagram.source.family === 4 ? REASSEMBLY_TIMEOUT4 : REASSEMBLY_TIMEOUT6
