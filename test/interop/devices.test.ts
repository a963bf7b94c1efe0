// Devices against the Linux kernel, each in a network namespace of its own.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { connect, type Namespace, needRoot, type Running, withNamespace } from '../support/namespace.ts'
import { needTool } from '../support/tools.ts'

const HOST = 'test/interop/device-host.ts'
const root = needRoot()

/** Sends one datagram to the device's host and prints the answer. */
const DATAGRAM = `
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', (message) => { console.log('answer ' + message); socket.close(); clearInterval(timer) })
const send = () => socket.send('hello', 7, '10.9.8.2')
const timer = setInterval(send, 200)
send()`

/** Answers the first datagram to 127.0.0.1:4001. */
const ANSWER_ONE = `
const socket = require('node:dgram').createSocket('udp4')
socket.once('message', (message, { port, address }) => socket.send('yes', port, address))
socket.bind(4001, '127.0.0.1', () => console.log('bound'))`

const ORDINARY_USER = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--inh-caps=-all']

async function addressed(namespace: Namespace, device: string): Promise<void> {
  await namespace.must(`ip addr add 10.9.8.1/24 dev ${device}`)
  await namespace.must(`ip link set ${device} up`)
}

async function start(namespace: Namespace, link: string, ...rest: string[]): Promise<Running> {
  const host = namespace.script(HOST, link, ...rest)
  await host.printed(/ready \S+ mtu/)
  return host
}

const tell = (host: Running, word: string): boolean => host.child.stdin.write(`${word}\n`)

async function expectPings(namespace: Namespace, options: string, count: number): Promise<string> {
  const { stdout } = await namespace.run(`ping -q ${options} -c ${count} -W 2 10.9.8.2`)
  expect(stdout).toContain(`${count} received`)
  return stdout
}

/** Nothing dropped, nothing held, and the process ends by itself. */
async function expectCleanEnd(host: Running): Promise<void> {
  tell(host, 'quit')
  await host.printed(/closed, 0 pages in use/)
  const { code, stdout } = await host.finished
  expect(code).toBe(0)
  expect(stdout).not.toContain('misaligned')
}

/** Milliseconds of CPU in the quietest of up to five times two seconds: what others do on the machine only adds. */
async function quietest(host: Running): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let tries = 1; tries <= 5 && least >= 20; tries++) {
    tell(host, `idle ${tries}`)
    const [, used] = await host.printed(new RegExp(`idle ${tries}: ([0-9.]+)`))
    least = Math.min(least, Number(used))
  }
  return least
}

describe.skipIf(!root)('a TAP or TUN device', () => {
  for (const mode of ['tap', 'tun'])
    for (const offload of ['on', 'off'])
      it(`carries packets both ways as ${mode} with offloads ${offload}`, () =>
        withNamespace(async (namespace) => {
          const host = await start(namespace, `${mode}:hg0`, offload)
          await addressed(namespace, 'hg0')
          await expectPings(namespace, '-i 0.01', 10)
          await expectPings(namespace, '-f -s 1472', 500)
          expect(await namespace.must(['node', '-e', DATAGRAM])).toContain('answer hello')
          await host.printed(offload === 'on' ? /datagram partial/ : /datagram unchecked/)
          tell(host, 'pieces')
          await host.printed(/pieces true true/)
          await expectCleanEnd(host)
          const received = await namespace.must('nstat -az IcmpInEchos IcmpInErrors IcmpInCsumErrors')
          expect(received).toMatch(/IcmpInEchos +2 /)
          expect(received).toMatch(/IcmpInCsumErrors +0 /)
        }))

  it('hands a super-segment with a partial checksum over whole where offloads are on', () =>
    withNamespace(async (namespace) => {
      const host = await start(namespace, 'tun:hg0')
      await addressed(namespace, 'hg0')
      tell(host, 'gso')
      await host.printed(/gso true/)
      const counts = await namespace.must('nstat -az IpExtInOctets TcpOutRsts TcpInCsumErrors')
      expect(counts).toMatch(/IpExtInOctets +10176 /)
      expect(counts).toMatch(/TcpOutRsts +1 /)
      expect(counts).toMatch(/TcpInCsumErrors +0 /)
      await expectCleanEnd(host)
    }))

  for (const readiness of ['aio', 'thread', 'timer'])
    it(`wakes up by ${readiness}, costs under 1% of a core while idle, and lets the process end`, () =>
      withNamespace(async (namespace) => {
        const host = await start(namespace, 'tap:hg0', 'on', '10.9.8.2', '10.9.8.1', readiness)
        await addressed(namespace, 'hg0')
        await expectPings(namespace, '-i 0.01', 20)
        expect(await quietest(host)).toBeLessThan(20)
        await expectPings(namespace, '-i 0.01', 5)
        await expectCleanEnd(host)
      }))

  it('tells when its interface is deleted, and takes one that is down for a full cable', () =>
    withNamespace(async (namespace) => {
      const host = await start(namespace, 'tap:hg0')
      tell(host, 'pieces')
      await host.printed(/pieces false false/)
      tell(host, 'count')
      await host.printed(/"drop.deviceDown":2/)
      await addressed(namespace, 'hg0')
      await expectPings(namespace, '-i 0.01', 3)
      await namespace.must('ip link del hg0')
      await host.printed(/failure hg0: the device hg0: it is gone/)
      await expectCleanEnd(host)
    }))

  it('says who may open it: a device that another process holds, and a name that is no TAP', () =>
    withNamespace(async (namespace) => {
      const host = await start(namespace, 'tap:hg0')
      const second = await namespace.script(HOST, 'tap:hg0').finished
      expect(second.stdout).toMatch(/the TAP device hg0: another process holds it\. To mend it: /)
      await namespace.must('ip link add br0 type bridge')
      const third = await namespace.script(HOST, 'tap:br0').finished
      expect(third.stdout).toMatch(/the TAP device br0: an interface of that name exists and is no TAP/)
      await expectCleanEnd(host)
      await expectCleanEnd(await start(namespace, 'tap:hg0'))
    }))

  it.skipIf(!needTool('setpriv'))('says what an ordinary user lacks', () =>
    withNamespace(async (namespace) => {
      const as = [
        'setpriv',
        '--reuid',
        '65534',
        '--regid',
        '65534',
        '--clear-groups',
        '--inh-caps=-all',
        process.execPath,
      ]
      const words = [...as, '--import', 'tsx', HOST, 'tap:hg0']
      const { stdout } = await namespace.run(words)
      expect(stdout).toMatch(
        /keeps this user out\. To mend it: sudo chmod|needs CAP_NET_ADMIN.* To mend it: sudo ip tuntap/,
      )
    }),
  )
})

describe.skipIf(!root)('a macvtap device', () => {
  for (const [offload, reading] of [
    ['on', 'pipe'],
    ['off', 'pipe'],
    ['on', 'polled'],
  ] as const)
    it(`carries frames both ways with offloads ${offload}, ${reading}, without native code`, () =>
      withNamespace(async (near) =>
        withNamespace(async (far) => {
          await connect(
            { namespace: far, device: 'up0', addresses: ['10.9.8.1/24'] },
            { namespace: near, device: 'low0', addresses: [] },
          )
          await near.must('ip link add link low0 name mv0 type macvtap mode bridge')
          await near.must('ip link set mv0 up')
          const host = await start(near, 'macvtap:mv0', offload, '10.9.8.2', '10.9.8.1', reading)
          await expectPings(far, '-i 0.01', 10)
          await expectPings(far, '-f -s 1472', 300)
          expect(await far.must(['node', '-e', DATAGRAM])).toContain('answer hello')
          await host.printed(/datagram partial/)
          if (offload === 'on') {
            tell(host, 'gso')
            await host.printed(/gso true/)
          } else await host.printed(/though offloads were not wanted\. To mend it: ethtool -K/)
          expect(await quietest(host)).toBeLessThan(20)
          await near.must('ip link del mv0')
          await host.printed(/failure mv0: /)
          await expectCleanEnd(host)
        }),
      ))

  it('says how to make it where there is none', () =>
    withNamespace(async (namespace) => {
      const { stdout } = await namespace.script(HOST, 'macvtap:mv9').finished
      expect(stdout).toMatch(/no interface of that name and kind.* To mend it: sudo ip link add link/)
    }))
})

describe.skipIf(!root)('an inherited descriptor', () => {
  for (const launcher of [
    ['perl', 'native-free-fallback/launch.pl'],
    ['python3', 'native-free-fallback/launch.py'],
  ] as const)
    for (const [mode, reading] of [
      ['tap', 'pipe'],
      ['tun', 'polled'],
    ] as const)
      it.skipIf(!needTool(launcher[0]))(
        `carries packets both ways as ${mode} opened by ${launcher[1]}, ${reading}`,
        () =>
          withNamespace(async (namespace) => {
            const kind = mode === 'tun' ? ['--tun'] : []
            const program = [
              process.execPath,
              '--import',
              'tsx',
              HOST,
              'fd:$TAP_FD',
              'on',
              '10.9.8.2',
              '10.9.8.1',
              reading,
            ]
            const host = namespace.spawn([...launcher, ...kind, 'hg0', ...program])
            await host.printed(/ready hg0 mtu 1500/)
            await addressed(namespace, 'hg0')
            await expectPings(namespace, '-i 0.01', 10)
            await expectPings(namespace, '-f -s 1472', 300)
            await namespace.must('ip link del hg0')
            await host.printed(/failure hg0: /)
            await expectCleanEnd(host)
          }),
      )

  it('is refused where it is no device', () =>
    withNamespace(async (namespace) => {
      const { stdout } = await namespace.script(HOST, 'fd:99').finished
      expect(stdout).toMatch(/the inherited descriptor 99: it is not open\. To mend it: perl/)
    }))
})

describe.skipIf(!root)('a VXLAN link', () => {
  it("carries frames to and from the kernel's vxlan interface (RFC 7348)", () =>
    withNamespace(async (near) =>
      withNamespace(async (far) => {
        await connect(
          { namespace: far, device: 'eth0', addresses: ['192.0.2.1/24'] },
          { namespace: near, device: 'eth0', addresses: ['192.0.2.2/24'] },
        )
        await far.must('ip link add vx0 type vxlan id 42 local 192.0.2.1 remote 192.0.2.2 dstport 4789')
        await addressed(far, 'vx0')
        const host = await start(near, 'vxlan:42,192.0.2.2:4789,192.0.2.1:4789')
        await expectPings(far, '-i 0.01', 10)
        await expectPings(far, '-f -s 1400', 300)
        await expectCleanEnd(host)
      }),
    ))
})

describe.skipIf(!root)('a raw socket link', () => {
  for (const [family, near4, far4] of [
    ['IPv4', '192.0.2.2', '192.0.2.1'],
    ['IPv6', 'fd00::2', 'fd00::1'],
  ] as const)
    it(`carries packets between two hosts of ours over ${family}`, () =>
      withNamespace(async (near) =>
        withNamespace(async (far) => {
          const length = family === 'IPv4' ? 24 : 64
          await connect(
            { namespace: far, device: 'eth0', addresses: [`${far4}/${length}`] },
            { namespace: near, device: 'eth0', addresses: [`${near4}/${length}`] },
          )
          const a = await start(near, `raw:253,${far4}`, 'on', '10.9.8.2', '10.9.8.1')
          const b = await start(far, `raw:253,${near4}`, 'on', '10.9.8.1', '10.9.8.2')
          tell(a, 'pieces')
          await a.printed(/answered: 2/)
          await expectCleanEnd(a)
          await expectCleanEnd(b)
        }),
      ))

  it('says what an ordinary user lacks', () =>
    withNamespace(async (namespace) => {
      const { stdout } = await namespace.run([
        ...ORDINARY_USER,
        process.execPath,
        '--import',
        'tsx',
        HOST,
        'raw:253,::1',
      ])
      expect(stdout).toMatch(/it needs CAP_NET_RAW\. To mend it: sudo setcap/)
    }))
})

describe.skipIf(!root || !needTool('passt') || !needTool('setpriv'))('a passt link', () => {
  it('reaches the loopback of its host', () =>
    withNamespace(async (namespace) => {
      const folder = mkdtempSync(join(tmpdir(), 'hg-'))
      try {
        chmodSync(folder, 0o777)
        const path = join(folder, 'socket')
        await namespace.must('ip link add out0 type veth peer name out1')
        await namespace.must('ip addr add 10.55.1.1/24 dev out0')
        for (const end of ['out0', 'out1']) await namespace.must(`ip link set ${end} up`)
        await namespace.must('ip route add default via 10.55.1.254 dev out0')
        const words = `passt -f -1 --socket ${path} -a 10.77.0.2 -n 24 -g 10.77.0.1 -i out0`
        const passt = namespace.spawn([...ORDINARY_USER, ...words.split(' ')])
        await passt.printed(/UNIX domain socket bound/)
        const server = namespace.spawn(['node', '-e', ANSWER_ONE])
        await server.printed(/bound/)
        const host = await start(namespace, `passt:${path}`, 'on', '10.77.0.2', '10.77.0.1')
        tell(host, 'ask')
        await host.printed(/datagram unchecked/)
        await expectCleanEnd(host)
      } finally {
        rmSync(folder, { recursive: true })
      }
    }))
})
