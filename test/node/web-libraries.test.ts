// Libraries of the web over our sockets, each by the hook that it has: undici, ws, express and fastify. The same program
// over Node's own net gives the same.

import { createHash, randomBytes } from 'node:crypto'
import http, { type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import express from 'express'
import fastify from 'fastify'
import { Agent, type buildConnector, Client, fetch, Pool } from 'undici'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { everywhere, follow, orError, type Place } from '../support/web-programs.ts'

const MIB = 1_048_576
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** The same on both, and what it is. */
async function expectBoth<T>(program: (place: Place) => Promise<T>, wanted: unknown): Promise<void> {
  const { node, ours } = await everywhere(program)
  expect(ours).toEqual(node)
  expect(ours).toEqual(wanted)
}

/** undici's hook: it wants a socket that is connected. */
const connector =
  (place: Place, port: number): buildConnector.connector =>
  (_options, done) => {
    const socket = place.connect(port)
    socket.once('error', (error) => done(error, null))
    socket.once('connect', () => done(null, socket as Socket))
  }

describe('undici over our sockets', () => {
  const serve = (place: Place): Promise<number> =>
    place.serve(
      http.createServer((request, response) => {
        if (request.url === '/never') return
        if (request.url === '/broken') return void response.writeHead(200).write('begun', () => response.destroy())
        response.writeHead(200, { 'x-method': request.method })
        request.pipe(response)
      }),
    )

  it('Client and Pool: requests in a row and at once, pipelined, streamed, refused, timed out and broken off', () =>
    expectBoth(
      async (place) => {
        const port = await serve(place)
        const origin = 'http://ours.test'
        const client = new Client(origin, { connect: connector(place, port), pipelining: 4 })
        const pool = new Pool(origin, { connect: connector(place, port), connections: 3 })
        place.atEnd(() => Promise.all([client.destroy(), pool.destroy()]))
        const one = await client.request({ path: '/', method: 'PUT', body: 'one' })
        const first = [one.statusCode, one.headers['x-method'], await one.body.text()]
        const many = await Promise.all(
          Array.from({ length: 30 }, async (_, index) => {
            const { body } = await pool.request({ path: '/', method: 'POST', body: `number ${index}` })
            return body.text()
          }),
        )
        const big = randomBytes(4 * MIB)
        const { body } = await pool.request({ path: '/', method: 'POST', body: big })
        const same = sha(Buffer.from(await body.arrayBuffer())) === sha(big)
        const broken = await pool.request({ path: '/broken', method: 'GET' })
        const brokenOff = await broken.body.text().catch((error: NodeJS.ErrnoException) => error.code)
        const late = await client
          .request({ path: '/never', method: 'GET', headersTimeout: 300 })
          .catch((error) => error.code)
        const nobody = new Client(origin, { connect: connector(place, 1) })
        place.atEnd(() => nobody.destroy())
        const refused = await nobody.request({ path: '/', method: 'GET' }).catch((error) => error.code)
        return {
          first,
          many: many.join() === Array.from({ length: 30 }, (_, index) => `number ${index}`).join(),
          same,
          brokenOff,
          late,
          refused,
        }
      },
      {
        first: [200, 'PUT', 'one'],
        many: true,
        same: true,
        brokenOff: 'UND_ERR_SOCKET',
        late: 'UND_ERR_HEADERS_TIMEOUT',
        refused: 'ECONNREFUSED',
      },
    ))

  it('fetch with a dispatcher: bodies both ways, and an abort', () =>
    expectBoth(
      async (place) => {
        const dispatcher = new Agent({ connect: connector(place, await serve(place)) })
        place.atEnd(() => dispatcher.destroy())
        const body = new ReadableStream<Uint8Array>({
          start: (stream) => {
            for (const text of ['stream', 'ed']) stream.enqueue(Buffer.from(text))
            stream.close()
          },
        })
        const answer = await fetch('http://ours.test/', { dispatcher, method: 'POST', body, duplex: 'half' })
        const abort = new AbortController()
        const hanging = fetch('http://ours.test/never', { dispatcher, signal: abort.signal })
        abort.abort()
        const aborted = await hanging.catch((error: Error) => error.name)
        return [answer.status, await answer.text(), aborted]
      },
      [200, 'streamed', 'AbortError'],
    ))
})

describe('ws over our sockets', () => {
  interface Pair {
    readonly client: WebSocket
    readonly server: WebSocket
  }

  /** A server that hands out connections, and one to it. */
  async function pair(place: Place, perMessageDeflate: boolean): Promise<Pair> {
    const below = http.createServer()
    const server = new WebSocketServer({ server: below, perMessageDeflate, maxPayload: 20 * MIB })
    place.atEnd(() => server.close())
    const port = await place.serve(below)
    const accepted = orError(server, 'connection') as Promise<[WebSocket, IncomingMessage]>
    const options = { createConnection: () => place.connect(port), perMessageDeflate, maxPayload: 20 * MIB }
    const client = new WebSocket('ws://ours.test/', options as object)
    const [[other]] = await Promise.all([accepted, orError(client, 'open')])
    place.atEnd(() => client.terminate())
    return { client, server: other }
  }

  const heard = async (socket: WebSocket): Promise<Buffer> => ((await orError(socket, 'message')) as [Buffer])[0]

  it.each([false, true])('texts, fragments, pings and a message of 10 MiB (permessage-deflate: %s)', (deflate) =>
    expectBoth(
      async (place) => {
        const { client, server } = await pair(place, deflate)
        server.on('message', (data, isBinary) => server.send(data as Buffer, { binary: isBinary }))
        client.send('grüß')
        const text = String(await heard(client))
        client.send('in ', { fin: false })
        client.send('three ', { fin: false })
        client.send('parts')
        const whole = String(await heard(client))
        const pinged = orError(server, 'ping') as Promise<[Buffer]>
        const ponged = orError(client, 'pong') as Promise<[Buffer]>
        client.ping('there?')
        const pings = [String((await pinged)[0]), String((await ponged)[0])]
        const long = Buffer.concat([randomBytes(MIB), Buffer.alloc(9 * MIB, 'again and again ')])
        client.send(long)
        const same = sha(await heard(client)) === sha(long)
        return { text, whole, pings, same, extensions: client.extensions }
      },
      {
        text: 'grüß',
        whole: 'in three parts',
        pings: ['there?', 'there?'],
        same: true,
        extensions: deflate ? 'permessage-deflate' : '',
      },
    ),
  )

  it('close codes from either side, an end without a close, and a frame that is too long', () =>
    expectBoth(
      async (place) => {
        const codes: unknown[] = []
        const told: string[][] = []
        for (const end of [
          ({ client }: Pair) => client.close(4_001, 'enough'),
          ({ server }: Pair) => server.close(1_001, 'going'),
          ({ client }: Pair) => client.terminate(),
          ({ server }: Pair) => server.terminate(),
          ({ client }: Pair) => client.send(Buffer.alloc(21 * MIB)),
        ]) {
          const both = await pair(place, false)
          told.push(follow(both.server, ['error']))
          both.client.on('error', () => {})
          const ends = [both.client, both.server].map((socket) => orClose(socket))
          end(both)
          codes.push(await Promise.all(ends))
        }
        return { codes, told: told.map((lines) => lines.map((line) => line.split(':')[0])) }
      },
      {
        codes: [
          [4_001, 4_001],
          [1_001, 1_001],
          [1_006, 1_006],
          [1_006, 1_006],
          [expect.any(Number), 1_006],
        ],
        told: [[], [], [], [], ['error WS_ERR_UNSUPPORTED_MESSAGE_LENGTH']],
      },
    ))

  const orClose = (socket: WebSocket): Promise<number> => new Promise((resolve) => socket.once('close', resolve))
})

describe('frameworks over our sockets', () => {
  async function ask(place: Place, port: number, path: string, body?: unknown): Promise<unknown[]> {
    const dispatcher = new Agent({ connect: connector(place, port) })
    place.atEnd(() => dispatcher.destroy())
    const headers = { 'content-type': 'application/json' }
    const init = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) }
    const answer = await fetch(`http://ours.test${path}`, { dispatcher, ...init })
    return [answer.status, await answer.text()]
  }

  it('express: routes, JSON, streams, errors, and the client’s address', () =>
    expectBoth(
      async (place) => {
        const app = express()
        app.use(express.json())
        app.post('/sum', (request, response) => {
          response.json((request.body as number[]).reduce((sum, one) => sum + one))
        })
        app.get('/who', (request, response) => {
          response.send(request.ip)
        })
        app.get('/fails', async () => {
          throw new Error('it failed')
        })
        const failed: express.ErrorRequestHandler = (error: Error, _request, response, _next) => {
          response.status(500).send(error.message)
        }
        app.use(failed)
        const port = await place.serve(http.createServer(app))
        return [
          await ask(place, port, '/sum', [1, 2, 3]),
          await ask(place, port, '/who'),
          await ask(place, port, '/fails'),
          (await ask(place, port, '/nowhere'))[0],
        ]
      },
      [[200, '6'], [200, '127.0.0.1'], [500, 'it failed'], 404],
    ))

  it('fastify: routes, schemas, hooks, and the client’s address', () =>
    expectBoth(
      async (place) => {
        const app = fastify()
        place.atEnd(() => app.close())
        const hooks: string[] = []
        app.addHook('onResponse', async (request) => {
          hooks.push(request.url)
        })
        const schema = { body: { type: 'array', items: { type: 'number' } } }
        app.post('/sum', { schema }, async (request) => ({
          sum: (request.body as number[]).reduce((sum, one) => sum + one),
        }))
        app.get('/who', async (request) => request.ip)
        await app.ready()
        const port = await place.serve(app.server)
        const answers = [await ask(place, port, '/sum', [1, 2, 3]), await ask(place, port, '/who')]
        const [status] = await ask(place, port, '/sum', ['x'])
        return { answers, status, hooks }
      },
      {
        answers: [
          [200, '{"sum":6}'],
          [200, '127.0.0.1'],
        ],
        status: 400,
        hooks: ['/sum', '/who', '/sum'],
      },
    ))
})
