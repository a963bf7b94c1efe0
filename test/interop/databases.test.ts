// pg and ioredis against the servers that they are for, over a TAP: by each library's hook, in this process, over IPv4; and the
// same program, unchanged, under `hourglass run`, over IPv6. What they see is what they see on Node's own net.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeNet } from '../../src/node/net/net.ts'
import { type PostgresPlace, postgresProgram } from '../programs/postgres.ts'
import { type RedisPlace, redisProgram } from '../programs/redis.ts'
import type { Part, Trace } from '../programs/trace.ts'
import { command } from '../support/hourglass.ts'
import { type Namespace, needRoot } from '../support/namespace.ts'
import type { AnyNet } from '../support/net-host.ts'
import { needPostgres, startPostgres, startRedis } from '../support/servers.ts'
import { LINUX4, withTapHost } from '../support/tap-host.ts'
import { needTool } from '../support/tools.ts'

/** The program's own host, and the system's address there. */
const OWN = 'fd78::2'
const SYSTEM = 'fd78::1'
const MAIN = ['--import', 'tsx', 'test/programs/main.ts']
const PROGRAM_MILLIS = 60_000
const folder = mkdtempSync(join(tmpdir(), 'hourglass-databases-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What a program saw on each way to its server. */
interface Ways {
  node: Trace
  hook: Trace
  unchanged: Trace
}

/** A server that runs, and what its program is told of it. */
interface Started<Place> {
  place(host: string): Place
  stop(): Promise<void>
}

interface Subject<Place> {
  readonly name: string
  start(namespace: Namespace): Promise<Started<Place>>
  program(place: Place, net: AnyNet): Promise<Trace>
  /** The program ends its server. */
  readonly fatal: boolean
}

const POSTGRES: Subject<PostgresPlace> = {
  name: 'postgres',
  start: async (namespace) => {
    const { port, certificate, stop } = await startPostgres(namespace, [LINUX4, SYSTEM])
    return { place: (host) => ({ host, port, certificate }), stop }
  },
  program: postgresProgram,
  fatal: false,
}
const REDIS: Subject<RedisPlace> = {
  name: 'redis',
  start: async (namespace) => {
    const { port, stop } = await startRedis(namespace)
    return { place: (host) => ({ host, port }), stop }
  },
  program: redisProgram,
  fatal: true,
}

/** Runs the program in a process of its own and gives what it printed. */
async function tracesIn(namespace: Namespace, words: readonly string[]): Promise<Record<string, Trace>> {
  const running = namespace.spawn(words, { XDG_RUNTIME_DIR: folder })
  const [, json] = await running.printed(/^TRACE (.*)$/m, PROGRAM_MILLIS)
  const { code } = await running.finished
  if (code !== 0) throw new Error(`the program ended with ${code}: ${running.output()}`)
  return JSON.parse(json!) as Record<string, Trace>
}

const HOURGLASS = ['run', '--link', 'tap:tap0', '--address', `${OWN}/64`, '--os-address', `${SYSTEM}/64`, '--']

/** The same program three times. */
async function allWays<Place>({ name, start, program, fatal }: Subject<Place>): Promise<Ways> {
  const ways: Ways = { node: {}, hook: {}, unchanged: {} }
  await withTapHost({}, async (host, namespace) => {
    let started: Started<Place> | null = null
    const on = async (address: string, run: (place: Place) => Promise<Trace>): Promise<Trace> => {
      if (fatal) await started?.stop()
      if (fatal || started === null) started = await start(namespace)
      return run(started.place(address))
    }
    const words = (place: Place): string[] => [process.execPath, ...MAIN, JSON.stringify({ [name]: place })]
    const net = makeNet(host.stack)
    try {
      ways.node = await on(LINUX4, async (place) => (await tracesIn(namespace, words(place)))[name]!)
      // Through JSON, like those of the others.
      ways.hook = await on(LINUX4, async (place) => JSON.parse(JSON.stringify(await program(place, net))) as Trace)
      ways.unchanged = await on(
        SYSTEM,
        async (place) => (await tracesIn(namespace, [...command(HOURGLASS), ...words(place)]))[name]!,
      )
    } finally {
      await (started as Started<Place> | null)?.stop()
    }
  })
  return ways
}

const REFUSED = { code: 'ECONNREFUSED', errno: -111, syscall: 'connect', message: 'connect ECONNREFUSED ADDRESS' }
const RESET = { code: 'ECONNRESET', errno: -104, syscall: 'read', message: 'read ECONNRESET' }
const ENDED = { code: '57P01', severity: 'FATAL' }

const POSTGRES_PARTS: readonly Part[] = [
  {
    part: 'queries',
    title: 'asks with values of many types, in transactions, by prepared statements, and hears of errors',
    seen: { twice: { code: '23505' }, aborted: { code: '25P02' }, prepared: [36, 42], left: [{ left: 0 }] },
  },
  { part: 'rows', title: 'reads 10,000 rows', seen: { count: 10_000 } },
  { part: 'copy', title: 'copies 10,000 lines in and out again', seen: { same: true, wrong: { code: '22P02' } } },
  {
    part: 'bytes',
    title: 'stores a value of 10 MiB and reads it back, with the same SHA-256 on either side',
    seen: { length: 10 * 1_024 * 1_024, up: true, down: true },
  },
  { part: 'notify', title: 'hears by LISTEN what another says by NOTIFY', seen: { length: 3 } },
  {
    part: 'pipeline',
    title: 'sends 500 queries before the first answer',
    seen: { inOrder: true, failing: { code: '22012' }, last: [{ text: 'after the error' }] },
  },
  {
    part: 'cancel',
    title: 'cancels a query by a second connection',
    seen: { error: { code: '57014' }, after: [{ usable: 1 }] },
  },
  {
    part: 'tls',
    title: 'encrypts a connection that began in the clear, and trusts no unknown certificate',
    seen: {
      inside: { session: [{ version: 'TLSv1.3' }], file: { up: true, down: true } },
      untrusted: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
    },
  },
  {
    part: 'killed',
    title: 'is told of a session that the server ends, idle or in the midst of a query',
    seen: [
      { events: [ENDED, {}], sleeping: null },
      { events: [{}], sleeping: ENDED },
    ],
  },
  { part: 'pool', title: 'asks over a pool of 20 connections', seen: { total: 20, right: true } },
  { part: 'refused', title: 'is refused where no server listens', seen: REFUSED },
]

const REDIS_PARTS: readonly Part[] = [
  {
    part: 'commands',
    title: 'gives commands, waits for one of another client, and hears of errors',
    seen: { 0: 'PONG' },
  },
  {
    part: 'pipeline',
    title: 'writes and reads 10,000 keys by pipelines, and scans them',
    seen: { written: true, read: true, scanned: 10_000 },
  },
  {
    part: 'value',
    title: 'stores a value of 10 MiB and reads it back the same',
    seen: { length: 10 * 1_024 * 1_024, same: true },
  },
  {
    part: 'messages',
    title: 'publishes 1,000 messages to a subscriber, in order',
    seen: { receivers: 1, inOrder: true, patterns: ['w?ather', 'weather', 'rain'] },
  },
  { part: 'clients', title: 'is 20 clients at once', seen: { length: 40 } },
  {
    part: 'dropped',
    title: 'comes back by itself when the server drops it, and asks again',
    seen: { answer: { fulfilled: 'never,at last' } },
  },
  {
    part: 'killed',
    title: 'sees a reset when its server dies with something unread, and a refusal thereafter',
    seen: { events: ['connect', 'ready', RESET, 'close', 'end', REFUSED, 'close', 'end'] },
  },
]

function judge(ways: () => Ways | null, { part, seen }: Part): void {
  const { node, hook, unchanged } = ways()!
  expect(node[part]).toMatchObject(seen as object)
  expect({ hook: hook[part], unchanged: unchanged[part] }).toEqual({ hook: node[part], unchanged: node[part] })
}

const canPostgres = needRoot() && needPostgres()
const canRedis = needRoot() && needTool('redis-server')

describe.skipIf(!canPostgres)('pg with PostgreSQL over a TAP, by its `stream` and under hourglass run', () => {
  let ways: Ways | null = null
  beforeAll(async () => {
    ways = await allWays(POSTGRES)
  })
  it.each(POSTGRES_PARTS)('$title', (part) => judge(() => ways, part))
})

describe.skipIf(!canRedis)('ioredis with Redis over a TAP, by its `Connector` and under hourglass run', () => {
  let ways: Ways | null = null
  beforeAll(async () => {
    ways = await allWays(REDIS)
  })
  it.each(REDIS_PARTS)('$title', (part) => judge(() => ways, part))
})
