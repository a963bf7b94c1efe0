// Runs a program of this folder as it is, on whatever net its process has, and prints its trace:
//
//   node --import tsx test/programs/main.ts NAME PLACE
//
// PLACE is JSON: where its server is.

import { type PostgresPlace, postgresProgram } from './postgres.ts'
import { type RedisPlace, redisProgram } from './redis.ts'
import type { Trace } from './trace.ts'

const [name, place] = process.argv.slice(2)

function run(given: unknown): Promise<Trace> {
  switch (name) {
    case 'postgres':
      return postgresProgram(given as PostgresPlace)
    case 'redis':
      return redisProgram(given as RedisPlace)
    default:
      throw new Error(`there is no program ${name}`)
  }
}

console.log(`TRACE ${JSON.stringify(await run(JSON.parse(place!)))}`)
