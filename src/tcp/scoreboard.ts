// What was sent and is not acknowledged: a list of segments in sequence order, each with the instant of its last
// transmission and what SACK, RACK and retransmission made of it. Super-segments are split where an
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
  /** Of them, bytes delivered by cumulative acknowledgment that SACK had not reported before. */
  cumulativeBytes = 0
  /** The most recently sent of the delivered segments, for RACK: its send time, end, and whether it was sent more than once. */
  sentAt: Micros = -1 as Micros
  end: Seq = 0 as Seq
  retransmitted = false
  /** The latest send time among segments delivered that were sent once, for the round trip (Karn); -1: none. */
  firstSentAt: Micros = -1 as Micros
  /** A segment was delivered that lies below an earlier delivered one and was never sent again: reordering. */
  reordered = false

  clear(): void {
    this.bytes = 0
    this.cumulativeBytes = 0
    this.sentAt = -1 as Micros
    this.end = 0 as Seq
    this.retransmitted = false
    this.firstSentAt = -1 as Micros
    this.reordered = false
  }
}

export class Scoreboard {
  first: SentSegment | null = null
  last: SentSegment | null = null
  sackedBytes = 0
  lostBytes = 0
  /** Segments in the list. */
  length = 0
  /** The highest sequence number that was delivered, by number or by SACK (RACK.fack); valid once anything was. */
  forwardAck: Seq
  private hasForwardAck = false

  constructor(start: Seq) {
    this.forwardAck = start
  }

  /** Bytes sent and not acknowledged by number. */
  get outstanding(): number {
    return this.first === null ? 0 : seqDiff(this.last!.end, this.first.start)
  }

  /** RFC 6675's pipe: bytes thought to be in the network. */
  get flight(): number {
    return this.outstanding - this.sackedBytes - this.lostBytes
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
    return segment
  }

  /** Everything below `una` arrived. */
  acknowledge(una: Seq, delivery: Delivery): void {
    while (this.first !== null && seqBefore(this.first.start, una)) {
      const segment = this.first
      if (seqAfter(segment.end, una)) this.split(segment, una)
      if (!segment.sacked) {
        this.deliver(segment, delivery)
        delivery.cumulativeBytes += segment.length
      } else this.sackedBytes -= segment.length
      if (segment.lost) this.lostBytes -= segment.length
      this.first = segment.next
      if (this.first === null) this.last = null
      else this.first.previous = null
      this.length--
    }
  }

  /** One SACK block: [left, right) arrived. Returns bytes newly reported. */
  sack(left: Seq, right: Seq, delivery: Delivery): number {
    const before = delivery.bytes
    for (let segment = this.first; segment !== null && seqBefore(segment.start, right); segment = segment.next) {
      if (segment.sacked || seqAtMost(segment.end, left)) continue
      if (seqBefore(segment.start, left)) {
        this.split(segment, left)
        continue
      }
      if (seqAfter(segment.end, right)) this.split(segment, right)
      this.deliver(segment, delivery)
      segment.sacked = true
      this.sackedBytes += segment.length
      if (segment.lost) {
        segment.lost = false
        this.lostBytes -= segment.length
      }
    }
    return delivery.bytes - before
  }

  markLost(segment: SentSegment): void {
    if (segment.lost || segment.sacked) return
    segment.lost = true
    this.lostBytes += segment.length
  }

  /** A lost segment was sent again. */
  markRetransmitted(segment: SentSegment, now: Micros): void {
    if (segment.lost) {
      segment.lost = false
      this.lostBytes -= segment.length
    }
    segment.retransmissions++
    segment.sentAt = now
  }

  /** After a time-out: everything not reported by SACK is lost (RFC 6675 §5.1, RFC 8985 §6.3). */
  markAllLost(): void {
    for (let segment = this.first; segment !== null; segment = segment.next) this.markLost(segment)
  }

  /** Takes back what was marked: the time-out was spurious. */
  clearLost(): void {
    for (let segment = this.first; segment !== null; segment = segment.next) segment.lost = false
    this.lostBytes = 0
  }

  /** RFC 2018 §8: a receiver may take back what it reported; after a time-out nothing of it is believed. */
  forgetSacks(): void {
    for (let segment = this.first; segment !== null; segment = segment.next) segment.sacked = false
    this.sackedBytes = 0
  }

  /** The first segment to send again; null: none is lost. */
  nextLost(): SentSegment | null {
    if (this.lostBytes === 0) return null
    let segment = this.first
    while (segment !== null && !segment.lost) segment = segment.next
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
    return rest
  }

  clear(): void {
    this.first = null
    this.last = null
    this.length = 0
    this.sackedBytes = 0
    this.lostBytes = 0
  }

  private deliver(segment: SentSegment, delivery: Delivery): void {
    delivery.bytes += segment.length
    const once = segment.retransmissions === 0
    if (once && segment.sentAt > delivery.firstSentAt) delivery.firstSentAt = segment.sentAt
    const later =
      segment.sentAt > delivery.sentAt || (segment.sentAt === delivery.sentAt && seqAfter(segment.end, delivery.end))
    if (later) {
      delivery.sentAt = segment.sentAt
      delivery.end = segment.end
      delivery.retransmitted = !once
    }
    // RFC 8985 §6.2 step 3.
    if (!this.hasForwardAck || seqAfter(segment.end, this.forwardAck)) {
      this.forwardAck = segment.end
      this.hasForwardAck = true
    } else if (once && seqBefore(segment.end, this.forwardAck)) delivery.reordered = true
  }
}

/** The part of [left, right) that lies within [low, high]; null: none does. */
export function clip(left: Seq, right: Seq, low: Seq, high: Seq): { left: Seq; right: Seq } | null {
  const from = seqMax(left, low)
  const to = seqMin(right, high)
  return seqBefore(from, to) ? { left: from, right: to } : null
}
