// `hourglass/net`, `hourglass/dgram` and `hourglass/dns`: programs that name the modules of their process's host, by
// import and by require, and what TypeScript thinks of them.

import { mkdtempSync, rmSync, statSync } from 'node:fs'
import type nodeNet from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type dgram from 'hourglass/dgram'
import type dns from 'hourglass/dns'
import type net from 'hourglass/net'
import type { AddressInfo, Socket } from 'hourglass/net'
import { afterAll, describe, expect, expectTypeOf, it } from 'vitest'
import { UsageError } from '../../src/errors.ts'
import { Host } from '../../src/node/host.ts'
import type { HostOptions } from '../../src/node/host-options.ts'
import type { Net } from '../../src/node/net/net.ts'
import { node, registered } from '../support/registered.ts'

const folder = mkdtempSync(join(tmpdir(), 'hourglass-process-host-'))
afterAll(() => rmSync(folder, { recursive: true }))

const program = (name: string): string => resolve('test/node/programs', name)
const HOST = { HOURGLASS_LINK: 'mem', HOURGLASS_ADDRESS: '10.77.0.1/24', HOURGLASS_HOST: 'db=10.77.0.9' }

describe('the modules of the process’s host', () => {
  it.concurrent('come by import, with each name, a control socket and a capture that is whole at the end', async () => {
    const capture = join(folder, 'all.pcapng')
    const { code, stdout, stderr } = await node([program('modules.mjs')], {
      ...HOST,
      HOURGLASS_CAPTURE: capture,
      HOURGLASS_CONTROL: join(folder, 'control'),
      COMMAND: resolve('dist/src/cli/main.js'),
    })
    expect([code, stderr]).toEqual([0, ''])
    const { unnamed, ports, ...seen } = JSON.parse(stdout) as { unnamed: string[][]; ports: number[] }
    expect(seen).toEqual({ text: 'hello', message: 'hi', address: '10.77.0.9' })
    // Ours alone: Node's have no such names.
    expect(unnamed).toEqual([['host', 'lookup'], [], []])
    expect(ports.sort()).toEqual([7_000, 7_001])
    expect(statSync(capture).size).toBeGreaterThan(0)
  })

  it.concurrent('come by require in a program under register', async () => {
    const { code, stdout, stderr } = await registered([program('required.cjs')])
    expect([code, stderr, JSON.parse(stdout)]).toEqual([0, '', ['hello', 'function', 'function']])
  })

  it.concurrent('come in a worker thread, of a host of its own', async () => {
    const { code, stdout, stderr } = await node([program('worker.mjs')], HOST)
    expect([code, stdout, stderr]).toEqual([0, 'the main thread\na worker\n', ''])
  })

  it.concurrent('come with a warning where the environment has something like a setting that is none', async () => {
    const { code, stderr } = await registered([program('required.cjs')], {
      environment: { HOURGLASS_HOSTS: 'db=10.77.0.9' },
    })
    expect(code).toBe(0)
    expect(stderr).toMatch(/Warning: HOURGLASS_HOSTS is no setting of a host, and is passed over/)
  })

  it.concurrent.each([
    [{ address: ['10.0.0.1/24'] }, "a host has no option 'address': the options are link, addresses, "],
    [{ link: undefined }, "the link of a host is undefined: give a text like 'tap:tap0'"],
    [{ addresses: '10.0.0.1/24' }, 'addresses is no list: give one, also of a single address'],
    [{ nameServers: ['ns.test'] }, "the name server 'ns.test': write an address, or one with a port"],
  ])('are of a host that is not opened with %o, which no compiler has seen', async (given, sentence) => {
    const opening = Host.open({ link: 'mem', ...given } as HostOptions)
    await expect(opening).rejects.toThrow(sentence)
    await expect(opening).rejects.toThrow(UsageError)
  })

  it.concurrent('are refused to a require that comes before the host, with the ways out', async () => {
    const { code, stderr } = await node([program('required.cjs')], HOST)
    expect(code).toBe(1)
    expect(stderr).toContain('require() cannot wait for one: run it with node --import hourglass/register')
  })

  it.concurrent('come not by node --require hourglass/register, which says how it is done', async () => {
    const { code, stderr } = await node(['--require', 'hourglass/register', '--print', '1'], HOST)
    expect(code).toBe(1)
    expect(stderr).toContain('require() cannot: run the program with node --import hourglass/register')
  })

  it('have the types of Node’s own, and the sockets of every host go where Node’s go', () => {
    expectTypeOf<net.Socket>().toEqualTypeOf<nodeNet.Socket>()
    expectTypeOf<Socket>().toEqualTypeOf<nodeNet.Socket>()
    expectTypeOf<AddressInfo>().toEqualTypeOf<nodeNet.AddressInfo>()
    expectTypeOf<typeof net.createServer>().toEqualTypeOf<typeof nodeNet.createServer>()
    expectTypeOf<dgram.RemoteInfo['port']>().toEqualTypeOf<number>()
    expectTypeOf<dns.promises.Resolver>().toHaveProperty('resolve4')
    expectTypeOf<ReturnType<Net['connect']>>().toEqualTypeOf<nodeNet.Socket>()
  })
})
