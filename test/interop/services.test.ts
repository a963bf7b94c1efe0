// What runs on our host besides ping: services on UDP, addresses from a router, groups. The other side is Linux.

import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Captures, command, countPackets, tshark, up, whenReady } from '../support/hourglass.ts'
import { type Namespace, needRoot, withNamespace } from '../support/namespace.ts'
import { expectAnswers } from '../support/ping.ts'
import { needTool } from '../support/tools.ts'

const BOTH =
  '--address 10.77.0.2/24 --address fd77::2/64 --os-address 10.77.0.1/24 --os-address fd77::1/64 --serve echo,discard,chargen,daytime'
const ADDRESSES = ['10.77.0.2', 'fd77::2']
const captures = new Captures()
const folder = mkdtempSync(join(tmpdir(), 'hourglass-services-'))
const root = needRoot()
afterAll(() => {
  captures.remove()
  rmSync(folder, { recursive: true })
})

/** Types a line into nc -u and waits for what comes back. */
async function ask(namespace: Namespace, address: string, port: number, text: string, answer: RegExp): Promise<string> {
  const nc = namespace.spawn(['nc', '-u', address, String(port)])
  nc.child.stdin.write(text)
  const [found] = await nc.printed(answer)
  nc.child.kill()
  await nc.finished
  return found
}

/** Sends datagrams of the sizes that follow, one after the other as each came back, and compares every byte. */
const ECHO = `
const { randomBytes } = require('node:crypto')
const [address, ...sizes] = process.argv.slice(1)
const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4')
let sent
const next = () => {
  if (sizes.length === 0) { console.log('all came back'); socket.close(); return }
  sent = randomBytes(Number(sizes.shift()))
  socket.send(sent, 7, address)
}
socket.on('message', (message) => { if (!message.equals(sent)) throw new Error('another payload'); next() })
next()`

/** A connected socket learns of a port that nobody listens on. */
const REFUSED = `
const [address] = process.argv.slice(1)
const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4')
socket.on('error', (error) => { console.log(error.code); socket.close() })
socket.connect(999, address, () => socket.send('x'))`

describe.skipIf(!root || !needTool('nc') || !needTool('tshark'))('services of our host, asked by the system', () => {
  for (const offload of ['', '--no-offload'])
    it(`answer nc and datagrams of 0 to 65,000 bytes ${offload}`, () =>
      withNamespace(async (namespace) => {
        const capture = captures.path()
        const host = await up(namespace, `--link tap:hg0 ${BOTH} ${offload} --capture ${capture}`)
        for (const address of ADDRESSES) {
          await ask(namespace, address, 7, 'hello\n', /^hello$/m)
          await ask(namespace, address, 19, '\n', /^.{72}\r\n.{72}\r\n.{72}\r\n.{72}\r\n.{72}\r\n.{72}\r\n/m)
          await ask(namespace, address, 13, '\n', /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r$/m)
          const sizes = [0, 1, 1_472, 1_473, 9_000, 65_000]
          const echoed = await namespace.must(['node', '-e', ECHO, address, ...sizes.map(String)])
          expect(echoed).toBe('all came back\n')
          await namespace.must(['sh', '-c', `echo thrown | nc -u -w 1 ${address} 9`])
        }
        const { end } = await host.stop()
        expect(end.counters.UdpInErrors ?? 0).toBe(0)
        expect(end.pagesInUse).toBe(0)
        expect(countPackets(capture, 'udp.dstport == 9')).toBe(2)
        expect(countPackets(capture, 'udp.srcport == 9')).toBe(0)
      }))

  it('bring a file of many datagrams through nc and back unchanged', () =>
    withNamespace(async (namespace) => {
      const host = await up(namespace, `--link tap:hg0 ${BOTH} --capture ${captures.path()}`)
      const bytes = Buffer.alloc(16_384, 0).map((_, index) => (index * 7 + (index >> 8)) & 0xff)
      const path = join(folder, 'file')
      writeFileSync(path, bytes)
      const sum = createHash('sha256').update(bytes).digest('hex')
      for (const address of ADDRESSES) {
        const echoed = await namespace.must(['sh', '-c', `nc -u -w 1 ${address} 7 < ${path} | sha256sum`])
        expect(echoed).toContain(sum)
      }
      await host.stop()
    }))

  it('leave all other ports unreachable, which the system tells its programs (RFC 1122 §4.1.3.1)', () =>
    withNamespace(async (namespace) => {
      const host = await up(namespace, `--link tap:hg0 ${BOTH} --capture ${captures.path()}`)
      for (const address of ADDRESSES) {
        expect(await namespace.must(['node', '-e', REFUSED, address])).toBe('ECONNREFUSED\n')
        expect(await namespace.run(`nc -u -v -z ${address} 999`)).toMatchObject({ code: 1 })
        expect(await namespace.run(`nc -u -v -z ${address} 7`)).toMatchObject({ code: 0 })
      }
      await host.stop()
    }))
})

const RADVD = `interface hg0 {
  AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 60; AdvLinkMTU 1400;
  prefix fd88:1::/64 { AdvOnLink on; AdvAutonomous on; AdvValidLifetime 600; AdvPreferredLifetime 300; };
};
`

describe.skipIf(!root || !needTool('radvd') || !needTool('tcpdump') || !needTool('tshark'))(
  'a router of the system',
  () => {
    it('gives our host an address, the MTU and a default route (RFC 4861, RFC 4862)', () =>
      withNamespace(async (namespace) => {
        const path = join(folder, 'radvd.conf')
        writeFileSync(path, RADVD)
        await namespace.must('ip tuntap add dev hg0 mode tap')
        await namespace.must('ip link set hg0 up')
        await namespace.must('ip addr add fd88:1::1/64 dev hg0 nodad')
        await namespace.must('ip addr add fd99::1/128 dev lo')
        await namespace.must('sysctl -q -w net.ipv6.conf.all.forwarding=1')
        const capture = captures.path()
        const running = namespace.spawn(command(`up --ndjson --link tap:hg0 --autoconf --capture ${capture}`))
        // Nobody advertises before our host asked.
        await namespace.must('tcpdump -c 1 -n -i hg0 icmp6 and ip6[40]=133')
        const radvd = namespace.spawn(`radvd -n -m stderr -C ${path} -p ${join(folder, 'radvd.pid')}`)
        const host = await whenReady(running)
        const given = host.ready.addresses.find((address) => address.startsWith('fd88:1::'))
        expect(given).toMatch(/^fd88:1::[0-9a-f:]*ff:fe[0-9a-f:]+\/128$/)
        expect(host.ready.mtu).toBe(1_400)
        await expectAnswers(namespace, '-q -i 0.05', 3, given?.split('/')[0] ?? '')
        await host.stop()
        expect(countPackets(capture, 'icmpv6.type == 133')).toBeGreaterThanOrEqual(1)
        const pinged = await namespace.run(
          command(`ping --link tap:hg0 --autoconf --capture ${captures.path()} -c 2 -i 0.1 fd99::1`),
        )
        expect(pinged).toMatchObject({ code: 0, stderr: '' })
        expect(pinged.stdout).toContain('2 packets transmitted, 2 received, 0% packet loss')
        radvd.child.kill()
        await radvd.finished
      }))
  },
)

describe.skipIf(!root || !needTool('tcpdump') || !needTool('tshark'))(
  'a group that a program on our host joins',
  () => {
    it('is reported (RFC 3376 §5.1, RFC 3810 §6.1), and datagrams to it arrive', () =>
      withNamespace(async (namespace) => {
        await namespace.must('ip tuntap add dev hg0 mode tap')
        await namespace.must('ip link set hg0 up')
        const seen = namespace.spawn('tcpdump -l -n -v -i hg0 igmp or icmp6 or ip6[40]=143 or proto 0')
        await seen.printed(/listening on/)
        const capture = captures.path()
        const listener = namespace.script('test/interop/listener.ts', capture, '239.7.7.7', 'ff15::7777')
        await listener.printed(/listening/)
        await seen.printed(/igmp v3 report.*\[gaddr 239\.7\.7\.7 to_ex/)
        await seen.printed(/multicast listener report v2.*\[gaddr ff15::7777 to_ex/)
        const send = (address: string, family: number) =>
          `const s = require('node:dgram').createSocket('udp${family}')
         s.bind(0, () => { s.setMulticastInterface('${family === 4 ? '10.77.0.1' : '::%hg0'}'); s.send('to the group', 7000, '${address}', () => s.close()) })`
        await namespace.must(['node', '-e', send('239.7.7.7', 4)])
        await listener.printed(/to the group sent to 239\.7\.7\.7 by 10\.77\.0\.1/)
        await namespace.must(['node', '-e', send('ff15::7777', 6)])
        await listener.printed(/to the group sent to ff15::7777 by f/)
        await namespace.must(['node', '-e', send('239.7.7.8', 4)])
        listener.child.stdin.write('leave\n')
        await seen.printed(/igmp v3 report.*\[gaddr 239\.7\.7\.7 to_in/)
        await seen.printed(/multicast listener report v2.*\[gaddr ff15::7777 to_in/)
        const { code, stdout } = await listener.finished
        expect(code).toBe(0)
        expect(stdout).not.toContain('239.7.7.8')
        expect(stdout).toContain('0 pages in use')
        expect(tshark(capture, 'igmp.type == 0x22 && ip.ttl == 1').length).toBeGreaterThanOrEqual(2)
      }))
  },
)

describe.skipIf(!root || !needTool('tshark'))('every capture of the tests in services.test.ts', () => {
  it('is read by tshark to its end, without a malformed packet or a wrong checksum', () => {
    const { files, wrong } = captures.check()
    expect(wrong).toEqual([])
    expect(files).toBeGreaterThan(3)
  })
})
