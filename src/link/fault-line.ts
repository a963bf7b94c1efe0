// One direction of a faulty device: each packet runs through the faults in a fixed order, and draws from a
// generator of this direction's own, so that traffic one way does not change what happens the other way.
//
//   partition, script, loss, burst, rate -> corruption -> duplication -> delay, jitter, reordering -> pass on

import { assert } from '../assert.ts'
import type { Packet } from '../buf/packet.ts'
import { chance, fraction, type Random } from '../random.ts'
import { after, earlier, type Micros, micros, NEVER } from '../time.ts'
import { checkedFaults, type FaultOptions } from './fault-options.ts'
import { LinkCounters } from './link-counters.ts'
import { completeChecksum } from './segmentation.ts'
import { TokenBucket } from './token-bucket.ts'

/** The sum of so many fractions has the variance of as many twelfths: twelve of them, less 6, are nearly normal. */
const NORMAL_DRAWS = 12
const NORMAL_CUT = 3

interface Held {
  readonly packet: Packet
  readonly releaseAt: Micros
  /** Later packets that must pass first; 0 where only time counts. */
  overtakers: number
}

export class FaultLine {
  readonly counters = new LinkCounters()
  duplicated = 0
  reordered = 0
  corrupted = 0
  private options: FaultOptions
  private readonly random: Random
  private readonly pass: (packet: Packet) => boolean
  private bucket: TokenBucket | null = null
  private bad = false
  private index = 0
  /** Sorted by releaseAt; equal instants in order of arrival. */
  private held: Held[] = []
  /** Waiting for others to pass them, or for their time. */
  private overtaken: Held[] = []
  /** No packet that keeps its place leaves before this instant. */
  private orderedUntil = micros(0)
  private closed = false

  constructor(options: Partial<FaultOptions>, random: Random, pass: (packet: Packet) => boolean) {
    this.options = checkedFaults(options)
    this.random = random
    this.pass = pass
  }

  /** Replaces all knobs: what is not given goes back to its default. Packets that are held stay so. */
  configure(options: Partial<FaultOptions>): void {
    this.options = checkedFaults(options)
    this.bucket = null
    this.bad = false
  }

  /** Packets held back at the moment. */
  get heldPackets(): number {
    return this.held.length + this.overtaken.length
  }

  /** Consumes the packet. False where whoever sent it can know that it was refused; true also where it was lost on the way. */
  take(packet: Packet, now: Micros): boolean {
    if (this.closed) return this.counters.drop(packet, 'deviceDown')
    this.release(now)
    this.counters.accept(packet)
    const reason = this.lost(packet)
    if (reason !== null) {
      this.counters.drop(packet, reason)
      return true
    }
    const { bitsPerSecond, bucketQueues, corrupt, duplicate } = this.options
    let from = now
    if (bitsPerSecond !== Number.POSITIVE_INFINITY) {
      const bucket = (this.bucket ??= new TokenBucket(bitsPerSecond, this.options.bucketBytes, now))
      if (bucketQueues && this.heldPackets >= this.options.heldPackets) return this.counters.drop(packet, 'faultRate')
      if (bucketQueues) from = bucket.reserve(packet.length, now)
      else if (!bucket.take(packet.length, now)) return !this.counters.drop(packet, 'faultRate')
    }
    const sent = chance(this.random, corrupt) ? this.corruptedCopy(packet) : packet
    const twin = chance(this.random, duplicate) ? sent.copy(sent.page.pool) : null
    const taken = this.schedule(sent, from, now)
    if (twin !== null) {
      this.duplicated++
      twin.note = 'duplicate'
      this.schedule(twin, from, now)
    }
    return taken
  }

  /** When the next held packet is due. */
  next(): Micros {
    let next = this.held.length > 0 ? this.held[0]!.releaseAt : NEVER
    for (const { releaseAt } of this.overtaken) next = earlier(next, releaseAt)
    return next
  }

  /** Passes on what is due. */
  release(now: Micros): void {
    if (this.held.length === 0 && this.overtaken.length === 0) return
    let due = 0
    while (due < this.held.length && this.held[due]!.releaseAt <= now) due++
    for (const { packet } of this.held.splice(0, due)) this.hand(packet)
    const waiting = this.overtaken
    this.overtaken = []
    for (const held of waiting) {
      if (held.releaseAt <= now) this.hand(held.packet)
      else this.overtaken.push(held)
    }
  }

  /** Releases what is held; nothing passes any more. */
  close(): void {
    this.closed = true
    for (const { packet } of this.held) packet.release()
    for (const { packet } of this.overtaken) packet.release()
    this.held = []
    this.overtaken = []
  }

  private lost(packet: Packet): 'faultPartition' | 'faultScripted' | 'faultLoss' | 'faultBurst' | null {
    const { partitioned, drop, loss, pGoodToBad, pBadToGood, lossGood, lossBad } = this.options
    const index = this.index++
    if (partitioned) return 'faultPartition'
    if (drop?.(packet, index) === true) return 'faultScripted'
    if (chance(this.random, loss)) return 'faultLoss'
    if (chance(this.random, this.bad ? pBadToGood : pGoodToBad)) this.bad = !this.bad
    return chance(this.random, this.bad ? lossBad : lossGood) ? 'faultBurst' : null
  }

  /** Consumes the packet and returns a copy with bits flipped; the packet itself where the pool is empty. No page of others is written to. */
  private corruptedCopy(packet: Packet): Packet {
    const twin = packet.length === 0 ? null : packet.copy(packet.page.pool)
    if (twin === null) return packet
    packet.release()
    // On a wire the checksum is complete before bits flip: else whoever completes it would hide what happened.
    const completed = completeChecksum(twin)
    assert(completed, 'a copy has pages of its own')
    for (let count = 0; count < this.options.corruptBits; count++) {
      const bit = this.random.below(twin.length * 8)
      const at = twin.data + (bit >>> 3)
      twin.page.bytes[at] = twin.page.bytes[at]! ^ (1 << (bit & 7))
    }
    twin.checksum = 'unchecked'
    twin.note = 'corrupted'
    this.corrupted++
    return twin
  }

  /** Passes the packet on, or holds it until its time has come. */
  private schedule(packet: Packet, from: Micros, now: Micros): boolean {
    const { delay, reorder, reorderDelay, reorderPackets, jitterReorders, heldPackets } = this.options
    let releaseAt = after(from, micros(Math.max(0, delay + this.jitter())))
    const overtakes = chance(this.random, reorder)
    if (overtakes) releaseAt = after(releaseAt, reorderDelay)
    else if (!jitterReorders) this.orderedUntil = releaseAt = micros(Math.max(releaseAt, this.orderedUntil))
    if (releaseAt <= now) {
      const taken = this.hand(packet)
      this.overtake(releaseAt, now)
      return taken
    }
    if (this.heldPackets >= heldPackets) return this.counters.drop(packet, 'deviceFull')
    if (overtakes) {
      this.reordered++
      packet.note = 'reordered'
    }
    if (overtakes && reorderPackets > 0) this.overtaken.push({ packet, releaseAt, overtakers: reorderPackets })
    else {
      this.insert({ packet, releaseAt, overtakers: 0 })
      if (!overtakes) this.overtake(releaseAt, now)
    }
    return true
  }

  private jitter(): number {
    const { jitter, jitterShape } = this.options
    if (jitter === 0) return 0
    if (jitterShape === 'uniform') return this.random.below(jitter + 1)
    let sum = -NORMAL_DRAWS / 2
    for (let draw = 0; draw < NORMAL_DRAWS; draw++) sum += fraction(this.random)
    return Math.round(jitter * Math.min(NORMAL_CUT, Math.max(-NORMAL_CUT, sum)))
  }

  /** Counts one more packet, due at `releaseAt`, that goes ahead of those waiting for it; who has waited enough follows it. */
  private overtake(releaseAt: Micros, now: Micros): void {
    if (this.overtaken.length === 0) return
    const waiting = this.overtaken
    this.overtaken = []
    for (const held of waiting) {
      if (--held.overtakers > 0) this.overtaken.push(held)
      else if (releaseAt <= now) this.hand(held.packet)
      else this.insert({ ...held, releaseAt: earlier(releaseAt, held.releaseAt) })
    }
  }

  /** Passes a packet on, unless the device was closed by whoever got the one before. */
  private hand(packet: Packet): boolean {
    return this.closed ? this.counters.drop(packet, 'deviceDown') : this.pass(packet)
  }

  /** Behind all that are due no later: nearly always at the end, where the search begins. */
  private insert(entry: Held): void {
    let at = this.held.length
    while (at > 0 && this.held[at - 1]!.releaseAt > entry.releaseAt) at--
    this.held.splice(at, 0, entry)
  }
}
