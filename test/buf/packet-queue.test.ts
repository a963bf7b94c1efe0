import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Packet } from '../../src/buf/packet.ts'
import { PacketQueue } from '../../src/buf/packet-queue.ts'
import { LARGE_PAGE, SMALL_PAGE } from '../../src/buf/page.ts'
import { testPool } from '../support/pool.ts'

describe('PacketQueue', () => {
  it('equals a plain array that is bounded by packets and by the bytes of their pages', () => {
    const operation = fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom('small', 'large') },
      { weight: 4, arbitrary: fc.constant('shift') },
      { weight: 1, arbitrary: fc.constant('clear') },
    )
    fc.assert(
      fc.property(
        fc.nat(5 * LARGE_PAGE),
        fc.integer({ min: 1, max: 6 }),
        fc.array(operation),
        (bytes, count, program) => {
          const pool = testPool()
          const queue = new PacketQueue(bytes, count)
          const model: Packet[] = []
          const charged = () => model.reduce((sum, packet) => sum + packet.chargedBytes, 0)
          for (const step of program) {
            if (step === 'shift') expect(queue.shift()).toBe(model[0] ?? null)
            if (step === 'clear') expect(queue.clear()).toBe(model.length)
            if (step === 'shift') model.shift()?.release()
            if (step === 'clear') model.length = 0
            if (step === 'small' || step === 'large') {
              const packet = Packet.allocate(pool, step === 'small' ? 1 : SMALL_PAGE)!
              const fits = model.length < count && (model.length === 0 || charged() + packet.chargedBytes <= bytes)
              expect(queue.push(packet)).toBe(fits)
              if (fits) model.push(packet)
              else packet.release()
            }
            expect([queue.length, queue.chargedBytes]).toEqual([model.length, charged()])
            expect(queue.peek()).toBe(model[0] ?? null)
          }
          queue.clear()
          expect(pool.inUse).toBe(0)
        },
      ),
    )
  })

  it('asserts that a packet that others are chained behind is not queued a second time', () => {
    const pool = testPool()
    const queue = new PacketQueue(1e6)
    const first = Packet.allocate(pool, 1)!
    queue.push(first)
    queue.push(Packet.allocate(pool, 1)!)
    expect(() => queue.push(first)).toThrow('two queues')
    expect(() => first.release()).toThrow('queued')
    queue.clear()
  })
})
