// What was sent and is not acknowledged: a list of segments in sequence order, each with the instant of its last
// transmission and what SACK, RACK and retransmission made of it. Those in flight are in a second list, by the time
// of their transmission, which is the order in which RACK asks for them. Super-segments are split where an
// acknowledgment ends inside one. Counts are in bytes.

import { assert } from '../assert.ts'
import type { Micros } from '../time.ts'
import { type Seq, seqAfter, seqAtMost, seqBefore, seqDiff, seqMax, seqMin } from '../wire/sequence.ts'

export class SentSegment {
  start: Seq
  end: Seq
  /** Its latest transmission. */
  sentAt: Micros
  /** Transmissions beyond the first. */
  retransmissions = 0
  sacked = false
  /** Deemed lost, and not sent again since. */
  lost = false
  next: SentSegment | null = null
  previous: SentSegment | null = null
  /** Neighbours among the segments in flight, by time. */
  older: SentSegment | null = null
  newer: SentSegment | null = null

  constructor(start: Seq, end: Seq, sentAt: Micros) {
    this.start = start
    this.end = end
    this.sentAt = sentAt
  }

  get length(): number {
    return seqDiff(this.end, this.start)
  }
}

/** What one acknowledgment, by number or by SACK, delivered. One record, used again. */
export class Delivery {
  /** Bytes delivered for the first time. */
  bytes = 0
  /** The most recently sent of the delivered segments, for RACK: its send time, end, and whether it was sent more than once. */
  sentAt: Micros = -1 as Micros
  end: Seq = 0 as Seq
  retransmitted = false
  /** The earliest and the latest send time among segments delivered that were sent once (Karn); -1: none. */
  earliestAt: Micros = -1 as Micros
  latestAt: Micros = -1 as Micros
  /** Something that was sent more than once was acknowledged by number. */
  ackedRetransmitted = false
  /** The end of the first delivered segment that was sent once, for F-RTO; null: none. */
  originalEnd: Seq | null = null
  /** A segment was delivered that lies below an earlier delivered one and was never sent again: reordering. */
  reordered = false

  clear(): void {
    this.bytes = 0
    this.sentAt = -1 as Micros
    this.end = 0 as Seq
    this.retransmitted = false
    this.earliestAt = -1 as Micros
    this.latestAt = -1 as Micros
    this.ackedRetransmitted = false
    this.originalEnd = null
    this.reordered = false
  }
}

interface Block {
  readonly left: Seq
  readonly right: Seq
}

const NO_BLOCKS: readonly Block[] = []

export class Scoreboard {
  first: SentSegment | null = null
  last: SentSegment | null = null
  /** The segment in flight that was sent longest ago. */
  oldest: SentSegment | null = null
  sackedBytes = 0
  lostBytes = 0
  /** Without SACK: what duplicate ACKs say arrived, as nobody knows which (RFC 6582 inflates cwnd instead). */
  assumedBytes = 0
  /** Segments in the list. */
  length = 0
  /** The highest sequence number that was delivered, by number or by SACK (RACK.fack); valid once anything was. */
  forwardAck: Seq
  private hasForwardAck = false
  /** forwardAck before this acknowledgment. */
  private priorForwardAck: Seq
  private hadForwardAck = false
  private newest: SentSegment | null = null
  /** No segment before it is lost. */
  private lostFrom: SentSegment | null = null
  /** Where the last SACK block ended: the next one is near. */
  private hint: SentSegment | null = null
  /** The blocks of the previous SACK, all of whose bytes are marked. */
  private known: readonly Block[] = NO_BLOCKS

  constructor(start: Seq) {
    this.forwardAck = start
    this.priorForwardAck = start
  }

  /** Bytes sent and not acknowledged by number. */
  get outstanding(): number {
    return this.first === null ? 0 : seqDiff(this.last!.end, this.first.start)
  }

  /** RFC 6675's pipe: bytes thought to be in the network. */
  get flight(): number {
    return this.outstanding - this.sackedBytes - this.lostBytes - this.assumedBytes
  }

  /** New data, just sent. */
  append(start: Seq, end: Seq, now: Micros): SentSegment {
    assert(this.last === null || this.last.end === start, 'a hole in what was sent')
    const segment = new SentSegment(start, end, now)
    segment.previous = this.last
    if (this.last === null) this.first = segment
    else this.last.next = segment
    this.last = segment
    this.length++
    this.enterFlight(segment)
    return segment
  }

  /** An acknowledgment is about to be told: reordering is judged against what was known before it. */
  beginAck(): void {
    this.priorForwardAck = this.forwardAck
    this.hadForwardAck = this.hasForwardAck
  }

  /** Everything below `una` arrived. */
  acknowledge(una: Seq, delivery: Delivery): void {
    while (this.first !== null && seqBefore(this.first.start, una)) {
      const segment = this.first
      if (seqAfter(segment.end, una)) this.split(segment, una)
      if (segment.retransmissions > 0) delivery.ackedRetransmitted = true
      if (segment.sacked) this.sackedBytes -= segment.length
      else {
        this.deliver(segment, delivery)
        if (segment.lost) this.lostBytes -= segment.length
        else this.leaveFlight(segment)
      }
      this.first = segment.next
      if (this.first === null) this.last = null
      else this.first.previous = null
      if (this.lostFrom === segment) this.lostFrom = segment.next
      if (this.hint === segment) this.hint = segment.next
      this.length--
    }
  }

  /** One SACK block: [left, right) arrived. Returns bytes newly reported. */
  sack(left: Seq, right: Seq, delivery: Delivery): number {
    const before = delivery.bytes
    let segment = this.seek(this.skipKnown(left, right))
    for (; segment !== null && seqBefore(segment.start, right); segment = segment.next) {
      this.hint = segment
      if (segment.sacked || seqAtMost(segment.end, left)) continue
      if (seqBefore(segment.start, left)) {
        this.split(segment, left)
        continue
      }
      if (seqAfter(segment.end, right)) this.split(segment, right)
      this.deliver(segment, delivery)
      if (segment.lost) {
        segment.lost = false
        this.lostBytes -= segment.length
      } else this.leaveFlight(segment)
      segment.sacked = true
      this.sackedBytes += segment.length
    }
    return delivery.bytes - before
  }

  /** All blocks of a SACK were told: the next one repeats most of them. */
  remember(blocks: readonly Block[]): void {
    this.known = blocks
  }

  /** Without SACK: a duplicate ACK says that something behind the first segment arrived (RFC 5681 §3.2). Returns the bytes counted. */
  assume(bytes: number): number {
    // A super-segment may be first: one segment of it is the hole.
    const most = this.first === null ? 0 : this.outstanding - this.lostBytes - Math.min(this.first.length, bytes)
    const counted = Math.max(0, Math.min(bytes, most - this.assumedBytes))
    this.assumedBytes += counted
    return counted
  }

  /** Bytes acknowledged by number were assumed before. */
  unassume(bytes: number): void {
    const most = Math.max(0, this.outstanding - this.lostBytes)
    this.assumedBytes = Math.min(Math.max(0, this.assumedBytes - bytes), most)
  }

  markLost(segment: SentSegment): void {
    if (segment.lost || segment.sacked) return
    this.leaveFlight(segment)
    segment.lost = true
    this.lostBytes += segment.length
    if (this.lostFrom === null || seqBefore(segment.start, this.lostFrom.start)) this.lostFrom = segment
  }

  /** A segment was sent again. */
  markRetransmitted(segment: SentSegment, now: Micros): void {
    if (segment.lost) {
      segment.lost = false
      this.lostBytes -= segment.length
    } else this.leaveFlight(segment)
    segment.retransmissions++
    segment.sentAt = now
    this.enterFlight(segment)
  }

  /** Takes back what was marked: the loss was none. */
  clearLost(): void {
    for (let segment = this.last; segment !== null; segment = segment.previous) {
      if (!segment.lost) continue
      segment.lost = false
      this.returnToFlight(segment)
    }
    this.lostBytes = 0
    this.lostFrom = null
  }

  /** RFC 2018 §8: a receiver may take back what it reported; after a time-out nothing of it is believed. */
  forgetSacks(): void {
    for (let segment = this.last; segment !== null; segment = segment.previous) {
      if (!segment.sacked) continue
      segment.sacked = false
      this.returnToFlight(segment)
    }
    this.sackedBytes = 0
    this.known = NO_BLOCKS
    this.hint = null
  }

  /** The first segment to send again; null: none is lost. */
  nextLost(): SentSegment | null {
    if (this.lostBytes === 0) {
      this.lostFrom = null
      return null
    }
    let segment = this.lostFrom ?? this.first
    while (segment !== null && !segment.lost) segment = segment.next
    this.lostFrom = segment
    return segment
  }

  /** Cuts a segment in two at `at`; the segment keeps the front. */
  split(segment: SentSegment, at: Seq): SentSegment {
    assert(seqAfter(at, segment.start) && seqBefore(at, segment.end), 'a cut outside the segment')
    const rest = new SentSegment(at, segment.end, segment.sentAt)
    rest.retransmissions = segment.retransmissions
    rest.sacked = segment.sacked
    rest.lost = segment.lost
    rest.next = segment.next
    rest.previous = segment
    if (segment.next === null) this.last = rest
    else segment.next.previous = rest
    segment.next = rest
    segment.end = at
    this.length++
    if (!rest.sacked && !rest.lost) this.insertAfter(segment, rest)
    return rest
  }

  clear(): void {
    this.first = null
    this.last = null
    this.oldest = null
    this.newest = null
    this.lostFrom = null
    this.hint = null
    this.known = NO_BLOCKS
    this.length = 0
    this.sackedBytes = 0
    this.lostBytes = 0
    this.assumedBytes = 0
  }

  /** The segment that holds `at`, or the nearest below or above. */
  private seek(at: Seq): SentSegment | null {
    let segment = this.hint ?? this.first
    if (segment === null) return null
    while (segment.previous !== null && seqAfter(segment.start, at)) segment = segment.previous
    while (segment.next !== null && seqAtMost(segment.end, at)) segment = segment.next
    return segment
  }

  /** Where the unknown part of a block begins: a growing block was reported up to somewhere already. */
  private skipKnown(left: Seq, right: Seq): Seq {
    for (const block of this.known) {
      if (seqAtMost(block.left, left) && seqAfter(block.right, left)) return seqMin(block.right, right)
    }
    return left
  }

  private deliver(segment: SentSegment, delivery: Delivery): void {
    const { sentAt, end } = segment
    delivery.bytes += segment.length
    const once = segment.retransmissions === 0
    if (once) {
      if (delivery.earliestAt < 0 || sentAt < delivery.earliestAt) delivery.earliestAt = sentAt
      if (sentAt > delivery.latestAt) delivery.latestAt = sentAt
      delivery.originalEnd ??= end
    }
    if (sentAt > delivery.sentAt || (sentAt === delivery.sentAt && seqAfter(end, delivery.end))) {
      delivery.sentAt = sentAt
      delivery.end = end
      delivery.retransmitted = !once
    }
    // RFC 8985 §6.2 step 3.
    if (once && this.hadForwardAck && seqBefore(end, this.priorForwardAck)) delivery.reordered = true
    if (!this.hasForwardAck || seqAfter(end, this.forwardAck)) {
      this.forwardAck = end
      this.hasForwardAck = true
    }
  }

  private enterFlight(segment: SentSegment): void {
    segment.older = this.newest
    segment.newer = null
    if (this.newest === null) this.oldest = segment
    else this.newest.newer = segment
    this.newest = segment
  }

  private leaveFlight(segment: SentSegment): void {
    if (segment.older === null) this.oldest = segment.newer
    else segment.older.newer = segment.newer
    if (segment.newer === null) this.newest = segment.older
    else segment.newer.older = segment.older
    segment.older = null
    segment.newer = null
  }

  private insertAfter(segment: SentSegment, rest: SentSegment): void {
    rest.older = segment
    rest.newer = segment.newer
    if (segment.newer === null) this.newest = rest
    else segment.newer.older = rest
    segment.newer = rest
  }

  /** Puts a segment back where its time of transmission has it; called from the last to the first. */
  private returnToFlight(segment: SentSegment): void {
    let newer = this.oldest
    while (newer !== null && newer.sentAt < segment.sentAt) newer = newer.newer
    if (newer === null) return this.enterFlight(segment)
    segment.newer = newer
    segment.older = newer.older
    if (newer.older === null) this.oldest = segment
    else newer.older.newer = segment
    newer.older = segment
  }
}

/** The part of [left, right) that lies within [low, high]; null: none does. */
export function clip(left: Seq, right: Seq, low: Seq, high: Seq): { left: Seq; right: Seq } | null {
  const from = seqMax(left, low)
  const to = seqMin(right, high)
  return seqBefore(from, to) ? { left: from, right: to } : null
}
