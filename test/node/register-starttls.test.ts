// What `--import hourglass/register` makes of a program's own sockets: a connection that is encrypted later, by either end.
// The same program on Node's own net says what is right.

import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { hourglass } from '../support/hourglass.ts'

/** STARTTLS between two sockets of one process: `connect` or `construct` says how the client gets its TLSSocket. */
const PROGRAM = `
const net = require('node:net')
const tls = require('node:tls')
const [way, key] = process.argv.slice(1)
const psk = (text) => Buffer.from(text.padEnd(32, '.'))
const common = { ciphers: 'PSK', maxVersion: 'TLSv1.2' }
const said = []
const hear = (name, socket) => {
  for (const event of ['connect', 'secureConnect', 'secure', 'end', 'close']) socket.on(event, () => said.push(name + ' ' + event))
  socket.on('error', (error) => said.push(name + ' error ' + error.code))
}
const server = net.createServer((socket) => {
  socket.once('data', () => {
    socket.write('go')
    const secured = new tls.TLSSocket(socket, { ...common, isServer: true, pskCallback: () => psk('right') })
    secured.on('error', () => {})
    secured.pipe(secured)
  })
  socket.on('close', () => server.close())
})
server.listen(0, '127.0.0.1', () => {
  const plain = net.connect(server.address().port, '127.0.0.1')
  hear('plain', plain)
  plain.write('STARTTLS')
  plain.once('data', () => {
    const options = { ...common, checkServerIdentity: () => undefined, pskCallback: () => ({ psk: psk(key), identity: 'me' }) }
    const secured = way === 'connect' ? tls.connect({ ...options, socket: plain }) : new tls.TLSSocket(plain, options)
    hear('secured', secured)
    said.push('connecting ' + secured.connecting)
    secured.setEncoding('utf8')
    secured.once('data', (text) => {
      said.push(text)
      secured.end()
    })
    secured.write('over TLS')
  })
})
process.on('exit', () => console.log(JSON.stringify(said)))
`

function onBoth(...words: readonly string[]): { node: string[]; ours: string[] } {
  const command = [process.execPath, '-e', PROGRAM, ...words]
  const { stdout } = spawnSync(command[0]!, command.slice(1), { encoding: 'utf8', timeout: 30_000 })
  const ours = hourglass(['run', '--link', 'mem', '--address', '10.0.0.1/24', '--no-control', '--', ...command])
  expect([ours.code, ours.stderr]).toEqual([0, ''])
  return { node: JSON.parse(stdout) as string[], ours: JSON.parse(ours.stdout) as string[] }
}

describe('a connection that a program encrypts later, under --import hourglass/register', () => {
  it('is one that is connected: tls.connect({ socket }) begins at once', () => {
    const { node, ours } = onBoth('connect', 'right')
    expect(node).toContain('over TLS')
    expect(ours).toEqual(node)
  })

  it('is one that is connected: so is it for new TLSSocket(socket)', () => {
    const { node, ours } = onBoth('construct', 'right')
    expect(node).toContain('over TLS')
    expect(ours).toEqual(node)
  })

  it('closes after the error that ended it, not before', () => {
    const { node, ours } = onBoth('connect', 'wrong')
    expect(node.slice(0, 3)).toEqual(['plain connect', 'connecting false', 'secured error EPROTO'])
    expect(ours.slice(0, 3)).toEqual(node.slice(0, 3))
    // Which of the two closes first is TLS's own affair.
    expect(new Set(ours)).toEqual(new Set(node))
    expect(node).toHaveLength(5)
  })
})
