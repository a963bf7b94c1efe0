// Runs programs of this folder as they are, on whatever net their process has:
//
//   node --import tsx test/programs/main.ts WHAT
//
// WHAT is JSON: `{ NAME: GIVEN, … }`. Clients run one after another, then `TRACE` is printed and what each of them saw;
// servers stay, and `READY` is printed and where each of them is. Only what is asked for is loaded.

import type { Trace } from './trace.ts'

/** Each program knows what it takes. */
type Given = never
const CLIENTS: Readonly<Record<string, (given: Given) => Promise<Trace>>> = {
  postgres: async (given) => (await import('./postgres.ts')).postgresProgram(given),
  redis: async (given) => (await import('./redis.ts')).redisProgram(given),
  grpc: async (given) => (await import('./grpc.ts')).askGrpc(given),
  ssh: async (given) => (await import('./ssh.ts')).askSsh(given),
  mqtt: async (given) => (await import('./mqtt.ts')).askMqtt(given),
}
const SERVERS: Readonly<Record<string, (given: Given) => Promise<object>>> = {
  'grpc-server': async (given) => (await import('./grpc.ts')).serveGrpc(given),
  'ssh-server': async (given) => (await import('./ssh-server.ts')).serveSsh(given),
  'mqtt-server': async (given) => (await import('./mqtt.ts')).serveMqtt(given),
}

const ready: Record<string, object> = {}
const traces: Record<string, Trace> = {}
for (const [name, given] of Object.entries(JSON.parse(process.argv[2] ?? '{}') as Record<string, Given>)) {
  const [serve, ask] = [SERVERS[name], CLIENTS[name]]
  if (serve !== undefined) ready[name] = await serve(given)
  else if (ask !== undefined) traces[name] = await ask(given)
  else throw new Error(`there is no program ${name}`)
}
if (Object.keys(ready).length > 0) console.log(`READY ${JSON.stringify(ready)}`)
else console.log(`TRACE ${JSON.stringify(traces)}`)
