// Receive queue, send queue and scoreboard against plain models, with sequence numbers that wrap.

import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import { HEADROOM, Packet } from '../../src/buf/packet.ts'
import { LARGE_PAGE, type PagePool } from '../../src/buf/page.ts'
import { Counters } from '../../src/counters.ts'
import { DEFAULT_TCP_CONFIG } from '../../src/tcp/environment.ts'
import { TcpMemory } from '../../src/tcp/memory.ts'
import { MAX_HOLES, ReceiveQueue } from '../../src/tcp/receive-queue.ts'
import { Delivery, Scoreboard } from '../../src/tcp/scoreboard.ts'
import { SendQueue } from '../../src/tcp/send-queue.ts'
import { type Micros, micros } from '../../src/time.ts'
import { type Seq, seq, seqAdd, seqAtMost, seqDiff } from '../../src/wire/sequence.ts'
import { testPool } from '../support/pool.ts'

const STREAM = 20_000
const streamByte = (at: number): number => (at * 31 + (at >>> 8)) & 0xff
const bytesOf = (at: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => streamByte(at + index))
const packetOf = (pool: PagePool, at: number, length: number): Packet => Packet.from(pool, bytesOf(at, length))!

const memoryOf = (pool: PagePool): TcpMemory => new TcpMemory(pool, new Counters(), DEFAULT_TCP_CONFIG)

const starts = fc.constantFrom(0, -1, -5_000, 0x7fff_ffff, 0x7fff_e000, 123_456)
const pieces = fc.array(
  fc.record({ at: fc.nat(STREAM), length: fc.integer({ min: 1, max: 1_500 }), read: fc.boolean() }),
  { minLength: 1, maxLength: 60 },
)

describe('receive queue', () => {
  test.prop([starts, pieces])('gives the bytes in order, whatever comes twice, late or overlapping', (start, all) => {
    const pool = testPool()
    const memory = memoryOf(pool)
    const queue = new ReceiveQueue(memory, seq(start))
    const have = new Uint8Array(STREAM + 2_000)
    let nxt = seq(start)
    let done = 0
    for (const { at, length, read } of all) {
      const before = seqDiff(nxt, seq(start))
      const inserted = queue.insert(packetOf(pool, at, length), seqAdd(seq(start), at), nxt)
      have.fill(1, at, at + length)
      if (inserted === 'duplicate') expect(have.subarray(at, at + length).includes(0)).toBe(false)
      let reach = before
      while (have[reach] === 1) reach++
      expect(seqDiff(queue.reach, seq(start))).toBe(reach)
      nxt = queue.reach
      if (read) {
        const target = new Uint8Array(700)
        const count = queue.read(target, 0, target.length)
        expect(target.subarray(0, count)).toEqual(bytesOf(done, count))
        done += count
      }
      expect(queue.available).toBe(reach - done)
      checkRanges(queue, have, reach, seq(start))
      expect(memory.bytes).toBe(queue.chargedBytes)
    }
    queue.clear()
    expect([queue.chargedBytes, memory.bytes]).toEqual([0, 0])
    expect(pool.inUse).toBe(0)
  })

  test('the range of the latest segment is told first, then those before it (RFC 2018 §4)', () => {
    const pool = testPool()
    const queue = new ReceiveQueue(memoryOf(pool), seq(0))
    for (const at of [1_000, 3_000, 5_000, 7_000, 3_100]) queue.insert(packetOf(pool, at, 100), seq(at), seq(0))
    expect(queue.sackRanges(3).map(({ left, right }) => [left, right])).toEqual([
      [3_000, 3_200],
      [7_000, 7_100],
      [5_000, 5_100],
    ])
    queue.clear()
  })

  test('holes are bounded, and the segment that fills the first one is taken even then', () => {
    const pool = testPool()
    const queue = new ReceiveQueue(memoryOf(pool), seq(0))
    for (let hole = 0; hole < MAX_HOLES; hole++) {
      expect(queue.insert(packetOf(pool, 10 + 2 * hole, 1), seq(10 + 2 * hole), seq(0))).toBe('out-of-order')
    }
    const extra = packetOf(pool, 10_000, 1)
    expect(queue.insert(extra, seq(10_000), seq(0))).toBe('full')
    extra.release()
    expect(queue.insert(packetOf(pool, 0, 10), seq(0), seq(0))).toBe('in-order')
    expect(queue.reach).toBe(11)
    queue.clear()
  })

  test('small segments share pages: a thousand bytes that come one by one hold one page', () => {
    const pool = testPool()
    const queue = new ReceiveQueue(memoryOf(pool), seq(0))
    for (let at = 0; at < 1_000; at++) queue.insert(packetOf(pool, at, 1), seq(at), seq(at))
    expect(pool.inUse).toBe(1)
    const target = new Uint8Array(1_000)
    expect(queue.read(target, 0, 1_000)).toBe(1_000)
    expect(target).toEqual(bytesOf(0, 1_000))
  })

  test.each([
    ['in order', 0],
    ['beyond a hole', 1],
  ])('super-segments of two segments share pages %s: what a window promises fits', (_where, from) => {
    const pool = testPool()
    const queue = new ReceiveQueue(memoryOf(pool), seq(0))
    const length = 2_896
    for (let at = from; at < 40 * length; at += length) {
      // As a device reads them that offers super-segments: into a page for the longest.
      const packet = Packet.allocate(pool, LARGE_PAGE - HEADROOM)!
      packet.page.bytes.set(bytesOf(at, length), packet.put(length))
      queue.insert(packet, seq(at), queue.reach)
    }
    expect(queue.chargedBytes).toBeLessThan(2 * 40 * length)
    if (from > 0) queue.insert(packetOf(pool, 0, from), seq(0), seq(0))
    const target = new Uint8Array(50 * length)
    const count = queue.read(target, 0, target.length)
    expect(target.subarray(0, count)).toEqual(bytesOf(0, 40 * length + from))
    expect(pool.inUse).toBe(0)
  })

  test('what came twice is reported: below the window, and within an island (RFC 2883 §4)', () => {
    const pool = testPool()
    const queue = new ReceiveQueue(memoryOf(pool), seq(0))
    queue.insert(packetOf(pool, 0, 100), seq(0), seq(0))
    queue.insert(packetOf(pool, 50, 100), seq(50), seq(100))
    expect(queue.duplicate).toEqual({ left: 50, right: 100 })
    queue.insert(packetOf(pool, 500, 100), seq(500), seq(150))
    queue.insert(packetOf(pool, 500, 100), seq(500), seq(150))
    expect(queue.duplicate).toEqual({ left: 500, right: 600 })
    queue.clear()
  })
})

function checkRanges(queue: ReceiveQueue, have: Uint8Array, reach: number, start: Seq): void {
  let beyond = 0
  for (let at = reach; at < have.length; at++) beyond += have[at]!
  // A packet that reaches over an island keeps its front alone: the rest comes again.
  expect(queue.outOfOrderBytes).toBeLessThanOrEqual(beyond)
  for (const { left, right } of queue.sackRanges(4)) {
    const from = seqDiff(left, start)
    expect(from).toBeGreaterThan(reach)
    expect(have.subarray(from, seqDiff(right, start)).includes(0)).toBe(false)
  }
  have.fill(0, reach)
  for (const { left, right } of queue.sackRanges(MAX_HOLES)) have.fill(1, seqDiff(left, start), seqDiff(right, start))
}

describe('send queue', () => {
  test.prop([
    starts,
    fc.array(fc.record({ write: fc.integer({ min: 1, max: 5_000 }), ack: fc.nat(6_000), lend: fc.nat(3_000) }), {
      maxLength: 30,
    }),
  ])('lends the bytes of a sequence number, and forgets what is acknowledged', (start, steps) => {
    const pool = testPool()
    const memory = memoryOf(pool)
    const queue = new SendQueue(memory, seq(start))
    let written = 0
    let acked = 0
    for (const { write, ack, lend } of steps) {
      queue.append(bytesOf(written, write), 0, write)
      written += write
      const from = acked + Math.min(lend, written - acked - 1)
      const packet = Packet.allocate(pool, 0)!
      const length = Math.min(1_460, written - from)
      queue.lend(packet, seqAdd(seq(start), from), length)
      expect(packet.toBytes()).toEqual(bytesOf(from, length))
      packet.release()
      acked = Math.min(written, acked + ack)
      queue.acknowledge(seqAdd(seq(start), acked))
      expect(queue.length).toBe(written - acked)
      expect(seqDiff(queue.end, seq(start))).toBe(written)
    }
    queue.clear()
  })
})

type Mark = 'flight' | 'sacked' | 'lost'

describe('scoreboard', () => {
  const step = fc.record({
    kind: fc.constantFrom('send', 'ack', 'sack', 'lose', 'resend', 'undo', 'forget'),
    at: fc.nat(4_000),
    length: fc.integer({ min: 1, max: 900 }),
  })

  test.prop([starts, fc.array(step, { maxLength: 60 })])(
    'counts what is in flight, reported and lost as a list of single bytes does',
    (start, steps) => {
      const board = new Scoreboard(seq(start))
      const delivery = new Delivery()
      const model: Mark[] = []
      let una = 0
      let now = 1
      const at = (place: number): Seq => seqAdd(seq(start), place)
      for (const { kind, at: place, length } of steps) {
        now++
        const nxt = una + model.length
        delivery.clear()
        board.beginAck()
        if (kind === 'send') {
          board.append(at(nxt), at(nxt + length), now as Micros)
          for (let index = 0; index < length; index++) model.push('flight')
        } else if (kind === 'ack') {
          const to = Math.min(nxt, una + place)
          const fresh = model.splice(0, to - una).filter((mark) => mark !== 'sacked').length
          board.acknowledge(at(to), delivery)
          expect(delivery.bytes).toBe(fresh)
          una = to
        } else if (kind === 'sack') {
          const left = Math.min(nxt, una + place)
          const right = Math.min(nxt, left + length)
          if (left === right) continue
          let fresh = 0
          for (let index = left - una; index < right - una; index++) {
            if (model[index] !== 'sacked') fresh++
            model[index] = 'sacked'
          }
          expect(board.sack(at(left), at(right), delivery)).toBe(fresh)
          board.remember([{ left: at(left), right: at(right) }])
        } else if (kind === 'lose') {
          const segment = segmentAt(board, at(una + place))
          if (segment === null || segment.sacked) continue
          const from = seqDiff(segment.start, at(una))
          model.fill('lost', from, from + segment.length)
          board.markLost(segment)
        } else if (kind === 'resend') {
          const segment = board.nextLost()
          expect(segment?.start).toBe(model.includes('lost') ? at(una + model.indexOf('lost')) : undefined)
          if (segment === null) continue
          const from = seqDiff(segment.start, at(una))
          model.fill('flight', from, from + segment.length)
          board.markRetransmitted(segment, now as Micros)
        } else if (kind === 'undo') {
          board.clearLost()
          for (const [index, mark] of model.entries()) if (mark === 'lost') model[index] = 'flight'
        } else {
          board.forgetSacks()
          for (const [index, mark] of model.entries()) if (mark === 'sacked') model[index] = 'flight'
        }
        const count = (wanted: Mark): number => model.filter((mark) => mark === wanted).length
        expect([board.outstanding, board.sackedBytes, board.lostBytes, board.flight]).toEqual([
          model.length,
          count('sacked'),
          count('lost'),
          count('flight'),
        ])
        checkFlightList(board, count('flight'))
      }
    },
  )

  test('reordering is what arrives below something that arrived before, and was sent once (RFC 8985 §6.2 step 3)', () => {
    const board = new Scoreboard(seq(0))
    for (let at = 0; at < 4; at++) board.append(seq(100 * at), seq(100 * at + 100), micros(at + 1))
    const delivery = new Delivery()
    board.beginAck()
    board.acknowledge(seq(100), delivery)
    board.sack(seq(300), seq(400), delivery)
    expect(delivery.reordered).toBe(false)
    delivery.clear()
    board.beginAck()
    board.sack(seq(200), seq(300), delivery)
    expect(delivery.reordered).toBe(true)
  })
})

function segmentAt(board: Scoreboard, at: Seq) {
  let segment = board.first
  while (segment !== null && seqAtMost(segment.end, at)) segment = segment.next
  return segment
}

/** The segments in flight are listed by time, each once. */
function checkFlightList(board: Scoreboard, bytes: number): void {
  let sum = 0
  let last = 0
  for (let segment = board.oldest; segment !== null; segment = segment.newer) {
    sum += segment.length
    expect(segment.sentAt).toBeGreaterThanOrEqual(last)
    last = segment.sentAt
  }
  expect(sum).toBe(bytes)
}
