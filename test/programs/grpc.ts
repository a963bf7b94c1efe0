// Programs of @grpc/grpc-js: a server of office.proto and its client. On Node's net as they are. On a net of ours the server
// takes its connections by createConnectionInjector(); the client has no public door, so it gets ours where it encrypts.

import { once } from 'node:events'
import system from 'node:net'
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type { AnyNet, AnySocket } from '../support/net-host.ts'
import { PseudoRandomBytes } from '../support/pseudo-random.ts'
import { sha256, type Trace, traceOf, withoutAddresses } from './trace.ts'

export interface GrpcPlace {
  readonly host: string
  readonly port: number
  readonly securePort: number
  /** PEM: the server's. */
  readonly cert: string
}

export interface GrpcServer {
  readonly port: number
  readonly securePort: number
  close(): void
}

interface Letter {
  readonly text: string
  readonly number: number
  readonly data: Buffer
}

const CALLS = 200
const LETTERS = 1_000
const TALKS = 100
const DATA_BYTES = 1_024 * 1_024
const PARCELS = 4
const DEADLINE_MILLIS = 400
const KEEPALIVE_MILLIS = 40
/** So long a slow machine may take to answer a ping. */
const KEEPALIVE_TIMEOUT_MILLIS = 400
const PINGS = 3

interface OfficeClient extends grpc.Client {
  ask(letter: Partial<Letter>, answer: Answer): grpc.ClientUnaryCall
  ask(letter: Partial<Letter>, options: grpc.CallOptions | grpc.Metadata, answer: Answer): grpc.ClientUnaryCall
  collect(answer: Answer): grpc.ClientWritableStream<Partial<Letter>>
  send(letter: Partial<Letter>): grpc.ClientReadableStream<Letter>
  talk(): grpc.ClientDuplexStream<Partial<Letter>, Letter>
}
type Answer = (error: grpc.ServiceError | null, letter?: Letter) => void

const loaded = grpc.loadPackageDefinition(loadSync('test/programs/office.proto', { defaults: true }))
const Office = (loaded.hourglass as unknown as { test: { Office: grpc.ServiceClientConstructor } }).test.Office

// The server

export interface GrpcSettings {
  readonly host: string
  /** PEM, both. */
  readonly key: string
  readonly cert: string
}

export async function serveGrpc({ host, key, cert }: GrpcSettings, net?: AnyNet): Promise<GrpcServer> {
  const server = new grpc.Server()
  server.addService(Office.service, office())
  const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(cert) }
  const insecure = grpc.ServerCredentials.createInsecure()
  const secure = grpc.ServerCredentials.createSsl(null, [pair])
  const listening: system.Server[] = []
  const listen = async (credentials: grpc.ServerCredentials): Promise<number> => {
    if (net === undefined) return bind(server, `${host}:0`, credentials)
    const injector = server.createConnectionInjector(credentials)
    const ours = net.createServer((socket) => injector.injectConnection(socket))
    listening.push(ours.listen(0, host))
    await once(ours, 'listening')
    return (ours.address() as system.AddressInfo).port
  }
  const ports = [await listen(insecure), await listen(secure)] as const
  return {
    port: ports[0],
    securePort: ports[1],
    close: () => {
      server.forceShutdown()
      for (const one of listening) one.close()
    },
  }
}

const bind = (server: grpc.Server, address: string, credentials: grpc.ServerCredentials): Promise<number> =>
  new Promise((resolve, reject) =>
    server.bindAsync(address, credentials, (error, port) => (error === null ? resolve(port) : reject(error))),
  )

/** What the office does. It says nothing to `wait`, and tells to `ended` how such calls ended. */
function office(): grpc.UntypedServiceImplementation {
  const ended: string[] = []
  return {
    ask: (call: grpc.ServerUnaryCall<Letter, Partial<Letter>>, answer: grpc.sendUnaryData<Partial<Letter>>) => {
      const { text, number, data } = call.request
      if (text === 'wait') call.on('cancelled', () => ended.push(`${number} cancelled`))
      else if (text === 'ended') answer(null, { text: ended.sort().join(', ') })
      else if (text === 'fail') answer({ code: grpc.status.NOT_FOUND, details: 'no such ☃' })
      else {
        const trailer = new grpc.Metadata()
        trailer.set('seen', call.metadata.get('mark')[0] ?? 'none')
        trailer.set('raw-bin', Buffer.from([0, 255]))
        answer(null, { text: `re: ${text}`, number: number + 1, data }, trailer)
      }
    },
    collect: (
      call: grpc.ServerReadableStream<Letter, Partial<Letter>>,
      answer: grpc.sendUnaryData<Partial<Letter>>,
    ) => {
      let sum = 0
      call.on('data', ({ number }: Letter) => {
        sum += number
      })
      call.on('end', () => answer(null, { number: sum }))
    },
    send: (call: grpc.ServerWritableStream<Letter, Partial<Letter>>) => void sendAll(call),
    talk: (call: grpc.ServerDuplexStream<Letter, Partial<Letter>>) => {
      call.on('data', ({ text, number }: Letter) => call.write({ text, number: number * 2 }))
      call.on('end', () => call.end())
    },
  }
}

/** As many letters as are asked for, each with the data; it waits where the stream is full. */
async function sendAll(call: grpc.ServerWritableStream<Letter, Partial<Letter>>): Promise<void> {
  const { number, data } = call.request
  for (let index = 0; index < number; index++) {
    if (!call.write({ number: index, data })) await once(call, 'drain')
  }
  call.end()
}

// The client

export async function askGrpc(place: GrpcPlace, net?: AnyNet): Promise<Trace> {
  const detour = net === undefined ? null : await detourOver(net)
  const clear = (options: grpc.ChannelOptions = {}, at: Endpoint = place): OfficeClient =>
    open(at, grpc.credentials.createInsecure(), options, detour)
  const { host, port, securePort } = place
  const secure = (): OfficeClient =>
    open({ host, port: securePort }, grpc.credentials.createSsl(Buffer.from(place.cert)), {}, detour)
  const trace = await traceOf({
    unary: () => using(clear(), unary),
    failing: () => using(clear(), (client) => failureOfCall(client, { text: 'fail' })),
    collect: () => using(clear(), collect),
    send: () => using(clear(), send),
    talk: () => using(clear(), talk),
    deadline: () => using(clear(), deadline),
    cancel: () => using(clear(), cancel),
    tls: () => using(secure(), unary),
    keepalive: () => keepalive({ host, port }, clear, net),
    refused: () => using(clear({}, { host, port: 1 }), (client) => failureOfCall(client, { text: 'anybody?' })),
  })
  detour?.nowhere.close()
  return trace
}

/** grpc-js connects by Node's net first: here to a server that does nothing. */
interface Detour {
  readonly net: AnyNet
  readonly nowhere: system.Server
}

async function detourOver(net: AnyNet): Promise<Detour> {
  const nowhere = system.createServer().listen(0, '127.0.0.1')
  await once(nowhere, 'listening')
  return { net, nowhere }
}

/** The parts of grpc-js' own credentials that make a connection ready. */
interface Connecting {
  _createSecureConnector(...args: unknown[]): { connect(socket: AnySocket): Promise<unknown> }
}

interface Endpoint {
  readonly host: string
  readonly port: number
}

/** What the certificate says. */
export const OFFICE_NAME = 'office.test'

function open(
  { host, port }: Endpoint,
  credentials: grpc.ChannelCredentials,
  options: grpc.ChannelOptions,
  detour: Detour | null,
): OfficeClient {
  const named = { 'grpc.ssl_target_name_override': OFFICE_NAME, ...options }
  if (detour === null) return new Office(`${host}:${port}`, credentials, named) as unknown as OfficeClient
  // What it makes ready for HTTP/2, or encrypts, is ours instead.
  const through = credentials as unknown as Connecting
  const make = through._createSecureConnector.bind(credentials)
  through._createSecureConnector = (...args) => {
    const connector = make(...args)
    const connect = connector.connect.bind(connector)
    return Object.assign(connector, {
      connect: async (socket: AnySocket) => {
        socket.destroy()
        const ours = detour.net.connect(port, host)
        ours.setNoDelay(true)
        await new Promise((resolve, reject) => ours.once('connect', resolve).once('error', reject))
        return connect(ours)
      },
    })
  }
  const { port: decoy } = detour.nowhere.address() as system.AddressInfo
  return new Office(`127.0.0.1:${decoy}`, credentials, named) as unknown as OfficeClient
}

async function using<T>(client: OfficeClient, body: (client: OfficeClient) => Promise<T>): Promise<T> {
  try {
    return await body(client)
  } finally {
    client.close()
  }
}

const ask = (client: OfficeClient, letter: Partial<Letter>): Promise<Letter> =>
  new Promise((resolve, reject) =>
    client.ask(letter, (error, answer) => (error === null ? resolve(answer!) : reject(error))),
  )

/** The status of a call that fails. */
const failureOfCall = (
  client: OfficeClient,
  letter: Partial<Letter>,
  options: grpc.CallOptions = {},
): Promise<unknown> =>
  new Promise((resolve) =>
    client.ask(letter, options, (error, answer) => resolve(error === null ? { answer } : statusOf(error))),
  )

/** Where and when is not what is compared; nor which of the two ends notices first that a deadline has passed. */
const statusOf = ({ code, details }: grpc.ServiceError): unknown => ({
  code,
  details: withoutAddresses(details)
    .replace(/^Deadline exceeded.*$/, 'Deadline exceeded')
    .replace(/ \(\d{4}-\d\d-\d\dT.*\)$/, ''),
})

async function unary(client: OfficeClient): Promise<unknown> {
  const calls = Array.from({ length: CALLS }, (_, number) => ask(client, { text: 'hello', number }))
  const answers = await Promise.all(calls)
  const data = Buffer.concat([...new PseudoRandomBytes(3, DATA_BYTES)])
  const back = await ask(client, { text: 'data', data })
  const metadata = new grpc.Metadata()
  metadata.set('mark', 'seven')
  const trailer = await new Promise<grpc.Metadata>((resolve, reject) => {
    const call = client.ask({ text: 'x' }, metadata, (error) => {
      if (error !== null) reject(error)
    })
    call.on('status', (status) => resolve(status.metadata))
  })
  return {
    right: answers.every(({ text, number }, index) => text === 're: hello' && number === index + 1),
    data: sha256(back.data) === sha256(data),
    trailer: [trailer.get('seen'), trailer.get('raw-bin').map((bytes) => [...(bytes as Buffer)])],
  }
}

async function collect(client: OfficeClient): Promise<unknown> {
  let stream: grpc.ClientWritableStream<Partial<Letter>> | null = null
  const answer = new Promise<Letter>((resolve, reject) => {
    stream = client.collect((error, letter) => (error === null ? resolve(letter!) : reject(error)))
  })
  for (let number = 1; number <= LETTERS; number++) if (!stream!.write({ number })) await once(stream!, 'drain')
  stream!.end()
  return (await answer).number
}

async function send(client: OfficeClient): Promise<unknown> {
  const data = Buffer.concat([...new PseudoRandomBytes(4, DATA_BYTES)])
  let parcels = 0
  for await (const letter of client.send({ number: PARCELS, data })) {
    if ((letter as Letter).number !== parcels || sha256((letter as Letter).data) !== sha256(data)) return 'wrong'
    parcels++
  }
  let letters = 0
  for await (const letter of client.send({ number: LETTERS })) if ((letter as Letter).number === letters) letters++
  return { parcels, letters }
}

/** Each letter is an answer to the one before. */
async function talk(client: OfficeClient): Promise<unknown> {
  const stream = client.talk()
  const answers = stream[Symbol.asyncIterator]()
  let number = 1
  for (let turn = 0; turn < TALKS; turn++) {
    stream.write({ text: 'and?', number })
    const { value } = await answers.next()
    number = ((value as Letter).number % 1_000) + 1
  }
  stream.end()
  return { number, done: (await answers.next()).done }
}

async function deadline(client: OfficeClient): Promise<unknown> {
  // The connection is there first: it is the server that keeps us waiting.
  await ask(client, {})
  const status = await failureOfCall(client, { text: 'wait', number: 1 }, { deadline: Date.now() + DEADLINE_MILLIS })
  return { status, ended: await endedCalls(client, '1 cancelled') }
}

async function cancel(client: OfficeClient): Promise<unknown> {
  await ask(client, {})
  const status = new Promise((resolve) => {
    const call = client.ask({ text: 'wait', number: 2 }, (error) => resolve(statusOf(error!)))
    // Something that comes after it on the connection was answered, so that the server has it.
    void ask(client, {}).then(() => call.cancel())
  })
  return { status: await status, ended: await endedCalls(client, '2 cancelled') }
}

/** What the server saw, once it saw `last`. */
async function endedCalls(client: OfficeClient, last: string): Promise<boolean> {
  for (;;) if ((await ask(client, { text: 'ended' })).text.includes(last)) return true
}

const PING = 6
const FRAME_HEADER = 9
const PING_BYTES = 8

/** Pings keep a silent call alive; when their answers stay out, because the way is cut, the call ends. */
async function keepalive(
  { host, port }: Endpoint,
  client: (options: grpc.ChannelOptions, at: Endpoint) => OfficeClient,
  net: AnyNet | undefined,
): Promise<unknown> {
  const { createServer, connect } = net ?? system
  let cut = false
  let pings = 0
  const ways: AnySocket[] = []
  const relay = createServer((near) => {
    const far = connect(port, host)
    ways.push(near, far)
    near.on('error', () => {})
    far.on('error', () => {})
    far.on('data', (chunk) => near.write(chunk))
    near.on('data', (chunk) => {
      if (chunk.length === FRAME_HEADER + PING_BYTES && chunk[3] === PING && chunk[4] === 0 && ++pings > PINGS)
        cut = true
      if (!cut) far.write(chunk)
    })
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  const options = { 'grpc.keepalive_time_ms': KEEPALIVE_MILLIS, 'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MILLIS }
  const at = { host: '127.0.0.1', port: (relay.address() as system.AddressInfo).port }
  const through = client(options, at)
  const status = await failureOfCall(through, { text: 'wait', number: 3 })
  through.close()
  for (const way of ways) way.destroy()
  relay.close()
  return { status, pings: pings > PINGS }
}
