// Long transfers between curl on Linux and our host, with and without offloads, on links of every size, to the last byte by
// SHA-256; and shorter ones that both sides capture, for tshark to judge.

import { afterAll, describe, expect, it } from 'vitest'
import { download, LONG, MIB, UploadFiles, upload } from '../support/curl.ts'
import { Captures } from '../support/hourglass.ts'
import { serveHttp } from '../support/http-server.ts'
import { needRoot } from '../support/namespace.ts'
import { type Family, withTapHost } from '../support/tap-host.ts'
import { tcpdump } from '../support/tcpdump.ts'
import { needTool } from '../support/tools.ts'

const root = needRoot()
const files = new UploadFiles()
const captures = new Captures()
afterAll(() => {
  files.remove()
  captures.remove()
})

const LONGEST = 256 * MIB
/** IPv6 needs 1,280 (RFC 8200 §5). */
const MTUS: readonly { mtu: number; size: number; families: readonly Family[] }[] = [
  { mtu: 576, size: 64 * MIB, families: [4] },
  { mtu: 1_280, size: 64 * MIB, families: [4, 6] },
  { mtu: 1_500, size: LONGEST, families: [4, 6] },
  { mtu: 9_000, size: 64 * MIB, families: [4, 6] },
  { mtu: 65_521, size: 64 * MIB, families: [4, 6] },
]
/** What is captured of each. */
const PIECE = MIB / 2
const OFFLOADS = [true, false]

describe.skipIf(!root || !needTool('curl'))('curl, with our host at the other end', () => {
  for (const { mtu, size, families } of MTUS)
    for (const offload of OFFLOADS) {
      const bytes = LONG ? LONGEST : size
      const how = `${offload ? 'with' : 'without'} offloads, over IPv${families.join(' and IPv')}`
      it(`gets and puts ${bytes / MIB} MiB at an MTU of ${mtu} ${how}`, () =>
        withTapHost({ mtu, offload }, async ({ stack }, namespace) => {
          const server = serveHttp(stack)
          for (const family of families) {
            await download(namespace, server, family, bytes, mtu + family)
            await upload(namespace, server, family, bytes, mtu, files)
          }
          expect(server.counts).toEqual({ accepted: 2 * families.length, failed: 0 })
          expect(stack.counters).toMatchObject({ TcpInErrs: 0, TcpInCsumErrors: 0, TcpExtTCPTimeouts: 0 })
        }))
    }
})

describe.skipIf(!root || !needTool('curl') || !needTool('tshark') || !needTool('tcpdump'))('tshark', () => {
  for (const { mtu, families } of MTUS)
    for (const offload of OFFLOADS)
      it(`finds nothing wrong with both sides' captures at an MTU of ${mtu} ${offload ? 'with' : 'without'} offloads`, () =>
        withTapHost({ mtu, offload, capture: captures.path() }, async ({ stack }, namespace) => {
          const server = serveHttp(stack)
          const seen = await tcpdump(namespace, captures.path(offload))
          for (const family of families) {
            await download(namespace, server, family, PIECE, 1)
            await upload(namespace, server, family, PIECE, 1, files)
          }
          await seen()
        }))

  it('has read every one of them to its end', () => {
    const { files, packets, wrong } = captures.check()
    expect(wrong).toEqual([])
    expect(files).toBe(2 * MTUS.length * OFFLOADS.length)
    // No segment is longer than a super-segment.
    expect(packets).toBeGreaterThan((2 * 2 * 2 * 9 * PIECE) / 65_536)
  })
})
