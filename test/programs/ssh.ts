// A program of ssh2's client: commands, files and forwarded ports. On Node's net as it is; on a net of ours by its `sock`.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import ssh2, { type ClientChannel, type ConnectConfig } from 'ssh2'
import type { AnyNet } from '../support/net-host.ts'
import { PseudoRandomBytes } from '../support/pseudo-random.ts'
import { failureOf, next, refusal, sha256, type Trace, traceOf } from './trace.ts'

export interface SshPlace {
  readonly host: string
  readonly port: number
  readonly username: string
  /** OpenSSH's format. */
  readonly privateKey: string
}

const BULK_BYTES = 4 * 1_024 * 1_024
const COMMANDS = 5

export function askSsh(place: SshPlace, net?: AnyNet): Promise<Trace> {
  const options = (more: ConnectConfig = {}): ConnectConfig => {
    const { host, port } = place
    const sock = net === undefined ? {} : { sock: net.connect(port, host) }
    return { ...place, ...sock, readyTimeout: 10_000, ...more }
  }
  const stranger = ssh2.utils.generateKeyPairSync('ed25519').private
  return traceOf({
    commands: () => using(options(), commands),
    bulk: () => using(options(), bulk),
    many: () => using(options({ keepaliveInterval: 20, keepaliveCountMax: 500 }), many),
    files: () => using(options(), files),
    forwardOut: () => using(options(), (client) => banner(client, place)),
    forwardIn: () => using(options(), forwardIn),
    stranger: () => refusal(using(options({ privateKey: stranger }), commands)),
    refused: async () => refusal(using(net === undefined ? { ...place, port: 1 } : refusedBy(net, place), commands)),
    destroyed: () => destroyed(options()),
  })
}

const refusedBy = (net: AnyNet, place: SshPlace): ConnectConfig => ({ ...place, sock: net.connect(1, place.host) })

async function using<T>(options: ConnectConfig, body: (client: ssh2.Client) => Promise<T>): Promise<T> {
  const client = new ssh2.Client()
  const failed = new Promise<never>((_resolve, reject) => client.once('error', reject))
  failed.catch(() => {})
  const ready = next(client, 'ready', 20_000)
  ready.catch(() => {})
  client.connect(options)
  await Promise.race([ready, failed])
  try {
    return await Promise.race([body(client), failed])
  } finally {
    const closed = next(client, 'close')
    client.end()
    await closed
  }
}

interface Ran {
  readonly code: unknown
  readonly stdout: Buffer
  readonly stderr: string
}

async function run(client: ssh2.Client, command: string, input: Buffer = Buffer.alloc(0)): Promise<Ran> {
  const channel = await new Promise<ClientChannel>((resolve, reject) =>
    client.exec(command, (error, made) => (error === undefined ? resolve(made) : reject(error))),
  )
  const stdout: Buffer[] = []
  let stderr = ''
  let code: unknown = null
  channel.on('data', (chunk: Buffer) => stdout.push(chunk))
  channel.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  channel.on('exit', (given: unknown) => {
    code = given
  })
  const closed = next(channel, 'close', 30_000)
  channel.end(input)
  await closed
  return { code, stdout: Buffer.concat(stdout), stderr }
}

async function commands(client: ssh2.Client): Promise<unknown> {
  const { code, stdout, stderr } = await run(client, 'cat; echo wrong >&2; exit 7', Buffer.from('fünf ☃'))
  return { code, stdout: String(stdout), stderr }
}

async function bulk(client: ssh2.Client): Promise<unknown> {
  const sent = Buffer.concat([...new PseudoRandomBytes(5, BULK_BYTES)])
  const { code, stdout } = await run(client, 'cat', sent)
  return { code, length: stdout.length, same: sha256(stdout) === sha256(sent) }
}

/** Several channels of one connection at once. */
async function many(client: ssh2.Client): Promise<unknown> {
  const all = Array.from({ length: COMMANDS }, (_, n) => run(client, `printf %s ${n}`))
  return (await Promise.all(all)).map(({ stdout }) => String(stdout))
}

async function files(client: ssh2.Client): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'hourglass-ssh-'))
  const [here, there, back] = ['here', 'there', 'back'].map((name) => join(folder, name)) as [string, string, string]
  const sent = Buffer.concat([...new PseudoRandomBytes(6, BULK_BYTES)])
  await writeFile(here, sent)
  try {
    const sftp = await promisify(client.sftp.bind(client) as never as (done: Done<ssh2.SFTPWrapper>) => void)()
    await promisify(sftp.fastPut.bind(sftp) as (a: string, b: string, done: Done<void>) => void)(here, there)
    await promisify(sftp.fastGet.bind(sftp) as (a: string, b: string, done: Done<void>) => void)(there, back)
    const missing = await refusal(promisify(sftp.stat.bind(sftp))(join(folder, 'missing')))
    const seen = await Promise.all([there, back].map(async (path) => sha256(await readFile(path)) === sha256(sent)))
    return { seen, missing }
  } finally {
    await rm(folder, { recursive: true })
  }
}
type Done<T> = (error: Error | undefined | null, value: T) => void

/** Through the server to its own port, which greets. */
async function banner(client: ssh2.Client, { host, port }: SshPlace): Promise<unknown> {
  const channel = await new Promise<ClientChannel>((resolve, reject) =>
    client.forwardOut('127.0.0.1', 0, host, port, (error, made) => (error ? reject(error) : resolve(made))),
  )
  const [chunk] = (await next(channel, 'data')) as [Buffer]
  channel.destroy()
  const toNobody = await new Promise<boolean>((resolve) =>
    client.forwardOut('127.0.0.1', 0, '127.0.0.1', 1, (error) => resolve(error !== undefined)),
  )
  return { greeting: String(chunk).slice(0, 8), toNobody: toNobody ? 'refused' : 'opened' }
}

/** A port of the server's leads to us; and through the server we go there ourselves. */
async function forwardIn(client: ssh2.Client): Promise<unknown> {
  const port = await new Promise<number>((resolve, reject) =>
    client.forwardIn('127.0.0.1', 0, (error, given) => (error ? reject(error) : resolve(given))),
  )
  client.once('tcp connection', (_info, accept) => {
    const channel = accept()
    channel.pipe(channel)
  })
  const channel = await new Promise<ClientChannel>((resolve, reject) =>
    client.forwardOut('127.0.0.1', 0, '127.0.0.1', port, (error, made) => (error ? reject(error) : resolve(made))),
  )
  const heard: Buffer[] = []
  channel.on('data', (chunk: Buffer) => heard.push(chunk))
  const ended = next(channel, 'end')
  channel.end('there and back')
  await ended
  return String(Buffer.concat(heard))
}

/** The client goes away without a word while a command runs. */
async function destroyed(options: ConnectConfig): Promise<unknown> {
  const client = new ssh2.Client()
  const events: unknown[] = []
  for (const name of ['ready', 'end', 'close']) client.on(name as 'end', () => events.push(name))
  client.on('error', (error) => events.push(failureOf(error)))
  const ready = next(client, 'ready')
  client.connect(options)
  await ready
  const closed = next(client, 'close')
  client.exec('cat', () => client.destroy())
  await closed
  return events
}
