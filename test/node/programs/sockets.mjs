// A program of Node's own net, dgram and dns at the address that it is given, as ES module and by require(), with names
// that it took from the modules at its very beginning. What it saw it prints as JSON.

import { once } from 'node:events'
import { createRequire } from 'node:module'
import net, { connect, createServer, Socket } from 'node:net'

const HOST = process.env.AT
const require = createRequire(import.meta.url)
const { createSocket } = require('node:dgram')
const dns = require('node:dns')
const { connect: required } = require('node:net')
const seen = {}

const listen = async (server, options = {}) => {
  server.listen({ port: 0, host: HOST, ...options })
  await once(server, 'listening')
  return server.address().port
}
/** What an error says, without the ports that differ. */
const told = (error, ...ports) => {
  const text = (value) => ports.reduce((so, port, index) => String(so).replaceAll(port, `PORT${index}`), String(value))
  const fields = Object.entries(error).map(([name, value]) => [name, text(value).replaceAll(HOST, 'HOST')])
  return [error.constructor.name, text(error.message).replaceAll(HOST, 'HOST'), ...fields]
}
const thrown = (act) => {
  try {
    return act()
  } catch (error) {
    return told(error)
  }
}
const closing = (server) => new Promise((resolve) => server.close(resolve))
const closed = (emitter) => new Promise((resolve) => emitter.once('close', resolve))
const read = async (socket) => {
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}

async function servers() {
  const drops = []
  const server = createServer({ highWaterMark: 1_024, noDelay: true, keepAlive: true }, (socket) => socket.end('in'))
  server.maxConnections = 1
  server.on('drop', (data) => drops.push(Object.keys(data), data.localPort === server.address().port))
  const before = [server.listening, server.address()]
  const port = await listen(server)
  const first = connect({ port, host: HOST, allowHalfOpen: true })
  await once(server, 'connection')
  const refused = connect(port, HOST).resume()
  await once(refused, 'close')
  const count = await new Promise((resolve) => server.getConnections((_error, number) => resolve(number)))
  const other = createServer().listen(port, HOST)
  const [inUse] = await once(other, 'error')
  const again = thrown(() => server.listen(0))
  const events = []
  server.on('close', () => events.push('server'))
  first.on('close', () => events.push('socket'))
  const closed = closing(server)
  const whileClosing = [server.listening, server.address()]
  const text = await read(first)
  first.end()
  await closed
  const notRunning = told(await closing(server))
  const abort = new AbortController()
  const aborted = createServer()
  await listen(aborted, { signal: abort.signal })
  abort.abort()
  await once(aborted, 'close')
  seen.servers = { before, drops, count, inUse: told(inUse, port), again, events, whileClosing, text, notRunning }
  seen.misuse = [
    thrown(() => createServer().listen({ port: 70_000 })),
    thrown(() => createServer().listen({})),
    thrown(() => connect({})),
    thrown(() => connect({ port: 'x' })),
    thrown(() => connect({ port: 1, localAddress: 'x' })),
  ]
}

async function sockets() {
  const [events, heard] = [[], []]
  const server = net.Server((socket) => {
    heard.push(['from', socket.server === server, socket.remoteFamily])
    socket.on('error', (error) => heard.push(told(error)))
    socket.on('close', (hadError) => heard.push(hadError))
    socket.on('data', (data) => socket.write(data))
  })
  const port = await listen(server)
  const socket = new Socket()
  for (const event of ['lookup', 'connectionAttempt', 'connect', 'ready', 'end', 'finish', 'timeout', 'close'])
    socket.on(event, (word) => events.push([event, socket.readyState, typeof word === 'boolean' ? word : '']))
  socket.setEncoding('utf8')
  socket.connect(port, HOST)
  const connecting = [socket.connecting, socket.pending, socket.readyState, socket.remoteAddress]
  socket.write('a')
  socket.write(Buffer.from('b'))
  socket.cork()
  socket.write('c')
  socket.uncork()
  let text = ''
  while (text.length < 3) text += (await once(socket, 'data'))[0]
  socket.setTimeout(30)
  await once(socket, 'timeout')
  const open = [
    socket.bytesRead,
    socket.bytesWritten,
    socket.remoteAddress === HOST,
    socket.remotePort === port,
    socket.timeout,
  ]
  const mine = socket.address()
  const address = [mine.address === HOST, mine.family, mine.port === socket.localPort]
  socket.setNoDelay(true).setKeepAlive(true, 1_000).unref().ref().setTimeout(0)
  socket.end()
  await once(socket, 'close')
  const after = [
    socket.bytesRead,
    socket.bytesWritten,
    socket.destroyed,
    socket.remoteAddress === HOST,
    socket.localPort,
  ]
  const accepted = once(server, 'connection')
  const reset = connect(port, HOST)
  await Promise.all([accepted, once(reset, 'connect')])
  reset.resetAndDestroy()
  while (!heard.includes(true)) await new Promise(setImmediate)
  const late = connect(port, HOST).end('once')
  late.on('error', () => {})
  const [writeError] = await Promise.all([new Promise((resolve) => late.write('twice', resolve)), closed(late)])
  const pieces = []
  const buffer = Buffer.alloc(4)
  const onread = { buffer, callback: (length) => pieces.push(buffer.toString('utf8', 0, length)) }
  const direct = connect({ port, host: HOST, onread })
  direct.write('direct')
  while (pieces.join('') !== 'direct') await new Promise(setImmediate)
  direct.destroy()
  const again = []
  const twice = new Socket()
  for (const word of ['once', 'again']) {
    twice.connect(port, HOST)
    await once(twice, 'connect')
    const answer = once(twice, 'data')
    twice.write(word)
    again.push(String((await answer)[0]), twice.readyState, twice.bytesRead)
    twice.end()
    await once(twice, 'close')
  }
  const early = required(port, HOST)
  const earlyError = await new Promise((resolve) => {
    early.write('never', resolve)
    early.destroy()
  })
  await closing(server)
  const refused = await once(required({ port, host: HOST }), 'error')
  seen.sockets = {
    connecting,
    text,
    open,
    address,
    after,
    writeError: told(writeError),
    pieces,
    again,
    earlyError: told(earlyError),
  }
  seen.refused = told(refused[0], port)
  seen.events = { events, heard }
}

/** What is asked, closed or begun anew before it is there. */
async function betimes() {
  const said = []
  const looks = (server) => [server.listening, server.address() === null]
  const server = createServer()
  server.on('listening', () => said.push('listening', looks(server))).on('error', (error) => said.push(told(error)))
  said.push(looks(server.listen(0, HOST)))
  await once(server, 'listening')
  said.push(looks(server))
  await closing(server)
  const gone = server.listen(0, HOST)
  said.push(await new Promise((resolve) => gone.close((error) => resolve(told(error)))))
  server.listen(0, '192.0.2.1')
  server.listen(0, HOST)
  await once(server, 'listening')
  server.unref().ref()
  said.push(thrown(() => createServer().listen({ port: 0, host: HOST, signal: {} })))
  const { port } = server.address()
  const socket = connect(port, HOST)
  const accepted = once(server, 'connection')
  await once(socket, 'connect')
  const peer = (await accepted)[0]
  socket.cork()
  socket.write('held')
  said.push([socket.bufferSize, socket._host])
  socket.uncork()
  const confirmed = once(socket, 'connect')
  said.push(socket.connect(9, HOST).connecting)
  await confirmed
  said.push(socket.remotePort === port, socket.readyState)
  const ports = [port, socket.localPort]
  for (const end of [socket, peer]) said.push(told((await once(end.connect(9, HOST), 'error'))[0], ...ports))
  said.push(socket.bufferSize)
  const hasty = connect(port, HOST)
  hasty.connect(port, HOST)
  const [error] = await once(hasty, 'error')
  said.push(told(error, port, /:(\d+)\)$/.exec(error.message)[1]))
  await closing(server)
  seen.betimes = said
}

async function datagrams() {
  const server = createSocket('udp4', (message, from) => server.send(`${message}!`, from.port, from.address))
  server.bind(0, HOST)
  await once(server, 'listening')
  const { port } = server.address()
  const client = createSocket('udp4')
  client.connect(port, HOST)
  await once(client, 'connect')
  client.send('hello')
  const [message, from] = await once(client, 'message')
  server.close()
  await once(server, 'close')
  client.send('anybody?')
  const [error] = await once(client, 'error')
  client.close()
  seen.dgram = [String(message), from.port === port, from.size, told(error)]
}

async function names() {
  const { encode, decode } = require('dns-packet')
  const server = createSocket('udp4', (message, from) => {
    const query = decode(message)
    const [{ name, type }] = query.questions
    const answers = name === 'web.test' && type === 'A' ? [{ name, type, ttl: 60, data: '192.0.2.7' }] : []
    const reply = { ...query, type: 'response', flags: answers.length > 0 ? 0 : 3, answers }
    server.send(encode(reply), from.port, from.address)
  })
  server.bind(0, HOST)
  await once(server, 'listening')
  const resolver = new dns.promises.Resolver()
  resolver.setServers([`${HOST}:${server.address().port}`])
  const found = await resolver.resolve4('web.test', { ttl: true })
  const missing = await resolver.resolve4('none.test').catch((error) => error)
  const literal = await dns.promises.lookup('192.0.2.9')
  const invalid = thrown(() => dns.lookup('x', { family: 7 }, () => {}))
  server.close()
  seen.dns = { found, missing: told(missing), literal, invalid }
}

for (const part of [servers, sockets, betimes, datagrams, names]) await part()
console.log(JSON.stringify(seen))
