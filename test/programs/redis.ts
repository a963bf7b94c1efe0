// A program of ioredis: what applications do with Redis. On Node's net as it is; on a net of ours by ioredis' `Connector`.

import { existsSync, readFileSync } from 'node:fs'
import { AbstractConnector, Redis, type RedisOptions } from 'ioredis'
import type { AnyNet, AnySocket } from '../support/net-host.ts'
import { PseudoRandomBytes } from '../support/pseudo-random.ts'
import { failureOf, next, refusal, sha256, type Trace, traceOf } from './trace.ts'

export interface RedisPlace {
  readonly host: string
  readonly port: number
}

const KEYS = 10_000
const VALUE_BYTES = 10 * 1_024 * 1_024
const CLIENTS = 20
const MESSAGES = 1_000

/** It ends with the server: the last part kills it. */
export function redisProgram(place: RedisPlace, net?: AnyNet): Promise<Trace> {
  const client = (more: RedisOptions = {}): Redis => made(optionsOf(place, net, more))
  return traceOf({
    commands: () => using(client(), commands),
    pipeline: () => using(client(), pipeline),
    value: () => using(client(), value),
    messages: () => using(client(), (speaker) => using(client(), (listener) => messages(speaker, listener))),
    clients: () => together(client),
    dropped: () => using(client(), (other) => dropped(client(), other)),
    killed: () => killed(client, place),
  })
}

/** The types of its options forbid what they themselves allow: undefined. */
const made = (options: RedisOptions): Redis => Reflect.construct(Redis, [options]) as Redis

function optionsOf({ host, port }: RedisPlace, net: AnyNet | undefined, more: RedisOptions): RedisOptions {
  const options: RedisOptions = { host, port, connectTimeout: 5_000, ...more }
  if (net === undefined) return options
  return {
    ...options,
    Connector: class extends AbstractConnector {
      constructor() {
        super(2_000)
      }

      async connect(): Promise<AnySocket> {
        this.connecting = true
        this.stream = net.connect(port, host)
        this.stream.once('error', (error) => {
          this.firstError = error
        })
        return this.stream as AnySocket
      }
    },
  }
}

/** With a client that ends after it. */
async function using<T>(client: Redis, body: (client: Redis) => Promise<T>): Promise<T> {
  try {
    return await body(client)
  } finally {
    client.disconnect()
  }
}

async function commands(client: Redis): Promise<unknown> {
  await client.flushall()
  const seen: unknown[] = [
    await client.ping(),
    await client.set('word', 'fünf ☃'),
    await client.get('word'),
    await client.incrby('count', 41),
    await client.hset('hash', { a: '1', b: '2' }),
    await client.hgetall('hash'),
    await client.rpush('list', 'x', 'y'),
    await client.lrange('list', 0, -1),
    await client.get('nothing'),
    await client.multi().incr('count').get('count').exec(),
    await client.eval('return {KEYS[1], ARGV[1], 7}', 1, 'key', 'argument'),
    await refusal(client.incr('word')),
  ]
  const waiting = client.blpop('later', 5)
  const other = client.duplicate()
  await other.rpush('later', 'it came')
  other.disconnect()
  seen.push(await waiting)
  return seen
}

async function pipeline(client: Redis): Promise<unknown> {
  const writes = client.pipeline()
  for (let n = 0; n < KEYS; n++) writes.set(`key:${n}`, `value ${n}`)
  const written = (await writes.exec())!
  const reads = client.pipeline()
  for (let n = 0; n < KEYS; n++) reads.get(`key:${n}`)
  const found = (await reads.exec())!
  const scanned = new Set<string>()
  for await (const keys of client.scanStream({ match: 'key:*', count: 500 }))
    for (const key of keys as string[]) scanned.add(key)
  return {
    written: written.every(([error, answer]) => error === null && answer === 'OK'),
    read: found.every(([error, answer], n) => error === null && answer === `value ${n}`),
    scanned: scanned.size,
  }
}

async function value(client: Redis): Promise<unknown> {
  const sent = Buffer.concat([...new PseudoRandomBytes(2, VALUE_BYTES)])
  await client.set('big', sent)
  const length = await client.strlen('big')
  const back = (await client.getBuffer('big'))!
  return { length, same: sha256(back) === sha256(sent), part: (await client.getrange('big', 0, -1)).length > 0 }
}

async function messages(speaker: Redis, listener: Redis): Promise<unknown> {
  const heard: string[] = []
  await listener.subscribe('news')
  await listener.psubscribe('w?ather')
  const patterns = next(listener, 'pmessage')
  const all = new Promise<void>((resolve) => {
    listener.on('message', (_channel, text) => {
      if (heard.push(text) === MESSAGES) resolve()
    })
  })
  const receivers = Array.from({ length: MESSAGES }, (_, n) => speaker.publish('news', `message ${n}`))
  await speaker.publish('weather', 'rain')
  await all
  return {
    receivers: new Set(await Promise.all(receivers)).size,
    inOrder: heard.every((text, n) => text === `message ${n}`),
    patterns: await patterns,
    left: await listener.unsubscribe('news'),
  }
}

async function together(client: () => Redis): Promise<unknown> {
  const clients = Array.from({ length: CLIENTS }, client)
  const counted = await Promise.all(clients.flatMap((one) => [one.incr('together'), one.incr('together')]))
  for (const one of clients) one.disconnect()
  return counted.sort((a, b) => a - b)
}

/** The server closes the connection of a client that waits for an answer; the client comes back by itself. */
async function dropped(client: Redis, other: Redis): Promise<unknown> {
  const events = eventsOf(client)
  const id = await client.client('ID')
  const waiting = refusal(client.blpop('never', 0))
  while (!/ flags=b /.test(String(await other.client('LIST', 'ID', id)))) await other.ping()
  await other.client('KILL', 'ID', id)
  await next(client, 'ready')
  // It asks again, on the new connection.
  await other.rpush('never', 'at last')
  const answer = await waiting
  client.disconnect()
  return { events, answer }
}

/** The server dies with something unread, which its system tells by a reset; then nobody listens there any more. */
async function killed(client: (more: RedisOptions) => Redis, { port }: RedisPlace): Promise<unknown> {
  const one = client({ retryStrategy: () => null })
  const events = eventsOf(one)
  const pid = Number(/process_id:(\d+)/.exec(await one.info('server'))![1])
  const ended = next(one, 'end')
  process.kill(pid, 'SIGSTOP')
  const lost = refusal(one.set('unread', 'value'))
  await until(() => hasUnread(pid, port))
  process.kill(pid, 'SIGKILL')
  await ended
  // Its parent has asked for its end, so that the last of its threads let go of its files.
  await until(() => !existsSync(`/proc/${pid}`))
  return { events, lost: await lost, again: await refusal(one.connect()) }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

const ESTABLISHED = '01'

/** Whether a connection of the server's has bytes that it did not read: what its kernel says, in its namespace. */
function hasUnread(pid: number, port: number): boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return ['tcp', 'tcp6']
    .flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'latin1').split('\n'))
    .map((line) => line.trim().split(/\s+/))
    .some(([, at, , state, queues]) => at?.endsWith(local) && state === ESTABLISHED && !queues!.endsWith(':00000000'))
}

function eventsOf(client: Redis): unknown[] {
  const events: unknown[] = []
  for (const name of ['connect', 'ready', 'close', 'reconnecting', 'end']) client.on(name, () => events.push(name))
  client.on('error', (error) => events.push(failureOf(error)))
  return events
}
