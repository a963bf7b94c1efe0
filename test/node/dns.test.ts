// node:dns over our stack: the same programs see the same on Node's own and on ours.

import dgram from 'node:dgram'
import dns from 'node:dns'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeDgram } from '../../src/node/dgram/dgram.ts'
import { makeDns } from '../../src/node/dns/dns.ts'
import { Host } from '../../src/node/host.ts'
import { nodeHost } from '../../src/node/node-host.ts'
import { Trace } from './dgram-scenarios.ts'
import { SCENARIOS } from './dns-scenarios.ts'
import { startServer } from './dns-server.ts'

let host: Host

beforeAll(async () => {
  host = await Host.open({ link: 'mem' })
  host.driver.unref()
})

afterAll(() => host.close())

describe('Node’s dns and ours', () => {
  test.each(Object.keys(SCENARIOS))('agree on: %s', async (name) => {
    const parts = nodeHost(host.stack)
    const ours = makeDns(host.stack, { hosts: '127.0.0.1 localhost' })
    const servers = [await startServer(dgram), await startServer(makeDgram(host.stack, { lookup: ours.lookup }))]
    const [theirs, mine] = [new Trace(), new Trace()]
    await SCENARIOS[name]!(dns, theirs, servers[0]!.text)
    await SCENARIOS[name]!(ours, mine, servers[1]!.text)
    for (const server of servers) await server.close()
    expect(mine.lines).toEqual(theirs.lines)
    expect(parts.keepAlive.holding).toBe(0)
    expect(host.stack.udp.list()).toEqual([])
  })
})

test('a host’s net and dgram find names by its own dns, from the file that it was given', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hourglass-'))
  const hostsFile = join(folder, 'hosts')
  writeFileSync(hostsFile, '127.0.0.1 me.test\n')
  const named = await Host.open({ link: 'mem', hostsFile })
  try {
    const server = named.net.createServer((socket) => socket.end('by name')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const client = named.net.connect(port, 'me.test')
    expect(String((await once(client, 'data'))[0])).toBe('by name')
    const failed = named.net.connect(port, 'you.test')
    expect((await once(failed, 'error'))[0]).toMatchObject({ code: 'ENOTFOUND', syscall: 'getaddrinfo', errno: -3_008 })
    const socket = named.dgram.createSocket('udp4').bind(0, 'me.test')
    await once(socket, 'listening')
    expect(socket.address().address).toBe('127.0.0.1')
    await once(socket.close(), 'close')
    await once(server.close(), 'close')
  } finally {
    await named.close()
    rmSync(folder, { recursive: true })
  }
})
