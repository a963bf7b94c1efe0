// Transfers between curl on Linux and our host where packets are lost, come late or come twice: by our faults on the device, and
// by a router of Linux's between the two that drops at random. All bytes arrive, to the last one by SHA-256.

import { afterAll, describe, expect, it } from 'vitest'
import type { FaultOptions } from '../../src/link/fault-options.ts'
import type { Stack } from '../../src/stack.ts'
import { millis } from '../../src/time.ts'
import { download, LONG, MIB, UploadFiles, upload } from '../support/curl.ts'
import { Captures } from '../support/hourglass.ts'
import { serveHttp } from '../support/http-server.ts'
import { connect, type Namespace, needRoot, withNamespace } from '../support/namespace.ts'
import { type Family, linux } from '../support/tap-host.ts'
import { needTool } from '../support/tools.ts'
import { withWatchedHost } from '../support/watched-host.ts'

const root = needRoot()
const files = new UploadFiles()
const captures = new Captures()
afterAll(() => {
  files.remove()
  captures.remove()
})

const FAMILIES: readonly Family[] = [4, 6]
const SEED = 20_261_121
/** What Linux sends with: each kernel has it, and each program in a namespace may use it. */
const RENO = 'sysctl -q -w net.ipv4.tcp_congestion_control=reno'
const tools = ['curl', 'tshark', 'tcpdump', 'nft', 'ethtool'].every(needTool)

/** Both ways over both families; where a twentieth is lost, there is more waiting than sending. */
async function exchange(stack: Stack, namespace: Namespace, lossPercent: number): Promise<void> {
  const server = serveHttp(stack)
  const size = (LONG ? 32 : lossPercent < 5 ? 8 : 2) * MIB
  for (const family of FAMILIES) {
    await download(namespace, server, family, size, family)
    await upload(namespace, server, family, size, 1, files)
  }
  expect(server.counts).toEqual({ accepted: 2 * FAMILIES.length, failed: 0 })
  if (lossPercent > 0) expect(stack.counters.TcpRetransSegs).toBeGreaterThan(10)
}

/** Bursts that do not depend on chance: how long one lasts, a lone retransmission would have to find out. */
const fourOf300 = (_packet: unknown, index: number): boolean => index % 300 >= 296

describe.skipIf(!root || !tools).concurrent('a device of ours that harms packets both ways', () => {
  it.each<[string, number, Partial<FaultOptions>]>([
    ['1 % of them are lost', 1, { loss: 0.01 }],
    ['5 % of them are lost', 5, { loss: 0.05 }],
    ['four in a row of every 300 are lost', 1, { drop: fourOf300 }],
    ['10 % of them come up to 2 ms late', 0, { reorder: 0.1, reorderDelay: millis(2) }],
    ['10 % of them come twice', 0, { duplicate: 0.1 }],
    [
      'all of it happens',
      1,
      { loss: 0.01, reorder: 0.05, reorderDelay: millis(1), duplicate: 0.05, jitter: millis(1) },
    ],
  ])('loses no byte where %s', (_what, lossPercent, faults) =>
    withWatchedHost(
      captures,
      { offload: false, faults: { outbound: faults, inbound: faults }, seed: SEED },
      async ({ stack }, namespace) => {
        await namespace.must(RENO)
        await exchange(stack, namespace, lossPercent)
      },
    ),
  )
})

/** A router between our host and `namespace`, by which each packet of TCP is lost with a probability of `percent` in a hundred. */
async function behindRouter(router: Namespace, namespace: Namespace, percent: number): Promise<void> {
  await connect(
    { namespace: router, device: 'near', addresses: ['10.78.0.1/24', 'fd78::1/64'] },
    { namespace, device: 'far', addresses: ['10.78.0.2/24', 'fd78::2/64'] },
  )
  // What is lost shall be a segment, not the 64 KiB that Linux hands on as one.
  await router.must('ethtool -K near tso off gso off gro off')
  await namespace.must('ethtool -K far tso off gso off gro off')
  await router.must('sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1')
  await namespace.must('ip route add default via 10.78.0.1')
  await namespace.must('ip route add default via fd78::1')
  await router.must('nft add table inet harm')
  await router.must(['nft', 'add chain inet harm forward { type filter hook forward priority 0; }'])
  await router.must(`nft add rule inet harm forward meta l4proto tcp numgen random mod 100 < ${percent} counter drop`)
}

describe.skipIf(!root || !tools).concurrent("a router of Linux's that drops segments at random", () => {
  it.each([1, 5])('loses no byte where it drops %d in a hundred', (percent) =>
    withWatchedHost(captures, { offload: false }, ({ stack }, router) =>
      withNamespace(async (namespace) => {
        await behindRouter(router, namespace, percent)
        await namespace.must(RENO)
        for (const family of FAMILIES) stack.addGateway(linux(family))
        await exchange(stack, namespace, percent)
        const [, dropped] = (await router.must('nft list ruleset')).match(/counter packets ([0-9]+)/) ?? []
        expect(Number(dropped)).toBeGreaterThan(50)
      }),
    ),
  )
})

describe.skipIf(!root || !needTool('tshark'))('every capture of the tests in tcp-faults.test.ts', () => {
  it('is read by tshark to its end, without a malformed packet or a wrong checksum', () => {
    const { files, wrong } = captures.check()
    expect(wrong).toEqual([])
    expect(files).toBe(2 * 8)
  })
})
