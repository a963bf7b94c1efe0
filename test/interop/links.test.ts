// The links that are neither TAP nor TUN of our own making: with and without the native package, as root and as nobody, against
// the kernel and against one another.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Captures, command, up, WITHOUT_KOFFI, whenReady } from '../support/hourglass.ts'
import { connect, type Namespace, needRoot, withNamespace } from '../support/namespace.ts'
import { expectAnswers } from '../support/ping.ts'
import { needTool } from '../support/tools.ts'

const US = '--address 10.77.0.2/24 --address fd77::2/64'
const SYSTEM = ['10.77.0.1/24', 'fd77::1/64']
const SIZES = [56, 1_472, 9_000, 65_000]
const captures = new Captures()
const folder = mkdtempSync(join(tmpdir(), 'hg-links-'))
chmodSync(folder, 0o777)
const root = needRoot()
afterAll(() => {
  captures.remove()
  rmSync(folder, { recursive: true })
})

const NATIVE: readonly { what: string; node: readonly string[] }[] = [
  { what: 'with koffi', node: [] },
  { what: 'without koffi', node: WITHOUT_KOFFI },
]

const withTwo = <T>(body: (near: Namespace, far: Namespace) => Promise<T>): Promise<T> =>
  withNamespace((near) => withNamespace((far) => body(near, far)))

/** One at a time (-A): ping's own buffer holds few of the long ones. */
async function expectPings(namespace: Namespace): Promise<void> {
  for (const address of ['10.77.0.2', 'fd77::2']) {
    for (const size of SIZES) {
      await expectAnswers(namespace, `-q -A -s ${size}`, 5, address)
    }
    await expectAnswers(namespace, '-q -f', 2_000, address)
  }
}

describe.skipIf(!root)('the system pings our host', () => {
  for (const { what, node } of NATIVE) {
    it(`over macvtap in bridge mode, ${what}`, () =>
      withTwo(async (near, far) => {
        await connect(
          { namespace: far, device: 'up0', addresses: SYSTEM },
          { namespace: near, device: 'low0', addresses: [] },
        )
        await near.must('ip link add link low0 name mv0 type macvtap mode bridge')
        await near.must('ip link set mv0 up')
        const host = await up(near, `--link macvtap:mv0 ${US} --capture ${captures.path()}`, { node })
        expect(await near.must('ip link show mv0')).toContain(host.ready.mac)
        await expectPings(far)
        const { code, end } = await host.stop()
        expect({ code, pages: end.pagesInUse }).toEqual({ code: 130, pages: 0 })
      }))

    it(`over the kernel's VXLAN, ${what} (RFC 7348)`, () =>
      withTwo(async (near, far) => {
        await connect(
          { namespace: far, device: 'eth0', addresses: ['192.0.2.1/24'] },
          { namespace: near, device: 'eth0', addresses: ['192.0.2.2/24'] },
        )
        await far.must('ip link add vx0 type vxlan id 42 local 192.0.2.1 remote 192.0.2.2 dstport 4789')
        for (const address of SYSTEM)
          await far.must(`ip addr add ${address} dev vx0${address.includes(':') ? ' nodad' : ''}`)
        await far.must('ip link set vx0 up')
        const link = '--link vxlan:42,192.0.2.2:4789,192.0.2.1:4789 --mtu 1450'
        const host = await up(near, `${link} ${US} --capture ${captures.path()}`, { node })
        await expectPings(far)
        const { code, end } = await host.stop()
        expect({ code, pages: end.pagesInUse }).toEqual({ code: 130, pages: 0 })
      }))

    for (const launcher of ['perl native-free-fallback/launch.pl', 'python3 native-free-fallback/launch.py'])
      for (const mode of ['tap', 'tun'])
        it.skipIf(!needTool(launcher.split(' ')[0]!))(
          `over a ${mode} descriptor that ${launcher} opened, ${what}`,
          () =>
            withNamespace(async (namespace) => {
              const system = SYSTEM.map((address) => `--os-address ${address}`).join(' ')
              const words = command(`up --ndjson --link FD ${US} ${system} --capture ${captures.path()}`, node)
              const line = words.map((word) => (word === 'FD' ? 'fd:$TAP_FD' : `'${word}'`)).join(' ')
              const kind = mode === 'tun' ? ['--tun'] : []
              const host = await whenReady(
                namespace.spawn([...launcher.split(' '), ...kind, 'hg0', 'sh', '-c', `exec ${line}`]),
              )
              expect(host.ready.interface).toBe('hg0')
              await expectPings(namespace)
              const { code, end } = await host.stop()
              expect({ code, pages: end.pagesInUse }).toEqual({ code: 130, pages: 0 })
              expect((await namespace.run('ip link show hg0')).code).not.toBe(0)
            }),
        )
  }
})

describe.skipIf(!root)('without koffi', () => {
  it.each(['tap', 'tun'])('a link of kind %s says what is missing, what does without it, and how to mend it', (kind) =>
    withNamespace(async (namespace) => {
      const { code, stdout, stderr } = await namespace.run(command(`up --link ${kind}:hg0 ${US}`, WITHOUT_KOFFI))
      expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
      expect(stderr).toMatch(
        /^hourglass: the native binding for TAP and TUN: the optional package koffi does not load .*macvtap.* To mend it: npm install koffi\n$/,
      )
    }),
  )
})

/** An ordinary user, to whom the capabilities of root mean nothing. */
const NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--inh-caps=-all']

/** One host is up, another pings it through whatever joins the two links. */
async function expectPair(namespace: Namespace, links: readonly [string, string], other = namespace): Promise<void> {
  const launcher = namespace === other ? NOBODY : []
  const first = await up(namespace, `--link ${links[0]} ${US} --serve echo`, { launcher })
  for (const [from, to] of [
    ['10.77.0.3/24', '10.77.0.2'],
    ['fd77::3/64', 'fd77::2'],
  ]) {
    const words = `ping --link ${links[1]} --address ${from} -c 20 -i 0.01 -s 4000 ${to}`
    const { code, stdout, stderr } = await other.run([...launcher, ...command(words)])
    expect({ code, stderr, stdout }).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringContaining('20 packets transmitted, 20 received, 0% packet loss'),
    })
  }
  const { code, end } = await first.stop()
  expect({ code, pages: end.pagesInUse }).toEqual({ code: 130, pages: 0 })
}

describe.skipIf(!root || !needTool('setpriv'))('two hosts of an ordinary user', () => {
  it('reach each other through a UDP tunnel', () =>
    withNamespace((namespace) =>
      expectPair(namespace, ['udp:127.0.0.1:5000-127.0.0.1:5001', 'udp:127.0.0.1:5001-127.0.0.1:5000']),
    ))

  it('reach each other through a UDP tunnel over IPv6', () =>
    withNamespace((namespace) => expectPair(namespace, ['udp:[::1]:5000-[::1]:5001', 'udp:[::1]:5001-[::1]:5000'])))

  it("reach each other in QEMU's datagram form", () =>
    withNamespace((namespace) =>
      expectPair(namespace, ['qemu:dgram:127.0.0.1:5000-127.0.0.1:5001', 'qemu:dgram:127.0.0.1:5001-127.0.0.1:5000']),
    ))

  it("reach each other in QEMU's stream form", () =>
    withNamespace(async (namespace) => {
      // The one that finds nothing at the path listens there for the other, which may come and go once.
      for (const [from, to] of [
        ['10.77.0.3/24', '10.77.0.2'],
        ['fd77::3/64', 'fd77::2'],
      ]) {
        const path = join(folder, `qemu-${from?.length}`)
        const running = namespace.spawn([...NOBODY, ...command(`up --ndjson --link qemu:unix:${path} ${US}`)])
        const words = `ping --link qemu:unix:${path} --address ${from} -c 20 -i 0.01 -s 4000 ${to}`
        await namespace.must(['sh', '-c', `while [ ! -S ${path} ]; do sleep 0.02; done`])
        const pinging = namespace.spawn([...NOBODY, ...command(words)])
        await whenReady(running)
        const { code, stdout, stderr } = await pinging.finished
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
        expect(stdout).toContain('20 packets transmitted, 20 received, 0% packet loss')
        // With the peer gone the link is gone: an error with the way to mend it.
        const ended = await running.finished
        expect(ended.code).toBe(3)
        expect(ended.stderr).toMatch(/^hourglass: waiting for QEMU at .*\nhourglass: .*qemu.* To mend it: .*\n$/)
      }
    }))

  it("reach each other in QEMU's stream form over TCP", async () => {
    const sockets: Socket[] = []
    const relay = createServer((socket) => {
      sockets.push(socket)
      socket.on('error', () => {})
      if (sockets.length !== 2) return
      sockets[0]!.pipe(sockets[1]!)
      sockets[1]!.pipe(sockets[0]!)
    })
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    const address = relay.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    try {
      // On the machine's own loopback, as the relay is in this process.
      const { spawn } = await import('node:child_process')
      const start = (words: string) => {
        const [program, ...rest] = [...NOBODY, ...command(words)] as [string, ...string[]]
        return spawn(program, rest, { stdio: ['ignore', 'pipe', 'ignore'] })
      }
      const server = start(`up --ndjson --link qemu:127.0.0.1:${port} ${US} --duration 20`)
      const client = start(`ping --link qemu:127.0.0.1:${port} --address 10.77.0.3/24 -c 20 -i 0.05 10.77.0.2`)
      let text = ''
      client.stdout.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      const ended = new Promise<number | null>((resolve) => server.once('close', resolve))
      const code = await new Promise<number | null>((resolve) => client.once('close', resolve))
      server.kill('SIGINT')
      expect({ code, text }).toMatchObject({
        code: 0,
        text: expect.stringMatching(/20 packets transmitted, (19|20) received/),
      })
      await ended
    } finally {
      for (const socket of sockets) socket.destroy()
      relay.close()
    }
  })
})

const bare = (prefix: string): string => prefix.slice(0, prefix.indexOf('/'))

describe.skipIf(!root)('two hosts on raw sockets', () => {
  it.each([
    ['IPv4', '192.0.2.1/24', '192.0.2.2/24', '10.77.0.2/24', '10.77.0.3/24'],
    ['IPv6', '2001:db8::1/64', '2001:db8::2/64', 'fd77::2/64', 'fd77::3/64'],
  ])('in two namespaces reach each other over %s', (_family, one, two, ours, theirs) =>
    withTwo(async (near, far) => {
      await connect(
        { namespace: far, device: 'eth0', addresses: [one] },
        { namespace: near, device: 'eth0', addresses: [two] },
      )
      const host = await up(near, `--link raw:253,${bare(one)} --address ${ours} --serve echo`)
      const words = `ping --link raw:253,${bare(two)} --address ${theirs} -c 20 -i 0.01 -s 4000 ${bare(ours)}`
      const { code, stdout, stderr } = await far.run(command(words))
      expect({ code, stderr, stdout }).toMatchObject({ code: 0, stderr: '' })
      expect(stdout).toContain('20 received')
      expect((await host.stop()).code).toBe(130)
    }),
  )
})

describe.skipIf(!root || !needTool('passt'))('passt', () => {
  it('gives our host the way out of an ordinary user', () =>
    withTwo(async (near, far) => {
      await connect(
        { namespace: far, device: 'eth0', addresses: ['192.0.2.1/24'] },
        { namespace: near, device: 'eth0', addresses: ['192.0.2.2/24'] },
      )
      await near.must('ip route add default via 192.0.2.1')
      await near.must(['sysctl', '-q', '-w', 'net.ipv4.ping_group_range=0 2147483647'])
      const path = join(folder, 'passt')
      const passt = near.spawn([
        'setpriv',
        '--reuid',
        '65534',
        '--regid',
        '65534',
        '--clear-groups',
        'passt',
        '-f',
        '-4',
        '-s',
        path,
      ])
      await passt.printed(/UNIX domain socket bound|You can now start qemu/)
      const words = `ping --link passt:${path} --address 192.0.2.2/24 --gateway 192.0.2.1 -c 5 -i 0.05 192.0.2.1`
      const { code, stdout, stderr } = await near.run([...NOBODY, ...command(words)])
      expect({ code, stdout, stderr }).toMatchObject({ code: 0, stderr: '' })
      expect(stdout).toContain('5 received')
    }))
})

describe.skipIf(!root || !needTool('tshark'))('every capture of the tests in links.test.ts', () => {
  it('is read by tshark to its end, without a malformed packet or a wrong checksum', () => {
    const { files, wrong } = captures.check()
    expect(wrong).toEqual([])
    expect(files).toBe(12)
  })
})
