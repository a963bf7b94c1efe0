// The page of `up --http` and /state.json: what they say, in how many bytes, to whom, and what they refuse.

import http from 'node:http'
import type { Duplex } from 'node:stream'
import { fc, test } from '@fast-check/vitest'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EnvironmentError } from '../../src/errors.ts'
import { html } from '../../src/node/status/html.ts'
import { type LiveState, liveState, MOST_ROWS } from '../../src/node/status/live-state.ts'
import { CONTENT_SECURITY, page } from '../../src/node/status/page.ts'
import { type StatusLimits, StatusServer } from '../../src/node/status/status-server.ts'
import { contentOf, TABLES } from '../../src/node/status/tables.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import { connect } from '../../src/tcp/open.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { type AnySocket, type LocalHost, localHost, once } from '../support/net-host.ts'

const PORT = 8_080
const LOCAL = '127.0.0.1'
let host: LocalHost
let server: StatusServer | null = null

beforeEach(() => {
  host = localHost()
})

afterEach(() => {
  server?.close()
  server = null
  host.close()
})

const open = async (limits: Partial<StatusLimits> = {}): Promise<void> => {
  server = await StatusServer.open(host, PORT, limits)
}

interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
}

async function ask(path: string, method = 'GET', body = ''): Promise<Answer> {
  const request = http.request({
    createConnection: () => host.net.connect(PORT, LOCAL) as unknown as Duplex,
    host: 'host.test',
    path,
    method,
  })
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode!, headers: response.headers, text }
}

const connectSocket = async (): Promise<AnySocket> => {
  const socket = host.net.connect(PORT, LOCAL) as unknown as AnySocket
  await once(socket, 'connect')
  return socket
}

/** Everything that the server says until it ends the connection. */
async function heard(socket: AnySocket): Promise<string> {
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  await once(socket, 'close')
  return text
}

/** Waits until the server has no more than so many clients. */
async function untilServed(most: number): Promise<void> {
  const served = (): number =>
    [...host.stack.tcp.demux.values()].filter(({ localPort, state }) => localPort === PORT && state === 'ESTABLISHED')
      .length
  while (served() > most) await new Promise((resolve) => setTimeout(resolve, 5))
}

describe('the page of a host', () => {
  it('shows interfaces, routes, ports and the very connection that asks for it, without a script', async () => {
    await open()
    const { status, headers, text } = await ask('/')
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    const [peer] = /(?<=<th scope="row" class="text">)127\.0\.0\.1:\d+(?=<\/th>)/.exec(text) ?? []
    expect(peer).toBeDefined()
    for (const cell of ['lo', '127.0.0.1/8\n::1/128', '127.0.0.1:8080', '65,536', 'LISTEN', 'TcpPassiveOpens']) {
      expect(text).toContain(`>${cell}<`)
    }
  })

  it('has a heading, a caption and named columns and rows in each of its tables', () => {
    const text = page(liveState(host.stack))
    for (const { id, title } of TABLES) {
      const [section] = new RegExp(`<section id="${id}"[^]*?</section>`).exec(text) ?? ['']
      expect(section).toContain(`<h2 id="${id}-title">${title}</h2>`)
      expect(section).toMatch(/<caption>[^<]+<\/caption>/)
      expect(section.match(/<th scope="col"/g)?.length).toBeGreaterThan(1)
      const rows = section.match(/<tr>/g)!.length - 1
      expect(section.match(/<th scope="row"/g) ?? []).toHaveLength(rows)
    }
  })

  it('names no other place, and forbids the browser to load anything from one', async () => {
    await open()
    const { headers, text } = await ask('/')
    expect(headers['content-security-policy']).toBe(CONTENT_SECURITY)
    expect(CONTENT_SECURITY).toMatch(/^default-src 'none'; script-src 'sha256-\S+'; style-src 'sha256-\S+';/)
    const places = [...text.matchAll(/(?:src|href|action)="([^"]*)"/g)].map(([, place]) => place!)
    expect(places.filter((place) => !/^(\/|data:|#)/.test(place))).toEqual([])
    expect(text).not.toMatch(/url\(|@import/)
  })

  test.prop([fc.string({ unit: fc.constantFrom('<', '>', '&', '"', "'", 'a', ' ', '=') })])(
    'escapes whatever a name consists of, in text and in attributes',
    (name) => {
      const { text } = html`<b title="${name}">${name}</b>`
      const [, attribute, content] = /^<b title="([^"<>']*)">([^"<>']*)<\/b>$/.exec(text) ?? []
      const back = (escaped = ''): string =>
        escaped
          .replaceAll('&lt;', '<')
          .replaceAll('&gt;', '>')
          .replaceAll('&quot;', '"')
          .replaceAll('&#39;', "'")
          .replaceAll('&amp;', '&')
      expect([back(attribute), back(content)]).toEqual([name, name])
    },
  )

  it('takes no markup from the names of a host and of an interface', () => {
    const evil = '</title><script>alert(1)</script>"\'&'
    const state = liveState(host.stack)
    const [lo] = state.interfaces.rows
    const text = page({ ...state, name: evil, interfaces: { total: 1, rows: [{ ...lo!, name: evil }] } })
    expect(text.match(/<script>/g)).toHaveLength(1)
    expect(text.split('&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;')).toHaveLength(4)
  })

  it('shows the first of 10,000 connections and says how many there are, in no more bytes than of 200', () => {
    const remoteAddress = IpAddress.from(LOCAL)
    const sizes: number[] = []
    for (const count of [MOST_ROWS, 10_000]) {
      while (host.stack.tcp.demux.size < count) {
        connect(host.stack.tcp, { remoteAddress, remotePort: 1 }, host.stack.clock.now())
      }
      const state = liveState(host.stack)
      expect(state.connections).toMatchObject({ total: count, rows: { length: MOST_ROWS } })
      const { tables } = contentOf(state)
      const table = tables.find(({ id }) => id === 'connections')!
      expect(table.rows).toHaveLength(MOST_ROWS)
      expect(table.caption).toBe(
        count === MOST_ROWS ? '200 TCP connections' : 'The first 200 of 10,000 TCP connections',
      )
      sizes.push(page(state).length, JSON.stringify(state).length)
    }
    expect(sizes[2]! - sizes[0]!).toBeLessThan(100)
    expect(sizes[3]! - sizes[1]!).toBeLessThan(100)
    // Nobody needs to hear what becomes of so many.
    host.stack.close()
  })

  it('says in words what a table without rows means, and shows no empty table', () => {
    const text = page(liveState(host.stack))
    expect(text).toContain('<p class="empty">Nobody is connected.</p>')
    expect(text).toContain('<p class="empty" hidden>The host has no interface.</p>')
    expect(text).toMatch(/aria-labelledby="connections-title" tabindex="0" hidden>/)
  })
})

describe('/state.json', () => {
  it('tells programs the same, with the connection that asks', async () => {
    await open()
    const { headers, text } = await ask('/state.json')
    expect(headers['content-type']).toBe('application/json')
    const state = JSON.parse(text) as LiveState
    expect(state.name).toBe('local')
    expect(state.interfaces).toMatchObject({ total: 1, rows: [{ name: 'lo', isLoopback: true }] })
    expect(state.ports.rows).toMatchObject([{ protocol: 'tcp', state: 'LISTEN', localPort: PORT }])
    expect(state.connections.rows).toContainEqual(
      expect.objectContaining({ state: 'ESTABLISHED', localPort: PORT, remoteAddress: LOCAL }),
    )
    expect(state.counters).toMatchObject({ TcpPassiveOpens: 1, 'drop.tcpChecksum': 0 })
  })

  it('gives the script of the page the cells of its tables, when it is asked for them', async () => {
    await open()
    const { text } = await ask('/state.json?cells')
    const content = JSON.parse(text) as ReturnType<typeof contentOf>
    expect(content.tables.map(({ id }) => id)).toEqual(TABLES.map(({ id }) => id))
    for (const [index, { columns }] of TABLES.entries()) {
      for (const row of content.tables[index]!.rows) expect(row).toHaveLength(columns.length)
    }
  })

  it('answers pipelined requests in order, each with what is when its turn comes (RFC 9112 §9.3.2)', async () => {
    await open()
    const socket = await connectSocket()
    const get = 'GET /state.json HTTP/1.1\r\nHost: x\r\n'
    socket.write(`${`${get}\r\n`.repeat(20)}${get}Connection: close\r\n\r\n`)
    const states = [...(await heard(socket)).matchAll(/^\{.*\}$/gm)].map(([text]) => JSON.parse(text) as LiveState)
    expect(states).toHaveLength(21)
    // What was answered already waits to be acknowledged, or was sent.
    const given = states.map(({ connections, counters }) => {
      const own = connections.rows.find(({ localPort }) => localPort === PORT)
      return own!.sendQueue + counters.TcpOutSegs!
    })
    expect(new Set(given).size).toBeGreaterThan(10)
  })

  it.each(['/', '/state.json'])('answers HEAD with the head of %s alone (RFC 9110 §9.3.2)', async (path) => {
    await open()
    const { status, headers, text } = await ask(path, 'HEAD')
    expect([status, text]).toEqual([200, ''])
    expect(Number(headers['content-length'])).toBeGreaterThan(1_000)
  })
})

describe('what the server of the page refuses', () => {
  it.each(['/index.html', '/state.json/', '/..%2fetc/passwd', '/%'])('%s is not found (404)', async (path) => {
    await open()
    expect(await ask(path)).toMatchObject({ status: 404, text: expect.stringMatching(/There is nothing here/) })
  })

  it('a target that names no place is answered with 400', async () => {
    await open()
    expect(await ask('//')).toMatchObject({ status: 400, text: expect.stringMatching(/The request names no place/) })
  })

  it.each([
    ['POST', 100_000],
    ['PUT', 100_000],
    ['PATCH', 1],
    ['DELETE', 0],
    ['OPTIONS', 0],
  ] as const)(
    '%s is no way to look: 405 with those that are (RFC 9110 §15.5.6), though %i bytes come with it',
    async (method, bytes) => {
      await open()
      const { status, headers } = await ask('/', method, 'x'.repeat(bytes))
      expect([status, headers.allow]).toEqual([405, 'GET, HEAD'])
    },
  )

  it('what is no HTTP is answered with 400', async () => {
    await open()
    const socket = await connectSocket()
    socket.write('\x16\x03\x01 this is no request\r\n\r\n')
    expect(await heard(socket)).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('a head beyond its limit is answered with 431', async () => {
    await open()
    const socket = await connectSocket()
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)
    expect(await heard(socket)).toMatch(/^HTTP\/1\.1 431 /)
  })

  it('a head that comes a byte at a time and never ends is given up with 408', async () => {
    await open({ headMillis: 500, requestMillis: 500, checkMillis: 20 })
    const socket = await connectSocket()
    socket.write('GET / HTTP/1.1\r\nX-Slow: ')
    // A byte in the last moment would be left unread, and make the end a reset.
    let bytes = 0
    const drip = setInterval(() => ++bytes < 10 && socket.write('a'), 10)
    const text = await heard(socket)
    clearInterval(drip)
    expect(text).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('a client that says nothing, before it asked or after, is let go', async () => {
    await open({ silentMillis: 100, keepMillis: 100 })
    const before = await connectSocket()
    const after = await connectSocket()
    after.write('HEAD / HTTP/1.1\r\nHost: x\r\n\r\n')
    const [first, second] = await Promise.all([heard(before), heard(after)])
    expect(first).toBe('')
    expect(second).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('a client that asks and asks and reads nothing is let go, and others are served meanwhile', async () => {
    await open({ silentMillis: 200 })
    const remoteAddress = IpAddress.from(LOCAL)
    const options = { receiveBytes: 16_384 }
    const socket = await TcpSocket.connect(host.stack, { remoteAddress, remotePort: PORT, options })
    await socket.write(new TextEncoder().encode('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(60)))
    expect((await ask('/')).status).toBe(200)
    await untilServed(0)
    socket.abort()
  })

  it('a client that pipelines without end is closed, instead of an answer to each being kept', async () => {
    await open()
    const socket = await connectSocket()
    socket.write('GET /state.json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1_000))
    const answers = (await heard(socket)).match(/^HTTP\/1\.1 200 /gm) ?? []
    expect(answers.length).toBeLessThan(100)
    expect((await ask('/')).status).toBe(200)
  })

  it('clients beyond the limit take the places of those that came first and ask nothing', async () => {
    await open({ clients: 3 })
    const held = [await connectSocket(), await connectSocket(), await connectSocket()]
    held[1]!.write('GET / HTTP/1.1\r\nX-Slow: ')
    const ends = held.map(heard)
    expect((await ask('/')).status).toBe(200)
    expect(await ends[0]).toBe('')
    expect((await ask('/')).status).toBe(200)
    held[2]!.write('HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(await ends[2]).toMatch(/^HTTP\/1\.1 200 /)
    held[1]!.destroy()
  })

  it('a hundred clients that read nothing keep nobody out', async () => {
    await open({ clients: 4 })
    const remoteAddress = IpAddress.from(LOCAL)
    const deaf: TcpSocket[] = []
    for (let count = 0; count < 100; count++) {
      const options = { receiveBytes: 4_096 }
      const socket = await TcpSocket.connect(host.stack, { remoteAddress, remotePort: PORT, options })
      await socket.write(new TextEncoder().encode('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(60)))
      deaf.push(socket)
    }
    expect((await ask('/')).status).toBe(200)
    for (const socket of deaf) socket.abort()
  })

  it('a port that something on the host has is an error of one sentence', async () => {
    await open()
    const second = StatusServer.open(host, PORT)
    await expect(second).rejects.toThrow(EnvironmentError)
    await expect(second).rejects.toThrow(
      'the page on TCP port 8080: something on the host listens there already. To mend it: give another port',
    )
  })
})
