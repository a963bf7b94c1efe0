// What tshark makes of our captures: it is the reader that matters.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PacketItem } from '../../src/capture/capture-item.ts'
import { LINK_ETHERNET } from '../../src/capture/pcapng-format.ts'
import { readCapture } from '../../src/capture/pcapng-reader.ts'
import { PcapngWriter } from '../../src/capture/pcapng-writer.ts'
import { dumpLines } from '../../src/node/dump.ts'
import { GOLDEN, GOLDEN_SECONDS, goldenPath } from '../capture/golden.ts'
import { Captures } from '../support/hourglass.ts'
import { needTool, runTool } from '../support/tools.ts'

const CHECKS = ['ip.check_checksum:TRUE', 'udp.check_checksum:TRUE', 'tcp.check_checksum:TRUE'].flatMap((option) => [
  '-o',
  option,
])
const tshark = (...args: string[]): string => runTool('tshark', args)
const rows = (text: string): string[] => text.split('\n').filter((line) => line !== '')

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hourglass-capture-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe.skipIf(!needTool('tshark'))('tshark reading our captures', () => {
  it.each(GOLDEN)('finds every packet of $file, none malformed and no checksum bad', ({ file }) => {
    const path = goldenPath(file)
    const wrong = 'ip.checksum.status == "Bad" || udp.checksum.status == "Bad" || tcp.checksum.status == "Bad" || '
    const alsoWrong = 'icmp.checksum.status == "Bad" || icmpv6.checksum.status == "Bad" || _ws.malformed'
    expect(tshark('-r', path, ...CHECKS, '-Y', wrong + alsoWrong)).toBe('')
    const count = [...readCapture(readFileSync(path))].filter((item) => item.kind === 'packet').length
    expect(rows(tshark('-r', path))).toHaveLength(count)
  })

  it('really looks at checksums: one flipped bit in a payload is found', () => {
    const bytes = Uint8Array.from(readFileSync(goldenPath('udp-drops.pcapng')))
    const first = [...readCapture(bytes)].find((item) => item.kind === 'packet') as PacketItem
    const dataAt = Buffer.from(bytes).indexOf(first.bytes)
    bytes[dataAt + first.bytes.length - 1]! ^= 1
    const path = join(folder, 'flipped.pcapng')
    writeFileSync(path, bytes)
    expect(rows(tshark('-r', path, ...CHECKS, '-Y', 'udp.checksum.status == "Bad"'))).toHaveLength(1)
    const captures = new Captures()
    writeFileSync(captures.path(), readFileSync(goldenPath('udp-drops.pcapng')))
    expect(captures.check()).toMatchObject({ files: 1, packets: 6, wrong: [] })
    writeFileSync(captures.path(), bytes)
    expect(captures.check()).toMatchObject({
      files: 2,
      packets: 12,
      wrong: [expect.stringContaining('UDP CHECKSUM INCORRECT')],
    })
    captures.remove()
  })

  it('shows stamps to the nanosecond, interface names, directions and all comments', () => {
    const fields = ['frame.time_epoch', 'frame.interface_name', 'frame.packet_flags_direction', 'frame.comment']
    const args = ['-T', 'fields', ...fields.flatMap((field) => ['-e', field])]
    const lines = rows(tshark('-r', goldenPath('udp-drops.pcapng'), ...args)).map((line) => line.split('\t'))
    expect(lines.map(([time]) => time)).toEqual(
      [123_456_789, 123_556_790, 123_656_791, 123_756_792, 123_856_793, 123_956_794].map(
        (nanos) => `${GOLDEN_SECONDS}.${nanos}`,
      ),
    )
    expect(lines.map(([, name]) => name)).toEqual(['host-a', 'host-b', 'host-a', 'host-a', 'host-b', 'host-a'])
    expect(lines.map(([, , direction]) => Number(direction))).toEqual([2, 1, 2, 2, 1, 2])
    expect(lines.map(([, , , comment]) => comment ?? '')).toEqual([
      '',
      '',
      'dropped: faultLoss',
      '',
      'delayed 3 ms,dropped: udpReceiveQueueFull',
      'Überlänge ✓ 時',
    ])
  })

  it('shows the names of hosts of both families', () => {
    const lines4 = rows(tshark('-r', goldenPath('ping4.pcapng'), '-N', 'n', '-Y', 'icmp'))
    expect(lines4[0]).toMatch(/host-a\.sim .* host-b\.sim/)
    const lines6 = rows(tshark('-r', goldenPath('ping6.pcapng'), '-N', 'n', '-Y', 'icmpv6.type == 128'))
    expect(lines6[0]).toMatch(/host-a\.sim .* host-b\.sim/)
  })

  it('puts the fragments of a ping together again', () => {
    const lines = rows(tshark('-r', goldenPath('fragmented-ping.pcapng'), '-Y', 'icmp || icmpv6'))
    expect(lines).toHaveLength(2)
    for (const line of lines) expect(line).toContain('Echo (ping) request')
  })

  it.skipIf(!needTool('capinfos'))('finds the TLS keys and the name of the application', () => {
    const facts = runTool('capinfos', [goldenPath('tcp-handshake.pcapng')])
    expect(facts).toMatch(/Number of decryption secrets in file: +1\n/)
    expect(facts).toMatch(/Capture application: +hourglass golden\n/)
    expect(facts).toMatch(/Name = tun0\n +Description = bare IP\n +Encapsulation = Raw IP/)
  })

  it('reads how many packets were lost before one', () => {
    const writer = new PcapngWriter({ limitBytes: 8_192 })
    const id = writer.addInterface('eth0', LINK_ETHERNET)
    const fields = { interfaceId: id, seconds: 1, nanos: 0, direction: 'in', comment: '' } as const
    const parts: Uint8Array[] = []
    let lost = 0
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 10; index++) {
        const at = writer.packet({ ...fields, capturedLength: 1_500, originalLength: 1_500 })
        if (round === 0 && at < 0) lost++
      }
      parts.push(writer.take().slice())
    }
    const path = join(folder, 'lost.pcapng')
    writeFileSync(path, Buffer.concat(parts))
    const counts = rows(tshark('-r', path, '-T', 'fields', '-e', 'frame.drop_count')).map(Number)
    expect(lost).toBeGreaterThan(0)
    expect(counts).toEqual([lost])
  })
})

describe.skipIf(!needTool('editcap') || !needTool('tshark'))('what other programs write', () => {
  it.each(['pcap', 'nsecpcap', 'pcapng'])('is read the same in the %s form of wireshark', async (type) => {
    for (const { file } of GOLDEN) {
      const path = join(folder, `${type}-${file}`)
      runTool('editcap', ['-F', type, goldenPath(file), path])
      const ours = [...readCapture(readFileSync(goldenPath(file)))].filter((item) => item.kind === 'packet')
      const theirs = [...readCapture(readFileSync(path))].filter((item) => item.kind === 'packet')
      expect(theirs.map(({ bytes }) => Buffer.from(bytes).toString('hex'))).toEqual(
        ours.map(({ bytes }) => Buffer.from(bytes).toString('hex')),
      )
      const exact = type !== 'pcap'
      const stamp = ({ seconds, nanos }: PacketItem): string =>
        `${seconds} ${exact ? nanos : Math.floor(nanos / 1_000)}`
      expect(theirs.map(stamp)).toEqual(ours.map(stamp))
    }
  })
})

describe.skipIf(!needTool('tcpdump'))('the dump beside tcpdump', () => {
  it('prints the pings, the datagrams and the handshake in the same words', async () => {
    for (const file of ['ping4.pcapng', 'ping6.pcapng', 'udp-drops.pcapng', 'tcp-handshake.pcapng']) {
      const theirs = rows(runTool('tcpdump', ['-n', '-t', '-r', goldenPath(file)]))
      const ours: string[] = []
      for await (const line of dumpLines(goldenPath(file), { time: 'none' })) {
        ours.push(line.replace(/ {2}#.*/, '').replace(/^\S+ (In|Out) +/, ''))
      }
      expect(ours).toEqual(theirs)
    }
  })
})
