// The bytes that arrived: in order and waiting to be read, or beyond a hole and waiting for it to be filled. Packets
// are kept as they came; nothing is copied before the program reads. Bounded by the window in bytes, by
// the charge of the pages, and in the number of holes.

import type { Packet } from '../buf/packet.ts'
import { PacketQueue } from '../buf/packet-queue.ts'
import { type Seq, seqAdd, seqAfter, seqAtMost, seqBefore, seqDiff, seqMax } from '../wire/sequence.ts'

/** Separate pieces kept beyond a hole; more are dropped, and come again. */
export const MAX_PIECES = 512

/** A piece beyond a hole. Pieces are in order and never overlap; neighbours that touch are not merged. */
interface Piece {
  readonly start: Seq
  readonly end: Seq
  readonly packet: Packet
}

/** A range of sequence numbers, for SACK. */
export interface Range {
  readonly left: Seq
  readonly right: Seq
}

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
  private readonly ordered = new PacketQueue(Number.MAX_SAFE_INTEGER)
  private pieces: Piece[] = []
  private pieceCharge = 0
  /** The range that came last beyond a hole, which SACK reports first (RFC 2018 §4). */
  private latest: Seq | null = null

  constructor(start: Seq) {
    this.reach = start
  }

  /** Bytes of the pages held. */
  get chargedBytes(): number {
    return this.ordered.chargedBytes + this.pieceCharge
  }

  get holes(): boolean {
    return this.pieces.length > 0
  }

  /**
   * Takes a packet whose data is [seq, seq + length), `nxt` being the next byte expected, and returns what became of
   * it; `reach` is the new next byte. Consumes the packet unless `full`.
   */
  insert(packet: Packet, seq: Seq, nxt: Seq): Insertion {
    this.duplicate = null
    this.reach = nxt
    const end = seqAdd(seq, packet.length)
    if (seqAtMost(end, nxt)) {
      this.duplicate = { left: seq, right: end }
      packet.release()
      return 'duplicate'
    }
    let start = seq
    if (seqBefore(seq, nxt)) {
      this.duplicate = { left: seq, right: nxt }
      packet.dropFront(seqDiff(nxt, seq))
      start = nxt
    }
    if (start === nxt && this.pieces.length === 0) {
      this.available += packet.length
      this.ordered.push(packet)
      this.reach = end
      return 'in-order'
    }
    const insertion = this.insertPiece(packet, start)
    if (insertion !== 'in-order' && insertion !== 'out-of-order') return insertion
    this.advance()
    return this.reach === nxt ? 'out-of-order' : 'in-order'
  }

  /** Up to `limit` ranges beyond the first hole, the one that changed last first (RFC 2018 §4). */
  sackRanges(limit: number): Range[] {
    const ranges = this.ranges()
    if (this.latest !== null) {
      const latest = this.latest
      const index = ranges.findIndex(({ left, right }) => seqAtMost(left, latest) && seqBefore(latest, right))
      if (index > 0) ranges.unshift(...ranges.splice(index, 1))
    }
    return ranges.slice(0, limit)
  }

  /** Copies up to length bytes from the front to the target without taking them, and returns how many. */
  peek(target: Uint8Array, at: number, length: number): number {
    let done = 0
    for (let packet = this.ordered.peek(); packet !== null && done < length; packet = packet.next) {
      const count = Math.min(length - done, packet.length)
      packet.copyTo(0, count, target, at + done)
      done += count
    }
    return done
  }

  /** Copies up to length bytes from the front to the target, and returns how many. */
  read(target: Uint8Array, at: number, length: number): number {
    let done = 0
    while (done < length) {
      const packet = this.ordered.peek()
      if (packet === null) break
      const count = Math.min(length - done, packet.length)
      packet.copyTo(0, count, target, at + done)
      done += count
      if (count === packet.length) this.ordered.shift()!.release()
      else this.ordered.dropFront(count)
    }
    this.available -= done
    return done
  }

  /** Forgets what is readable: nobody will read it. */
  dropAvailable(): void {
    this.ordered.clear()
    this.available = 0
  }

  clear(): void {
    this.ordered.clear()
    for (const piece of this.pieces) piece.packet.release()
    this.pieces = []
    this.available = 0
    this.outOfOrderBytes = 0
    this.pieceCharge = 0
  }

  /** Moves what has become contiguous behind `reach` to the readable part. */
  private advance(): void {
    let taken = 0
    for (const piece of this.pieces) {
      if (seqAfter(piece.start, this.reach)) break
      taken++
      this.outOfOrderBytes -= seqDiff(piece.end, piece.start)
      this.pieceCharge -= piece.packet.chargedBytes
      this.available += piece.packet.length
      this.reach = piece.end
      this.ordered.push(piece.packet)
    }
    if (taken > 0) this.pieces.splice(0, taken)
  }

  /** Cuts the packet to the parts that no piece holds, and keeps the first of them; the rest comes again. */
  private insertPiece(packet: Packet, seq: Seq): Insertion {
    const end = seqAdd(seq, packet.length)
    let index = this.pieces.length
    while (index > 0 && seqAfter(this.pieces[index - 1]!.start, seq)) index--
    const before = index > 0 ? this.pieces[index - 1]! : null
    let start = seq
    if (before !== null && seqAfter(before.end, seq)) {
      start = before.end
      if (seqAtMost(end, start)) {
        this.duplicate = { left: seq, right: end }
        packet.release()
        return 'duplicate'
      }
      this.duplicate = { left: seq, right: start }
      packet.dropFront(seqDiff(start, seq))
    }
    const swallowed = this.swallow(index, start, end)
    const behind = index < this.pieces.length ? this.pieces[index]! : null
    let stop = end
    if (behind !== null && seqAfter(end, behind.start)) {
      stop = behind.start
      this.duplicate ??= { left: behind.start, right: end }
      if (seqAtMost(stop, start)) {
        packet.release()
        return 'duplicate'
      }
      packet.trim(seqDiff(stop, start))
    }
    if (this.pieces.length >= MAX_PIECES) return 'full'
    if (swallowed !== null) this.duplicate ??= swallowed
    this.pieces.splice(index, 0, { start, end: stop, packet })
    this.outOfOrderBytes += seqDiff(stop, start)
    this.pieceCharge += packet.chargedBytes
    this.latest = start
    return 'out-of-order'
  }

  /** Drops the pieces from `index` on that lie wholly within [start, end), which the new packet brings again. */
  private swallow(index: number, start: Seq, end: Seq): Range | null {
    let swallowed: Range | null = null
    while (index < this.pieces.length) {
      const piece = this.pieces[index]!
      if (seqBefore(piece.start, start) || seqAfter(piece.end, end)) break
      swallowed ??= { left: piece.start, right: piece.end }
      this.outOfOrderBytes -= seqDiff(piece.end, piece.start)
      this.pieceCharge -= piece.packet.chargedBytes
      piece.packet.release()
      this.pieces.splice(index, 1)
    }
    return swallowed
  }

  private ranges(): Range[] {
    const ranges: { left: Seq; right: Seq }[] = []
    for (const piece of this.pieces) {
      const last = ranges[ranges.length - 1]
      if (last !== undefined && last.right === piece.start) last.right = seqMax(last.right, piece.end)
      else ranges.push({ left: piece.start, right: piece.end })
    }
    return ranges
  }
}
