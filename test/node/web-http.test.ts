// HTTP/1.1 (RFC 9112) as node:http speaks it, server and client over sockets of ours. Where nothing else is said the same
// program runs over Node's own net too, and gives the same.

import { createHash, type Hash } from 'node:crypto'
import http from 'node:http'
import { type Duplex, Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import { PseudoRandomBytes } from '../support/pseudo-random.ts'
import {
  type AnySocket,
  answerOf,
  ask,
  closed,
  everywhere,
  follow,
  onOurs,
  orError,
  type Place,
} from '../support/web-programs.ts'

/** The same on both, and what it is. */
async function expectBoth<T>(program: (place: Place) => Promise<T>, wanted: T): Promise<void> {
  const { node, ours } = await everywhere(program)
  expect(ours).toEqual(node)
  expect(ours).toEqual(wanted)
}

/** Sends bytes by hand and reads all that comes until the server closes. */
async function speak(place: Place, port: number, text: string): Promise<string[]> {
  const socket = place.connect(port)
  socket.write(text)
  let heard = ''
  for await (const chunk of socket) heard += chunk
  return heard.split('\r\n').filter((line) => !line.startsWith('Date:'))
}

describe('node:http, messages', () => {
  it('bodies are chunked both ways, with trailers at their ends, and one connection carries one request after another', () =>
    expectBoth(
      async (place) => {
        const server = http.createServer(async (request, response) => {
          response.writeHead(200, { trailer: 'x-length' })
          let length = 0
          for await (const chunk of request) {
            length += (chunk as Buffer).length
            response.write(chunk)
          }
          response.addTrailers({ 'x-length': String(length), 'x-heard': String(request.trailers['x-end']) })
          response.end()
        })
        let connections = 0
        server.on('connection', () => connections++)
        const agent = place.agent(await place.serve(server))
        const post = async (size: number): Promise<object> => {
          const request = http.request({ agent, host: 'ours.test', method: 'POST', headers: { trailer: 'x-end' } })
          for (let sent = 0; sent < size; sent += 1_000) request.write('0123456789'.repeat(100))
          request.addTrailers({ 'x-end': 'that was it' })
          request.end()
          const { text, headers, trailers, reused } = await answerOf(request)
          return { size: text.length, coding: headers['transfer-encoding'], trailers: { ...trailers }, reused }
        }
        return { answers: [await post(300_000), await post(1_000)], connections }
      },
      {
        answers: [
          {
            size: 300_000,
            coding: 'chunked',
            trailers: { 'x-length': '300000', 'x-heard': 'that was it' },
            reused: false,
          },
          { size: 1_000, coding: 'chunked', trailers: { 'x-length': '1000', 'x-heard': 'that was it' }, reused: true },
        ],
        connections: 1,
      },
    ))

  it('RFC 9112 §9.3.2: requests that come at once are answered in their order, the slow first one first', () =>
    expectBoth(
      async (place) => {
        const server = http.createServer((request, response) => {
          if (request.url === '/last') response.setHeader('connection', 'close')
          setTimeout(() => response.end(request.url), request.url === '/slow' ? 20 : 0)
        })
        const port = await place.serve(server)
        const requests = ['/slow', '/quick', '/last'].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
        return (await speak(place, port, requests.join(''))).filter((line) => /^\/|^HTTP/.test(line))
      },
      ['HTTP/1.1 200 OK', '/slowHTTP/1.1 200 OK', '/quickHTTP/1.1 200 OK', '/last'],
    ))

  it('RFC 9110 §10.1.1: a client that expects 100 (Continue) waits for it, and may be refused instead', () =>
    expectBoth(
      async (place) => {
        const server = http.createServer((request, response) => request.pipe(response))
        server.on('checkContinue', (request, response) => {
          if (request.headers['content-length'] === '4') {
            response.writeContinue()
            server.emit('request', request, response)
          } else response.writeHead(413, { connection: 'close' }).end('too long')
        })
        server.on('checkExpectation', (_request, response) => response.writeHead(417).end())
        const agent = place.agent(await place.serve(server), {})
        const send = async (expectation: string, body: string): Promise<unknown> => {
          const headers = { expect: expectation, 'content-length': body.length }
          const request = http.request({ agent, host: 'ours.test', method: 'PUT', headers })
          const told = follow(request, ['continue', 'information', 'response'])
          request.on('continue', () => request.end(body))
          request.flushHeaders()
          const { status, text } = await answerOf(request)
          return [told, status, text]
        }
        return [await send('100-continue', 'body'), await send('100-continue', 'too long'), await send('more', 'x')]
      },
      [
        [['continue', 'information', 'response'], 200, 'body'],
        [['response'], 413, 'too long'],
        [['response'], 417, ''],
      ],
    ))

  it('RFC 8297: hints that come before the answer', () =>
    expectBoth(
      async (place) => {
        const server = http.createServer((_request, response) => {
          response.writeEarlyHints({ link: '</style.css>; rel=preload' }, () => response.end('page'))
        })
        const agent = place.agent(await place.serve(server), {})
        const request = http.get({ agent, host: 'ours.test' })
        const hints: unknown[] = []
        request.on('information', ({ statusCode, headers }) => hints.push(statusCode, headers.link))
        const { text } = await answerOf(request)
        return { hints, text }
      },
      { hints: [103, '</style.css>; rel=preload'], text: 'page' },
    ))

  it('answers without a body, and those that only the end of the connection ends', () =>
    expectBoth(
      async (place) => {
        const server = http.createServer((request, response) => {
          if (request.url === '/none') response.writeHead(204).end()
          else if (request.url === '/same') response.writeHead(304, { etag: '"1"' }).end()
          else response.end('body')
        })
        const port = await place.serve(server)
        const agent = place.agent(port)
        const heads = await ask({ agent, method: 'HEAD', path: '/' })
        const none = await ask({ agent, path: '/none' })
        const same = await ask({ agent, path: '/same' })
        const old = await speak(place, port, 'GET / HTTP/1.0\r\n\r\n')
        return { answers: [heads, none, same].map(({ status, text, reused }) => [status, text, reused]), old }
      },
      {
        answers: [
          [200, '', false],
          [204, '', false],
          [304, '', true],
        ],
        old: ['HTTP/1.1 200 OK', 'Connection: close', '', 'body'],
      },
    ))

  it.each([
    ['what is no request', 'HELLO\r\n\r\n', 'HPE_INVALID_METHOD', 400],
    [
      'a head that is too long',
      `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      'HPE_HEADER_OVERFLOW',
      431,
    ],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      'HPE_INVALID_TRANSFER_ENCODING',
      400,
    ],
  ])('%s is refused, and the connection closed', async (_title, text, code, status) => {
    const { node, ours } = await everywhere(async (place) => {
      const server = http.createServer((_request, response) => response.end())
      const port = await place.serve(server)
      const plain = await speak(place, port, text)
      const failures = follow(server, ['clientError'])
      server.on('clientError', (_error, socket) => socket.end('HTTP/1.1 418 Teapot\r\n\r\n'))
      return { plain, own: await speak(place, port, text), failures }
    })
    expect(ours).toEqual(node)
    expect(ours.plain[0]).toMatch(`HTTP/1.1 ${status} `)
    expect(ours.own[0]).toBe('HTTP/1.1 418 Teapot')
    expect(ours.failures).toEqual([expect.stringContaining(code)])
  })
})

describe('node:http, connections', () => {
  it('RFC 9110 §7.8: an upgrade gives both sides the connection, with what came behind the head', () =>
    expectBoth(
      async (place) => {
        const server = http.createServer()
        server.on('upgrade', (_request, socket, head) => {
          socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhello ${head} `)
          socket.pipe(socket)
        })
        const port = await place.serve(server)
        const socket = place.connect(port)
        socket.end('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly')
        let byHand = ''
        for await (const chunk of socket) byHand += chunk
        const headers = { connection: 'upgrade', upgrade: 'echo' }
        const request = http.get({ agent: place.agent(port), host: 'ours.test', headers })
        const [response, mine, head] = (await orError(request, 'upgrade')) as [http.IncomingMessage, Duplex, Buffer]
        let text = String(head)
        mine.end('raw')
        for await (const chunk of mine) text += chunk
        return { byHand: byHand.split('\r\n').at(-1), status: response.statusCode, text }
      },
      { byHand: 'hello early ', status: 101, text: 'hello  raw' },
    ))

  it('RFC 9110 §9.3.6: CONNECT makes a tunnel, and HTTP goes through it', () =>
    expectBoth(
      async (place) => {
        const inner = await place.serve(http.createServer((request, response) => response.end(`inner ${request.url}`)))
        const proxy = http.createServer()
        proxy.on('connect', (request, socket) => {
          const onward = place.connect(Number(request.url!.split(':')[1]))
          onward.once('connect', () => {
            socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
            socket.pipe(onward).pipe(socket)
          })
        })
        const agent = place.agent(await place.serve(proxy), {})
        const request = http.request({ agent, host: 'ours.test', method: 'CONNECT', path: `inner.test:${inner}` }).end()
        const [response, tunnel] = (await orError(request, 'connect')) as [http.IncomingMessage, Duplex]
        const { text } = await ask({ createConnection: () => tunnel, path: '/there' })
        tunnel.destroy()
        return { status: response.statusCode, text }
      },
      { status: 200, text: 'inner /there' },
    ))

  it('an agent of two sockets queues what is more, keeps its sockets, and counts them', () =>
    expectBoth(
      async (place) => {
        let most = 0
        let now = 0
        const server = http.createServer((request, response) => {
          most = Math.max(most, ++now)
          setTimeout(() => {
            now--
            response.end(request.url)
          }, 5)
        })
        let connections = 0
        server.on('connection', () => connections++)
        const agent = place.agent(await place.serve(server), { keepAlive: true, maxSockets: 2 })
        const paths = Array.from({ length: 10 }, (_, index) => `/${index}`)
        const texts = await Promise.all(paths.map(async (path) => (await ask({ agent, path })).text))
        await new Promise((resolve) => setImmediate(resolve))
        return {
          inOrder: texts.join() === paths.join(),
          most,
          connections,
          free: Object.values(agent.freeSockets)[0]?.length,
        }
      },
      { inOrder: true, most: 2, connections: 2, free: 2 },
    ))

  it('many connections at once, each for one request', () =>
    expectBoth(async (place) => {
      const agent = place.agent(
        await place.serve(http.createServer((request, response) => response.end(request.url))),
        {},
      )
      const paths = Array.from({ length: 100 }, (_, index) => `/${index}`)
      const answers = await Promise.all(paths.map((path) => ask({ agent, path })))
      return answers.map(({ text }) => text).join('') === paths.join('')
    }, true))

  it('a server that closes an idle connection at its time is no failure of the next request', () =>
    expectBoth(
      async (place) => {
        const server = http.createServer({ keepAliveTimeout: 1 }, (_request, response) => response.end('well'))
        const agent = place.agent(await place.serve(server))
        const sockets: AnySocket[] = []
        server.on('connection', (socket) => sockets.push(socket))
        const first = await ask({ agent })
        await closed(sockets[0]!)
        while (Object.keys(agent.freeSockets).length > 0) await new Promise((resolve) => setImmediate(resolve))
        const second = await ask({ agent })
        return { reused: [first.reused, second.reused], connections: sockets.length }
      },
      { reused: [false, false], connections: 2 },
    ))

  it('a request that waits too long for its answer is told so, and a slow client is answered 408', () =>
    expectBoth(
      async (place) => {
        const times = { headersTimeout: 40, requestTimeout: 40, connectionsCheckingInterval: 10 }
        const silent = http.createServer(times, () => {})
        // Node looks after slow clients from 'listening' on.
        silent.emit('listening')
        place.atEnd(() => silent.close())
        const port = await place.serve(silent)
        const request = http.get({ agent: place.agent(port, {}), host: 'ours.test', timeout: 30 })
        const told = follow(request, ['timeout', 'error', 'close'])
        request.on('timeout', () => request.destroy())
        await closed(request)
        const slowHead = await speak(place, port, 'GET / HTTP/1.1\r\n')
        const slowBody = await speak(place, port, 'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n')
        silent.setTimeout(20)
        const nothing = await speak(place, port, '')
        return { told, slow: [slowHead[0], slowBody[0]], nothing }
      },
      {
        told: ['timeout', 'error ECONNRESET: socket hang up', 'close'],
        slow: ['HTTP/1.1 408 Request Timeout', 'HTTP/1.1 408 Request Timeout'],
        nothing: [''],
      },
    ))

  it('a client that aborts before there is a connection', () =>
    expectBoth(
      async (place) => {
        const server = http.createServer()
        const connections = follow(server, ['request'])
        const agent = place.agent(await place.serve(server), {})
        const request = http.get({ agent, host: 'ours.test' })
        const told = follow(request, ['socket', 'error', 'close'])
        request.destroy()
        await closed(request)
        const refused = http.get({ host: 'ours.test', createConnection: () => place.connect(1) })
        const saw = follow(refused, ['error', 'close'])
        await closed(refused)
        return { told, connections, saw }
      },
      {
        told: ['error ECONNRESET: socket hang up', 'close'],
        connections: [],
        saw: ['error ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:1', 'close'],
      },
    ))
})

const MIB = 1_048_576
const BODY_BYTES = 50 * MIB
/** More than a writer may be ahead of who does not read: send buffer, window, and the streams between. */
const MOST_AHEAD = 16 * MIB

/** A body that is made as it is asked for, and its digest. */
function body(seed: number): { stream: Readable; hash: Hash; given: () => number } {
  const hash = createHash('sha256')
  const chunks = new PseudoRandomBytes(seed, BODY_BYTES)[Symbol.iterator]()
  let given = 0
  const stream = new Readable({
    read() {
      const { value, done } = chunks.next()
      if (done === true) return void this.push(null)
      hash.update(value)
      given += value.length
      this.push(Buffer.from(value))
    },
  })
  return { stream, hash, given: () => given }
}

function digest(hash: Hash): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      done()
    },
  })
}

describe('node:http, bodies of 50 MiB over our sockets', () => {
  it('go up and down at once and arrive as they were sent', () =>
    onOurs(async (place) => {
      const up = createHash('sha256')
      const down = body(1)
      const server = http.createServer()
      const served = orError(server, 'request').then((words) => {
        const [request, response] = words as [http.IncomingMessage, http.ServerResponse]
        return Promise.all([pipeline(request, digest(up)), pipeline(down.stream, response)])
      })
      const port = await place.serve(server)
      const sent = body(2)
      const received = createHash('sha256')
      // Without keep-alive the server would close when its part is done, in the middle of ours.
      const request = http.request({ agent: place.agent(port), host: 'ours.test', method: 'POST' })
      const answered = orError(request, 'response') as Promise<[http.IncomingMessage]>
      await Promise.all([
        served,
        pipeline(sent.stream, request),
        answered.then(([response]) => pipeline(response, digest(received))),
      ])
      expect(up.digest('hex')).toBe(sent.hash.digest('hex'))
      expect(received.digest('hex')).toBe(down.hash.digest('hex'))
    }))

  it('wait in the sender while the receiver does not read, and go on when it does', () =>
    onOurs(async (place) => {
      const page = body(3)
      const server = http.createServer((_request, response) => void pipeline(page.stream, response))
      const request = http.get({ agent: place.agent(await place.serve(server), {}), host: 'ours.test' })
      const [response] = (await orError(request, 'response')) as [http.IncomingMessage]
      let before = -1
      while (page.given() !== before) {
        before = page.given()
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      expect(before).toBeLessThan(MOST_AHEAD)
      const received = createHash('sha256')
      await pipeline(response, digest(received))
      expect(received.digest('hex')).toBe(page.hash.digest('hex'))
    }))
})
