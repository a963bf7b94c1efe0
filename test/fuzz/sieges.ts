// npm run siege -- --seconds N [--seed S] [--steps N]: sieges of TCP (siege.ts), one seed after the other, for N seconds;
// with a seed alone, that one. Prints the seed of each that broke something; exits with 1 where there was one.

import { parseArgs } from 'node:util'
import { besiege } from './siege.ts'

const { values } = parseArgs({
  options: { seconds: { type: 'string' }, seed: { type: 'string' }, steps: { type: 'string' } },
})
const steps = Number(values.steps ?? 10_000)
const isSingle = values.seed !== undefined && values.seconds === undefined
const first = Number(values.seed ?? Math.floor(Date.now() / 1_000))
const until = Date.now() + Number(values.seconds ?? 60) * 1_000
let [broken, done] = [0, 0]
for (let seed = first; isSingle ? seed === first : Date.now() < until; seed++, done++) {
  const { fault } = besiege({ steps, seed })
  if (fault === '') continue
  broken++
  console.error(`${fault}\n  again: npm run siege -- --seed ${seed} --steps ${steps}`)
}
console.log(`${done} sieges of ${steps} steps from seed ${first}: ${broken} broke something`)
process.exitCode = broken > 0 ? 1 : 0
