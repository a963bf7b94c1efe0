// Runs a program of this folder as it is, on whatever net its process has:
//
//   node --import tsx test/programs/main.ts NAME GIVEN
//
// GIVEN is JSON. A client prints `TRACE` and what it saw; a server prints `READY` and where it is, and stays.

import { askGrpc, type GrpcPlace, serveGrpc } from './grpc.ts'
import { type PostgresPlace, postgresProgram } from './postgres.ts'
import { type RedisPlace, redisProgram } from './redis.ts'
import type { Trace } from './trace.ts'

const [name = '', json = '{}'] = process.argv.slice(2)
const given: unknown = JSON.parse(json)

/** What a server is told. */
export interface ServerSettings {
  readonly host: string
  readonly tls: { readonly key: string; readonly certificate: string }
}

const CLIENTS: Readonly<Record<string, () => Promise<Trace>>> = {
  postgres: () => postgresProgram(given as PostgresPlace),
  redis: () => redisProgram(given as RedisPlace),
  grpc: () => askGrpc(given as GrpcPlace),
}
const SERVERS: Readonly<Record<string, (settings: ServerSettings) => Promise<object>>> = {
  'grpc-server': ({ host, tls }) => serveGrpc(host, tls),
}

if (name in SERVERS) console.log(`READY ${JSON.stringify(await SERVERS[name]!(given as ServerSettings))}`)
else console.log(`TRACE ${JSON.stringify(await CLIENTS[name]!())}`)
