// HTTP/2 (RFC 9113) as node:http2 speaks it, clear and over TLS, server and client over sockets of ours. The same program
// over Node's own net gives the same.

import { createHash } from 'node:crypto'
import http2, { type ClientHttp2Session, type ClientHttp2Stream, constants, type ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import tls from 'node:tls'
import { describe, expect, it } from 'vitest'
import { makeAuthority } from '../support/certificates.ts'
import { closed, everywhere, follow, orError, type Place } from '../support/web-programs.ts'

const AUTHORITY = makeAuthority('Test Authority')
const SERVER = AUTHORITY.issue({ name: 'web.test' })
const MIB = 1_048_576

type Server = http2.Http2Server | http2.Http2SecureServer
type Program<T> = (session: ClientHttp2Session, server: Server) => Promise<T>

/** Runs the program with a session to a server, over TLS or not. */
async function between<T>(place: Place, secure: boolean, program: Program<T>): Promise<T> {
  const server = secure ? http2.createSecureServer(SERVER) : http2.createServer()
  place.atEnd(() => server.close())
  const port = await place.serve(server, { allowHalfOpen: false })
  const socket = place.connect(port)
  await orError(socket, 'connect')
  const createConnection = (): Duplex => {
    if (!secure) return socket as Duplex
    return tls.connect({ socket, servername: 'web.test', ca: AUTHORITY.cert, ALPNProtocols: ['h2'] })
  }
  const session = http2.connect('http://web.test', { createConnection })
  place.atEnd(() => session.destroy())
  await orError(session, 'remoteSettings')
  return program(session, server)
}

/** Clear and over TLS, on both: the same, and what it is. */
async function expectAll<T>(program: Program<T>, wanted: unknown): Promise<void> {
  for (const secure of [false, true]) {
    const { node, ours } = await everywhere((place) => between(place, secure, program))
    expect(ours).toEqual(node)
    expect(ours).toEqual(wanted)
  }
}

async function read(stream: ClientHttp2Stream | ServerHttp2Stream): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += chunk
  return text
}

const STREAM = ['response', 'aborted', 'end', 'error', 'close']

describe('node:http2 over our sockets', () => {
  it('a hundred streams in one connection, with bodies, headers and trailers', () =>
    expectAll(
      async (session, server) => {
        server.on('stream', async (stream: ServerHttp2Stream, headers) => {
          stream.respond({ ':status': 201, 'x-path': headers[':path'] }, { waitForTrailers: true })
          stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'yes' }))
          stream.end(`${headers[':method']} ${await read(stream)}`)
        })
        const ask = async (index: number): Promise<unknown[]> => {
          const stream = session.request({ ':method': 'POST', ':path': `/${index}` })
          const trailers = orError(stream, 'trailers') as Promise<[Record<string, unknown>]>
          const answered = orError(stream, 'response') as Promise<[Record<string, unknown>]>
          stream.end(`body ${index}`)
          const [[headers], text] = await Promise.all([answered, read(stream)])
          return [headers[':status'], headers['x-path'], text, (await trailers)[0]['x-end']]
        }
        return Promise.all(Array.from({ length: 100 }, (_, index) => ask(index)))
      },
      Array.from({ length: 100 }, (_, index) => [201, `/${index}`, `POST body ${index}`, 'yes']),
    ))

  it('bodies of a mebibyte both ways at once, within the windows of the streams, beside a quick one', () =>
    expectAll(
      async (session, server) => {
        server.on('stream', (stream: ServerHttp2Stream, headers) => {
          stream.respond()
          if (headers[':path'] === '/quick') stream.end('quick')
          else stream.pipe(stream)
        })
        const body = Buffer.alloc(MIB, 'a body that is long. ')
        const long = session.request({ ':method': 'POST' })
        long.end(body)
        const hash = createHash('sha256')
        const [quick] = await Promise.all([
          read(session.request({ ':path': '/quick' })),
          pipeline(long, async (chunks) => {
            for await (const chunk of chunks) hash.update(chunk as Buffer)
          }),
        ])
        return [quick, hash.digest('hex') === createHash('sha256').update(body).digest('hex')]
      },
      ['quick', true],
    ))

  it('RST_STREAM by the client and by the server ends one stream, and no other', () =>
    expectAll(
      async (session, server) => {
        const told: string[][] = []
        const both: Promise<unknown>[] = []
        server.on('stream', (stream: ServerHttp2Stream, headers) => {
          told.push(follow(stream, ['aborted', 'error', 'close']))
          both.push(closed(stream))
          if (headers[':path'] === '/refused') return stream.close(constants.NGHTTP2_REFUSED_STREAM)
          stream.respond()
          if (headers[':path'] === '/fine') stream.end('fine')
          else stream.write('begun')
        })
        const cancelled = session.request({ ':path': '/cancelled' })
        const mine = follow(cancelled, STREAM)
        await orError(cancelled, 'data')
        cancelled.close(constants.NGHTTP2_CANCEL)
        await closed(cancelled)
        const refused = session.request({ ':path': '/refused' })
        const saw = follow(refused, STREAM)
        refused.resume()
        await closed(refused)
        const fine = await read(session.request({ ':path': '/fine' }))
        await Promise.all(both)
        return { mine, saw, codes: [cancelled.rstCode, refused.rstCode], fine, told, destroyed: session.destroyed }
      },
      {
        mine: expect.arrayContaining(['response', 'close']),
        saw: expect.arrayContaining([
          'error ERR_HTTP2_STREAM_ERROR: Stream closed with error code NGHTTP2_REFUSED_STREAM',
          'close',
        ]),
        codes: [constants.NGHTTP2_CANCEL, constants.NGHTTP2_REFUSED_STREAM],
        fine: 'fine',
        told: expect.arrayContaining([['aborted', 'close'], ['close']]),
        destroyed: false,
      },
    ))

  it('GOAWAY: what is open goes on to its end, and nothing new begins', () =>
    expectAll(
      async (session, server) => {
        const streams: ServerHttp2Stream[] = []
        server.on('stream', (stream: ServerHttp2Stream) => {
          streams.push(stream)
          stream.respond()
          stream.write('begun ')
        })
        const told = follow(session, ['error'])
        const open = session.request()
        const text = read(open)
        await orError(open, 'response')
        const goaway = orError(session, 'goaway') as Promise<[number, number, Buffer]>
        streams[0]!.session!.goaway(constants.NGHTTP2_NO_ERROR, streams[0]!.id!, Buffer.from('maintenance'))
        const [code, last, data] = await goaway
        let late: unknown
        try {
          session.request()
        } catch (error) {
          late = (error as NodeJS.ErrnoException).code
        }
        streams[0]!.end('and done')
        const whole = await text
        return { code, last, data: String(data), late, text: whole, told }
      },
      {
        code: 0,
        last: 1,
        data: 'maintenance',
        late: 'ERR_HTTP2_GOAWAY_SESSION',
        text: 'begun and done',
        told: [],
      },
    ))

  it('PING is answered, settings are told, and a server that may not push is told so', () =>
    expectAll(
      async (session, server) => {
        const pushed: unknown[] = []
        server.on('stream', (stream: ServerHttp2Stream) => {
          pushed.push(stream.pushAllowed)
          try {
            stream.pushStream({ ':path': '/more' }, () => {})
          } catch (error) {
            pushed.push((error as NodeJS.ErrnoException).code)
          }
          stream.respond()
          stream.end()
        })
        const payload = Buffer.from('12345678')
        const echo = await new Promise<unknown>((resolve) => {
          session.ping(payload, (error, took, data) => resolve([error, took >= 0, String(data)]))
        })
        const acknowledged = orError(session, 'localSettings')
        session.settings({ enablePush: false, initialWindowSize: 100_000 })
        await acknowledged
        await read(session.request())
        return { echo, pushed, window: session.localSettings.initialWindowSize }
      },
      { echo: [null, true, '12345678'], pushed: [false, 'ERR_HTTP2_PUSH_DISABLED'], window: 100_000 },
    ))

  it('an end without a word: the connection is destroyed under both, in the middle of a stream', () =>
    expectAll(
      async (session, server) => {
        const streams: ServerHttp2Stream[] = []
        let told: string[] = []
        server.on('stream', (stream: ServerHttp2Stream) => {
          streams.push(stream)
          told = follow(stream, ['aborted', 'error', 'close'])
          stream.resume()
          stream.respond()
          stream.write('begun')
        })
        const stream = session.request({ ':method': 'POST' })
        const mine = follow(stream, STREAM)
        await orError(stream, 'data')
        stream.resume()
        const over = [closed(stream), closed(streams[0]!), closed(session)]
        session.destroy()
        await Promise.all(over)
        return { mine, told }
      },
      { mine: expect.arrayContaining(['close']), told: expect.arrayContaining(['aborted', 'close']) },
    ))

  it('the manner of HTTP/1: requests, answers, and a server that closes when its sessions are done', () =>
    expectAll(
      async (session, server) => {
        ;(server as http2.Http2Server).on('request', (request, response) => {
          response.setHeader('x-version', request.httpVersion)
          response.end(`${request.method} ${request.url} ${request.socket.remoteAddress}`)
        })
        const stream = session.request({ ':path': '/there' })
        const [[headers], text] = await Promise.all([
          orError(stream, 'response') as Promise<[Record<string, unknown>]>,
          read(stream),
        ])
        const gone = closed(session)
        session.close()
        await gone
        return [headers['x-version'], text]
      },
      ['2.0', 'GET /there 127.0.0.1'],
    ))
})
