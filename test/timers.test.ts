import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Micros, micros, NEVER } from '../src/time.ts'
import { DeadlineHeap, type Timed } from '../src/timers.ts'

interface Item extends Timed {
  name: number
}

const items = (count: number): Item[] =>
  Array.from({ length: count }, (_, name) => ({ name, deadlineAt: NEVER, scheduledAt: NEVER }))

const step = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), which: fc.nat(9), to: fc.nat(1_000) }),
  fc.record({ kind: fc.constant('stop' as const), which: fc.nat(9), to: fc.constant(0) }),
  fc.record({ kind: fc.constant('pass' as const), which: fc.constant(0), to: fc.nat(300) }),
)

describe('DeadlineHeap', () => {
  it('hands out exactly what a naive list finds due, whichever way deadlines were moved', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (program) => {
        const heap = new DeadlineHeap<Item>()
        const all = items(10)
        let now = 0
        for (const { kind, which, to } of program) {
          if (kind === 'set' || kind === 'stop') {
            all[which]!.deadlineAt = kind === 'stop' ? NEVER : micros(now + to)
            heap.schedule(all[which]!)
          } else {
            now += to
            const due = all.filter(({ deadlineAt }) => deadlineAt <= now).map(({ name }) => name)
            const taken: number[] = []
            for (let item = heap.takeDue(micros(now)); item !== null; item = heap.takeDue(micros(now))) {
              taken.push(item.name)
              item.deadlineAt = NEVER
              heap.schedule(item)
            }
            expect(taken.sort()).toEqual(due.sort())
          }
          const earliest = Math.min(...all.map(({ deadlineAt }) => deadlineAt))
          expect(heap.next()).toBeLessThanOrEqual(earliest)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('hands out items in the order of the instants they are held under', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 60 }), (instants) => {
        const heap = new DeadlineHeap<Item>()
        const all = items(instants.length)
        all.forEach((item, index) => {
          item.deadlineAt = micros(instants[index]!)
          heap.schedule(item)
        })
        const order: Micros[] = []
        for (let item = heap.takeDue(micros(50)); item !== null; item = heap.takeDue(micros(50))) {
          order.push(item.deadlineAt)
          item.deadlineAt = NEVER
        }
        expect(order).toEqual([...instants].sort((a, b) => a - b))
        expect([heap.size, heap.next()]).toEqual([0, NEVER])
      }),
    )
  })

  it('does not grow when a deadline is moved later again and again', () => {
    const heap = new DeadlineHeap<Item>()
    const [item] = items(1)
    for (let instant = 100; instant < 10_000; instant++) {
      item!.deadlineAt = micros(instant)
      heap.schedule(item!)
    }
    expect(heap.size).toBe(1)
    expect(heap.takeDue(micros(5_000))).toBeNull()
    expect(heap.next()).toBe(9_999)
  })

  it('hands out an item once where it is held under two instants', () => {
    const heap = new DeadlineHeap<Item>()
    const [item] = items(1)
    for (const instant of [500, 100]) {
      item!.deadlineAt = micros(instant)
      heap.schedule(item!)
    }
    expect(heap.takeDue(micros(1_000))).toBe(item)
    expect(heap.takeDue(micros(1_000))).toBeNull()
    expect(heap.size).toBe(0)
  })
})

it('an item that is moved far and near again and again leaves a bounded heap', () => {
  const heap = new DeadlineHeap<Timed>()
  const item = { deadlineAt: NEVER, scheduledAt: NEVER }
  for (let cycle = 0; cycle < 10_000; cycle++) {
    item.deadlineAt = (1_000_000_000 + cycle) as Micros
    heap.schedule(item)
    item.deadlineAt = cycle as Micros
    heap.schedule(item)
    expect(heap.takeDue(cycle as Micros)).toBe(item)
  }
  expect(heap.size).toBeLessThan(100)
})
