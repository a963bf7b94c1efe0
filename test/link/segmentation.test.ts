import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Packet, type SegmentKind } from '../../src/buf/packet.ts'
import { type PagePool, SMALL_PAGE } from '../../src/buf/page.ts'
import { NO_OFFLOADS, type Offloads } from '../../src/link/device.ts'
import { completeChecksum, isReady, prepare, segment } from '../../src/link/segmentation.ts'
import { testPool } from '../support/pool.ts'

const FIN = 0x01
const PSH = 0x08
const ACK = 0x10
const CWR = 0x80

interface Shape {
  kind: Exclude<SegmentKind, 'none'>
  /** Of UDP: TCP has it in its kind. */
  ipv6: boolean
  options: number
  payload: Uint8Array
  /** Where the payload is cut into pages; the first piece may be linear. */
  cuts: number[]
  flags: number
  size: number
  sequence: number
  identification: number
}

/** The ones' complement sum, byte by byte (RFC 1071). */
function naiveSum(bytes: ArrayLike<number>): number {
  let sum = 0
  for (let index = 0; index < bytes.length; index++) sum += index % 2 === 0 ? bytes[index]! * 256 : bytes[index]!
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return sum
}

const u16 = (bytes: Uint8Array, at: number) => bytes[at]! * 256 + bytes[at + 1]!
const u32 = (bytes: Uint8Array, at: number) => u16(bytes, at) * 65_536 + u16(bytes, at + 2)

const isTcp = (shape: Shape) => shape.kind !== 'udp'
const isV6 = (shape: Shape) => shape.kind === 'tcp6' || (shape.kind === 'udp' && shape.ipv6)
const networkLength = (shape: Shape) => (isV6(shape) ? 40 : 20)
const headerLength = (shape: Shape) => networkLength(shape) + (isTcp(shape) ? 20 + shape.options * 4 : 8)

/** What a packet of these bytes has as pseudo-header. */
const pseudo = (bytes: Uint8Array, v6: boolean, protocol: number, length: number): number[] => [
  ...bytes.subarray(v6 ? 8 : 12, v6 ? 40 : 20),
  0,
  protocol,
  length >>> 8,
  length & 0xff,
]

function headers(shape: Shape): Uint8Array {
  const v6 = isV6(shape)
  const at = networkLength(shape)
  const bytes = new Uint8Array(headerLength(shape))
  const view = new DataView(bytes.buffer)
  const total = Math.min(0xffff, bytes.length + shape.payload.length)
  const protocol = isTcp(shape) ? 6 : 17
  bytes[0] = v6 ? 0x60 : 0x45
  if (v6) {
    view.setUint16(4, total - 40)
    bytes[6] = protocol
    for (let index = 8; index < 40; index++) bytes[index] = index * 7
  } else {
    view.setUint16(2, total)
    view.setUint16(4, shape.identification)
    view.setUint16(6, 0x4000)
    bytes[8] = 64
    bytes[9] = protocol
    for (let index = 12; index < 20; index++) bytes[index] = index * 11
    view.setUint16(10, ~naiveSum(bytes.subarray(0, 20)) & 0xffff)
  }
  view.setUint32(at, 0x1234_5678)
  if (isTcp(shape)) {
    view.setUint32(at + 4, shape.sequence)
    view.setUint32(at + 8, 0xcafe_f00d)
    bytes[at + 12] = (5 + shape.options) << 4
    bytes[at + 13] = shape.flags
    view.setUint16(at + 14, 5_000)
    bytes.fill(1, at + 20)
  } else view.setUint16(at + 4, total - at)
  view.setUint16(at + (isTcp(shape) ? 16 : 6), naiveSum(pseudo(bytes, v6, protocol, total - at)))
  return bytes
}

function build(pool: PagePool, shape: Shape): Packet {
  const packet = Packet.from(pool, headers(shape))!
  packet.networkAt = packet.data
  packet.transportAt = packet.data + networkLength(shape)
  packet.checksum = 'partial'
  packet.checksumStart = packet.transportAt
  packet.checksumField = packet.transportAt + (isTcp(shape) ? 16 : 6)
  packet.segmentBytes = shape.size
  packet.segmentKind = shape.kind
  let from = 0
  for (const cut of [
    ...shape.cuts.map((cut) => cut % (shape.payload.length + 1)).sort((a, b) => a - b),
    shape.payload.length,
  ]) {
    if (cut > from) packet.append(Packet.from(pool, shape.payload.subarray(from, cut))!)
    from = cut
  }
  return packet
}

const anyShape: fc.Arbitrary<Shape> = fc.record({
  kind: fc.constantFrom('tcp4', 'tcp6', 'udp'),
  ipv6: fc.boolean(),
  options: fc.nat(10),
  payload: fc.uint8Array({ maxLength: 4_000 }),
  cuts: fc.array(fc.nat(), { maxLength: 6 }),
  flags: fc.constantFrom(ACK, ACK | PSH, ACK | FIN | PSH, ACK | PSH | CWR),
  size: fc.integer({ min: 1, max: 1_460 }),
  sequence: fc.integer({ min: 0, max: 0xffff_ffff }),
  identification: fc.nat(0xffff),
})

const shapeOf = (given: Partial<Shape>): Shape => ({
  kind: 'tcp4',
  ipv6: false,
  options: 0,
  payload: new Uint8Array(3_000).fill(5),
  cuts: [],
  flags: ACK,
  size: 1_000,
  sequence: 0,
  identification: 0,
  ...given,
})

/** Checks one segment by itself: lengths and both checksums, computed naively. */
function expectValid(bytes: Uint8Array, shape: Shape): void {
  const v6 = isV6(shape)
  const at = networkLength(shape)
  if (v6) expect(u16(bytes, 4)).toBe(bytes.length - 40)
  else {
    expect(u16(bytes, 2)).toBe(bytes.length)
    expect(naiveSum(bytes.subarray(0, 20))).toBe(0xffff)
  }
  if (!isTcp(shape)) expect(u16(bytes, at + 4)).toBe(bytes.length - at)
  if (!isTcp(shape)) expect(u16(bytes, at + 6)).not.toBe(0)
  const covered = [...pseudo(bytes, v6, isTcp(shape) ? 6 : 17, bytes.length - at), ...bytes.subarray(at)]
  expect(naiveSum(covered)).toBe(0xffff)
}

describe('segment', () => {
  it('cuts TCP (RFC 9293) and UDP (RFC 768) over IPv4 and IPv6 into segments that are valid and add up to the whole', () => {
    fc.assert(
      fc.property(anyShape, (shape) => {
        const pool = testPool()
        const parts: Uint8Array[] = []
        const done = segment(build(pool, shape), pool, (part) => {
          expect(part.checksum).toBe('complete')
          expect([part.segmentBytes, part.segmentKind]).toEqual([0, 'none'])
          expect([part.networkAt, part.transportAt - part.networkAt]).toEqual([part.data, networkLength(shape)])
          expect(part.networkAt % 4).toBe(0)
          part.push(14)
          part.pull(14)
          parts.push(part.toBytes())
          part.release()
        })
        expect(done).toBe(true)
        expect(pool.inUse).toBe(0)
        expect(parts).toHaveLength(Math.max(1, Math.ceil(shape.payload.length / shape.size)))
        const head = headerLength(shape)
        expect(parts.flatMap((bytes) => [...bytes.subarray(head)])).toEqual([...shape.payload])
        const original = headers(shape)
        parts.forEach((bytes, index) => {
          expectValid(bytes, shape)
          const at = networkLength(shape)
          const last = index === parts.length - 1
          expect(bytes.length - head).toBe(last ? shape.payload.length - index * shape.size : shape.size)
          if (!isV6(shape)) expect(u16(bytes, 4)).toBe((shape.identification + index) & 0xffff)
          if (!isTcp(shape)) return
          expect(u32(bytes, at + 4)).toBe((shape.sequence + index * shape.size) % 2 ** 32)
          let flags = shape.flags
          if (!last) flags &= ~(FIN | PSH)
          if (index > 0) flags &= ~CWR
          expect(bytes[at + 13]).toBe(flags)
          // Ports, acknowledgement, window and options are those of the super-segment.
          for (const [from, to] of [
            [0, 4],
            [8, 13],
            [14, 16],
            [18, head - at],
          ] as const) {
            expect(bytes.subarray(at + from, at + to)).toEqual(original.subarray(at + from, at + to))
          }
        })
      }),
      { numRuns: 300 },
    )
  })

  it('shares the payload: a segment costs one small page', () => {
    const pool = testPool()
    const packet = build(pool, shapeOf({ payload: new Uint8Array(60_000), size: 1_460 }))
    const before = pool.inUseBytes
    const parts: Packet[] = []
    segment(packet, pool, (part) => parts.push(part))
    expect(parts).toHaveLength(42)
    // The super-segment's own header page is gone already.
    expect(pool.inUseBytes).toBe(before - SMALL_PAGE + 42 * SMALL_PAGE)
    for (const part of parts) part.release()
  })

  it('leaves checksums partial where the device completes them', () => {
    const pool = testPool()
    const shape = shapeOf({})
    const states: string[] = []
    segment(
      build(pool, shape),
      pool,
      (part) => {
        states.push(part.checksum)
        expect([part.checksumStart, part.checksumField]).toEqual([part.transportAt, part.transportAt + 16])
        completeChecksum(part)
        expectValid(part.toBytes(), shape)
        part.release()
      },
      true,
    )
    expect(states).toEqual(['partial', 'partial', 'partial'])
  })

  it('emits what it could build and releases the rest where the pool is empty', () => {
    const pool = testPool()
    const narrow = testPool({ limitBytes: 2 * SMALL_PAGE })
    const parts: Packet[] = []
    expect(segment(build(pool, shapeOf({})), narrow, (part) => parts.push(part))).toBe(false)
    expect(parts).toHaveLength(2)
    for (const part of parts) part.release()
    expect(pool.inUse).toBe(0)
  })
})

describe('completeChecksum', () => {
  it('completes over fragments of any odd lengths', () => {
    fc.assert(
      fc.property(anyShape, (shape) => {
        const pool = testPool()
        const packet = build(pool, shape)
        expect(completeChecksum(packet)).toBe(true)
        expect(packet.checksum).toBe('complete')
        expectValid(packet.toBytes(), shape)
        packet.release()
      }),
    )
  })

  it('sends a UDP checksum of zero as all ones (RFC 768)', () => {
    const pool = testPool()
    const shape = shapeOf({ kind: 'udp', payload: new Uint8Array(2), size: 0 })
    // The payload that brings the sum of all else to 0xffff.
    const bytes = headers(shape)
    const sum = naiveSum(bytes.subarray(20))
    shape.payload.set([(0xffff - sum) >>> 8, (0xffff - sum) & 0xff])
    const packet = build(pool, shape)
    completeChecksum(packet)
    expect(u16(packet.toBytes(), 26)).toBe(0xffff)
    expectValid(packet.toBytes(), shape)
    packet.release()
  })

  it('leaves a checksum alone that is not partial', () => {
    const packet = build(testPool(), shapeOf({}))
    packet.checksum = 'complete'
    const before = packet.toBytes()
    expect(completeChecksum(packet)).toBe(true)
    expect(packet.toBytes()).toEqual(before)
    packet.release()
  })

  it('does not write into a head that a clone holds too, and changes nothing where the pool is empty', () => {
    const pool = testPool({ limitBytes: 3 * SMALL_PAGE })
    const shape = shapeOf({ payload: new Uint8Array(100).fill(3) })
    const packet = build(pool, shape)
    const witness = packet.clone()
    const before = witness.toBytes()
    const last = pool.take(1)!
    expect(completeChecksum(packet)).toBe(false)
    expect(packet.checksum).toBe('partial')
    last.release()
    expect(completeChecksum(packet)).toBe(true)
    expectValid(packet.toBytes(), shape)
    expect(witness.toBytes()).toEqual(before)
    packet.release()
    witness.release()
  })
})

describe('prepare', () => {
  const all: Offloads = { checksum: true, segmentBytes: 65_536 }
  const checksums: Offloads = { checksum: true, segmentBytes: 0 }
  const run = (shape: Shape, offloads: Offloads) => {
    const pool = testPool()
    const packet = build(pool, shape)
    const ready = isReady(packet, offloads)
    const results: [number, string][] = []
    prepare(packet, offloads, (part) => {
      if (ready) expect(part).toBe(packet)
      expect(isReady(part, offloads)).toBe(true)
      results.push([part.length, part.checksum])
      part.release()
    })
    expect(results.length > 0).toBe(true)
    return results
  }

  it('hands a packet through where the device has the offloads', () => {
    expect(run(shapeOf({}), all)).toEqual([[3_040, 'partial']])
  })

  it('cuts and completes where it has none', () => {
    expect(run(shapeOf({}), NO_OFFLOADS)).toEqual([1, 2, 3].map(() => [1_040, 'complete']))
  })

  it('leaves the checksums of segments to a device that completes them', () => {
    expect(run(shapeOf({}), checksums)).toEqual([1, 2, 3].map(() => [1_040, 'partial']))
  })

  it('cuts super-segments that are longer than the device takes', () => {
    expect(run(shapeOf({}), { checksum: true, segmentBytes: 3_039 })).toHaveLength(3)
  })

  it('cuts batches of datagrams always', () => {
    expect(run(shapeOf({ kind: 'udp' }), all)).toEqual([1, 2, 3].map(() => [1_028, 'partial']))
  })

  it('completes an ordinary packet in place', () => {
    expect(run(shapeOf({ size: 0, payload: new Uint8Array(10) }), NO_OFFLOADS)).toEqual([[50, 'complete']])
  })
})
