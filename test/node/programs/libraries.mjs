// A program of Node that knows nothing of any stack: servers and clients of the web's libraries at the address that it is
// given, each used as its own manual shows it. What it saw it prints as JSON.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import tls from 'node:tls'

const HOST = process.env.AT
const { CA: ca, CERT: cert, KEY: key } = process.env
const require = createRequire(import.meta.url)
const seen = {}
const sha = (bytes) => createHash('sha256').update(bytes).digest('hex')
const listen = async (server) => {
  server.listen(0, HOST)
  await once(server, 'listening')
  return server.address().port
}
const close = (server) => new Promise((resolve) => server.close(resolve))

/** node:http and the built-in fetch. */
async function plain() {
  const server = http.createServer(async (request, response) => {
    const hash = createHash('sha256')
    try {
      for await (const chunk of request) hash.update(chunk)
    } catch (error) {
      server.emit('broken', error.code)
    }
    response.setHeader('x-peer', request.socket.remoteAddress)
    response.end(`${request.method} ${hash.digest('hex')}`)
  })
  const port = await listen(server)
  const body = randomBytes(3_000_000)
  const answer = await fetch(`http://${HOST}:${port}/`, { method: 'POST', body })
  assert.equal(await answer.text(), `POST ${sha(body)}`)
  assert.equal(answer.headers.get('x-peer'), HOST)
  const agent = new http.Agent({ keepAlive: true, maxSockets: 3 })
  const ask = async () => {
    const request = http.get({ host: HOST, port, agent })
    const [response] = await once(request, 'response')
    response.resume()
    await once(request, 'close')
    return request.reusedSocket
  }
  const reused = [...(await Promise.all(Array.from({ length: 20 }, ask))), await ask(), await ask()]
  const abort = new AbortController()
  const hanging = fetch(`http://${HOST}:${port}/`, {
    method: 'POST',
    body: new ReadableStream({ start: (stream) => stream.enqueue('begun') }),
    duplex: 'half',
    signal: abort.signal,
  })
  await once(server, 'request')
  const broken = once(server, 'broken')
  abort.abort()
  const error = await hanging.catch((reason) => reason)
  const [code] = await broken
  agent.destroy()
  server.closeAllConnections()
  await close(server)
  const gone = http.createServer()
  const nobody = await listen(gone)
  await close(gone)
  const refused = await fetch(`http://${HOST}:${nobody}/`).catch((reason) => reason)
  seen.http = { reused: reused.filter(Boolean).length, aborted: error.name, broken: code, refused: refused.cause.code }
}

/** node:https with the program's own authority, names, ALPN and sessions. */
async function secure() {
  const server = https.createServer({ cert, key, ALPNProtocols: ['http/1.1'] }, (request, response) => {
    const { alpnProtocol, remoteAddress, servername } = request.socket
    response.end(`${servername} ${alpnProtocol} ${request.socket.isSessionReused()} ${remoteAddress === HOST}`)
  })
  const port = await listen(server)
  const agent = new https.Agent({ ca, maxCachedSessions: 10 })
  const texts = []
  for (let round = 0; round < 2; round++) {
    const request = https.get({ host: HOST, port, servername: 'web.test', agent, ALPNProtocols: ['http/1.1'] })
    const [response] = await once(request, 'response')
    let text = ''
    for await (const chunk of response) text += chunk
    texts.push(text)
  }
  const distrusting = https.get({ host: HOST, port, servername: 'web.test' })
  const [distrust] = await once(distrusting, 'error')
  const misnamed = https.get({ host: HOST, port, servername: 'other.test', ca, agent: false })
  const [misname] = await once(misnamed, 'error')
  server.closeAllConnections()
  await close(server)
  seen.https = { texts, distrust: distrust.code, misname: misname.code }
}

/** node:tls alone: what a secure socket says of itself, and of a connection that ends without a word of TLS. */
async function encrypted() {
  const about = (socket) => {
    const { localAddress, localFamily, localPort, remoteAddress, remoteFamily, remotePort } = socket
    const ports = [typeof localPort, typeof remotePort, Object.keys(socket.address())]
    return [localAddress === HOST, localFamily, remoteAddress === HOST, remoteFamily, ports]
  }
  const server = tls.createServer({ cert, key }, (socket) => {
    seen.server = about(socket)
    socket.once('data', () => socket.destroy())
  })
  const port = await listen(server)
  const client = tls.connect({ port, host: HOST, ca, servername: 'web.test' })
  const [connecting, events] = [[client.connecting, client.pending, client.readyState], []]
  for (const event of ['connectionAttempt', 'connect', 'ready', 'secureConnect', 'end', 'finish', 'error', 'close'])
    client.on(event, (word) => events.push([event, client.readyState, typeof word === 'boolean' ? word : '']))
  client.once('secureConnect', () => {
    seen.client = about(client)
    client.setNoDelay(true).setKeepAlive(true, 1_000).unref().ref().write('x')
  })
  await new Promise((resolve) => client.resume().once('close', resolve))
  await close(server)
  const [refused] = await once(tls.connect({ port, host: HOST, ca }), 'error')
  const nowhere = [[], [{}], [null], [{ port: 'x' }]].map((args) => {
    try {
      return tls.connect(...args)
    } catch ({ code, message }) {
      return [code, message]
    }
  })
  seen.tls = {
    connecting,
    events,
    nowhere,
    refused: [refused.code, refused.syscall, refused.errno, refused.port === port],
  }
}

/** TLS that begins on a connection that was plain (as SMTP, PostgreSQL and others do), on either end. */
async function startTls() {
  const server = (await import('node:net')).createServer((socket) => {
    socket.once('data', (data) => {
      socket.write(`${data}!`)
      const wrapped = new tls.TLSSocket(socket, { isServer: true, cert, key })
      wrapped.on('data', (text) => wrapped.end(`secret ${text}`))
    })
  })
  const port = await listen(server)
  const talk = async (wrap) => {
    const socket = connect(port, HOST)
    socket.write('starttls')
    const [granted] = await once(socket, 'data')
    const wrapped = wrap(socket)
    wrapped.write('whisper')
    let text = ''
    for await (const chunk of wrapped) text += chunk
    return [String(granted), text]
  }
  const byConnect = await talk((socket) => tls.connect({ socket, ca, servername: 'web.test' }))
  const byHand = await talk((socket) => {
    const wrapped = new tls.TLSSocket(socket, { ca, secureContext: tls.createSecureContext({ ca }) })
    wrapped._start()
    return wrapped
  })
  await close(server)
  seen.startTls = { byConnect, byHand }
}

/** node:http2, clear and over TLS. */
async function two() {
  const peers = []
  const answer = (stream, headers) => {
    peers.push(stream.session.socket.remoteAddress)
    stream.respond({ ':status': 200 })
    stream.end(`two ${headers[':path']}`)
  }
  const results = []
  for (const [scheme, server] of [
    ['http', http2.createServer()],
    ['https', http2.createSecureServer({ cert, key })],
  ]) {
    server.on('stream', answer)
    const port = await listen(server)
    const session = http2.connect(`${scheme}://${HOST}:${port}`, { ca, servername: 'web.test' })
    const told = [session.connecting]
    session.on('connect', (one, { remoteAddress }) =>
      told.push(one === session, remoteAddress === HOST, one.connecting),
    )
    const texts = await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        let text = ''
        for await (const chunk of session.request({ ':path': `/${index}` })) text += chunk
        return text
      }),
    )
    const { encrypted, alpnProtocol, socket } = session
    const at = [socket.remoteAddress === HOST, socket.remotePort === port, peers.every((peer) => peer === HOST)]
    await new Promise((resolve) => session.close(resolve))
    await close(server)
    results.push([texts.length, texts.at(-1), encrypted, alpnProtocol, at, told])
    const refused = http2.connect(`${scheme}://${HOST}:${port}`, { ca })
    for (const event of ['connect', 'error', 'close']) refused.on(event, (word) => results.push([event, word?.code]))
    await new Promise((resolve) => refused.once('close', resolve))
  }
  seen.http2 = results
}

async function libraries() {
  const undici = await import('undici')
  const express = require('express')
  const app = express()
  app.use(express.json())
  app.post('/sum', (request, response) =>
    response.json({ sum: request.body.reduce((a, b) => a + b), ip: request.ip === HOST }),
  )
  app.get('/fail', () => {
    throw new Error('failed')
  })
  app.use((error, _request, response, _next) => response.status(500).send(error.message))
  const server = app.listen(0, HOST)
  await once(server, 'listening')
  const pool = new undici.Pool(`http://${HOST}:${server.address().port}`, { connections: 2 })
  const headers = { 'content-type': 'application/json' }
  const sum = await pool.request({ path: '/sum', method: 'POST', headers, body: '[1,2,3]' })
  const fail = await pool.request({ path: '/fail', method: 'GET' })
  seen.express = [await sum.body.json(), fail.statusCode, await fail.body.text()]
  await pool.close()
  await close(server)

  const fastify = (await import('fastify')).default()
  fastify.get('/', async (request) => ({ hello: request.ip === HOST }))
  const at = await fastify.listen({ port: 0, host: HOST })
  seen.fastify = await (await undici.fetch(at)).json()
  await fastify.close()

  const { WebSocketServer, WebSocket } = await import('ws')
  const sockets = new WebSocketServer({ port: 0, host: HOST, perMessageDeflate: true })
  await once(sockets, 'listening')
  sockets.on('connection', (socket) =>
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })),
  )
  const socket = new WebSocket(`ws://${HOST}:${sockets.address().port}`)
  await once(socket, 'open')
  const big = randomBytes(1_000_000)
  socket.send(big)
  const [echo] = await once(socket, 'message')
  socket.close(4_001, 'enough')
  const [code, reason] = await once(socket, 'close')
  await close(sockets)
  seen.ws = [sha(echo) === sha(big), code, String(reason)]
}

for (const part of [plain, secure, encrypted, startTls, two, libraries]) await part()
console.log(JSON.stringify(seen))
