// The bytes that arrived: in order and waiting to be read, or beyond a hole and waiting for it to be filled. Packets
// are kept as they came, but for small ones, which are copied together lest each hold a page. Bounded by the window in
// bytes, by the charge of the pages, and in the number of holes.

import type { Packet } from '../buf/packet.ts'
import { type Seq, seqAdd, seqAfter, seqAtLeast, seqAtMost, seqBefore, seqDiff, seqMin } from '../wire/sequence.ts'
import type { TcpMemory } from './memory.ts'

/** Ranges kept beyond holes; what would make one more is dropped, and comes again. */
export const MAX_HOLES = 512
/** A packet of at most this many bytes is made linear: it holds one page instead of two, and the next may follow it there. */
const SMALL_BYTES = 512
/** Ranges that SACK may report, and some that have merged since. */
const MOST_RECENT = 8

/** A range of sequence numbers, for SACK. */
export interface Range {
  readonly left: Seq
  readonly right: Seq
}

/** Packets one after another, without a hole; they are linked through themselves. */
class Chain {
  head: Packet | null = null
  last: Packet | null = null
  chargedBytes = 0

  push(packet: Packet): void {
    if (this.last === null) this.head = packet
    else this.last.next = packet
    this.last = packet
    this.chargedBytes += packet.chargedBytes
  }

  /**
   * Behind the last packet, by copying where that one's page is ours alone and has room: a short super-segment in a page of its own
   * would hold many times what it brings, and what the window promised would not fit into what the queue may hold.
   */
  append(packet: Packet): void {
    const { last } = this
    const { length } = packet
    const fits =
      last !== null && last.fragmentBytes === 0 && last.page.references === 1 && last.tail + length <= last.page.size
    if (!fits) {
      if (length <= SMALL_BYTES) packet.linearize(length)
      return this.push(packet)
    }
    packet.copyTo(0, length, last.page.bytes, last.put(length))
    packet.release()
  }

  unshift(packet: Packet): void {
    packet.next = this.head
    this.head = packet
    this.last ??= packet
    this.chargedBytes += packet.chargedBytes
  }

  /** Moves all of `other` behind this. */
  concat(other: Chain): void {
    if (other.head === null) return
    if (this.last === null) this.head = other.head
    else this.last.next = other.head
    this.last = other.last
    this.chargedBytes += other.chargedBytes
    other.head = null
    other.last = null
    other.chargedBytes = 0
  }

  shift(): Packet {
    const packet = this.head!
    this.head = packet.next
    if (this.head === null) this.last = null
    packet.next = null
    this.chargedBytes -= packet.chargedBytes
    return packet
  }

  clear(): void {
    while (this.head !== null) this.shift().release()
  }
}

/** A range beyond a hole. Ranges are in order, and there is a hole between any two. */
interface Island {
  left: Seq
  right: Seq
  readonly chain: Chain
}

/** Shared by all queues without holes, which most are: nothing is ever put in. */
const NO_ISLANDS: Island[] = []
const NONE_RECENT: Seq[] = []

export type Insertion = 'in-order' | 'out-of-order' | 'duplicate' | 'full'

export class ReceiveQueue {
  /** Bytes in order that were not read. */
  available = 0
  /** The next byte expected after the last insertion. */
  reach: Seq
  /** Bytes beyond holes. */
  outOfOrderBytes = 0
  /** The part that an insertion reported as received already, for D-SACK; null: none. */
  duplicate: Range | null = null
  private readonly ordered = new Chain()
  private islands = NO_ISLANDS
  private islandCharge = 0
  /** Where the latest insertions beyond holes were, the last one first (RFC 2018 §4). */
  private recent = NONE_RECENT
  private readonly memory: TcpMemory

  constructor(memory: TcpMemory, start: Seq) {
    this.memory = memory
    this.reach = start
  }

  /** Bytes of the pages held. */
  get chargedBytes(): number {
    return this.ordered.chargedBytes + this.islandCharge
  }

  get holes(): number {
    return this.islands.length
  }

  /**
   * Takes a packet whose data is [seq, seq + length), `nxt` being the next byte expected, and returns what became of
   * it; `reach` is the new next byte. Consumes the packet unless `full`.
   */
  insert(packet: Packet, seq: Seq, nxt: Seq): Insertion {
    const before = this.chargedBytes
    const insertion = this.take(packet, seq, nxt)
    this.memory.add(this.chargedBytes - before)
    return insertion
  }

  private take(packet: Packet, seq: Seq, nxt: Seq): Insertion {
    this.duplicate = null
    this.reach = nxt
    const end = seqAdd(seq, packet.length)
    if (seqAtMost(end, nxt)) return this.refuse(packet, seq, end)
    if (seqAfter(seq, nxt)) return this.takeBeyond(packet, seq, end)
    if (seqBefore(seq, nxt)) {
      this.duplicate = { left: seq, right: nxt }
      packet.dropFront(seqDiff(nxt, seq))
    }
    this.takeInOrder(packet, nxt, end)
    return 'in-order'
  }

  /** Up to `limit` ranges beyond the first hole, those that changed last first (RFC 2018 §4). */
  sackRanges(limit: number): Range[] {
    const told: Island[] = []
    for (const at of this.recent) {
      if (told.length >= limit) return told
      const island = this.islands.find(({ left, right }) => seqAtMost(left, at) && seqBefore(at, right))
      if (island !== undefined && !told.includes(island)) told.push(island)
    }
    for (let index = this.islands.length - 1; index >= 0 && told.length < limit; index--) {
      const island = this.islands[index]!
      if (!told.includes(island)) told.push(island)
    }
    return told
  }

  /** Copies up to length bytes from the front to the target without taking them, and returns how many. */
  peek(target: Uint8Array, at: number, length: number): number {
    let done = 0
    for (let packet = this.ordered.head; packet !== null && done < length; packet = packet.next) {
      const count = Math.min(length - done, packet.length)
      packet.copyTo(0, count, target, at + done)
      done += count
    }
    return done
  }

  /** Copies up to length bytes from the front to the target, and returns how many. */
  read(target: Uint8Array, at: number, length: number): number {
    let done = 0
    const before = this.ordered.chargedBytes
    while (done < length) {
      const packet = this.ordered.head
      if (packet === null) break
      const count = Math.min(length - done, packet.length)
      packet.copyTo(0, count, target, at + done)
      done += count
      if (count === packet.length) this.ordered.shift().release()
      else this.dropFront(packet, count)
    }
    this.available -= done
    this.memory.add(this.ordered.chargedBytes - before)
    return done
  }

  /** Forgets what is readable: nobody will read it. */
  dropAvailable(): void {
    this.memory.add(-this.ordered.chargedBytes)
    this.ordered.clear()
    this.available = 0
  }

  /** Forgets what lies beyond holes: it comes again (RFC 2018 §8 lets a receiver do so). */
  dropBeyond(): void {
    this.memory.add(-this.islandCharge)
    for (const { chain } of this.islands) chain.clear()
    this.islands = NO_ISLANDS
    this.islandCharge = 0
    this.outOfOrderBytes = 0
    this.recent = NONE_RECENT
  }

  clear(): void {
    this.dropAvailable()
    this.dropBeyond()
  }

  private refuse(packet: Packet, left: Seq, right: Seq): Insertion {
    this.duplicate = { left, right }
    packet.release()
    return 'duplicate'
  }

  private dropFront(packet: Packet, count: number): void {
    this.ordered.chargedBytes -= packet.chargedBytes
    packet.dropFront(count)
    this.ordered.chargedBytes += packet.chargedBytes
  }

  /** What was expected, and with it the island that it reaches. */
  private takeInOrder(packet: Packet, start: Seq, end: Seq): void {
    this.swallow(0, end)
    const island = this.islands[0]
    const touches = island !== undefined && seqAtLeast(end, island.left)
    if (touches && seqAfter(end, island.left)) {
      this.duplicate ??= { left: island.left, right: end }
      packet.trim(seqDiff(island.left, start))
    }
    this.available += packet.length
    this.ordered.append(packet)
    this.reach = end
    if (!touches) return
    this.islands.shift()
    this.reach = island.right
    const bytes = seqDiff(island.right, island.left)
    this.outOfOrderBytes -= bytes
    this.available += bytes
    this.islandCharge -= island.chain.chargedBytes
    this.ordered.concat(island.chain)
    if (this.islands.length > 0) return
    this.islands = NO_ISLANDS
    this.recent = NONE_RECENT
  }

  /** Keeps the part of the packet that no island holds; what lies behind an island that it only reaches comes again. */
  private takeBeyond(packet: Packet, seq: Seq, end: Seq): Insertion {
    let index = this.islands.length
    while (index > 0 && seqAfter(this.islands[index - 1]!.left, seq)) index--
    const before = index > 0 ? this.islands[index - 1]! : null
    const joined = before !== null && seqAtLeast(before.right, seq) ? before : null
    let from = seq
    if (joined !== null && seqAfter(joined.right, seq)) {
      if (seqAtMost(end, joined.right)) {
        this.note(seq)
        return this.refuse(packet, seq, end)
      }
      this.duplicate = { left: seq, right: joined.right }
      packet.dropFront(seqDiff(joined.right, seq))
      from = joined.right
    }
    this.swallow(index, end)
    const behind = this.islands[index]
    const meets = behind !== undefined && seqAtLeast(end, behind.left) ? behind : null
    const stop = meets === null ? end : meets.left
    if (meets !== null && seqAfter(end, stop)) {
      this.duplicate ??= { left: stop, right: seqMin(end, meets.right) }
      packet.trim(seqDiff(stop, from))
    }
    if (joined === null && meets === null && this.islands.length >= MAX_HOLES) return 'full'
    this.place(packet, from, stop, joined, meets, index)
    this.note(from)
    return 'out-of-order'
  }

  private place(
    packet: Packet,
    from: Seq,
    stop: Seq,
    joined: Island | null,
    meets: Island | null,
    index: number,
  ): void {
    this.outOfOrderBytes += seqDiff(stop, from)
    if (joined !== null) {
      const before = joined.chain.chargedBytes
      joined.chain.append(packet)
      this.islandCharge += joined.chain.chargedBytes - before
      joined.right = stop
      if (meets === null) return
      joined.chain.concat(meets.chain)
      joined.right = meets.right
      this.islands.splice(index, 1)
      return
    }
    if (packet.length <= SMALL_BYTES) packet.linearize(packet.length)
    this.islandCharge += packet.chargedBytes
    if (meets !== null) {
      meets.chain.unshift(packet)
      meets.left = from
    } else {
      const chain = new Chain()
      chain.push(packet)
      if (this.islands === NO_ISLANDS) this.islands = []
      this.islands.splice(index, 0, { left: from, right: stop, chain })
    }
  }

  /** Drops the islands from `index` on that end at `end` or before: the new packet brings them again. */
  private swallow(index: number, end: Seq): void {
    while (index < this.islands.length) {
      const { left, right, chain } = this.islands[index]!
      if (seqAfter(right, end)) return
      this.duplicate ??= { left, right }
      this.outOfOrderBytes -= seqDiff(right, left)
      this.islandCharge -= chain.chargedBytes
      chain.clear()
      this.islands.splice(index, 1)
    }
  }

  private note(at: Seq): void {
    if (this.recent === NONE_RECENT) this.recent = []
    this.recent.unshift(at)
    if (this.recent.length > MOST_RECENT) this.recent.pop()
  }
}
