// `--import hourglass/register`: programs that know nothing of us, beside the same ones on Node's own modules; what stays
// the system's; and what somebody reads whose settings cannot be meant.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeAuthority } from '../support/certificates.ts'
import { once } from '../support/net-host.ts'
import { execute, node, onBothProcesses, REGISTERED, REGISTERED_ADDRESS, registered } from '../support/registered.ts'
import { needTool } from '../support/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'hourglass-register-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

/** Runs it on both, and gives what both printed as JSON. */
async function sameOnBoth(program: string, environment: Record<string, string> = {}): Promise<Record<string, unknown>> {
  const { node, ours } = await onBothProcesses(program, environment)
  expect([node.code, node.stderr]).toEqual([0, ''])
  expect([ours.code, ours.stderr]).toEqual([0, ''])
  const [theirs, seen] = [node, ours].map(({ stdout }) => JSON.parse(stdout) as Record<string, unknown>)
  expect(seen).toEqual(theirs)
  return seen!
}

describe('a program under register sees what it sees on Node’s own modules', () => {
  it.concurrent('of node:http, https, http2 and tls, the built-in fetch, undici, express, fastify and ws', async () => {
    const authority = makeAuthority('Test Authority')
    const { cert, key } = authority.issue({ name: 'web.test' })
    const seen = await sameOnBoth('libraries.mjs', { CA: authority.cert, CERT: cert, KEY: key })
    expect(seen).toMatchObject({
      http: { aborted: 'AbortError', broken: 'ECONNRESET', refused: 'ECONNREFUSED' },
      https: {
        texts: ['web.test http/1.1 false true', 'web.test http/1.1 true true'],
        misname: 'ERR_TLS_CERT_ALTNAME_INVALID',
      },
      startTls: { byConnect: ['starttls!', 'secret whisper'], byHand: ['starttls!', 'secret whisper'] },
      http2: [
        [10, 'two /9', false, 'h2c', [true, true, true], [true, true, true, false]],
        ['error', 'ECONNREFUSED'],
        ['close', null],
        [10, 'two /9', true, 'h2', [true, true, true], [true, true, true, false]],
        ['error', 'ECONNREFUSED'],
        ['close', null],
      ],
      express: [{ sum: 6, ip: true }, 500, 'failed'],
      fastify: { hello: true },
      ws: [true, 4_001, 'enough'],
    })
  })

  it.concurrent('of node:net, dgram and dns, their events, errors and counts, imported and required', async () => {
    const seen = await sameOnBoth('sockets.mjs')
    expect(seen).toMatchObject({
      servers: { count: 1, text: 'in' },
      dns: { found: [{ address: '192.0.2.7', ttl: 60 }] },
    })
  })
})

const HELD: readonly (readonly [title: string, held: boolean, text: string])[] = [
  ['a server that listens', true, `import net from 'node:net'; net.createServer().listen(0, process.env.AT)`],
  [
    'a server that is unref’ed and an agent’s idle connection to it',
    true,
    `import http from 'node:http'
const server = http.createServer((_request, response) => response.end()).listen(0, process.env.AT, () => {
  const agent = new http.Agent({ keepAlive: true })
  http.get({ agent, port: server.address().port, host: process.env.AT }, (response) => response.resume())
  server.unref()
})`,
  ],
  [
    'servers that are unref’ed',
    false,
    `import net from 'node:net'; import dgram from 'node:dgram'
net.createServer().listen(0, process.env.AT).unref()
dgram.createSocket('udp4').bind(0, process.env.AT).unref()`,
  ],
]
/** Says whether something still held the process when all was quiet. */
const WATCH = `
let held = false
setTimeout(() => { held = true; process.exit() }, 300).unref()
process.on('exit', () => console.log(held ? 'held' : 'ended'))`

describe('a program under register ends when Node would end it', () => {
  it.concurrent.each(HELD)('with %s', async (title, held, text) => {
    const path = file(`held-${title.length}.mjs`, text + WATCH)
    const [theirs, ours] = await Promise.all([node([path], { AT: '127.0.0.1' }), registered([path])])
    expect(ours).toEqual(theirs)
    expect(theirs).toEqual({ code: 0, stdout: held ? 'held\n' : 'ended\n', stderr: '' })
  })
})

describe('beforeExit of a program under register', () => {
  it.concurrent('is the end for sockets that are unref’ed: nobody hears that they are closed', async () => {
    const text = `import net from 'node:net'
const hear = (name, one) => one.on('close', () => console.log(name, 'closed'))
const server = hear('server', net.createServer((socket) => hear('accepted', socket).unref()))
server.listen(0, process.env.AT, () => {
  server.unref()
  const client = hear('client', net.connect(server.address().port, process.env.AT, () => client.unref()))
  process.on('exit', () => console.log(client.destroyed, server.listening))
})`
    const path = file('unheard.mjs', text)
    const [theirs, ours] = await Promise.all([node([path], { AT: '127.0.0.1' }), registered([path])])
    expect(ours).toEqual(theirs)
    expect(theirs).toEqual({ code: 0, stdout: 'false true\n', stderr: '' })
  })

  it.concurrent('is told once, when the peers have all, and its listeners may still use the network', async () => {
    const text = `import net from 'node:net'
const AT = process.env.AT
const serve = (left) => {
  const server = net.createServer((socket) => socket.end('x'.repeat(500_000)))
  server.listen(0, AT, () => {
    net.connect(server.address().port, AT).on('close', () => server.close()).resume()
  })
  process.once('beforeExit', async () => {
    console.log('before', left)
    await undefined
    if (left > 0) serve(left - 1)
  })
}
serve(2)
process.on('exit', (code) => console.log('exit', code))`
    const path = file('before-exit.mjs', text)
    const [theirs, ours] = await Promise.all([node([path], { AT: '127.0.0.1' }), registered([path])])
    expect(ours).toEqual(theirs)
    expect(theirs).toEqual({ code: 0, stdout: 'before 2\nbefore 1\nbefore 0\nexit 0\n', stderr: '' })
  })
})

describe('what stays the system’s under register', () => {
  /** A server of the system's that says so. */
  async function systemServer(path?: string): Promise<{ server: net.Server; port: string }> {
    const server = net.createServer((socket) => socket.end('the system'))
    server.listen(path === undefined ? { port: 0, host: '127.0.0.1' } : { path })
    await once(server, 'listening')
    const address = server.address() as AddressInfo
    return { server, port: String(address.port) }
  }
  const ASK = `const ask = (...where) => new Promise((resolve) => {
  let text = ''
  const socket = require('node:net').connect(...where)
  socket.on('data', (data) => { text += data }).on('error', (error) => resolve(error.code)).on('close', () => resolve(text))
})`

  it.concurrent('the sockets of worker threads and of child processes, which are no hosts', async () => {
    const { server, port } = await systemServer()
    const path = file(
      'threads.cjs',
      `${ASK}
const { Worker, isMainThread, parentPort } = require('node:worker_threads')
const { execFile, fork } = require('node:child_process')
const port = Number(process.env.PORT)
if (!isMainThread) ask(port, '127.0.0.1').then((text) => parentPort.postMessage(text))
else if (process.send) ask(port, '127.0.0.1').then((text) => process.send(text))
else {
  const worker = new Promise((resolve) => new Worker(__filename).on('message', resolve))
  const forked = new Promise((resolve) => fork(__filename).on('message', resolve))
  const script = \`require('node:net').connect(\${port}, '127.0.0.1').pipe(process.stdout)\`
  const child = new Promise((resolve) => execFile(process.execPath, ['-e', script], (_error, stdout) => resolve(stdout)))
  Promise.all([ask(port, '127.0.0.1'), worker, forked, child]).then((texts) => console.log(texts.join()))
}`,
    )
    const { stdout, stderr } = await registered([path], { environment: { PORT: port, ...REGISTERED } })
    server.close()
    expect([stdout, stderr]).toEqual(['ECONNREFUSED,the system,the system,the system\n', ''])
  })

  it.concurrent('the servers of cluster workers, for whom the first process listens', async () => {
    const path = file(
      'cluster.cjs',
      `${ASK}
const cluster = require('node:cluster')
if (cluster.isPrimary) {
  const worker = cluster.fork().on('message', (text) => {
    console.log(text)
    worker.disconnect()
  })
} else {
  const server = require('node:net').createServer((socket) => socket.end('a worker'))
  server.listen(0, '127.0.0.1', async () => process.send(await ask(server.address().port, '127.0.0.1')))
}`,
    )
    const seen = await registered([path])
    expect(seen).toEqual({ code: 0, stdout: 'a worker\n', stderr: '' })
  })

  it.concurrent('Unix sockets, pipes, and the destinations that the settings except', async () => {
    const socketPath = join(folder, 'system.sock')
    const [unix, tcp] = await Promise.all([systemServer(socketPath), systemServer()])
    const path = file(
      'excepted.cjs',
      `${ASK}
const own = require('node:net').createServer((socket) => socket.end('own unix')).listen(process.env.OWN, async () => {
  const texts = [await ask(process.env.UNIX), await ask(process.env.OWN), await ask(Number(process.env.PORT), '127.0.0.1')]
  own.close()
  process.stdin.on('data', (data) => console.log(texts.join(), String(data))).resume()
})`,
    )
    const OWN = join(folder, 'own.sock')
    const environment = { UNIX: socketPath, OWN, PORT: tcp.port, HOURGLASS_SYSTEM: '127.0.0.0/8' }
    const { stdout, stderr } = await registered([path], { environment, input: 'piped' })
    unix.server.close()
    tcp.server.close()
    expect([stdout, stderr]).toEqual(['the system,own unix,the system piped\n', ''])
  })

  it.concurrent('a socket that was ours before, when it connects to the system, and is ours again after', async () => {
    const { server, port } = await systemServer()
    const path = file(
      'back-and-forth.cjs',
      `const net = require('node:net')
const ours = net.createServer((socket) => socket.end('ours')).listen(80, process.env.AT, () => {
  const places = [[80, process.env.AT], [Number(process.env.PORT), '127.0.0.1'], [80, process.env.AT]]
  const socket = new net.Socket()
  socket.on('data', (text) => console.log(String(text), socket.remoteAddress))
  const next = () => (places.length > 0 ? socket.connect(...places.shift()) : ours.close())
  socket.on('close', next)
  next()
})`,
    )
    const environment = { PORT: port, HOURGLASS_SYSTEM: '127.0.0.0/8' }
    const seen = await registered([path], { environment })
    server.close()
    const lines = [`ours ${REGISTERED_ADDRESS}`, 'the system 127.0.0.1', `ours ${REGISTERED_ADDRESS}`, '']
    expect(seen).toEqual({ code: 0, stdout: lines.join('\n'), stderr: '' })
  })

  it.skipIf(!needTool('npm'))('npm, which only starts the program that is meant', async () => {
    const text = `const server = require('node:net').createServer((socket) => socket.end()).listen(80, '${REGISTERED_ADDRESS}', () => {
  console.log('serving at', server.address().address)
  server.close()
})`
    const project = mkdtempSync(join(folder, 'project-'))
    writeFileSync(join(project, 'app.js'), text)
    writeFileSync(join(project, 'package.json'), '{ "scripts": { "start": "node app.js" } }')
    const { code, stdout } = await execute('npm', ['start', '--silent'], { folder: project, environment: REGISTERED })
    expect([code, stdout]).toEqual([0, `serving at ${REGISTERED_ADDRESS}\n`])
  })
})

describe('a program that cannot have the host that is asked for', () => {
  it.concurrent.each([
    [
      'ends with 2 before it begins where the settings cannot be meant',
      { HOURGLASS_MTU: 'big' },
      2,
      /give a whole number/,
    ],
    [
      'ends with 3 where the machine has no such link',
      { HOURGLASS_LINK: 'udp:192.0.2.1:5-192.0.2.2:6' },
      3,
      /To mend it: /,
    ],
  ])('%s', async (_title, environment, code, says) => {
    const seen = await registered(['-e', 'console.log("begun")'], { environment })
    expect(seen).toEqual({ code, stdout: '', stderr: expect.stringMatching(says) })
    expect(seen.stderr).toMatch(/^hourglass: [^\n]+\n$/)
  })
})
