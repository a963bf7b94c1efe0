// A program of pg: what applications do with PostgreSQL. On Node's net as it is; on a net of ours by pg's own `stream`.

import pg from 'pg'
import type { AnyNet } from '../support/net-host.ts'
import { PseudoRandomBytes } from '../support/pseudo-random.ts'
import { failureOf, next, refusal, sha256, type Trace, traceOf } from './trace.ts'

export interface PostgresPlace {
  readonly host: string
  readonly port: number
  /** PEM: the server's certificate. */
  readonly certificate: string
}

const ROWS = 10_000
const VALUE_BYTES = 10 * 1_024 * 1_024
const PIPELINED = 500
const POOL = 20
/** So many questions for each connection of the pool. */
const ROUNDS = 5
const MIB = 1_024 * 1_024

export function postgresProgram(place: PostgresPlace, net?: AnyNet): Promise<Trace> {
  const database = new Database(place, net)
  return traceOf({
    queries: () => database.using(queries),
    rows: () => database.using(rows),
    copy: () => database.using(copy),
    bytes: () => database.using(bytes),
    notify: () => notify(database),
    pipeline: () => database.using(pipeline, { pipeline: true }),
    cancel: () => cancel(database),
    tls: () => encrypted(database),
    killed: () => killed(database),
    pool: () => pool(database),
    refused: () => refusal(database.client({ port: 1 }).connect()),
  })
}

/** How to get at the server. */
class Database {
  readonly place: PostgresPlace
  private readonly net: AnyNet | undefined

  constructor(place: PostgresPlace, net: AnyNet | undefined) {
    this.place = place
    this.net = net
  }

  options(more: pg.ClientConfig = {}): pg.ClientConfig {
    const { net, place } = this
    const { host, port } = place
    const stream = net === undefined ? {} : { stream: () => new net.Socket() }
    return { host, port, user: 'postgres', database: 'postgres', keepAlive: true, ...stream, ...more }
  }

  client(more: pg.ClientConfig = {}): pg.Client {
    return new pg.Client(this.options(more))
  }

  /** With a client of its own, that ends after it. */
  async using<T>(body: (client: pg.Client) => Promise<T>, more: pg.ClientConfig = {}): Promise<T> {
    const client = this.client(more)
    await client.connect()
    try {
      return await body(client)
    } finally {
      await client.end()
    }
  }
}

async function queries(client: pg.Client): Promise<unknown> {
  const types = await client.query(
    `select $1::int + 1 as number, $2::text as text, $3::jsonb as json, array[1, 2, null] as list, null as nothing,
      timestamptz '2024-02-29 12:00Z' as instant, '\\x00ff'::bytea as bytes, 1.5::float8 as real`,
    [41, 'fünf ☃', { a: [1, { b: null }] }],
  )
  await client.query('create temp table t (n int primary key)')
  await client.query('begin')
  await client.query('insert into t values (1), (2)')
  const twice = await refusal(client.query('insert into t values (1)'))
  const aborted = await refusal(client.query('select 1'))
  await client.query('rollback')
  const prepared: unknown[] = []
  for (const value of [6, 7]) {
    const { rows: found } = await client.query({ name: 'times', text: 'select $1::int * 6 as n', values: [value] })
    prepared.push(found[0].n)
  }
  const { rows: left } = await client.query('select count(*)::int as left from t')
  return { types: JSON.stringify(types.rows), twice, aborted, prepared, left }
}

async function rows(client: pg.Client): Promise<unknown> {
  const { rows: found } = await client.query({
    text: `select n, md5(n::text) as hash, repeat('x', n % 100) as fill from generate_series(1, ${ROWS}) as n`,
    rowMode: 'array',
  })
  return { count: found.length, sha: sha256(JSON.stringify(found)) }
}

/** What pg's own Connection has besides what its types tell. */
interface CopyConnection {
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
  readonly stream: NodeJS.WritableStream
}

interface CancelConnection {
  connect(port: number, host: string): void
  once(event: 'connect', listener: () => void): void
  cancel(processId: number, secretKey: number): void
}

/** COPY in either direction: pg has the messages, and leaves it to others to make a stream of them. */
class Copy implements pg.Submittable {
  readonly done: Promise<Buffer>
  private readonly text: string
  private readonly lines: Iterable<string>
  private readonly received: Buffer[] = []
  private settle: { resolve(bytes: Buffer): void; reject(error: Error): void } | null = null

  constructor(text: string, lines: Iterable<string> = []) {
    this.text = text
    this.lines = lines
    this.done = new Promise((resolve, reject) => {
      this.settle = { resolve, reject }
    })
  }

  submit(connection: pg.Connection): void {
    connection.query(this.text)
  }

  async handleCopyInResponse(connection: CopyConnection): Promise<void> {
    for (const line of this.lines) {
      connection.sendCopyFromChunk(Buffer.from(line))
      if ((connection.stream as unknown as { writableNeedDrain: boolean }).writableNeedDrain) {
        await next(connection.stream as never, 'drain')
      }
    }
    connection.endCopyFrom()
  }

  handleCopyData({ chunk }: { chunk: Buffer }): void {
    this.received.push(Buffer.from(chunk))
  }

  handleCommandComplete(): void {}

  handleError(error: Error): void {
    this.settle!.reject(error)
  }

  handleReadyForQuery(): void {
    this.settle!.resolve(Buffer.concat(this.received))
  }
}

function* copyLines(): Iterable<string> {
  for (let n = 0; n < ROWS; n++) yield `${n}\tline ${n} ${'y'.repeat(n % 200)}\n`
}

async function copy(client: pg.Client): Promise<unknown> {
  await client.query('create temp table lines (n int, text text)')
  await client.query(new Copy('copy lines from stdin', copyLines())).done
  const out = await client.query(new Copy('copy (select * from lines order by n) to stdout')).done
  const wrong = await refusal(client.query(new Copy('copy lines from stdin', ['no number\tx\n'])).done)
  return { same: sha256(out) === sha256([...copyLines()].join('')), bytes: out.length, wrong }
}

/** Up by a parameter, and down again; the server's own SHA-256 beside ours. */
async function bytes(client: pg.Client): Promise<unknown> {
  return roundTrip(client, VALUE_BYTES)
}

async function roundTrip(client: pg.Client, length: number): Promise<unknown> {
  const sent = Buffer.concat([...new PseudoRandomBytes(1, length)])
  await client.query('create temp table files (data bytea)')
  await client.query('insert into files values ($1)', [sent])
  const { rows: found } = await client.query('select data, encode(sha256(data), $1) as sha from files', ['hex'])
  const data = found[0].data as Buffer
  return { length: data.length, up: found[0].sha === sha256(sent), down: sha256(data) === sha256(sent) }
}

async function notify(database: Database): Promise<unknown> {
  return database.using((listener) =>
    database.using(async (speaker) => {
      const heard: unknown[] = []
      await listener.query('listen news')
      const all = new Promise<void>((resolve) => {
        listener.on('notification', ({ channel, payload }) => {
          heard.push([channel, payload])
          if (payload === 'last') resolve()
        })
      })
      for (const word of ['first', 'zweite ☃', 'last']) await speaker.query('select pg_notify($1, $2)', ['news', word])
      await all
      return heard
    }),
  )
}

/** All are sent before the first answer. */
async function pipeline(client: pg.Client): Promise<unknown> {
  const asked = Array.from({ length: PIPELINED }, (_, n) => client.query('select $1::int as n', [n]))
  const failing = refusal(client.query('select 1 / 0'))
  const last = client.query('select $1::text as text', ['after the error'])
  const answers = await Promise.all(asked)
  const inOrder = answers.every(({ rows: found }, n) => found[0].n === n)
  return { inOrder, failing: await failing, last: (await last).rows }
}

/** By a second connection that carries nothing but the wish (PostgreSQL's protocol, "Canceling Requests in Progress"). */
async function cancel(database: Database): Promise<unknown> {
  return database.using(async (client) => {
    const { rows: self } = await client.query('select pg_backend_pid() as pid')
    const query = new pg.Query('select pg_sleep(60)')
    const ended = next(query, 'error')
    client.query(query)
    await database.using((other) => sleeps(other, self[0].pid))
    requestCancel(database, client)
    const [error] = await ended
    const { rows: after } = await client.query('select 1 as usable')
    return { error: failureOf(error), after }
  })
}

/** pg's own way asks a property of the client that warns of its end. */
function requestCancel(database: Database, client: pg.Client): void {
  const { connection } = database.client() as unknown as { connection: CancelConnection }
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
  const { host, port } = database.place
  connection.once('connect', () => connection.cancel(processID, secretKey))
  connection.connect(port, host)
}

/** Resolves when the server's process `pid` is in pg_sleep(). */
async function sleeps(client: pg.Client, pid: number): Promise<void> {
  for (;;) {
    const { rows: found } = await client.query('select wait_event from pg_stat_activity where pid = $1', [pid])
    if (found[0].wait_event === 'PgSleep') return
  }
}

async function encrypted(database: Database): Promise<unknown> {
  const ssl = { ca: database.place.certificate }
  const inside = await database.using(
    async (client) => {
      const { rows: session } = await client.query(
        'select version, cipher, bits from pg_stat_ssl where pid = pg_backend_pid()',
      )
      return { session, file: await roundTrip(client, MIB) }
    },
    { ssl },
  )
  const untrusted = await refusal(database.client({ ssl: {} }).connect())
  return { inside, untrusted }
}

/** The server ends a session that is idle, and one in the midst of a query. */
async function killed(database: Database): Promise<unknown> {
  const ends: unknown[] = []
  for (const busy of [false, true]) {
    const client = database.client()
    await client.connect()
    const events: unknown[] = []
    client.on('error', (error) => events.push(failureOf(error)))
    const ended = next(client, 'end')
    const { rows: self } = await client.query('select pg_backend_pid() as pid')
    const sleeping = busy ? refusal(client.query('select pg_sleep(60)')) : null
    await database.using(async (other) => {
      if (busy) await sleeps(other, self[0].pid)
      await other.query('select pg_terminate_backend($1)', [self[0].pid])
    })
    await ended
    ends.push({ events, sleeping: await sleeping, after: await refusal(client.query('select 1')) })
  }
  return ends
}

async function pool(database: Database): Promise<unknown> {
  const clients = new pg.Pool({ ...database.options(), max: POOL })
  // Each is held until all are there: there must be as many connections.
  const held = await Promise.all(Array.from({ length: POOL }, () => clients.connect()))
  for (const client of held) client.release()
  const asked = Array.from({ length: POOL * ROUNDS }, async (_, n) => {
    const { rows: found } = await clients.query('select $1::int as n, pg_backend_pid() as pid', [n])
    return found[0] as { n: number; pid: number }
  })
  const answers = await Promise.all(asked)
  const total = clients.totalCount
  await clients.end()
  return { total, right: answers.every(({ n }, index) => n === index) }
}
