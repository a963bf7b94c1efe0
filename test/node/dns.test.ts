// node:dns over our stack: the same programs see the same on Node's own and on ours.

import dgram from 'node:dgram'
import dns from 'node:dns'
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
    const ours = makeDns(parts, { hosts: '127.0.0.1 localhost' })
    const servers = [await startServer(dgram), await startServer(makeDgram(parts, () => ours.lookup as never))]
    const [theirs, mine] = [new Trace(), new Trace()]
    await SCENARIOS[name]!(dns, theirs, servers[0]!.text)
    await SCENARIOS[name]!(ours, mine, servers[1]!.text)
    for (const server of servers) await server.close()
    expect(mine.lines).toEqual(theirs.lines)
    expect(parts.keepAlive.holding).toBe(0)
    expect(host.stack.udp.list()).toEqual([])
  })
})
