// The golden captures: made anew they are the files byte for byte, and read back they say what was recorded.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { CaptureItem, PacketItem } from '../../src/capture/capture-item.ts'
import { SECRETS_TLS_KEYS } from '../../src/capture/pcapng-format.ts'
import { readCapture } from '../../src/capture/pcapng-reader.ts'
import { GOLDEN, GOLDEN_KEYS, GOLDEN_SECONDS, goldenPath } from './golden.ts'

const itemsOf = (file: string): CaptureItem[] => [...readCapture(readFileSync(goldenPath(file)))]
const packetsOf = (file: string): PacketItem[] => itemsOf(file).filter((item) => item.kind === 'packet')

describe('golden captures', () => {
  it.each(GOLDEN)('$file is what the writer makes today, byte for byte', ({ file, make }) => {
    expect(Buffer.from(make()).equals(readFileSync(goldenPath(file)))).toBe(true)
  })

  it.each(GOLDEN)('$file reads back without an error, its stamps to the nanosecond', ({ file }) => {
    expect(itemsOf(file).filter((item) => item.kind === 'error')).toEqual([])
    packetsOf(file).forEach((packet, index) => {
      expect(packet.seconds).toBe(GOLDEN_SECONDS)
      expect(packet.nanos).toBe(123_456_789 + index * 100_001)
      expect(packet.bytes.length).toBe(packet.originalLength)
    })
  })

  it('gives application, interface, names, directions and comments of a ping', () => {
    const [section, device, names] = itemsOf('ping4.pcapng')
    expect(section).toEqual({ kind: 'section', application: 'hourglass golden' })
    expect(device).toMatchObject({
      kind: 'interface',
      id: 0,
      name: 'eth0',
      description: 'host A, towards B',
      linkType: 1,
      snapLength: 262_144,
      ticksPerSecond: 1_000_000_000n,
    })
    expect(names?.kind === 'names' && names.names.map(({ address, name }) => `${address.length} ${name}`)).toEqual([
      '4 host-a.sim',
      '4 host-b.sim',
      '16 host-a.sim',
      '16 host-b.sim',
    ])
    const packets = packetsOf('ping4.pcapng')
    expect(packets.map(({ direction }) => direction)).toEqual(['out', 'in', 'out', 'in', 'out', 'in'])
    expect(packets.map(({ comments }) => comments)).toEqual([['who has the next hop'], [], [], [], [], []])
  })

  it('gives both comments of a packet that was dropped after it was recorded', () => {
    const comments = packetsOf('udp-drops.pcapng').map(
      (packet) => `${packet.device.name}: ${packet.comments.join('; ')}`,
    )
    expect(comments).toEqual([
      'host-a: ',
      'host-b: ',
      'host-a: dropped: faultLoss',
      'host-a: ',
      'host-b: delayed 3 ms; dropped: udpReceiveQueueFull',
      'host-a: Überlänge ✓ 時',
    ])
  })

  it('gives the TLS keys ahead of the packets that need them', () => {
    const items = itemsOf('tcp-handshake.pcapng')
    const secretsAt = items.findIndex((item) => item.kind === 'secrets')
    const secrets = items[secretsAt]
    expect(secrets?.kind === 'secrets' && secrets.secretsType).toBe(SECRETS_TLS_KEYS)
    expect(secrets?.kind === 'secrets' && new TextDecoder().decode(secrets.bytes)).toBe(GOLDEN_KEYS)
    expect(secretsAt).toBeLessThan(items.findIndex((item) => item.kind === 'packet'))
  })
})
