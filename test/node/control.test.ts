// The control socket: who may ask, what is answered, and what happens to those who ask for nothing sensible.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { ask, findControl } from '../../src/node/control/ask.ts'
import { controlDirectory, makeControlDirectory } from '../../src/node/control/control-directory.ts'
import { ControlSocket } from '../../src/node/control/control-socket.ts'
import type { ControlRequest } from '../../src/node/control/request.ts'
import { settle } from '../../src/node/settle.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import { millis, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { command } from '../support/hourglass.ts'
import { localHost } from '../support/net-host.ts'
import { inWorld } from '../support/peer.ts'

const folder = mkdtempSync(join(tmpdir(), 'hourglass-control-'))
afterAll(() => rmSync(folder, { recursive: true }))
let made = 0

/** Two hosts, a connection between them, a listener and a UDP port; the host has a control socket. */
async function inScene(body: (path: string, host: Stack) => Promise<void>): Promise<void> {
  const path = join(folder, `${++made}.sock`)
  await inWorld(
    7,
    async (world) => {
      const [host, peer] = [world.host('a'), world.host('b')]
      const cable = world.cable({ delay: millis(5) })
      world.attach(host, cable.a, { name: 'eth0', addresses: ['10.0.0.1/24', 'fd00::1/64'], linkLocal: false })
      world.attach(peer, cable.b, { name: 'eth0', addresses: ['10.0.0.2/24', 'fd00::2/64'], linkLocal: false })
      host.addGateway(IpAddress.from('10.0.0.2'))
      world.runFor(seconds(3))
      const listener = new TcpListener(peer, { family: 4, port: 80 })
      const waiting = new TcpListener(host, { family: 6, port: 443 })
      const datagrams = new UdpSocket(host, { family: 4, port: 53 })
      const socket = await world.run(
        TcpSocket.connect(host, { remoteAddress: IpAddress.from('10.0.0.2'), remotePort: 80, localPort: 5_000 }),
      )
      const control = await ControlSocket.open(host, path)
      try {
        await body(path, host)
      } finally {
        control.close()
        socket.abort()
        datagrams.close()
        for (const one of [listener, waiting]) one.close()
      }
    },
    { settle },
  )
}

const askAll = async (path: string, request: Partial<ControlRequest> & { show: ControlRequest['show'] }) => {
  const rows: Record<string, unknown>[] = []
  for await (const row of ask(path, { info: false, ...request })) rows.push(row as Record<string, unknown>)
  return rows
}

async function run(words: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const [program, ...rest] = command(words) as [string, ...string[]]
  const child = spawn(program, rest, { env: { ...process.env, XDG_RUNTIME_DIR: folder } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number]
  return { code, stdout, stderr }
}

async function expectEnd(words: string, code: number, message: RegExp): Promise<void> {
  const ended = await run(words)
  expect([ended.code, ended.stderr]).toEqual([code, expect.stringMatching(message)])
}

describe('a control socket', () => {
  it('is for its owner alone, and is gone when the host is', async () => {
    let where = ''
    await inScene(async (path) => {
      where = path
      expect(statSync(path).mode & 0o777).toBe(0o600)
    })
    expect(existsSync(where)).toBe(false)
  })

  it('tells interfaces, routes, neighbours, sockets and counters', () =>
    inScene(async (path, host) => {
      const interfaces = await askAll(path, { show: 'interfaces' })
      expect(interfaces.map(({ name, mtu }) => [name, mtu])).toEqual([
        ['lo', host.loopback.mtu],
        ['eth0', 1_500],
      ])
      const routes = await askAll(path, { show: 'routes' })
      expect(routes.filter(({ isDefault }) => isDefault)).toMatchObject([{ gateway: '10.0.0.2', interface: 'eth0' }])
      const neighbors = await askAll(path, { show: 'neighbors' })
      expect(neighbors).toMatchObject([{ address: '10.0.0.2', interface: 'eth0', state: 'REACHABLE' }])
      const sockets = await askAll(path, { show: 'sockets' })
      expect(sockets.map(({ protocol, state, localPort }) => [protocol, state, localPort])).toEqual([
        ['udp', 'UNCONN', 53],
        ['tcp', 'LISTEN', 443],
        ['tcp', 'ESTABLISHED', 5_000],
      ])
      const counters = await askAll(path, { show: 'counters' })
      expect(counters).toContainEqual({ name: 'TcpActiveOpens', count: 1 })
      expect(counters).toContainEqual({ name: 'drop.tcpChecksum', count: 0 })
    }))

  it('gives what TCP knows only to those who ask for it', () =>
    inScene(async (path) => {
      const [plain, full] = [
        await askAll(path, { show: 'sockets' }),
        await askAll(path, { show: 'sockets', info: true }),
      ]
      expect(plain.every(({ info }) => info === null)).toBe(true)
      expect(full.at(-1)).toMatchObject({ info: { state: 1, sndMss: 1_448, segsIn: 1 }, congestionControl: 'cubic' })
    }))

  it('refuses what is no request in one sentence, and what has no end at a limit', () =>
    inScene(async (path) => {
      const told = async (bytes: string): Promise<string> => {
        const client = connect(path).setEncoding('utf8')
        client.write(bytes)
        let text = ''
        for await (const part of client) text += part
        return text
      }
      expect(await told('what?\n')).toMatch(/^\{"error":"the request is no JSON: write one object/)
      expect(await told('{"show":"everything"}\n')).toMatch(/give \\"show\\" as one of interfaces, routes/)
      expect(await told('[]\n')).toMatch(/names nothing that can be shown/)
      expect(await told('x'.repeat(5_000))).toMatch(/is no JSON/)
      expect(await askAll(path, { show: 'interfaces' })).toHaveLength(2)
    }))

  it('answers no more than sixteen at a time, and again when they are gone', () =>
    inScene(async (path) => {
      const silent = Array.from({ length: 16 }, () => connect(path))
      await Promise.all(silent.map((client) => once(client, 'connect')))
      await expect(askAll(path, { show: 'routes' })).rejects.toThrow(/gave no whole answer|ECONNRESET|EPIPE/)
      for (const client of silent) client.destroy()
      await Promise.all(silent.map((client) => once(client, 'close')))
      await expect.poll(() => askAll(path, { show: 'interfaces' }).catch(() => [])).toHaveLength(2)
    }))

  it('lets a client go that asks a letter at a time, and answers others in its place', async () => {
    const path = join(folder, 'slow.sock')
    const { stack, close } = localHost()
    const control = await ControlSocket.open(stack, path, 100)
    const slow = Array.from({ length: 16 }, () => connect(path))
    const drip = setInterval(() => {
      for (const client of slow) client.write(' ', () => {})
    }, 20)
    for (const client of slow) client.on('error', () => {}).resume()
    // A letter that comes when it is too late is an error to its writer.
    await Promise.all(slow.map((client) => new Promise((resolve) => client.once('close', resolve))))
    clearInterval(drip)
    expect(await askAll(path, { show: 'interfaces' })).toHaveLength(1)
    control.close()
    close()
  })

  it('is a file though its name is a number, and no TCP port of the system', async () => {
    const { stack, close } = localHost()
    const path = '65432'
    const control = await ControlSocket.open(stack, path)
    expect(statSync(path).isSocket()).toBe(true)
    expect(await askAll(path, { show: 'interfaces' })).toHaveLength(1)
    control.close()
    close()
  })

  it('is found though others left files behind, under numbers that living processes have now', async () => {
    vi.stubEnv('XDG_RUNTIME_DIR', mkdtempSync(join(folder, 'run-')))
    const left = join(makeControlDirectory(), `${process.ppid}.sock`)
    const script = `require('node:net').createServer().listen('${left}', () => process.kill(process.pid, 'SIGKILL'))`
    await once(spawn(process.execPath, ['-e', script]), 'close')
    expect(statSync(left).isSocket()).toBe(true)
    mkdirSync(join(controlDirectory(), '4000000.sock'))
    writeFileSync(join(controlDirectory(), '1.sock'), '')
    await expect(findControl()).rejects.toThrow('no host of yours is running')
    expect(existsSync(left)).toBe(false)
    const { stack, close } = localHost()
    const control = await ControlSocket.open(stack)
    expect(await findControl()).toBe(control.path)
    control.close()
    close()
    vi.unstubAllEnvs()
  })

  it('says that a path cannot be used, and how to mend it', () =>
    inScene(async (path, host) => {
      await expect(ControlSocket.open(host, path)).rejects.toThrow(/EADDRINUSE. To mend it: give a path that is free/)
      await expect(ControlSocket.open(host, join(folder, 'none', 'x'))).rejects.toThrow(/To mend it/)
      await expect(ControlSocket.open(host, '')).rejects.toThrow(/has 0 bytes: give one of 1 to 107/)
      const long = join(folder, 'x'.repeat(108))
      await expect(ControlSocket.open(host, long)).rejects.toThrow(/path has \d+ bytes: give one of 1 to 107/)
      expect(existsSync(long.slice(0, 107))).toBe(false)
      await expect(askAll('', { show: 'routes' })).rejects.toThrow(/has no path/)
    }))

  it('takes the place of one whose process was killed, and of nothing else', () =>
    inScene(async (_path, host) => {
      const path = join(folder, 'left-over.sock')
      const listen = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`
      await once(spawn(process.execPath, ['-e', listen]), 'close')
      expect(existsSync(path)).toBe(true)
      const control = await ControlSocket.open(host, path)
      expect(await askAll(path, { show: 'interfaces' })).toHaveLength(2)
      control.close()
      writeFileSync(path, 'a letter')
      await expect(ControlSocket.open(host, path)).rejects.toThrow(/EADDRINUSE/)
      expect(statSync(path).isFile()).toBe(true)
    }))
})

describe('the commands that ask a running host', () => {
  it('print in the columns of ss(8)', () =>
    inScene(async (path) => {
      const { code, stdout } = await run(`ss -a --control ${path}`)
      expect(code).toBe(0)
      expect(stdout.split('\n')).toEqual([
        'Netid State  Recv-Q Send-Q Local Address:Port Peer Address:Port',
        'udp   UNCONN 0      0            0.0.0.0:53        0.0.0.0:*',
        'tcp   LISTEN 0      511                *:443             *:*',
        'tcp   ESTAB  0      0           10.0.0.1:5000     10.0.0.2:80',
        '',
      ])
      const kinds: Record<string, RegExp> = {
        '-aHu': /^UNCONN .*:53 +0\.0\.0\.0:\*\n$/,
        '-aH4': /^udp +UNCONN .*\ntcp +ESTAB .*\n$/,
        '-aH6': /^tcp +LISTEN .*\n$/,
        '-aHtu6': /^tcp +LISTEN .*\n$/,
        '-aHu6': /^$/,
      }
      for (const [flags, rows] of Object.entries(kinds))
        expect((await run(`ss ${flags} --control ${path}`)).stdout, flags).toMatch(rows)
      const listening = await run(`ss -ltpH --control ${path}`)
      expect(listening.stdout).toMatch(/^LISTEN 0 +511 +\*:443 +\*:\*\n$/)
      const inside = await run(`ss -ti --control ${path}`)
      expect(inside.stdout).toMatch(/\n\t ts sack cubic wscale:\d+,\d+ rto:\d+.* mss:1448 pmtu:1500 .*segs_in:1/)
      // What was never sent has no age; a rate is that of the window in a round trip.
      expect(inside.stdout).not.toContain('lastsnd')
      expect(inside.stdout).toMatch(/ send [\d.]+[kMG]?bps lastrcv:/)
      const json = JSON.parse((await run(`ss -t --json --control ${path}`)).stdout) as object[]
      expect(json).toMatchObject([{ protocol: 'tcp', localPort: 5_000, remoteAddress: '10.0.0.2' }])
    }))

  it('print as ip(8) does, text and JSON', () =>
    inScene(async (path) => {
      const address = await run(`ip addr show dev eth0 --control ${path}`)
      expect(address.stdout).toMatch(/^2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP/)
      expect(address.stdout).toMatch(
        /\n {4}inet 10\.0\.0\.1\/24 brd 10\.0\.0\.255 scope global eth0\n {7}valid_lft forever/,
      )
      const json = JSON.parse((await run(`ip addr --json --control ${path}`)).stdout) as object[]
      expect(json[1]).toMatchObject({
        ifname: 'eth0',
        addr_info: [{ family: 'inet', local: '10.0.0.1', prefixlen: 24 }, {}],
      })
      const [first, ...rest] = address.stdout.split('\n')
      const ofFour = rest.filter((line) => !/link\/|inet6|^$/.test(line)).slice(0, 2)
      const four = await run(`ip -4 addr show dev eth0 --control ${path}`)
      expect(four.stdout).toBe(`${[first, ...ofFour].join('\n')}\n`)
      const six = JSON.parse((await run(`ip -6 addr --json --control ${path}`)).stdout) as object[]
      expect(six[1]).toMatchObject({ ifname: 'eth0', addr_info: [{ family: 'inet6' }] })
      expect(six[1]).not.toHaveProperty('link_type')
      const link = await run(`ip link show dev eth0 --control ${path}`)
      expect(link.stdout).toBe(`${address.stdout.split('\n').slice(0, 2).join('\n')}\n`)
      expect(JSON.parse((await run(`ip link --json --control ${path}`)).stdout)).not.toHaveProperty('[1].addr_info')
      const routes = await run(`ip route --control ${path}`)
      expect(routes.stdout).toMatch(
        /^default via 10\.0\.0\.2 dev eth0 proto static\n10\.0\.0\.0\/24 dev eth0 proto kernel scope link src 10\.0\.0\.1/,
      )
      expect((await run(`ip -6 r --control ${path}`)).stdout).toMatch(/^fd00::\/64 dev eth0 proto kernel metric/)
      expect((await run(`ip neigh --control ${path}`)).stdout).toMatch(
        /^10\.0\.0\.2 dev eth0 lladdr [0-9a-f:]{17} REACHABLE\n$/,
      )
    }))

  it('print as nstat(8) does, with patterns and zeros', () =>
    inScene(async (path) => {
      const { stdout } = await run(`nstat TcpActive* --control ${path}`)
      expect(stdout).toBe(`#kernel\n${'TcpActiveOpens'.padEnd(32)}${'1'.padEnd(16)}   0.0\n`)
      const json = JSON.parse((await run(`nstat -z --json drop.tcp* --control ${path}`)).stdout) as object
      expect(json).toMatchObject({ kernel: { 'drop.tcpChecksum': 0 } })
    }))

  it('say what is wrong, and end with 2 or 3', async () => {
    await expectEnd('ip tunnel --control /none', 2, /give addr, link, route or neigh/)
    await expectEnd('ss --control /none', 3, /there is no such socket. To mend it/)
    await expectEnd('nstat [x] --control /none', 2, /is no name/)
    await expectEnd('ss', 3, /no host of yours is running. To mend it: start one/)
    writeFileSync(join(folder, 'file'), '')
    await expectEnd(`ss --control ${join(folder, 'file')}`, 3, /nobody listens there/)
  })
})
