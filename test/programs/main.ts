// Runs a program of this folder as it is, on whatever net its process has:
//
//   node --import tsx test/programs/main.ts NAME GIVEN
//
// GIVEN is JSON. A client prints `TRACE` and what it saw; a server prints `READY` and where it is, and stays.

import { askGrpc, type GrpcPlace, type GrpcSettings, serveGrpc } from './grpc.ts'
import { type PostgresPlace, postgresProgram } from './postgres.ts'
import { type RedisPlace, redisProgram } from './redis.ts'
import { askSsh, type SshPlace } from './ssh.ts'
import { type SshSettings, serveSsh } from './ssh-server.ts'
import type { Trace } from './trace.ts'

const [name = '', json = '{}'] = process.argv.slice(2)
const given: unknown = JSON.parse(json)

const CLIENTS: Readonly<Record<string, () => Promise<Trace>>> = {
  postgres: () => postgresProgram(given as PostgresPlace),
  redis: () => redisProgram(given as RedisPlace),
  grpc: () => askGrpc(given as GrpcPlace),
  ssh: () => askSsh(given as SshPlace),
}
const SERVERS: Readonly<Record<string, () => Promise<object>>> = {
  'grpc-server': () => serveGrpc(given as GrpcSettings),
  'ssh-server': () => serveSsh(given as SshSettings),
}

if (name in SERVERS) console.log(`READY ${JSON.stringify(await SERVERS[name]!())}`)
else console.log(`TRACE ${JSON.stringify(await CLIENTS[name]!())}`)
