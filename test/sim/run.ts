// npm run sim -- --seconds N [--seed S]: transfers over bad networks (transfer.ts), one seed after the other, for N
// seconds. Prints the seed of each failure and how to repeat it; exits with 1 where there was one.

import { parseArgs } from 'node:util'
import { transfer } from './transfer.ts'

const USAGE = 'usage: npm run sim -- [--seconds N] [--seed S], with whole numbers'

function given(): { seconds?: string; seed?: string } {
  try {
    const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' } } })
    if (Object.values(values).every((text) => /^\d+$/.test(text))) return values
  } catch {
    // Told below.
  }
  console.error(USAGE)
  process.exit(2)
}

const values = given()
const wanted = Number(values.seconds ?? 60)
const once = values.seed !== undefined && values.seconds === undefined
const first = Number(values.seed ?? Math.floor(Date.now() / 1_000))
const until = Date.now() + wanted * 1_000
let failures = 0
let done = 0
let bytes = 0
let retransmitted = 0
for (let seed = first; once ? seed === first : Date.now() < until; seed++) {
  try {
    const outcome = await transfer(seed)
    bytes += outcome.bytes
    retransmitted += outcome.retransmitted
  } catch (error) {
    failures++
    console.error(`${error instanceof Error ? error.message : error}\n  again: npm run sim -- --seed ${seed}`)
    if (once && error instanceof Error) console.error(error.cause)
  }
  done++
}
console.log(
  `${done} transfers from seed ${first}: ${failures} failed; ${bytes} bytes, ${retransmitted} segments sent again`,
)
process.exitCode = failures > 0 ? 1 : 0
