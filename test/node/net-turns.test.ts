// When sockets are told what happened to them: in turns of the event loop, and how many of them it takes.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Batch } from '../../src/node/batch.ts'
import { KeepAlive } from '../../src/node/keep-alive.ts'
import { Turns } from '../../src/node/net/handle.ts'
import { type LocalHost, localHost, once } from '../support/net-host.ts'

let host: LocalHost

beforeEach(() => {
  host = localHost()
})

afterEach(() => host.close())

const round = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a batch from the network', () => {
  it('has its first call at once when it is over, and each further one in a round of its own', async () => {
    const turns = new Turns(new KeepAlive(), 'TCPWRAP')
    const log: string[] = []
    const say = (what: string) => (): void => {
      log.push(what)
      process.nextTick(() => log.push(`after ${what}`))
    }
    Batch.running = true
    turns.post(turns, say('first'))
    turns.post(turns, say('second'))
    Batch.running = false
    setImmediate(() => log.push('round'))
    log.push('over')
    await round()
    expect(log).toEqual(['over', 'first', 'after first', 'second', 'after second', 'round'])
  })

  it('what a program caused itself is told in a round of the event loop, as in Node', async () => {
    const turns = new Turns(new KeepAlive(), 'TCPWRAP')
    const log: string[] = []
    turns.post(turns, () => void log.push('told'))
    process.nextTick(() => log.push('tick'))
    await Promise.resolve()
    expect(log).not.toContain('told')
    await round()
    expect(log).toEqual(['tick', 'told'])
  })
})

describe('a writer that never waits', () => {
  it('gives way after 256 KiB: what it wrote so far leaves before it may write on', async () => {
    const server = host.net.createServer((socket) => socket.resume()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = host.net.connect((server.address() as { port: number }).port, '127.0.0.1')
    await once(client, 'connect')
    const chunk = Buffer.alloc(64 * 1_024)
    const log: (number | string)[] = []
    setImmediate(() => log.push('round'))
    for (let index = 0; index < 8; index++) client.write(chunk, () => log.push(index))
    const closed = once(client, 'close')
    client.end()
    await closed
    expect(log).toEqual([0, 1, 2, 'round', 3, 4, 5, 6, 7])
    expect(client.bytesWritten).toBe(8 * chunk.length)
    server.close()
  })
})
