// Throws ten million mutated frames at a host and says how it bore them:
// npx tsx test/fuzz/flood.ts [--frames N] [--seed S]. Exit code 1 when anything is wrong; the seed repeats it.

import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { nonZero } from '../../src/counters.ts'
import { flood } from './target.ts'

const DEFAULT_FRAMES = 10_000_000
/** What the heap may grow by once the tables are full: noise of the collector. */
const HEAP_SLACK_BYTES = 8 * 1_024 * 1_024
const REPORTS = 10

const { values } = parseArgs({ options: { frames: { type: 'string' }, seed: { type: 'string' } } })
const frames = Number(values.frames ?? DEFAULT_FRAMES)
const seed = Number(values.seed ?? Math.floor(Math.random() * 0x1_0000_0000))
if (!(Number.isSafeInteger(frames) && frames > 0 && Number.isSafeInteger(seed) && seed >= 0)) {
  console.error('usage: npx tsx test/fuzz/flood.ts [--frames N] [--seed S], with whole numbers')
  process.exit(2)
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const heapBytes = (): number => {
  collect()
  return process.memoryUsage().heapUsed
}
const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MiB`

const heaps: number[] = []
let reportAt = 0
const began = performance.now()
console.log(`${frames} frames, seed ${seed}`)
const { fault, target, sent } = flood({
  frames,
  seed,
  onProgress: (done, { pool }) => {
    if (done < reportAt) return
    reportAt += frames / REPORTS
    heaps.push(heapBytes())
    const perSecond = done === 0 ? 0 : Math.round(done / ((performance.now() - began) / 1_000))
    console.log(
      `${done} frames, ${perSecond}/s, heap ${megabytes(heaps.at(-1)!)}, pages ${megabytes(pool.inUseBytes)} (peak ${megabytes(pool.peakBytes)})`,
    )
  },
})
const took = (performance.now() - began) / 1_000
heaps.push(heapBytes())
for (const [name, count] of nonZero(target.stack.counters)) console.log(`  ${name} ${count}`)
console.log(
  `${sent} frames in ${took.toFixed(1)} s: ${Math.round(sent / took)} frames/s, ${Math.round(target.clock.now() / 1_000_000)} s of virtual time, seed ${seed}`,
)
console.log(
  `heap ${heaps.map(megabytes).join(', ')}; pages peak ${megabytes(target.pool.peakBytes)}, now ${target.pool.inUse}`,
)
// Tables fill up first; from a third of the way on nothing may grow.
const settled = heaps.slice(Math.ceil(heaps.length / 3))
const grew = settled.length > 1 ? settled.at(-1)! - settled[0]! : 0
const verdict = fault !== '' ? fault : grew > HEAP_SLACK_BYTES ? `the heap grew by ${megabytes(grew)}` : ''
target.close()
if (verdict !== '') {
  console.error(`FAILED (seed ${seed}): ${verdict}`)
  process.exit(1)
}
console.log('nothing broke')
