// Which sockets and servers keep a process alive, and which let it end: a process of its own for each question, on
// Node's net and on ours.

import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const dist = (file: string): string => JSON.stringify(resolve(`dist/src/${file}`))

const OURS = `
const { Stack } = await import(${dist('stack.js')})
const { Driver, BatchClock, CryptoRandom, makeNet } = await import(${dist('node/index.js')})
const clock = new BatchClock()
const stack = new Stack({ clock, random: new CryptoRandom() })
const driver = new Driver({ machine: stack, clock })
stack.onWork = () => driver.wake()
driver.unref()
const net = makeNet(stack)`
const NODE = `const net = await import('node:net')`

/** `held` where something still holds the process when all is quiet. */
const AFTER = `
await new Promise((resolve) => setTimeout(resolve, 50))
let held = false
setTimeout(() => { held = true; process.exit() }, 100).unref()
process.on('exit', () => console.log(held ? 'held' : 'ended'))`

const CONNECTED = `
const server = net.createServer().listen(0, '127.0.0.1')
await new Promise((resolve) => server.on('listening', resolve))
const connection = new Promise((resolve) => server.on('connection', resolve))
const client = net.connect(server.address().port, '127.0.0.1')
const accepted = await connection
await new Promise((resolve) => setTimeout(resolve, 20))`

const CASES: readonly [string, string, 'held' | 'ended'][] = [
  ['a server that listens', `net.createServer().listen(0, '127.0.0.1')`, 'held'],
  ['a server that is unref’ed', `net.createServer().listen(0, '127.0.0.1').unref()`, 'ended'],
  [
    'a server that is unref’ed before it listens, and ref’ed after',
    `net.createServer().unref().listen(0, '127.0.0.1').ref()`,
    'held',
  ],
  ['a server that is closed', `${CONNECTED}; server.close(); client.destroy(); accepted.destroy()`, 'ended'],
  ['a connection that both ends read', `${CONNECTED}; server.close()`, 'held'],
  ['a connection whose ends are unref’ed', `${CONNECTED}; server.close(); client.unref(); accepted.unref()`, 'ended'],
  [
    'a connection that is full, and that nobody reads',
    `${CONNECTED}; server.unref(); for (const end of [client, accepted]) end.pause(); client.write(Buffer.alloc(1e8)); await new Promise((resolve) => setTimeout(resolve, 50)); client.unref(); accepted.unref()`,
    'held',
  ],
  ['a time-out of a socket', `const socket = new net.Socket(); socket.setTimeout(60_000)`, 'ended'],
]

const run = promisify(execFile)

async function ask(prelude: string, body: string): Promise<string> {
  const script = `${prelude}\n${body}\n${AFTER}`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script])
  return stdout.trim()
}

describe('ref() and unref()', () => {
  it.concurrent.each(CASES)('%s holds the process, or lets it end, as in Node', async (_title, body, expected) => {
    const [node, ours] = await Promise.all([ask(NODE, body), ask(OURS, body)])
    expect({ node, ours }).toEqual({ node: expected, ours: expected })
  })
})
