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

/** A contestant whose work goes on by itself, over the event loop. */
export interface Runner {
  readonly name: string
  /** Runs for some time and returns how many bytes arrived, or whatever else it counts. */
  run(millis: number): Promise<number> | number
  close(): Promise<void> | void
}

/** What a runner did in one round. */
export interface Round {
  readonly count: number
  readonly millis: number
  /** Processor time of the process, all threads. */
  readonly processorMicros: number
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

/** The rounds of each, in the order of the runners, which are closed then. */
export async function inTurns(runners: readonly Runner[], options: Required<RaceOptions>): Promise<Round[][]> {
  const rounds = runners.map(() => [] as Round[])
  for (const runner of runners) await runner.run(options.warmupMillis)
  for (let round = 0; round < options.rounds; round++) {
    for (const [index, runner] of runners.entries()) {
      const start = performance.now()
      const before = process.cpuUsage()
      const count = await runner.run(options.roundMillis)
      const millis = performance.now() - start
      const { user, system } = process.cpuUsage(before)
      rounds[index]!.push({ count, millis, processorMicros: user + system })
    }
  }
  for (const runner of runners) await runner.close()
  return rounds
}

/** Where a runner counts bytes. */
export const gigabits = ({ count, millis }: Round): number => (8 * count) / millis / 1e6

/** What a whole core would carry. */
export const gigabitsByProcessor = ({ count, processorMicros }: Round): number => (8 * count) / processorMicros / 1e3

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
