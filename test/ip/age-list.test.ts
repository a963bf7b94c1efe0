import { fc, test as property } from '@fast-check/vitest'
import { expect } from 'vitest'
import { type Aged, AgeList } from '../../src/ip/age-list.ts'
import { type Micros, NEVER } from '../../src/time.ts'

interface Entry extends Aged<Entry> {
  readonly id: number
}

const entry = (id: number): Entry => ({ id, deadlineAt: NEVER, older: null, newer: null, listed: false })

property.prop([fc.array(fc.tuple(fc.nat(3), fc.nat(20)), { maxLength: 60 })])(
  'entries leave in the order in which they came, whichever are taken out between',
  (steps) => {
    const list = new AgeList<Entry>()
    const model: Entry[] = []
    let instant = 0
    for (const [what, number] of steps) {
      if (what < 2) {
        const added = entry(instant)
        instant += number
        model.push(added)
        list.add(added, instant as Micros)
      } else if (what === 2 && model.length > 0) {
        const [removed] = model.splice(number % model.length, 1)
        list.remove(removed!)
        list.remove(removed!)
        expect(removed).toMatchObject({ older: null, newer: null, listed: false })
      } else if (list.oldest !== null) {
        expect(list.oldest).toBe(model.shift())
        list.remove(list.oldest)
      }
      expect([list.size, list.oldest ?? undefined, list.deadline()]).toEqual([
        model.length,
        model[0],
        model[0]?.deadlineAt ?? NEVER,
      ])
    }
  },
)
