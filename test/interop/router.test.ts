// One of our routers between two kernels, and our own ping and trace through a router of the kernel.

import { afterAll, describe, expect, it } from 'vitest'
import { Captures, command } from '../support/hourglass.ts'
import { connect, type Namespace, needRoot, type Running, withNamespace } from '../support/namespace.ts'
import { expectAnswers } from '../support/ping.ts'
import { needTool } from '../support/tools.ts'

const captures = new Captures()
const root = needRoot()
afterAll(() => captures.remove())

interface Site {
  readonly left: Namespace
  readonly right: Namespace
  readonly router: Running
}

/** Two kernels, and between them our router: 10.0.1.2 | 10.0.1.1 us 10.0.2.1 | 10.0.2.2, and fd01, fd02 alike. */
async function withOurRouter<T>(rightMtu: number, body: (site: Site) => Promise<T>): Promise<T> {
  return withNamespace((left) =>
    withNamespace((right) =>
      withNamespace(async (middle) => {
        // Each TAP is in a bridge with a cable to one of the kernels.
        for (const [index, namespace] of [left, right].entries()) {
          const net = index + 1
          const mtu = net === 1 ? 1_500 : rightMtu
          const device = net === 1 ? 'left' : 'right'
          await connect(
            {
              namespace,
              device: 'eth0',
              addresses: mtu < 1_280 ? [`10.0.${net}.2/24`] : [`10.0.${net}.2/24`, `fd0${net}::2/64`],
            },
            { namespace: middle, device: `port${net}`, addresses: [] },
          )
          await namespace.must(`ip link set eth0 mtu ${mtu}`)
          await namespace.must(`ip route add default via 10.0.${net}.1`)
          if (mtu >= 1_280) await namespace.must(`ip -6 route add default via fd0${net}::1`)
          await middle.must(`ip link add br${net} type bridge mcast_snooping 0`)
          await middle.must(`ip link set br${net} up`)
          await middle.must(`ip tuntap add dev ${device} mode tap`)
          for (const port of [`port${net}`, device]) await middle.must(`ip link set ${port} master br${net} up`)
        }
        const six = (net: number): string => (rightMtu < 1_280 ? '' : `,fd0${net}::1/64`)
        const router = middle.script(
          'examples/router.ts',
          'left',
          `10.0.1.1/24${six(1)}`,
          'right',
          `10.0.2.1/24${six(2)},${rightMtu}`,
        )
        await router.printed(/^routing$/m)
        const result = await body({ left, right, router })
        router.child.kill('SIGINT')
        expect((await router.finished).code).toBe(0)
        return result
      }),
    ),
  )
}

describe.skipIf(!root || !needTool('tracepath') || !needTool('traceroute'))(
  'a router of ours between two kernels',
  () => {
    it.each([1_280, 600])('passes packets on, whole and in fragments, to a link with an MTU of %d', (mtu) =>
      withOurRouter(mtu, async ({ left, right }) => {
        const refused = await left.run('ping -n -M do -s 1472 -c 2 -i 0.1 -W 1 10.0.2.2')
        expect(refused.stdout).toContain(`From 10.0.1.1 icmp_seq=1 Frag needed and DF set (mtu = ${mtu})`)
        for (const address of mtu < 1_280 ? ['10.0.2.2'] : ['10.0.2.2', 'fd02::2'])
          for (const size of [56, 1_472, 20_000]) {
            const { stdout } = await left.run(`ping -n -i 0.05 -W 2 -c 4 -s ${size} ${address}`)
            // Over IPv6 the first is lost to finding out the path MTU (RFC 8201 §4).
            expect(`${size}: ${stdout}`).toMatch(/[34] received/)
          }
        await expectAnswers(right, '-q -f', 3_000, '10.0.1.2')
      }),
    )

    it.each([1_280, 600])('lets tracepath find the path MTU %d and the hops (RFC 1191, RFC 8201)', (mtu) =>
      withOurRouter(mtu, async ({ left }) => {
        const four = await left.must('tracepath -n 10.0.2.2')
        expect(four).toMatch(/ 1: +10\.0\.1\.1 /)
        expect(four).toMatch(/ 2: +10\.0\.2\.2 .*reached/)
        expect(four).toContain(`Resume: pmtu ${mtu} hops 2 back 2`)
        if (mtu < 1_280) return
        const six = await left.must('tracepath -6 -n fd02::2')
        expect(six).toMatch(/ 1: +fd01::1 /)
        expect(six).toMatch(/ 2: +fd02::2 .*reached/)
        expect(six).toContain(`Resume: pmtu ${mtu} hops 2 back 2`)
      }),
    )

    it('shows itself to traceroute by datagrams and by echo requests, and says what is unreachable', () =>
      withOurRouter(1_280, async ({ left }) => {
        for (const [address, hop] of [
          ['10.0.2.2', '10.0.1.1'],
          ['fd02::2', 'fd01::1'],
        ])
          for (const options of ['-n', '-n -I']) {
            const traced = await left.must(`traceroute ${options} -q 2 -w 2 ${address}`)
            expect(traced).toMatch(new RegExp(`^ 1 +${hop}  [0-9.]+ ms  [0-9.]+ ms$`, 'm'))
            expect(traced).toMatch(new RegExp(`^ 2 +${address}  [0-9.]+ ms`, 'm'))
          }
        const nowhere = await left.run('ping -n -c 1 -W 2 192.0.2.99')
        expect(nowhere.stdout).toContain('From 10.0.1.1 icmp_seq=1 Destination Net Unreachable')
        const nowhere6 = await left.run('ping -n -c 1 -W 2 2001:db8::99')
        expect(nowhere6.stdout).toMatch(/From fd01::1 icmp_seq=1 Destination unreachable: No route/)
        const nobody = await left.run('ping -n -c 1 -W 6 10.0.2.99')
        expect(nobody.stdout).toContain('From 10.0.1.1 icmp_seq=1 Destination Host Unreachable')
        const spent = await left.run('ping -n -c 1 -W 2 -t 1 10.0.2.2')
        expect(spent.stdout).toContain('From 10.0.1.1 icmp_seq=1 Time to live exceeded')
      }))
  },
)

const OURS = '--link tap:hg0 --address 10.0.1.2/24 --address fd01::2/64 --gateway 10.0.1.1 --gateway fd01::1'
const SYSTEM = '--os-address 10.0.1.1/24 --os-address fd01::1/64'

/** The kernel routes between our host's TAP and a second kernel behind a link with an MTU of 1,300. */
const withKernelRouter = <T>(body: (run: Run) => Promise<T>): Promise<T> =>
  withNamespace((near) =>
    withNamespace(async (far) => {
      await connect(
        { namespace: far, device: 'eth0', addresses: ['10.0.2.2/24', 'fd02::2/64'] },
        { namespace: near, device: 'eth0', addresses: ['10.0.2.1/24', 'fd02::1/64'] },
      )
      for (const namespace of [near, far]) await namespace.must('ip link set eth0 mtu 1300')
      await far.must('ip route add default via 10.0.2.1')
      await far.must('ip -6 route add default via fd02::1')
      for (const name of ['ipv4.ip_forward', 'ipv6.conf.all.forwarding']) await near.must(`sysctl -q -w net.${name}=1`)
      await near.must('ip route add unreachable 192.0.2.0/25')
      await near.must('ip route add blackhole 192.0.2.128/25')
      return body(async (verb, options) => {
        const capture = `--capture ${captures.path()}`
        const { code, stdout, stderr } = await near.run(command(`${verb} ${OURS} ${SYSTEM} ${capture} ${options}`))
        expect(stderr).toBe('')
        return { code, stdout }
      })
    }),
  )
type Run = (verb: 'ping' | 'trace', options: string) => Promise<{ code: number; stdout: string }>

describe.skipIf(!root)('our ping', () => {
  it('prints what ping(8) prints, to the kernel and beyond', () =>
    withKernelRouter(async (run) => {
      const near = await run('ping', '-c 3 -i 0.1 10.0.1.1')
      expect(near.code).toBe(0)
      expect(near.stdout.split('\n')).toEqual([
        'PING 10.0.1.1 (10.0.1.1) 56(84) bytes of data.',
        expect.stringMatching(/^64 bytes from 10\.0\.1\.1: icmp_seq=1 ttl=64 time=[0-9.]+ ms$/),
        expect.stringMatching(/^64 bytes from 10\.0\.1\.1: icmp_seq=2 ttl=64 time=[0-9.]+ ms$/),
        expect.stringMatching(/^64 bytes from 10\.0\.1\.1: icmp_seq=3 ttl=64 time=[0-9.]+ ms$/),
        '',
        '--- 10.0.1.1 ping statistics ---',
        expect.stringMatching(/^3 packets transmitted, 3 received, 0% packet loss, time \d+ms$/),
        expect.stringMatching(/^rtt min\/avg\/max\/mdev = [0-9.]+\/[0-9.]+\/[0-9.]+\/[0-9.]+ ms$/),
        '',
      ])
      const far = await run('ping', '-c 2 -i 0.1 -D -s 9000 fd02::2')
      expect(far.code).toBe(0)
      expect(far.stdout).toMatch(/^\[\d+\.\d{6}\] 9008 bytes from fd02::2: icmp_seq=2 ttl=63 time=/m)
      const flood = await run('ping', '-f -q -c 500 10.0.2.2')
      expect(flood.stdout).toMatch(/^500 packets transmitted, 500 received, 0% packet loss, time \d+ms$/m)
      expect(flood.stdout).not.toContain('bytes from')
      const json = JSON.parse((await run('ping', '-c 2 -i 0 --json 10.0.2.2')).stdout) as Record<string, unknown>
      expect(json).toMatchObject({ destination: '10.0.2.2', transmitted: 2, received: 2, loss: 0, duplicates: 0 })
    }))

  it('tells of routers that send back errors, and ends with 1 where nothing came', () =>
    withKernelRouter(async (run) => {
      const unreachable = await run('ping', '-c 1 -W 3 192.0.2.1')
      expect(unreachable).toMatchObject({ code: 1 })
      expect(unreachable.stdout).toContain('From 10.0.1.1 icmp_seq=1 Destination Host Unreachable\n')
      expect(unreachable.stdout).toMatch(
        /^1 packets transmitted, 0 received, \+1 errors, 100% packet loss, time \d+ms$/m,
      )
      const spent = await run('ping', '-c 1 -t 1 10.0.2.2')
      expect(spent.stdout).toContain('From 10.0.1.1 icmp_seq=1 Time to live exceeded\n')
      expect((await run('ping', '-c 1 -t 1 fd02::2')).stdout).toContain(
        'From fd01::1 icmp_seq=1 Time exceeded: Hop limit\n',
      )
      const tooBig = await run('ping', '-c 3 -i 0.2 -M do -s 1400 10.0.2.2')
      expect(tooBig.code).toBe(1)
      expect(tooBig.stdout).toContain('From 10.0.1.1 icmp_seq=1 Frag needed and DF set (mtu = 1300)\n')
      expect(tooBig.stdout).toContain('ping: EMSGSIZE: echo 10.0.2.2: the path MTU is 1300\n')
      const silent = await run('ping', '-c 2 -i 0.1 -W 0.3 192.0.2.200')
      expect(silent.code).toBe(1)
      expect(silent.stdout).toMatch(/^2 packets transmitted, 0 received, 100% packet loss, time \d+ms$/m)
      const deadline = await run('ping', '-w 0.5 -i 0.1 192.0.2.200')
      expect(deadline.code).toBe(1)
      expect(deadline.stdout).toMatch(/^[456] packets transmitted, 0 received, 100% packet loss, time [45]\d\dms$/m)
    }))
})

describe.skipIf(!root)('our trace', () => {
  it('prints what traceroute(8) prints, by datagrams and by echo requests', () =>
    withKernelRouter(async (run) => {
      for (const [address, hop] of [
        ['10.0.2.2', '10.0.1.1'],
        ['fd02::2', 'fd01::1'],
      ])
        for (const options of ['', '-I']) {
          const { code, stdout } = await run('trace', `-w 2 -q 2 ${options} ${address}`)
          expect({ code, lines: stdout.split('\n') }).toEqual({
            code: 0,
            lines: [
              `traceroute to ${address} (${address}), 30 hops max, 60 byte packets`,
              expect.stringMatching(new RegExp(`^ 1  ${hop} \\(${hop}\\)  [0-9.]+ ms  [0-9.]+ ms$`)),
              expect.stringMatching(new RegExp(`^ 2  ${address} \\(${address}\\)  [0-9.]+ ms  [0-9.]+ ms$`)),
              '',
            ],
          })
        }
      const json = JSON.parse((await run('trace', '--json -q 1 10.0.2.2')).stdout) as unknown
      expect(json).toMatchObject({
        destination: '10.0.2.2',
        arrived: true,
        hops: [
          { hop: 1, answers: [{ from: '10.0.1.1', kind: 'hop-limit-exceeded' }] },
          { hop: 2, answers: [{ from: '10.0.2.2', kind: 'port-unreachable' }] },
        ],
      })
    }))

  it('marks what is unreachable, shows silence as stars, and ends with 1', () =>
    withKernelRouter(async (run) => {
      const unreachable = await run('trace', '-q 1 -w 3 192.0.2.1')
      expect(unreachable.code).toBe(1)
      expect(unreachable.stdout).toMatch(/^ 1 {2}10\.0\.1\.1 \(10\.0\.1\.1\) {2}[0-9.]+ ms !H$/m)
      const silent = await run('trace', '-q 2 -w 0.2 -m 2 192.0.2.200')
      expect(silent.code).toBe(1)
      expect(silent.stdout).toMatch(/^ 2 {2}\* \*$/m)
      const big = await run('trace', '-q 1 -w 3 -F -l 1400 10.0.2.2')
      expect(big.stdout).toContain('!F-1300')
    }))
})

describe.skipIf(!root || !needTool('tshark'))('every capture of the tests in router.test.ts', () => {
  it('is read by tshark to its end, without a malformed packet or a wrong checksum', () => {
    const { files, wrong } = captures.check()
    expect(wrong).toEqual([])
    expect(files).toBeGreaterThan(15)
  })
})
