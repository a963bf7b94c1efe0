// Unmodified programs on a host of their own: `hourglass run`, and two processes under `--import hourglass/register`.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { command, hourglass } from '../support/hourglass.ts'
import { needRoot, withNamespace } from '../support/namespace.ts'
import { needTool } from '../support/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'hourglass-run-'))
afterAll(() => rmSync(folder, { recursive: true }))
const REGISTER = pathToFileURL(resolve('dist/src/node/register/register.js')).href

function program(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const SERVER = program(
  'server.mjs',
  `import http from 'node:http'
const server = http.createServer((request, answer) => {
  answer.end('to ' + request.socket.remoteAddress)
  if (request.url === '/end') server.close()
})
server.listen(8080, () => console.log(JSON.stringify(server.address())))
`,
)
const CLIENT = program(
  'client.cjs',
  `const net = require('node:net')
const dns = require('node:dns')
dns.lookup('server', async (error, address) => {
  console.log(error ?? address)
  console.log(await (await fetch('http://server:8080/')).text())
  const socket = net.connect(8080, 'server')
  socket.setEncoding('utf8')
  socket.on('data', (text) => console.log(text.split('\\r\\n')[0], socket.remoteAddress, socket.remotePort))
  socket.on('close', (hadError) => console.log('close', hadError))
  socket.end('GET /end HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')
})
`,
)

const ENVIRONMENT = { XDG_RUNTIME_DIR: folder }

describe.skipIf(!needRoot())('a program of Node, unchanged', () => {
  it.skipIf(!needTool('curl'))('serves curl on the other side of a TAP under hourglass run', () =>
    withNamespace(async (namespace) => {
      const words = ['run', '--link', 'tap:tap0', '--address', '10.77.0.2/24', '--os-address', '10.77.0.1/24']
      const running = namespace.spawn([...command(words), '--', process.execPath, SERVER], ENVIRONMENT)
      const [line] = await running.printed(/^\{.*\}$/m)
      expect(JSON.parse(line)).toEqual({ address: '::', family: 'IPv6', port: 8080 })
      const seen = await namespace.run(['curl', '-sS', '-m', '10', 'http://10.77.0.2:8080/end'])
      expect(seen).toMatchObject({ code: 0, stdout: 'to ::ffff:10.77.0.1' })
      expect(await running.finished).toMatchObject({ code: 0, stderr: '' })
    }),
  )

  it('talks to another process over udp: under --import hourglass/register, by CommonJS and by fetch', () =>
    withNamespace(async (namespace) => {
      await namespace.run(['ip', 'link', 'set', 'lo', 'up'])
      const node = [process.execPath, '--import', REGISTER]
      const server = namespace.spawn([...node, SERVER], {
        ...ENVIRONMENT,
        HOURGLASS_LINK: 'udp:127.0.0.1:5001-127.0.0.1:5000',
        HOURGLASS_ADDRESS: '10.0.0.2/24',
      })
      await server.printed(/\}/)
      const client = await namespace.spawn([...node, CLIENT], {
        ...ENVIRONMENT,
        HOURGLASS_LINK: 'udp:127.0.0.1:5000-127.0.0.1:5001',
        HOURGLASS_ADDRESS: '10.0.0.1/24',
        HOURGLASS_HOST: 'server=10.0.0.2',
      }).finished
      expect(client.stdout.trim().split('\n')).toEqual([
        '10.0.0.2',
        'to ::ffff:10.0.0.1',
        'HTTP/1.1 200 OK 10.0.0.2 8080',
        'close false',
      ])
      expect([client.code, client.stderr]).toEqual([0, ''])
      expect(await server.finished).toMatchObject({ code: 0 })
    }))
})

describe('what a program on a host of its own is told', () => {
  it('that nobody said what its host is', () => {
    const { code, stderr } = hourglass('run --link mem -- true')
    expect([code, stderr]).toEqual([2, expect.stringMatching(/the host has no address: give one with --address/)])
  })

  it('that there is no such command', () => {
    const { code, stderr } = hourglass('run --link mem --address 10.0.0.1/24 -- no-such-command-here')
    expect([code, stderr]).toEqual([127, expect.stringMatching(/there is none of this name. To mend it/)])
  })

  it('its own options, also where -- was left out', () => {
    const program = [process.execPath, '-p', 'process.argv.slice(1).join()', 'x', '--mtu', '9']
    const words = ['run', '--link', 'mem', '--address', '10.0.0.1/24', ...program]
    expect(hourglass(words)).toEqual({ code: 0, stdout: 'x,--mtu,9\n', stderr: '' })
  })

  it('nothing, and its exit code is the command’s', () => {
    expect(
      hourglass(['run', '--link', 'mem', '--address', '10.0.0.1/24', '--', process.execPath, '-e', 'process.exit(7)']),
    ).toEqual({
      code: 7,
      stdout: '',
      stderr: '',
    })
  })
})
