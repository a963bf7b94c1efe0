// Runs a program of this folder as it is, on whatever net its process has:
//
//   node --import tsx test/programs/main.ts NAME GIVEN
//
// GIVEN is JSON. A client prints `TRACE` and what it saw; a server prints `READY` and where it is, and stays. Only what is
// asked for is loaded.

import type { Trace } from './trace.ts'

type Given = never
const CLIENTS: Readonly<Record<string, (given: Given) => Promise<Trace>>> = {
  postgres: async (given) => (await import('./postgres.ts')).postgresProgram(given),
  redis: async (given) => (await import('./redis.ts')).redisProgram(given),
  grpc: async (given) => (await import('./grpc.ts')).askGrpc(given),
  ssh: async (given) => (await import('./ssh.ts')).askSsh(given),
}
const SERVERS: Readonly<Record<string, (given: Given) => Promise<object>>> = {
  'grpc-server': async (given) => (await import('./grpc.ts')).serveGrpc(given),
  'ssh-server': async (given) => (await import('./ssh-server.ts')).serveSsh(given),
}

const [name = '', json = '{}'] = process.argv.slice(2)
const given = JSON.parse(json) as Given
const [serve, ask] = [SERVERS[name], CLIENTS[name]]
if (serve !== undefined) console.log(`READY ${JSON.stringify(await serve(given))}`)
else if (ask !== undefined) console.log(`TRACE ${JSON.stringify(await ask(given))}`)
else throw new Error(`there is no program ${name}`)
