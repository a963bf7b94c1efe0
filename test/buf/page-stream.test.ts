import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Packet } from '../../src/buf/packet.ts'
import { LARGE_PAGE, SMALL_PAGE } from '../../src/buf/page.ts'
import { PageStream } from '../../src/buf/page-stream.ts'
import { testPool } from '../support/pool.ts'

const step = fc.record({
  kind: fc.constantFrom('append', 'append', 'append', 'lend', 'copy', 'read', 'drop', 'clear'),
  a: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  b: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
})

describe('PageStream', () => {
  it('equals a plain array, and what was lent stays as it was whatever happens to the stream', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (program) => {
        const pool = testPool()
        const stream = new PageStream(pool)
        let model: number[] = []
        let mark = 0
        const lent: { packet: Packet; bytes: number[] }[] = []
        for (const { kind, a, b } of program) {
          const at = Math.floor(a * (model.length + 1))
          const length = Math.floor(b * (model.length - at + 1))
          if (kind === 'append') {
            // Now and then enough for a large page.
            const bytes = Uint8Array.from({ length: Math.floor(a * (b > 0.9 ? 40_000 : 3_000)) }, () => mark++ & 0xff)
            const from = Math.floor(bytes.length * b)
            expect(stream.append(bytes, from, bytes.length - from)).toBe(bytes.length - from)
            model = model.concat([...bytes.subarray(from)])
          } else if (kind === 'lend') {
            const packet = Packet.allocate(pool, 0)!
            stream.lend(packet, at, length)
            lent.push({ packet, bytes: model.slice(at, at + length) })
          } else if (kind === 'copy') {
            const target = new Uint8Array(length + 1)
            stream.copyTo(at, length, target, 1)
            expect([...target.subarray(1)]).toEqual(model.slice(at, at + length))
          } else if (kind === 'read') {
            const target = new Uint8Array(at)
            expect(stream.read(target)).toBe(at)
            expect([...target]).toEqual(model.splice(0, at))
          } else if (kind === 'drop') {
            stream.drop(at)
            model.splice(0, at)
          } else {
            stream.clear()
            model = []
          }
          expect(stream.length).toBe(model.length)
          expect(stream.chargedBytes).toBeGreaterThanOrEqual(stream.length)
        }
        const all = new Uint8Array(stream.length)
        stream.copyTo(0, all.length, all, 0)
        expect([...all]).toEqual(model)
        stream.clear()
        expect(stream.chargedBytes).toBe(0)
        for (const { packet, bytes } of lent) {
          expect([...packet.toBytes()]).toEqual(bytes)
          packet.release()
        }
        expect(pool.inUse).toBe(0)
      }),
      { numRuns: 150 },
    )
  })

  it('takes what fits where the pool has an end', () => {
    const pool = testPool({ limitBytes: 2 * SMALL_PAGE })
    const stream = new PageStream(pool)
    expect(stream.append(new Uint8Array(5_000), 0, 5_000)).toBe(2 * SMALL_PAGE)
    expect(stream.append(new Uint8Array(1), 0, 1)).toBe(0)
    stream.drop(SMALL_PAGE)
    expect(stream.append(new Uint8Array(5_000), 0, 5_000)).toBe(SMALL_PAGE)
    stream.clear()
  })

  it('charges the pages it holds', () => {
    const stream = new PageStream(testPool())
    stream.append(new Uint8Array(1), 0, 1)
    expect(stream.chargedBytes).toBe(SMALL_PAGE)
    stream.append(new Uint8Array(20_000), 0, 20_000)
    expect(stream.chargedBytes).toBe(SMALL_PAGE + LARGE_PAGE)
    stream.drop(SMALL_PAGE)
    expect(stream.chargedBytes).toBe(LARGE_PAGE)
    stream.clear()
  })

  it('asserts that nobody asks for bytes that it does not hold', () => {
    const pool = testPool()
    const stream = new PageStream(pool)
    stream.append(new Uint8Array(10), 0, 10)
    const packet = Packet.allocate(pool, 0)!
    expect(() => stream.lend(packet, 5, 6)).toThrow('outside')
    expect(() => stream.copyTo(11, 0, new Uint8Array(1), 0)).toThrow('outside')
    expect(() => stream.drop(11)).toThrow('more than')
    packet.release()
    stream.clear()
  })
})
