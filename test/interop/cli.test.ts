// How the command ends and what it says when the world fails it: signals, devices that go or are taken, users who may not.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Captures, command, countPackets, endOf, tshark, up, whenReady } from '../support/hourglass.ts'
import { needRoot, withNamespace } from '../support/namespace.ts'
import { expectAnswers } from '../support/ping.ts'
import { needTool } from '../support/tools.ts'

const US = '--address 10.77.0.2/24 --address fd77::2/64'
const BOTH = `${US} --os-address 10.77.0.1/24 --os-address fd77::1/64`
const captures = new Captures()
const root = needRoot()
const folder = mkdtempSync(join(tmpdir(), 'hg-cli-'))
/** An ordinary user, to whom the capabilities of root mean nothing. */
const NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--inh-caps=-all']
const REFUSAL = /^hourglass: [^\n]*(CAP_NET_ADMIN|keeps this user out)[^\n]* To mend it: sudo [^\n]+\n$/
/** With a /dev/net/tun that everybody may open, as most machines have it: ip netns exec gives each program mounts of its own. */
const openToAll = (words: readonly string[]): string[] => {
  const node = join(folder, 'tun')
  const make = `[ -e ${node} ] || mknod -m 666 ${node} c 10 200`
  return ['sh', '-c', `${make}; mount --bind ${node} /dev/net/tun && exec ${words.join(' ')}`]
}
afterAll(() => {
  captures.remove()
  rmSync(folder, { recursive: true })
})

describe.skipIf(!root || !needTool('tshark'))('hourglass up', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'ends in order on %s in the midst of a flood: counters, a whole capture, no TAP left, 130',
    (signal) =>
      withNamespace(async (namespace) => {
        const capture = captures.path()
        const host = await up(namespace, `--link tap:hg0 ${BOTH} --capture ${capture}`)
        const flood = namespace.spawn('ping -q -n -f -s 1000 10.77.0.2')
        await namespace.must('ping -q -n -i 0.01 -c 50 10.77.0.2')
        host.running.child.kill(signal)
        const { code, stdout, stderr } = await host.running.finished
        expect({ code, stderr }).toEqual({ code: 130, stderr: '' })
        const end = endOf(stdout)
        expect(end).toMatchObject({ reason: 'interrupted', pagesInUse: 0 })
        expect((await namespace.run('ip link show hg0')).code).not.toBe(0)
        // tshark complains and fails where a capture is cut short.
        const requests = countPackets(capture, 'icmp.type == 8')
        expect(requests).toBeGreaterThan(50)
        // A disk that is slower than the flood costs packets of the capture, each of them counted.
        const { captureLosses, counters, link } = end
        const packets = link.receivedPackets + link.sentPackets
        expect(countPackets(capture, 'frame') + captureLosses).toBe(packets)
        const left =
          counters.IcmpInEchos! + counters.IcmpOutEchoReps! - requests - countPackets(capture, 'icmp.type == 0')
        expect(left).toBeLessThanOrEqual(captureLosses)
        expect(left).toBeGreaterThanOrEqual(0)
        flood.child.kill('SIGINT')
        await flood.finished
      }),
  )

  it('ends by itself after --duration with 0, and prints its counters for people', () =>
    withNamespace(async (namespace) => {
      const running = namespace.spawn(command(`up --link tap:hg0 ${BOTH} --serve echo --duration 4`))
      await running.printed(
        /^ready: hg0 \S+ mtu 1500 .*10\.77\.0\.2\/24.*serving echo \(udp 7\), echo \(tcp 7\); Ctrl-C ends$/m,
      )
      await expectAnswers(namespace, '-q -i 0.01', 10, '10.77.0.2')
      const { code, stdout, stderr } = await running.finished
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(/^hg0: received \d+ packets \(\d+ bytes\), sent \d+ \(\d+\)$/m)
      expect(stdout).toMatch(/^IcmpInEchos +10$/m)
    }))

  it('is interrupted while its addresses are still probed', () =>
    withNamespace(async (namespace) => {
      const running = namespace.spawn(command(`up --ndjson --link tap:hg0 ${BOTH}`))
      // Its first probe is on the wire.
      const sent = 'cat /sys/class/net/hg0/statistics/rx_packets 2>/dev/null'
      await namespace.must(['sh', '-c', `until [ "$(${sent})" -gt 0 ] 2>/dev/null; do sleep 0.01; done`])
      running.child.kill('SIGINT')
      const { code, stdout } = await running.finished
      expect(code).toBe(130)
      expect(endOf(stdout).pagesInUse).toBe(0)
    }))

  it('writes the capture to standard output and all else to standard error', () =>
    withNamespace(async (namespace) => {
      const shell = `${command(`up --link tap:hg0 ${BOTH} --duration 4 --capture -`).join(' ')} | tshark -n -r - -Y icmp`
      const running = namespace.spawn(['sh', '-c', shell])
      await running.printed(/^ready: hg0/m)
      await expectAnswers(namespace, '-q -i 0.01', 10, '10.77.0.2')
      const { stdout, stderr } = await running.finished
      expect(stdout.split('\n').filter((line) => line.includes('Echo (ping)'))).toHaveLength(20)
      expect(stderr).toMatch(/^IcmpInEchos +10$/m)
    }))

  it('ends with 3 and a whole capture when its device is deleted', () =>
    withNamespace(async (namespace) => {
      const capture = captures.path()
      const host = await up(namespace, `--link tap:hg0 ${BOTH} --capture ${capture}`)
      await expectAnswers(namespace, '-q -i 0.01', 20, '10.77.0.2')
      await namespace.must('ip link del hg0')
      const { code, stdout, stderr } = await host.running.finished
      expect({ code, stderr }).toEqual({
        code: 3,
        stderr: expect.stringMatching(/^hourglass: the device hg0: it is gone.* To mend it: [^\n]+\n$/),
      })
      expect(endOf(stdout)).toMatchObject({ reason: 'failed', pagesInUse: 0 })
      expect(countPackets(capture, 'icmp.type == 0')).toBe(20)
    }))

  it('goes on to end in order, with 3, when its capture cannot be written any more', () =>
    withNamespace(async (namespace) => {
      const words = command(`up --ndjson --link tap:hg0 ${BOTH} --capture /dev/full`)
      const running = namespace.spawn(words)
      const { code, stdout, stderr } = await running.finished
      expect({ code, stderr }).toEqual({
        code: 3,
        stderr:
          'hourglass: cannot write the capture to /dev/full: the disk is full. To mend it: free some space, or capture to another disk\n',
      })
      expect(endOf(stdout)).toMatchObject({ reason: 'failed', pagesInUse: 0 })
    }))

  it('says that another process holds the TAP, and leaves that one alone', () =>
    withNamespace(async (namespace) => {
      const host = await up(namespace, `--link tap:hg0 ${BOTH} --capture ${captures.path()}`)
      const { code, stdout, stderr } = await namespace.run(command(`up --link tap:hg0 ${US}`))
      expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
      expect(stderr).toMatch(/^hourglass: the TAP device hg0: another process holds it\. To mend it: [^\n]+\n$/)
      await expectAnswers(namespace, '-q -i 0.01', 5, '10.77.0.2')
      expect((await host.stop()).code).toBe(130)
    }))

  it.skipIf(!needTool('setpriv'))('tells an ordinary user what he lacks', () =>
    withNamespace(async (namespace) => {
      const closed = await namespace.run([...NOBODY, ...command(`up --link tap:hg0 ${US}`)])
      expect(closed).toMatchObject({ code: 3, stdout: '' })
      expect(closed.stderr).toMatch(REFUSAL)
      const open = await namespace.run(openToAll([...NOBODY, ...command(`up --link tap:hg0 ${US}`)]))
      expect(open).toMatchObject({ code: 3, stdout: '' })
      expect(open.stderr).toMatch(/^hourglass: [^\n]*CAP_NET_ADMIN[^\n]* To mend it: sudo ip tuntap [^\n]+\n$/)
    }),
  )

  it.skipIf(!needTool('setpriv'))('serves an ordinary user on a TAP made for him, as he was told', () =>
    withNamespace(async (namespace) => {
      await namespace.must('ip tuntap add dev hg0 mode tap user 65534')
      await namespace.must('ip addr add 10.77.0.1/24 dev hg0')
      await namespace.must('ip link set hg0 up')
      const words = [...NOBODY, ...command(`up --ndjson --link tap:hg0 ${US}`)]
      const host = await whenReady(namespace.spawn(openToAll(words)))
      await expectAnswers(namespace, '-q -i 0.01', 5, '10.77.0.2')
      expect((await host.stop()).code).toBe(130)
    }),
  )

  it.each([
    ['macvtap:mv0', /no interface of that name and kind.* To mend it: sudo ip link add link/],
    ['fd:99', /the inherited descriptor 99: it is not open\. To mend it: perl/],
    ['passt:/tmp/hourglass-no-such-socket', /passt.* To mend it: .*passt/],
    ['qemu:127.0.0.1:9', /qemu.*127\.0\.0\.1:9.* To mend it: /i],
    ['udp:192.0.2.77:5000-192.0.2.1:5000', /192\.0\.2\.77.* To mend it: /],
    ['vxlan:1,192.0.2.77:4789,192.0.2.1:4789', /192\.0\.2\.77.* To mend it: /],
  ])('says in one message why %s cannot be opened, and ends with 3', (link, message) =>
    withNamespace(async (namespace) => {
      const { code, stdout, stderr } = await namespace.run(command(`up --link ${link} ${US} --duration 1`))
      expect({ code, stdout, stderr }).toEqual({ code: 3, stdout: '', stderr: expect.stringMatching(message) })
      expect(stderr).toMatch(/^hourglass: [^\n]+\n$/)
    }),
  )

  it('says so when the system refuses an address', () =>
    withNamespace(async (namespace) => {
      await namespace.must('sysctl -q -w net.ipv6.conf.default.disable_ipv6=1')
      const { code, stderr } = await namespace.run(command(`up --link tap:hg0 ${BOTH} --duration 1`))
      expect(code).toBe(3)
      expect(stderr).toMatch(/^hourglass: ip addr replace fd77::1\/64 dev hg0 nodad: [^\n]+ To mend it: [^\n]+\n$/)
      expect((await namespace.run('ip link show hg0')).code).not.toBe(0)
    }))
})

describe.skipIf(!root || !needTool('tshark'))('hourglass ping', () => {
  it('prints its summary when interrupted, with 0 where an answer came and 130 where none did', () =>
    withNamespace(async (namespace) => {
      const answered = namespace.spawn(command(`ping --link tap:hg0 ${BOTH} -i 0.05 10.77.0.1`))
      await answered.printed(/icmp_seq=3 /)
      answered.child.kill('SIGINT')
      const good = await answered.finished
      expect(good).toMatchObject({ code: 0, stderr: '' })
      expect(good.stdout).toMatch(/^\d+ packets transmitted, \d+ received, 0% packet loss/m)
      const capture = captures.path()
      const silent = namespace.spawn(command(`ping --link tap:hg0 ${BOTH} --capture ${capture} 10.77.0.99`))
      await silent.printed(/Destination Host Unreachable/)
      silent.child.kill('SIGINT')
      const bad = await silent.finished
      expect(bad).toMatchObject({ code: 130, stderr: '' })
      expect(tshark(capture, 'arp.opcode == 1 && arp.dst.proto_ipv4 == 10.77.0.99').length).toBeGreaterThanOrEqual(3)
    }))

  it('ends with 3 and its summary when its device is deleted', () =>
    withNamespace(async (namespace) => {
      const running = namespace.spawn(command(`ping --link tap:hg0 ${BOTH} -i 0.05 10.77.0.1`))
      await running.printed(/icmp_seq=3 /)
      await namespace.must('ip link del hg0')
      const { code, stdout, stderr } = await running.finished
      expect(code).toBe(3)
      expect(stderr).toMatch(/^hourglass: the device hg0: it is gone/)
      expect(stdout).toContain('ping statistics')
    }))
})

describe.skipIf(!root || !needTool('tshark'))('every capture of the tests in cli.test.ts', () => {
  it('is read by tshark to its end, without a malformed packet or a wrong checksum', () => {
    const { files, wrong } = captures.check()
    expect(wrong).toEqual([])
    expect(files).toBe(5)
  })
})
