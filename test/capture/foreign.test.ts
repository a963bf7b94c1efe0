// Captures as others write them: both byte orders, stamps of other resolutions, simple packets, the old pcap.

import { describe, expect, it } from 'vitest'
import type { CaptureItem, PacketItem } from '../../src/capture/capture-item.ts'
import { readCapture } from '../../src/capture/pcapng-reader.ts'
import { join } from './frames.ts'

const ORDERS = [{ order: 'little-endian', little: true } as const, { order: 'big-endian', little: false } as const]

/** Writes numbers in one byte order. */
class Encoder {
  private readonly little: boolean

  constructor(little: boolean) {
    this.little = little
  }

  u16(value: number): Uint8Array {
    const bytes = new Uint8Array(2)
    new DataView(bytes.buffer).setUint16(0, value, this.little)
    return bytes
  }

  u32(...values: number[]): Uint8Array {
    const bytes = new Uint8Array(4 * values.length)
    values.forEach((value, index) => {
      new DataView(bytes.buffer).setUint32(4 * index, value >>> 0, this.little)
    })
    return bytes
  }

  u64(value: bigint): Uint8Array {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), this.little)
    return bytes
  }

  option(code: number, value: Uint8Array): Uint8Array {
    return join(this.u16(code), this.u16(value.length), pad(value))
  }

  block(type: number, ...body: Uint8Array[]): Uint8Array {
    const content = pad(join(...body))
    const length = this.u32(12 + content.length)
    return join(this.u32(type), length, content, length)
  }

  section(): Uint8Array {
    return this.block(0x0a0d_0d0a, this.u32(0x1a2b_3c4d), this.u16(1), this.u16(0), this.u64(-1n))
  }

  device(snapLength: number, ...options: Uint8Array[]): Uint8Array {
    return this.block(1, this.u16(1), this.u16(0), this.u32(snapLength), ...options)
  }

  packet(interfaceId: number, ticks: bigint, bytes: Uint8Array, ...options: Uint8Array[]): Uint8Array {
    const stamp = this.u32(Number(ticks >> 32n), Number(ticks & 0xffff_ffffn))
    return this.block(6, this.u32(interfaceId), stamp, this.u32(bytes.length, 1_500), pad(bytes), ...options)
  }
}

const pad = (bytes: Uint8Array): Uint8Array => join(bytes, new Uint8Array(-bytes.length & 3))
const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const read = (...blocks: Uint8Array[]): CaptureItem[] => [...readCapture(join(...blocks))]
const packets = (items: CaptureItem[]): PacketItem[] => items.filter((item) => item.kind === 'packet')
const stamps = (items: CaptureItem[]): string[] => packets(items).map(({ seconds, nanos }) => `${seconds}+${nanos}`)
const FIVE = Uint8Array.of(1, 2, 3, 4, 5)

describe.each(ORDERS)('pcapng, $order', ({ little }) => {
  const to = new Encoder(little)

  it('is read with its options, and blocks of unknown kinds are skipped', () => {
    const items = read(
      to.section(),
      to.block(0x0bad_0bad, FIVE),
      to.device(
        96,
        to.option(2, text('eth7')),
        to.option(3, text('uplink')),
        to.option(9, Uint8Array.of(9)),
        to.u32(0),
      ),
      to.packet(0, 5_000_000_007n, FIVE, to.option(1, text('why')), to.option(2, to.u32(2)), to.option(4, to.u64(3n))),
      to.block(4, to.u16(1), to.u16(12), Uint8Array.of(10, 0, 0, 9), text('a\0bcd.e\0'), to.u32(0)),
      to.block(10, to.u32(0x544c_534b, 5), pad(FIVE)),
    )
    expect(items.map((item) => item.kind)).toEqual(['section', 'interface', 'packet', 'names', 'secrets'])
    expect(items[1]).toMatchObject({ name: 'eth7', description: 'uplink', snapLength: 96 })
    expect(items[2]).toMatchObject({ seconds: 5, nanos: 7, direction: 'out', comments: ['why'], dropCount: 3 })
    expect(items[2]).toMatchObject({ bytes: FIVE, originalLength: 1_500 })
    const address = Uint8Array.of(10, 0, 0, 9)
    expect(items[3]).toMatchObject({
      names: [
        { address, name: 'a' },
        { address, name: 'bcd.e' },
      ],
    })
    expect(items[4]).toMatchObject({ secretsType: 0x544c_534b, bytes: FIVE })
  })

  it.each([
    ['microseconds, where nothing is said', [], 3_000_004n, '3+4000'],
    ['milliseconds', [to.option(9, Uint8Array.of(3))], 3_004n, '3+4000000'],
    ['picoseconds', [to.option(9, Uint8Array.of(12))], 3_000_000_004_999n, '3+4'],
    ['units of 2^-10 seconds', [to.option(9, Uint8Array.of(0x8a))], 3_073n, '3+976562'],
    ['seconds and an offset', [to.option(9, Uint8Array.of(0)), to.option(14, to.u64(-2n))], 3n, '1+0'],
    ['the finest units there are', [to.option(9, Uint8Array.of(0x7f))], 1n, '0+0'],
  ])('has stamps in %s', (_title, options, ticks, expected) => {
    expect(stamps(read(to.section(), to.device(0, ...options), to.packet(0, ticks, FIVE)))).toEqual([expected])
  })

  it('has simple packets, which are as long as the snap length says and have no stamp', () => {
    const simple = to.block(3, to.u32(7), Uint8Array.of(1, 2, 3, 4, 5, 6, 7))
    const [packet] = packets(read(to.section(), to.device(5), simple))
    expect(packet).toMatchObject({ stamped: false, bytes: FIVE, originalLength: 7, direction: 'unknown' })
    expect(packets(read(to.section(), to.device(0), simple))[0]?.bytes).toHaveLength(7)
    expect(read(to.section(), simple).at(-1)).toMatchObject({ kind: 'error', at: 28 })
  })

  it('may begin a section anew in the other byte order, with interfaces of its own', () => {
    const other = new Encoder(!little)
    const device = to.option(2, text('first'))
    const items = read(
      to.section(),
      to.device(0, device),
      to.packet(0, 1n, FIVE),
      other.section(),
      other.device(0, other.option(2, text('second'))),
      other.packet(0, 2n, FIVE),
    )
    expect(packets(items).map((packet) => packet.device.name)).toEqual(['first', 'second'])
  })

  it.each([
    ['a packet longer than its block', to.block(6, to.u32(0, 0, 0, 9, 9), pad(FIVE))],
    ['a packet whose length overflows', to.block(6, to.u32(0, 0, 0, 0xffff_fffe, 9), pad(FIVE))],
    ['an option longer than its block', to.packet(0, 0n, FIVE, to.u16(1), to.u16(900))],
    ['a packet without its header', to.block(6, to.u32(0))],
    ['a simple packet without its length', to.block(3)],
    ['a name record longer than its block', to.block(4, to.u16(1), to.u16(900))],
    ['a name record shorter than its address', to.block(4, to.u16(2), to.u16(4), to.u32(0))],
    ['secrets longer than their block', to.block(10, to.u32(0x544c_534b, 0xffff_ffff))],
    ['an interface without its header', to.block(1, to.u32(1))],
  ])('is refused with %s', (_title, block) => {
    const start = join(to.section(), to.device(0))
    expect(read(start, block).at(-1)).toEqual({ kind: 'error', at: start.length, what: expect.any(String) })
  })
})

describe.each(ORDERS)('pcap, $order', ({ little }) => {
  const to = new Encoder(little)
  const header = (magic: number, linkType: number): Uint8Array =>
    join(to.u32(magic), to.u16(2), to.u16(4), to.u32(0, 0, 65_535, linkType))
  const record = (seconds: number, fraction: number): Uint8Array => join(to.u32(seconds, fraction, 5, 60), FIVE)

  it('has stamps in microseconds or nanoseconds, by its first word', () => {
    const micros = read(header(0xa1b2_c3d4, 1), record(9, 8), record(4_000_000_000, 999_999))
    expect(stamps(micros)).toEqual(['9+8000', '4000000000+999999000'])
    const nanos = read(header(0xa1b2_3c4d, 101), record(9, 8))
    expect(stamps(nanos)).toEqual(['9+8'])
    expect(nanos[0]).toMatchObject({ kind: 'interface', linkType: 101, snapLength: 65_535 })
    expect(packets(nanos)[0]).toMatchObject({ bytes: FIVE, originalLength: 60, direction: 'unknown' })
  })

  it('ends with an error where a record is cut off, too long or has an impossible stamp', () => {
    const start = header(0xa1b2_c3d4, 1)
    expect(read(start, record(1, 1).subarray(0, 20)).at(-1)).toMatchObject({ kind: 'error', at: 24 })
    expect(read(start, to.u32(0, 0, 0x7fff_ffff, 5)).at(-1)).toMatchObject({ kind: 'error', at: 24 })
    expect(read(start, record(1, 1_000_000)).at(-1)).toMatchObject({ kind: 'error', at: 24 })
    expect(read(start.subarray(0, 20)).at(-1)).toMatchObject({ kind: 'error', what: 'too short for a capture' })
    expect(read(start).map((item) => item.kind)).toEqual(['interface'])
  })
})
