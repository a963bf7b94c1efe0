// Timing loops. Contestants of one race take turns, round by round, so that what else the machine does hits all of
// them alike; a figure is the median of the rounds.

export interface Contestant {
  readonly name: string
  /** Does the thing `count` times and returns something that depends on it, so that none of it can be left out. */
  run(count: number): number
}

export interface RaceOptions {
  /** Default 15. */
  readonly rounds?: number
  /** Default 10. */
  readonly roundMillis?: number
  /** Before the first round; default 100. */
  readonly warmupMillis?: number
}

/** What the loops gave: kept, so that they had to be run. */
let kept = 0

/** Nanoseconds for one time, by name. */
export function race(contestants: readonly Contestant[], options: RaceOptions = {}): Map<string, number> {
  const { rounds = 15, roundMillis = 10, warmupMillis = 100 } = options
  const counts = contestants.map((contestant) => calibrate(contestant, roundMillis, warmupMillis))
  const times = contestants.map(() => [] as number[])
  for (let round = 0; round < rounds; round++) {
    for (const [index, contestant] of contestants.entries()) {
      const count = counts[index]!
      times[index]!.push((elapsed(contestant, count) * 1e6) / count)
    }
  }
  if (Number.isNaN(kept)) throw new Error('a contestant returned what is no number')
  return new Map(contestants.map(({ name }, index) => [name, median(times[index]!)]))
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >>> 1
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** How often fits into a round, found while the compiler makes up its mind. */
function calibrate(contestant: Contestant, roundMillis: number, warmupMillis: number): number {
  const until = performance.now() + warmupMillis
  let count = 1
  let took = elapsed(contestant, count)
  while (took < roundMillis || performance.now() < until) {
    if (took < roundMillis) count *= 2
    took = elapsed(contestant, count)
  }
  return Math.max(1, Math.round((count * roundMillis) / took))
}

function elapsed(contestant: Contestant, count: number): number {
  const start = performance.now()
  kept += contestant.run(count)
  return performance.now() - start
}
