// The bytes that a program wrote and the peer has not acknowledged, by sequence number. Segments borrow its pages;
// acknowledged bytes go.

import { assert } from '../assert.ts'
import type { Packet } from '../buf/packet.ts'
import { PageStream } from '../buf/page-stream.ts'
import { type Seq, seqAdd, seqDiff } from '../wire/sequence.ts'
import type { TcpMemory } from './memory.ts'

export class SendQueue {
  /** The sequence number of the first byte held. */
  start: Seq
  /** Nothing more is written after what is here: FIN follows the last byte. */
  finQueued = false
  /** Null while there is nothing in it: most connections have nothing to send most of the time. */
  private stream: PageStream | null = null
  private readonly memory: TcpMemory

  constructor(memory: TcpMemory, start: Seq) {
    this.memory = memory
    this.start = start
  }

  get length(): number {
    return this.stream === null ? 0 : this.stream.length
  }

  /** Bytes of the pages held. */
  get chargedBytes(): number {
    return this.stream === null ? 0 : this.stream.chargedBytes
  }

  /** The sequence number after the last byte: that of FIN, once queued. */
  get end(): Seq {
    return seqAdd(this.start, this.length)
  }

  /** Copies bytes in, and returns how many the pool had room for. */
  append(bytes: Uint8Array, at: number, length: number): number {
    assert(!this.finQueued, 'data after FIN')
    this.stream ??= new PageStream(this.memory.pool)
    const before = this.stream.chargedBytes
    const done = this.stream.append(bytes, at, length)
    this.memory.add(this.stream.chargedBytes - before)
    return done
  }

  /** Puts bytes [from, from + length) behind the packet's headers without copying. */
  lend(packet: Packet, from: Seq, length: number): void {
    assert(this.stream !== null, 'nothing to lend')
    this.stream.lend(packet, seqDiff(from, this.start), length)
  }

  /** The peer has everything below `una`; FIN, which is no byte here, may lie below it too. */
  acknowledge(una: Seq): void {
    const { stream } = this
    if (stream === null) return
    const count = Math.min(seqDiff(una, this.start), stream.length)
    if (count <= 0) return
    const before = stream.chargedBytes
    stream.drop(count)
    this.memory.add(stream.chargedBytes - before)
    this.start = seqAdd(this.start, count)
    if (stream.length === 0) this.stream = null
  }

  clear(): void {
    this.memory.add(-this.chargedBytes)
    this.stream?.clear()
    this.stream = null
  }
}
