// TLS with both ends ours: node:tls over our sockets, with certificates made here. The same program over Node's own net
// gives the same: what is negotiated, who is trusted, what is refused and in which words, and how connections end.

import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import tls, { type ConnectionOptions, type TLSSocket, type TlsOptions } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { makeAuthority } from '../support/certificates.ts'
import { closed, everywhere, follow, onOurs, orError, type Place } from '../support/web-programs.ts'

const AUTHORITY = makeAuthority('Test Authority')
const STRANGER = makeAuthority('Somebody Else')
const SERVER = AUTHORITY.issue({ name: 'web.test', for: ['web.test', '*.wild.test', '127.0.0.1', 'fd00::1'] })
const { cert: ca } = AUTHORITY

async function listen(
  place: Place,
  options: TlsOptions,
  serve: (socket: TLSSocket) => void = () => {},
): Promise<number> {
  const server = tls.createServer({ ...SERVER, ...options }, serve)
  place.atEnd(() => server.close())
  return place.serve(server, { allowHalfOpen: false })
}

function connect(place: Place, port: number, options: ConnectionOptions = {}): TLSSocket {
  const socket = place.connect(port) as Duplex
  return tls.connect({ servername: 'web.test', ca, ...options, socket })
}

async function read(socket: TLSSocket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}

/** The same on both, and what it is. */
async function expectBoth<T>(program: (place: Place) => Promise<T>, wanted: unknown): Promise<void> {
  const { node, ours } = await everywhere(program)
  expect(ours).toEqual(node)
  expect(ours).toEqual(wanted)
}

describe('node:tls over our sockets, what is negotiated', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('%s: bytes both ways, and an end in order', (version) =>
    expectBoth(
      async (place) => {
        const told: string[][] = []
        const ended: Promise<unknown>[] = []
        const port = await listen(place, { maxVersion: version, minVersion: version }, (socket) => {
          ended.push(closed(socket))
          told.push(follow(socket, ['end', 'finish', 'error', 'close']))
          socket.pipe(socket)
        })
        const client = connect(place, port)
        const gone = closed(client)
        const mine = follow(client, ['secureConnect', 'end', 'finish', 'error', 'close'])
        client.write('half ')
        client.end('closed')
        const text = await read(client)
        await gone
        await Promise.all(ended)
        return { text, mine, told, authorized: client.authorized, protocol: client.getProtocol() }
      },
      {
        text: 'half closed',
        mine: ['secureConnect', 'finish', 'end', 'close false'],
        told: [['end', 'finish', 'close false']],
        authorized: true,
        protocol: null,
      },
    ),
  )

  it('RFC 7301, RFC 6066 §3: the protocol by ALPN, the certificate by the server’s name', () =>
    expectBoth(
      async (place) => {
        const other = AUTHORITY.issue({ name: 'other.test' })
        const SNICallback: TlsOptions['SNICallback'] = (name, done) =>
          name === 'other.test' ? done(null, tls.createSecureContext(other)) : done(null)
        const port = await listen(place, { SNICallback, ALPNProtocols: ['two', 'one'] }, (socket) => {
          socket.end(`${socket.servername} ${socket.alpnProtocol}`)
        })
        const ask = async (servername: string, ALPNProtocols: string[]): Promise<string> => {
          const client = connect(place, port, { servername, ALPNProtocols })
          const [, text] = await Promise.all([orError(client, 'secureConnect'), read(client)])
          return text
        }
        const texts = [await ask('web.test', ['one', 'two']), await ask('other.test', ['one'])]
        const wild = await ask('any.wild.test', [])
        const refused = connect(place, port, { ALPNProtocols: ['three'] })
        const [error] = (await orError(refused, 'close').catch((reason) => [reason])) as [NodeJS.ErrnoException]
        return { texts, wild, refused: error.code }
      },
      {
        texts: ['web.test two', 'other.test one'],
        wild: 'any.wild.test false',
        refused: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
      },
    ))

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('a session of %s is taken up again over the next connection', (version) =>
    expectBoth(
      async (place) => {
        const port = await listen(place, { maxVersion: version, minVersion: version }, (socket) => {
          socket.end(String(socket.isSessionReused()))
        })
        const first = connect(place, port)
        const [[session], text] = await Promise.all([orError(first, 'session') as Promise<[Buffer]>, read(first)])
        const second = connect(place, port, { session })
        const reused = orError(second, 'secureConnect').then(() => second.isSessionReused())
        const again = await read(second)
        return { texts: [text, again], reused: await reused }
      },
      { texts: ['false', 'true'], reused: true },
    ),
  )

  it('a secure socket has the addresses and the settings of the connection below', () =>
    expectBoth(
      async (place) => {
        const seen: unknown[] = []
        const look = (socket: TLSSocket, port: number): unknown[] => {
          const { remoteAddress, remoteFamily, localAddress, localPort, remotePort } = socket
          const { address } = socket.address() as { address?: string }
          return [remoteAddress, remoteFamily, localAddress, address, localPort === port || remotePort === port]
        }
        const port = await listen(place, {}, (socket) => {
          seen.push(look(socket, port))
          socket.setNoDelay(true).setKeepAlive(true, 5_000).unref().ref()
          socket.end()
        })
        const client = connect(place, port)
        await orError(client, 'secureConnect')
        const mine = look(client, port)
        await read(client)
        return [mine, ...seen]
      },
      Array(2).fill(['127.0.0.1', 'IPv4', '127.0.0.1', '127.0.0.1', true]),
    ))

  it('renegotiation is refused where the server does not want it, and is none of TLS 1.3', () =>
    expectBoth(
      async (place) => {
        const heard: string[][] = []
        const port = await listen(place, {}, (socket) => {
          socket.disableRenegotiation()
          heard.push(follow(socket, ['error']))
          socket.resume()
        })
        const ask = async (maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<unknown> => {
          const client = connect(place, port, { maxVersion })
          const told = follow(client, ['error', 'close'])
          const gone = closed(client)
          await orError(client, 'secureConnect')
          const answer = await new Promise<Error | null | string>((resolve) => {
            client.on('close', () => resolve('closed'))
            client.renegotiate({}, resolve)
          })
          client.destroy()
          await gone
          return [answer instanceof Error ? (answer as NodeJS.ErrnoException).code : answer, told]
        }
        const answers = [await ask('TLSv1.2'), await ask('TLSv1.3')]
        return [...answers, heard[0]]
      },
      expect.arrayContaining([
        expect.arrayContaining([expect.stringMatching(/ERR_TLS_RENEGOTIATION_DISABLED/)]),
        expect.arrayContaining(['ERR_SSL_WRONG_SSL_VERSION']),
      ]),
    ))
})

describe('node:tls over our sockets, who is trusted', () => {
  const day = { expired: { validFrom: -3, validUntil: -2 }, early: { validFrom: 2, validUntil: 3 } }
  it.each([
    ['has expired', AUTHORITY.issue({ name: 'web.test', ...day.expired }), 'CERT_HAS_EXPIRED'],
    ['is not valid yet', AUTHORITY.issue({ name: 'web.test', ...day.early }), 'CERT_NOT_YET_VALID'],
    ['signed itself', STRANGER, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['is from a stranger', STRANGER.issue({ name: 'web.test' }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['is for another name', AUTHORITY.issue({ name: 'other.test' }), 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('a server whose certificate %s', (_title, certified, code) =>
    expectBoth(
      async (place) => {
        const failures: string[][] = []
        const port = await listen(place, { ...certified }, (socket) => {
          failures.push(follow(socket, ['error', 'close']))
          socket.end('secret')
        })
        const strict = connect(place, port)
        const told = follow(strict, ['secureConnect', 'error', 'close'])
        await closed(strict)
        const lax = connect(place, port, { rejectUnauthorized: false })
        const text = await read(lax)
        return { told, text, authorized: lax.authorized, why: String(lax.authorizationError).slice(0, code.length) }
      },
      {
        told: [expect.stringContaining(`error ${code}`), 'close true'],
        text: 'secret',
        authorized: false,
        why: code.slice(0, code.length),
      },
    ),
  )

  it.each([
    ['with one', AUTHORITY.issue({ name: 'somebody' }), 'welcome somebody', null],
    // The server closes without a word: the client sees an end.
    ['with one from a stranger', STRANGER.issue({ name: 'somebody' }), '', null],
    ['without', null, '', 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'],
  ])('a client %s, where the server asks for a certificate', (_title, certified, text, code) =>
    expectBoth(
      async (place) => {
        const server = tls.createServer({ ...SERVER, ca, requestCert: true }, (socket) => {
          socket.end(`welcome ${socket.getPeerCertificate().subject.CN}`)
        })
        const failures = follow(server, ['tlsClientError'])
        const port = await place.serve(server, { allowHalfOpen: false })
        const client = connect(place, port, { ...certified })
        const told = follow(client, ['error'])
        const gone = closed(client)
        const heard = await read(client).catch(() => '')
        await gone
        return { heard, failed: failures.length, code: told[0]?.split(/[ :]/)[1] ?? null }
      },
      { heard: text, failed: text === '' ? 1 : 0, code },
    ),
  )
})

describe('node:tls over our sockets, what goes wrong', () => {
  it('a server that speaks no TLS, a client that speaks none, one that leaves, and one that is silent', () =>
    expectBoth(
      async (place) => {
        const server = tls.createServer(SERVER)
        const failures = follow(server, ['tlsClientError'])
        const port = await place.serve(server, { allowHalfOpen: false })
        const failed = (): Promise<unknown> => orError(server, 'tlsClientError')
        const plain = place.net.createServer((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\n'))
        plain.listen(0, '127.0.0.1')
        place.atEnd(() => plain.close())
        await orError(plain, 'listening')
        const lost = connect(place, (plain.address() as { port: number }).port)
        const told = follow(lost, ['error', 'close'])
        await closed(lost)
        const speaksNone = failed()
        place.connect(port).end('GET / HTTP/1.0\r\n\r\n').resume()
        await speaksNone
        const leaves = failed()
        const leaving = place.connect(port)
        await orError(leaving, 'connect')
        // The first bytes of a handshake, and no more.
        leaving.end(Buffer.of(22, 3, 1))
        await leaves
        const impatient = tls.createServer({ ...SERVER, handshakeTimeout: 20 })
        const timedOut = follow(impatient, ['tlsClientError'])
        const silent = orError(impatient, 'tlsClientError')
        place.connect(await place.serve(impatient, { allowHalfOpen: false })).resume()
        await silent
        return {
          told: told.map((line) => line.split(':')[0]),
          failures: [...failures, ...timedOut].map((line) => line.split(':')[0]),
        }
      },
      {
        told: ['error ERR_SSL_WRONG_VERSION_NUMBER', 'close true'],
        failures: [
          'tlsClientError ERR_SSL_HTTP_REQUEST',
          'tlsClientError ECONNRESET',
          'tlsClientError ERR_TLS_HANDSHAKE_TIMEOUT',
        ],
      },
    ))

  it('a connection that is reset or destroyed below the encryption', () =>
    expectBoth(
      async (place) => {
        const port = await listen(place, {}, (socket) => {
          socket.on('error', () => {})
          socket.write('begun')
        })
        const told = []
        for (const end of ['resetAndDestroy', 'destroy'] as const) {
          const below = place.connect(port)
          const client = tls.connect({ ca, servername: 'web.test', socket: below as Duplex })
          const said = follow(client, ['end', 'error', 'close'])
          await orError(client, 'data')
          below[end]()
          await closed(client)
          told.push(said)
        }
        return told
      },
      [['close false'], ['close false']],
    ))

  it('5 MiB go both ways at once and arrive as they were sent', () =>
    onOurs(async (place) => {
      const port = await listen(place, {}, (socket) => void socket.pipe(socket))
      const client = connect(place, port)
      const sent = Buffer.alloc(5 * 1_048_576, 'some bytes, again and again. ')
      client.end(sent)
      const hash = createHash('sha256')
      for await (const chunk of client) hash.update(chunk as Buffer)
      expect(hash.digest('hex')).toBe(createHash('sha256').update(sent).digest('hex'))
    }))
})
