// Programs of Node on both ends of our connections: HTTP, HTTPS, HTTP/2 and TLS know nothing of the stack below, by the
// hooks that each of them has for a stream of one's own.

import type { EventEmitter } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LocalHost, localHost, once } from '../support/net-host.ts'

let host: LocalHost

beforeEach(() => {
  host = localHost()
})

afterEach(() => host.close())

/** Hands each connection to a server of Node's. */
async function serve(server: EventEmitter): Promise<number> {
  const ours = host.net.createServer({ allowHalfOpen: true }, (socket) => server.emit('connection', socket))
  ours.listen(0, '127.0.0.1')
  await once(ours, 'listening')
  return (ours.address() as { port: number }).port
}

function agent(port: number, options: http.AgentOptions = { keepAlive: true }): http.Agent {
  const made = new http.Agent(options)
  made.createConnection = () => host.net.connect(port, '127.0.0.1') as unknown as Duplex
  return made
}

async function get(
  options: http.RequestOptions,
  body?: string,
): Promise<{ status: number; text: string; reused: boolean }> {
  const request = http.request({ host: 'ours.test', ...options })
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode!, text, reused: request.reusedSocket }
}

/** TLS without certificates: both know the same key (RFC 4279). */
const KEY = Buffer.alloc(32, 7)
const SERVER_TLS = { ciphers: 'PSK', maxVersion: 'TLSv1.2', pskCallback: () => KEY } as const
const CLIENT_TLS = {
  ciphers: 'PSK',
  maxVersion: 'TLSv1.2',
  pskCallback: () => ({ psk: KEY, identity: 'me' }),
  checkServerIdentity: () => undefined,
} as const

describe('node:http', () => {
  it('serves and asks, chunked and by keep-alive, over one connection', async () => {
    let connections = 0
    const server = http.createServer((request, response) => {
      response.write(`${request.method} `)
      request.pipe(response)
    })
    server.on('connection', () => connections++)
    const port = await serve(server)
    const keeping = agent(port)
    const first = await get({ agent: keeping, method: 'POST' }, 'a'.repeat(100_000))
    const second = await get({ agent: keeping, method: 'PUT' }, 'b')
    expect(first).toEqual({ status: 200, text: `POST ${'a'.repeat(100_000)}`, reused: false })
    expect(second).toEqual({ status: 200, text: 'PUT b', reused: true })
    expect(connections).toBe(1)
    expect(host.stack.counters).toMatchObject({ IpFragFails: 0, TcpRetransSegs: 0 })
    keeping.destroy()
  })

  it('many requests at once, each over a connection that ends', async () => {
    const port = await serve(http.createServer((request, response) => response.end(request.url)))
    const ending = agent(port, {})
    const paths = Array.from({ length: 50 }, (_, index) => `/${index}`)
    const texts = await Promise.all(paths.map(async (path) => (await get({ agent: ending, path })).text))
    expect(texts).toEqual(paths)
  })

  it('an upgrade gives both sides the connection', async () => {
    const server = http.createServer()
    server.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n')
      socket.pipe(socket)
    })
    const port = await serve(server)
    const request = http.request({ agent: agent(port), headers: { connection: 'upgrade', upgrade: 'echo' } })
    request.end()
    const [, socket] = (await once(request, 'upgrade')) as [unknown, Duplex]
    socket.write('raw')
    expect(String((await once(socket, 'data'))[0])).toBe('raw')
    socket.destroy()
  })

  it('a client that aborts is seen by the server', async () => {
    const server = http.createServer((_request, response) => response.write('begun'))
    const port = await serve(server)
    const asked = once(server, 'request') as Promise<[http.IncomingMessage, http.ServerResponse]>
    const abort = new AbortController()
    const request = http.request({ agent: agent(port, {}), signal: abort.signal })
    request.end()
    const [, response] = await asked
    const closed = once(response, 'close')
    const failed = once(request, 'error')
    abort.abort()
    expect((await failed)[0]).toMatchObject({ name: 'AbortError' })
    await closed
    expect(response.writableFinished).toBe(false)
  })
})

describe('node:tls', () => {
  it('carries a megabyte each way between two of our sockets, and ends in order', async () => {
    const server = tls.createServer(SERVER_TLS, (socket) => socket.pipe(socket))
    const port = await serve(server)
    const client = tls.connect({ ...CLIENT_TLS, socket: host.net.connect(port, '127.0.0.1') as unknown as Duplex })
    await once(client, 'secureConnect')
    const sent = Buffer.alloc(1_000_000, 'x')
    client.end(sent)
    const chunks: Buffer[] = []
    for await (const chunk of client) chunks.push(chunk as Buffer)
    expect(Buffer.concat(chunks).equals(sent)).toBe(true)
  })

  it('node:https asks a server of its own over ours', async () => {
    const port = await serve(https.createServer(SERVER_TLS, (_request, response) => response.end('secret')))
    const secure = new https.Agent()
    secure.createConnection = () =>
      tls.connect({ ...CLIENT_TLS, socket: host.net.connect(port, '127.0.0.1') as unknown as Duplex })
    const request = https.get({ agent: secure, host: 'ours.test' })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(String((await once(response, 'data'))[0])).toBe('secret')
    secure.destroy()
  })
})

describe('node:http2', () => {
  it('serves and asks, several streams in one connection', async () => {
    const server = http2.createServer((request, response) => response.end(`to ${request.url}`))
    const port = await serve(server)
    const socket = host.net.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const session = http2.connect('http://ours.test', { createConnection: () => socket as unknown as Duplex })
    const ask = async (path: string): Promise<string> => {
      const stream = session.request({ ':path': path })
      let text = ''
      for await (const chunk of stream) text += chunk
      return text
    }
    expect(await Promise.all(['/a', '/b', '/c'].map(ask))).toEqual(['to /a', 'to /b', 'to /c'])
    const closed = once(session, 'close')
    session.close()
    await closed
  })
})
