// Our host beside the Linux kernel on one TAP or TUN device: the system's own tools are what judges it.

import { afterAll, describe, expect, it } from 'vitest'
import { Captures, countPackets, up } from '../support/hourglass.ts'
import { type Namespace, needRoot, withNamespace } from '../support/namespace.ts'
import { expectAnswers } from '../support/ping.ts'
import { needTool } from '../support/tools.ts'

const US = '--address 10.77.0.2/24 --address fd77::2/64'
const SYSTEM = '--os-address 10.77.0.1/24 --os-address fd77::1/64'
const BOTH = `${US} ${SYSTEM}`
const SIZES = [56, 1_472, 9_000, 65_000]
const captures = new Captures()
const root = needRoot()
afterAll(() => captures.remove())

/** `count` requests of each size, to both families, and every answer. One at a time (-A): ping's own buffer holds few of the long ones. */
async function expectPings(namespace: Namespace, sizes: readonly number[], count = 5): Promise<void> {
  for (const address of ['10.77.0.2', 'fd77::2'])
    for (const size of sizes) {
      await expectAnswers(namespace, `-q -A -s ${size}`, count, address)
    }
}

describe.skipIf(!root || !needTool('ping') || !needTool('tshark'))('ping from the system', () => {
  for (const mode of ['tap', 'tun'])
    for (const offload of ['', '--no-offload'])
      it(`is answered over ${mode} ${offload} in both families and all sizes`, () =>
        withNamespace(async (namespace) => {
          const capture = captures.path()
          const host = await up(namespace, `--link ${mode}:hg0 ${BOTH} ${offload} --capture ${capture}`)
          await expectPings(namespace, SIZES)
          const { code, end, stderr } = await host.stop()
          expect({ code, stderr, pages: end.pagesInUse, lost: end.captureLosses }).toEqual({
            code: 130,
            stderr: '',
            pages: 0,
            lost: 0,
          })
          const requests = 5 * SIZES.length
          expect(countPackets(capture, 'icmp.type == 8')).toBe(requests)
          expect(countPackets(capture, 'icmp.type == 0')).toBe(requests)
          expect(countPackets(capture, 'icmpv6.type == 128')).toBe(requests)
          expect(countPackets(capture, 'icmpv6.type == 129')).toBe(requests)
        }))

  it('as a flood of 5,000 loses nothing in either family', () =>
    withNamespace(async (namespace) => {
      const host = await up(namespace, `--link tap:hg0 ${BOTH}`)
      for (const address of ['10.77.0.2', 'fd77::2']) {
        await expectAnswers(namespace, '-q -f', 5_000, address)
      }
      const { end } = await host.stop()
      expect(end.pagesInUse).toBe(0)
    }))

  it.each([
    [576, ['10.77.0.2']],
    [1_280, ['10.77.0.2', 'fd77::2']],
    [1_500, ['10.77.0.2', 'fd77::2']],
    [9_000, ['10.77.0.2', 'fd77::2']],
    [65_521, ['10.77.0.2', 'fd77::2']],
  ])('is answered on a link with an MTU of %d, whole or in fragments', (mtu, addresses) =>
    withNamespace(async (namespace) => {
      const addressing = addresses.length === 2 ? BOTH : '--address 10.77.0.2/24 --os-address 10.77.0.1/24'
      const capture = captures.path()
      const host = await up(namespace, `--link tap:hg0 --mtu ${mtu} ${addressing} --capture ${capture}`)
      expect(host.ready.mtu).toBe(mtu)
      expect(await namespace.must('ip link show hg0')).toContain(`mtu ${mtu} `)
      for (const address of addresses) {
        const whole = mtu - (address.includes(':') ? 48 : 28)
        for (const size of [56, whole, whole + 1, 65_000]) {
          await expectAnswers(namespace, `-q -A -s ${size}`, 3, address)
        }
      }
      await host.stop()
      // What fits is one packet on the wire, both ways: no fragment has so many bytes behind it.
      expect(countPackets(capture, `icmp && ip.flags.mf == 0 && ip.frag_offset == 0 && ip.len == ${mtu}`)).toBe(6)
    }),
  )

  it('is answered where the request has options, patterns and no data', () =>
    withNamespace(async (namespace) => {
      const host = await up(namespace, `--link tap:hg0 ${BOTH} --capture ${captures.path()}`)
      for (const options of ['-s 0', '-p deadbeef -s 100', '-R', '-T tsandaddr', '-Q 0x2e', '-t 1', '-M do -s 1472']) {
        expect(await expectAnswers(namespace, `-A ${options}`, 2, '10.77.0.2')).not.toContain('wrong data byte')
      }
      const { stdout } = await namespace.run('ping -n -b -i 0.01 -W 1 -c 2 10.77.0.255')
      // RFC 1122 §3.2.2.6 leaves it open whether a broadcast is answered: what counts is that nothing else happens.
      expect(stdout).toContain('2 packets transmitted')
      await expectAnswers(namespace, '-q -A', 2, '10.77.0.2')
      await host.stop()
    }))
})

describe.skipIf(!root || !needTool('arping'))('the system asking who has an address', () => {
  it('is answered with our MAC, by arping and in its own neighbour tables', () =>
    withNamespace(async (namespace) => {
      const host = await up(namespace, `--link tap:hg0 ${BOTH} --capture ${captures.path()}`)
      const mac = host.ready.mac.toLowerCase()
      const asked = await namespace.must('arping -c 3 -I hg0 10.77.0.2')
      expect(asked.toLowerCase().split(`[${mac}]`)).toHaveLength(4)
      expect(asked).toContain('Received 3 response(s)')
      await expectPings(namespace, [56], 2)
      expect(await namespace.must('ip -4 neigh show dev hg0')).toContain(`10.77.0.2 lladdr ${mac} REACHABLE`)
      expect(await namespace.must('ip -6 neigh show dev hg0')).toMatch(
        new RegExp(`fd77::2 lladdr ${mac} (router )?REACHABLE`),
      )
      await host.stop()
    }))

  it('for an address of ours finds a duplicate, and for another none (RFC 5227)', () =>
    withNamespace(async (namespace) => {
      const host = await up(namespace, `--link tap:hg0 ${BOTH}`)
      const ours = await namespace.run('arping -D -c 2 -w 3 -I hg0 10.77.0.2')
      expect(ours).toMatchObject({ code: 1 })
      expect(ours.stdout.toUpperCase()).toContain(host.ready.mac.toUpperCase())
      expect(await namespace.run('arping -D -c 2 -w 2 -I hg0 10.77.0.99')).toMatchObject({ code: 0 })
      await host.stop()
    }))
})

describe.skipIf(!root)('an address that is taken', () => {
  it('is reported by the second of two of our hosts on one bridge (RFC 4862 §5.4, RFC 5227 §2.1.1)', () =>
    withNamespace(async (namespace) => {
      await namespace.must('ip link add br0 type bridge mcast_snooping 0')
      await namespace.must('ip link set br0 up')
      for (const name of ['hga', 'hgb']) {
        await namespace.must(`ip tuntap add dev ${name} mode tap`)
        await namespace.must(`ip link set ${name} master br0 up`)
      }
      const first = await up(namespace, `--link tap:hga ${US}`)
      expect(first.ready.addresses).toEqual(expect.arrayContaining(['10.77.0.2/24', 'fd77::2/64']))
      const second = await up(namespace, `--link tap:hgb ${US}`)
      const { stderr } = await second.stop()
      expect(stderr).toContain(`10.77.0.2 on hgb is used by ${first.ready.mac} as well`)
      expect(stderr).toContain(`fd77::2 on hgb is used by ${first.ready.mac} as well`)
      expect(second.ready.addresses.filter((address) => !address.startsWith('fe80'))).toEqual([])
      expect((await first.stop()).stderr).not.toContain('fd77::2 on hga is used')
    }))

  it("is found where it is the kernel's", () =>
    withNamespace(async (namespace) => {
      await namespace.must('ip tuntap add dev hg0 mode tap')
      await namespace.must('ip link set hg0 up')
      await namespace.must('ip addr add 10.77.0.2/24 dev hg0')
      await namespace.must('ip addr add fd77::2/64 dev hg0 nodad')
      const host = await up(namespace, `--link tap:hg0 ${US}`)
      const { stderr } = await host.stop()
      expect(stderr).toMatch(/10\.77\.0\.2 on hg0 is used by \S+ as well/)
      expect(stderr).toMatch(/fd77::2 on hg0 is used by \S+ as well/)
    }))
})

describe.skipIf(!root || !needTool('tshark'))('every capture of the tests in host.test.ts', () => {
  it('is read by tshark to its end, without a malformed packet or a wrong checksum', () => {
    const { files, packets, wrong } = captures.check()
    expect(wrong).toEqual([])
    expect(files).toBeGreaterThan(5)
    expect(packets).toBeGreaterThan(1_000)
  })
})
