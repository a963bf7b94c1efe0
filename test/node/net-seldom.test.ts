// What few programs ask of node:net and node:dgram: descriptors, handles and Unix sockets of the system, channels of
// diagnostics, listeners that fail later, block lists, the type of service. Beside Node's own where Node 20 has it.

import { spawnSync } from 'node:child_process'
import dgram from 'node:dgram'
import diagnostics from 'node:diagnostics_channel'
import { constants, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs'
import system from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeDgram } from '../../src/node/dgram/dgram.ts'
import { makeDns } from '../../src/node/dns/dns.ts'
import { type AnyNet, type AnySocket, listening, localHost, onBoth, once, shapeOf } from '../support/net-host.ts'

const folder = mkdtempSync(join(tmpdir(), 'hourglass-seldom-'))
afterAll(() => rmSync(folder, { recursive: true }))
const LOOPBACK = '127.0.0.1'
let made = 0
const freshPath = (): string => join(folder, `${++made}`)

/** What a channel tells while `run` runs. */
async function toldBy(channel: string, run: () => Promise<unknown>): Promise<unknown[]> {
  const told: unknown[] = []
  const listen = (message: unknown): void => void told.push((message as { socket: unknown }).socket)
  diagnostics.subscribe(channel, listen)
  await run()
  diagnostics.unsubscribe(channel, listen)
  return told
}

async function exchanged(net: AnyNet): Promise<{ client: AnySocket; accepted: AnySocket }> {
  const { server, port } = await listening(net)
  const connection = once(server, 'connection')
  const client = net.connect(port, LOOPBACK)
  const [accepted] = (await connection) as [AnySocket]
  const closed = once(server.close(), 'close')
  for (const one of [client, accepted]) one.destroy()
  await closed
  return { client, accepted }
}

const SCENARIOS: readonly [string, (net: AnyNet) => Promise<unknown>][] = [
  [
    'the channels net.client.socket and net.server.socket',
    async (net) => {
      let ends: object = {}
      const all: unknown[][] = []
      const run = async (): Promise<void> => {
        all.push(
          await toldBy('net.server.socket', async () => {
            ends = await exchanged(net)
          }),
        )
      }
      all.push(await toldBy('net.client.socket', run))
      const [server, client] = all
      return [client, server].map((sockets, index) => sockets!.map((one) => one === Object.values(ends)[index]))
    },
  ],
  [
    'a descriptor of the system, which a socket reads to its end',
    async (net) => {
      const path = freshPath()
      expect(spawnSync('mkfifo', [path]).status).toBe(0)
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
      const socket = new net.Socket({ fd, readable: true, writable: false })
      const data = once(socket, 'data')
      writeFileSync(path, 'by a pipe')
      const [text] = await data
      await once(socket, 'close')
      return [String(text), socket.bytesRead, socket.destroyed, socket.remoteAddress]
    },
  ],
  [
    'a handle that a connection of the system has',
    async (net) => {
      const { server, port } = await listening(system, { pauseOnConnect: true })
      const connection = once(server, 'connection')
      const client = system.connect(port, LOOPBACK)
      const [given] = (await connection) as [AnySocket & { _handle: object }]
      const socket = new net.Socket({ handle: given._handle } as never)
      client.write('ping')
      const [question] = await once(socket, 'data')
      const answer = once(client, 'data')
      socket.write('pong')
      const [text] = await answer
      const closed = once(client.resume(), 'close')
      socket.end()
      await closed
      server.close()
      return [String(question), String(text), socket.remotePort === client.localPort]
    },
  ],
  ...[{}, { readableAll: true }, { writableAll: true }, { readableAll: true, writableAll: true }].map(
    (options): [string, (net: AnyNet) => Promise<unknown>] => [
      `who may use a Unix socket that listens with ${JSON.stringify(options)}`,
      async (net) => {
        const path = freshPath()
        const server = net.createServer().listen({ path, ...options })
        await once(server, 'listening')
        const mode = (statSync(path).mode & 0o777).toString(8)
        await once(server.close(), 'close')
        return mode
      },
    ],
  ),
  [
    'a listener of connections that fails later, where failures are caught',
    async (net) => {
      const { server, port } = await listening(net)
      type Handler = (error: Error, event: string, socket: AnySocket) => void
      const handled = (Reflect.get(server, Symbol.for('nodejs.rejection')) as Handler).bind(server)
      const connection = once(server, 'connection')
      const client = net.connect(port, LOOPBACK)
      const [accepted] = (await connection) as [AnySocket]
      const told = once(accepted, 'error')
      handled(new Error('the listener failed'), 'connection', accepted)
      const ended = once(client.resume(), 'close')
      const shapes = [shapeOf((await told)[0]), accepted.destroyed, await ended]
      const other = once(server, 'error')
      handled(new Error('another one failed'), 'listening', accepted)
      shapes.push(shapeOf((await other)[0]))
      await once(server.close(), 'close')
      return shapes
    },
  ],
]

describe('node:net, where it is seldom asked', () => {
  it.each(SCENARIOS)('%s: ours is as Node has it', async (_title, run) => {
    const { node, ours } = await onBoth(run)
    expect(ours).toEqual(node)
  })
})

describe('what later Nodes have of node:net', () => {
  it('a block list refuses connections to an address, and from one', async () => {
    const host = localHost()
    const blockList = new system.BlockList()
    blockList.addAddress(LOOPBACK)
    const options = { blockList } as system.ServerOpts
    const { server, port } = await listening(host.net, options, () => expect.unreachable('it is blocked'))
    const refused = host.net.connect({ port, host: LOOPBACK, ...options })
    expect((await once(refused, 'error'))[0]).toMatchObject({
      code: 'ERR_IP_BLOCKED',
      message: `IP(${LOOPBACK}) is blocked by net.BlockList`,
    })
    const dropped = host.net.connect(port, LOOPBACK).resume()
    expect(await once(dropped, 'close')).toEqual([false])
    expect(() => host.net.createServer({ blockList: {} } as never)).toThrow(/"options.blockList".*net\.BlockList/)
    await once(server.close(), 'close')
    host.close()
  })

  it('the type of service is that of the packets of a connection, set before it or on it', async () => {
    const host = localHost()
    const { server, port } = await listening(host.net)
    type Marked = AnySocket & { getTypeOfService(): number; setTypeOfService(value: number): AnySocket }
    const client = host.net.connect({ port, host: LOOPBACK, typeOfService: 0x10 } as never) as Marked
    expect(client.getTypeOfService()).toBe(0x10)
    await once(client, 'connect')
    const own = [...host.stack.tcp.demux.values()].find((one) => one.localPort === client.localPort)!
    expect([own.options.trafficClass, client.getTypeOfService()]).toEqual([0x10, 0x10])
    expect(client.setTypeOfService(0xb8)).toBe(client)
    expect([own.options.trafficClass, client.getTypeOfService()]).toEqual([0xb8, 0xb8])
    expect(() => client.setTypeOfService(256)).toThrow(/"tos" is out of range/)
    const closed = once(server.close(), 'close')
    client.resetAndDestroy()
    await closed
    host.close()
  })
})

describe('the channel udp.socket', () => {
  it('tells of each socket of dgram, as Node’s', async () => {
    const host = localHost()
    for (const module of [dgram, makeDgram(host.stack, makeDns(host.stack))]) {
      let socket: dgram.Socket | undefined
      const told = await toldBy('udp.socket', async () => {
        socket = module.createSocket('udp4')
        await once(socket.close(), 'close')
      })
      expect(told).toEqual([socket])
    }
    host.close()
  })
})
