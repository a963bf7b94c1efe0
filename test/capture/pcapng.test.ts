// The writer and the reader against each other, against the plain encoder of Node, and against broken bytes.

import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import type { CaptureItem, PacketItem } from '../../src/capture/capture-item.ts'
import { LINK_ETHERNET, LINK_RAW } from '../../src/capture/pcapng-format.ts'
import { CaptureReader, MAX_BLOCK_BYTES, readCapture } from '../../src/capture/pcapng-reader.ts'
import { MAX_COMMENT_BYTES, MAX_NAME_BYTES, PcapngWriter } from '../../src/capture/pcapng-writer.ts'
import { writeUtf8 } from '../../src/capture/utf8.ts'
import { join } from './frames.ts'
import { GOLDEN } from './golden.ts'

interface Recorded {
  interfaceId: number
  seconds: number
  nanos: number
  bytes: Uint8Array
  moreBytes: number
  direction: 'in' | 'out'
  comment: string
  later: string[]
}

/** The text decoder drops a byte order mark at the start, which no comment of ours has. */
const text = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: 'binary', maxLength }).filter((value) => !value.startsWith('\ufeff'))

/** Halves of surrogate pairs become U+FFFD. */
const wellFormed = (value: string): string => new TextDecoder().decode(new TextEncoder().encode(value))

const recorded: fc.Arbitrary<Recorded> = fc.record({
  interfaceId: fc.nat(2),
  seconds: fc.oneof(fc.nat(), fc.integer({ min: 0, max: 2 ** 33 })),
  nanos: fc.nat(999_999_999),
  bytes: fc.uint8Array({ maxLength: 100 }),
  moreBytes: fc.nat(2_000),
  direction: fc.constantFrom('in', 'out'),
  comment: text(60),
  later: fc.array(
    text(60).filter((value) => value !== ''),
    { maxLength: 2 },
  ),
})

function record(writer: PcapngWriter, packet: Recorded): number {
  const at = writer.packet({
    interfaceId: packet.interfaceId,
    seconds: packet.seconds,
    nanos: packet.nanos,
    capturedLength: packet.bytes.length,
    originalLength: packet.bytes.length + packet.moreBytes,
    direction: packet.direction,
    comment: packet.comment,
  })
  if (at < 0) return -1
  writer.bytes.set(packet.bytes, at)
  return writer.packets
}

const threeInterfaces = (writer: PcapngWriter): void => {
  writer.addInterface('a', LINK_ETHERNET, 'first')
  writer.addInterface('b', LINK_RAW)
  writer.addInterface('', LINK_ETHERNET, 'third')
}

const packetsIn = (items: readonly CaptureItem[]): PacketItem[] => items.filter((item) => item.kind === 'packet')

describe('PcapngWriter and CaptureReader', () => {
  test.prop([fc.array(recorded, { maxLength: 20 }), fc.nat(20)])(
    'give back what was recorded, whenever it was drained, comments added later in their order',
    (packets, takeAt) => {
      const writer = new PcapngWriter({ application: 'test' })
      threeInterfaces(writer)
      const parts: Uint8Array[] = []
      const records: number[] = []
      packets.forEach((packet, index) => {
        if (index === takeAt) {
          packets.forEach(({ later }, before) => {
            if (before < index) for (const comment of later) writer.addComment(records[before]!, comment)
          })
          parts.push(writer.take().slice())
        }
        records.push(record(writer, packet))
      })
      packets.forEach(({ later }, index) => {
        if (takeAt > packets.length - 1 || index >= takeAt) {
          for (const comment of later) expect(writer.addComment(records[index]!, comment)).toBe(true)
        } else if (later.length > 0) expect(writer.addComment(records[index]!, 'too late')).toBe(false)
      })
      parts.push(writer.take().slice())
      const items = [...readCapture(join(...parts))]
      expect(items.slice(0, 4).map((item) => item.kind)).toEqual(['section', 'interface', 'interface', 'interface'])
      expect(
        packetsIn(items).map((item) => ({
          interfaceId: item.device.id,
          seconds: item.seconds,
          nanos: item.nanos,
          bytes: Uint8Array.from(item.bytes),
          moreBytes: item.originalLength - item.bytes.length,
          direction: item.direction,
          comments: item.comments,
        })),
      ).toEqual(
        packets.map(({ comment, later, ...rest }) => ({
          ...rest,
          comments: [comment, ...later].filter((value) => value !== '').map(wellFormed),
        })),
      )
      expect(items.some((item) => item.kind === 'error')).toBe(false)
    },
  )

  test.prop([
    fc.array(fc.record({ six: fc.boolean(), bytes: fc.uint8Array({ minLength: 16, maxLength: 16 }), name: text(40) }), {
      maxLength: 8,
    }),
    text(300),
  ])('give back names of addresses and TLS keys', (entries, keys) => {
    const writer = new PcapngWriter()
    const names = entries.map(({ six, bytes, name }) => ({
      address: six ? bytes : bytes.slice(0, 4),
      // A zero byte ends a name, and an empty one is none.
      name: `x${wellFormed(name.replaceAll('\0', ''))}`,
    }))
    expect(writer.addNames(names)).toBe(true)
    expect(writer.addTlsKeys(keys)).toBe(true)
    const [, namesItem, secrets] = [...readCapture(writer.take())]
    expect(namesItem?.kind === 'names' && namesItem.names).toEqual(names)
    expect(secrets?.kind === 'secrets' && new TextDecoder().decode(secrets.bytes)).toBe(wellFormed(keys))
  })

  test.prop([fc.string({ unit: 'binary', maxLength: 50 }), fc.nat(120)])(
    'write UTF-8 as Node does, cut at a whole character',
    (value, limit) => {
      const bytes = new Uint8Array(300)
      const length = writeUtf8(bytes, 3, value, limit)
      const whole = new TextEncoder().encode(value)
      expect(length).toBeLessThanOrEqual(limit)
      expect(bytes.slice(3, 3 + length)).toEqual(whole.slice(0, length))
      expect(bytes.slice(3 + length).every((byte) => byte === 0)).toBe(true)
      // It is cut only where the next character would not have fitted, and never inside one.
      expect(length === whole.length || length > limit - 4).toBe(true)
      expect(length === whole.length || (whole[length]! & 0xc0) !== 0x80).toBe(true)
    },
  )

  test.prop([fc.constantFrom(...GOLDEN), fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 20 })])(
    'read the same items in pieces of any size as in one',
    ({ make }, sizes) => {
      const capture = make()
      const reader = new CaptureReader()
      const items: CaptureItem[] = []
      const pull = (): void => {
        for (let item = reader.next(); item !== null; item = reader.next()) items.push(frozen(item))
      }
      for (let at = 0, turn = 0; at < capture.length; turn++) {
        const size = sizes[turn % sizes.length]!
        reader.push(capture.subarray(at, at + size))
        pull()
        at += size
      }
      reader.end()
      pull()
      expect(items).toEqual([...readCapture(capture)].map(frozen))
    },
  )

  it('cut comments and names that are too long', () => {
    const writer = new PcapngWriter()
    writer.addInterface('n'.repeat(1_000), LINK_ETHERNET, '時'.repeat(1_000))
    record(writer, { ...PLAIN, comment: `${'c'.repeat(MAX_COMMENT_BYTES - 1)}é` })
    const items = [...readCapture(writer.take())]
    expect(items[1]).toMatchObject({ name: 'n'.repeat(MAX_NAME_BYTES), description: '時'.repeat(MAX_NAME_BYTES / 3) })
    expect(packetsIn(items)[0]?.comments).toEqual(['c'.repeat(MAX_COMMENT_BYTES - 1)])
  })
})

const PLAIN: Recorded = {
  interfaceId: 0,
  seconds: 0,
  nanos: 0,
  bytes: new Uint8Array(1_000),
  moreBytes: 0,
  direction: 'in',
  comment: '',
  later: [],
}

/** The item with copies of what it shows of the reader's memory. */
function frozen(item: CaptureItem): CaptureItem {
  return item.kind === 'packet' || item.kind === 'secrets' ? { ...item, bytes: Uint8Array.from(item.bytes) } : item
}

describe('the bounds of PcapngWriter', () => {
  it('holds no more than its limit, counts what it leaves out, and says so on the next packet of that interface', () => {
    const writer = new PcapngWriter({ limitBytes: 20_000 })
    threeInterfaces(writer)
    let written = 0
    for (let index = 0; index < 100; index++) if (record(writer, PLAIN) >= 0) written++
    expect(written).toBeGreaterThan(10)
    expect(writer.pendingBytes).toBeLessThanOrEqual(20_000)
    expect(writer.droppedRecords).toBe(100 - written)
    writer.take()
    record(writer, { ...PLAIN, interfaceId: 1 })
    record(writer, PLAIN)
    record(writer, PLAIN)
    const header = new PcapngWriter()
    threeInterfaces(header)
    const packets = packetsIn([...readCapture(join(header.take(), writer.take()))])
    expect(packets.map(({ dropCount }) => dropCount)).toEqual([0, 100 - written, 0])
  })

  it('leaves out names, secrets and late comments too when full, but never an interface', () => {
    const writer = new PcapngWriter({ limitBytes: 4_000 })
    const id = writer.addInterface('eth0', LINK_ETHERNET)
    const first = record(writer, { ...PLAIN, interfaceId: id })
    while (record(writer, PLAIN) >= 0);
    const dropped = writer.droppedRecords
    expect(writer.addTlsKeys('k'.repeat(4_000))).toBe(false)
    expect(writer.addNames(new Array(100).fill({ address: new Uint8Array(4), name: 'x' }))).toBe(false)
    expect(writer.addComment(first, 'why')).toBe(false)
    expect(writer.droppedRecords).toBe(dropped + 3)
    expect(writer.addInterface('eth1', LINK_ETHERNET)).toBe(1)
    expect([...readCapture(writer.take())].at(-1)).toMatchObject({ kind: 'interface', name: 'eth1' })
  })

  it('uses two buffers in turn, so that recording makes no arrays once they have grown', () => {
    const writer = new PcapngWriter()
    threeInterfaces(writer)
    const buffers = new Set<ArrayBufferLike>()
    for (let round = 0; round < 50; round++) {
      for (let index = 0; index < 20; index++) record(writer, PLAIN)
      buffers.add(writer.take().buffer)
    }
    expect(buffers.size).toBe(2)
  })

  it('pads with zeros, not with what the buffer held before', () => {
    const make = (fill: boolean): Uint8Array => {
      const writer = new PcapngWriter()
      threeInterfaces(writer)
      for (let round = 0; round < 2 && fill; round++) {
        record(writer, { ...PLAIN, bytes: new Uint8Array(2_000).fill(0xff) })
        writer.take()
      }
      writer.take()
      record(writer, { ...PLAIN, bytes: Uint8Array.of(1), comment: 'c' })
      writer.addNames([{ address: Uint8Array.of(10, 0, 0, 1), name: 'n' }])
      writer.addTlsKeys('k')
      return writer.take().slice()
    }
    expect(make(true)).toEqual(make(false))
  })

  it('tells its owner once that there is something to take, and again after take()', () => {
    const writer = new PcapngWriter()
    writer.take()
    let told = 0
    writer.onPending = () => told++
    threeInterfaces(writer)
    record(writer, PLAIN)
    expect(told).toBe(1)
    writer.take()
    record(writer, PLAIN)
    expect(told).toBe(2)
  })
})

/** Reads to the end, however broken, and returns the items; the count of steps is bounded by the count of bytes. */
function readAll(bytes: Uint8Array): CaptureItem[] {
  const items: CaptureItem[] = []
  for (const item of readCapture(bytes)) {
    items.push(frozen(item))
    expect(items.length).toBeLessThanOrEqual(bytes.length + 1)
  }
  return items
}

describe('CaptureReader on broken bytes', () => {
  test.prop([fc.uint8Array({ maxLength: 400 })])('ends on random bytes, with an error', (bytes) => {
    expect(readAll(bytes).at(-1)?.kind).toBe('error')
  })

  test.prop(
    [
      fc.constantFrom(...GOLDEN),
      fc.array(fc.record({ at: fc.nat(1_100), value: fc.nat(255) }), { minLength: 1, maxLength: 12 }),
      fc.option(fc.nat(1_100)),
    ],
    { numRuns: 1_000 },
  )('ends on a mutated or shortened capture, with at most one error as its last item', ({ make }, mutations, cut) => {
    const bytes = make().slice(0, cut ?? undefined)
    for (const { at, value } of mutations) if (at < bytes.length) bytes[at] = value
    const errors = readAll(bytes).flatMap((item, index, all) => (item.kind === 'error' ? [all.length - index] : []))
    expect(errors.every((fromEnd) => fromEnd === 1)).toBe(true)
  })

  it.each(GOLDEN)('says where $file was cut off, at every length', ({ make }) => {
    const capture = make()
    const whole = readAll(capture)
    for (let length = 0; length < Math.min(capture.length, 900); length++) {
      const items = readAll(capture.subarray(0, length))
      const last = items.at(-1)
      if (last?.kind === 'error') {
        expect(last.at).toBeLessThanOrEqual(length)
        expect(last.what).toMatch(/ends inside a record|too short/)
        items.pop()
      } else expect(length).toBeGreaterThan(0)
      expect(items).toEqual(whole.slice(0, items.length))
    }
  })

  it.each([
    ['a block longer than the bound', 4, MAX_BLOCK_BYTES + 4],
    ['a block of length zero', 4, 0],
    ['a block shorter than a block can be', 4, 8],
    ['a block whose length is not a multiple of four', 4, 61],
    ['a byte order that is none', 8, 0x1234_5678],
    ['a version that is not 1.0', 12, 2],
  ])('refuses %s', (_title, at, value) => {
    const capture = GOLDEN[0]!.make()
    new DataView(capture.buffer).setUint32(at, value, true)
    expect(readAll(capture)).toEqual([{ kind: 'error', at: 0, what: expect.any(String) }])
  })

  it('waits for no more bytes than the bound: a huge block is refused from its first twelve', () => {
    const reader = new CaptureReader()
    reader.push(GOLDEN[0]!.make())
    while (reader.next() !== null);
    const head = new DataView(new ArrayBuffer(12))
    head.setUint32(0, 6, true)
    head.setUint32(4, 0x4000_0000, true)
    reader.push(new Uint8Array(head.buffer))
    expect(reader.next()).toMatchObject({ kind: 'error', what: 'a block whose stated length cannot be' })
    expect(reader.next()).toBeNull()
  })

  it('refuses a packet of an interface that is not described', () => {
    const whole = new PcapngWriter()
    const section = whole.take().slice()
    threeInterfaces(whole)
    whole.take()
    record(whole, PLAIN)
    expect(readAll(join(section, whole.take())).at(-1)).toEqual({
      kind: 'error',
      at: section.length,
      what: 'a packet of interface 0, which is not described',
    })
  })
})
