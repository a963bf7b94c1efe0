// Timers by a host's clock: a time-out that is set, put off and cancelled with each request of a connection.

import { describe, expect, it } from 'vitest'
import { HostTimers } from '../../src/node/host-timers.ts'
import { IMMEDIATELY, type Micros, micros, millis, NEVER } from '../../src/time.ts'

const round = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Timers whose clock the test moves, and what ran at which instant. */
function timers() {
  const made = new HostTimers(() => {})
  const ran: string[] = []
  const at = async (now: Micros): Promise<string[]> => {
    made.poll(now)
    await round()
    return ran.splice(0)
  }
  return { made, at, say: (what: string) => () => void ran.push(what) }
}

const START = micros(1_000_000)
const later = (milliseconds: number): Micros => micros(START + millis(milliseconds))

describe('a timer of a host', () => {
  it('waits from the poll after it was set, and runs once', async () => {
    const { made, at, say } = timers()
    made.set(10, say('done'))
    expect(made.deadline()).toBe(IMMEDIATELY)
    expect(await at(START)).toEqual([])
    expect(made.deadline()).toBe(later(10))
    expect(await at(later(9))).toEqual([])
    expect(await at(later(10))).toEqual(['done'])
    expect(await at(later(100))).toEqual([])
    expect(made.deadline()).toBe(NEVER)
  })

  it('set once more waits anew with what it is then to do, be it waiting, cancelled or over', async () => {
    const { made, at, say } = timers()
    const timer = made.set(10, say('first'))
    await at(START)
    made.reset(timer, 20, say('second'))
    await at(later(5))
    expect(await at(later(24))).toEqual([])
    expect(await at(later(25))).toEqual(['second'])
    made.reset(timer, 10, say('third'))
    made.cancel(timer)
    expect(await at(later(100))).toEqual([])
    made.reset(timer, 10, say('fourth'))
    await at(later(100))
    expect(await at(later(110))).toEqual(['fourth'])
  })

  it('that is put off between the poll that found it due and the event loop does not run', async () => {
    const { made, at, say } = timers()
    const timer = made.set(10, say('done'))
    made.poll(START)
    made.poll(later(10))
    made.refresh(timer)
    made.poll(later(11))
    await round()
    expect(await at(later(20))).toEqual([])
    expect(await at(later(21))).toEqual(['done'])
  })

  it('that is set and cancelled with each of many requests is found once, and not once for each', async () => {
    const { made, at, say } = timers()
    const timer = made.set(5_000, say('done'))
    for (let request = 0; request < 1_000; request++) {
      made.poll(later(request))
      made.cancel(timer)
      made.reset(timer, 5_000, say('done'))
    }
    const deadlines = new Set<Micros>()
    // Left-over entries would each be a deadline of their own.
    for (let step = 1_000; made.deadline() !== NEVER && step < 10_000; step++) {
      await at(later(step))
      if (made.deadline() !== NEVER) deadlines.add(made.deadline())
    }
    expect(deadlines.size).toBeLessThanOrEqual(2)
  })
})
