// What a TAP device with offloads puts before each packet, both ways.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  readVirtioNetHeader,
  VIRTIO_NET_HEADER,
  writeVirtioNetHeader,
} from '../../native-free-fallback/virtio-net-header.ts'
import { Packet, RECEIVE_HEADROOM } from '../../src/buf/packet.ts'
import { testPool } from '../support/pool.ts'

const viewOf = (...bytes: number[]): DataView => new DataView(Uint8Array.from(bytes).buffer)
const frame = (length = 100): Packet => Packet.from(testPool(), new Uint8Array(length).fill(0x50), RECEIVE_HEADROOM)!

describe('the virtio-net header (VIRTIO 1.2 §5.1.6)', () => {
  it('with NEEDS_CSUM says where the sum begins and where it belongs', () => {
    const packet = frame()
    expect(readVirtioNetHeader(viewOf(1, 0, 0, 0, 0, 0, 34, 0, 16, 0), 0, packet)).toBeUndefined()
    expect(packet.checksum).toBe('partial')
    expect(packet.checksumStart).toBe(packet.data + 34)
    expect(packet.checksumField).toBe(packet.data + 50)
    expect(packet.segmentKind).toBe('none')
    packet.release()
  })

  it('with DATA_VALID says that the checksum was found right', () => {
    const packet = frame()
    expect(readVirtioNetHeader(viewOf(2, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0, packet)).toBeUndefined()
    expect(packet.checksum).toBe('verified')
    packet.release()
  })

  it('of zeros says nothing', () => {
    const packet = frame()
    expect(readVirtioNetHeader(viewOf(0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0, packet)).toBeUndefined()
    expect(packet.checksum).toBe('unchecked')
    packet.release()
  })

  it.each([
    [1, 'tcp4'],
    [4, 'tcp6'],
    [5, 'udp'],
    [0x81, 'tcp4'],
  ])('of GSO type %i names a super-segment of kind %s', (type, kind) => {
    const packet = frame()
    expect(readVirtioNetHeader(viewOf(1, type, 54, 0, 0xa8, 0x05, 34, 0, 16, 0), 0, packet)).toBeUndefined()
    expect(packet.segmentKind).toBe(kind)
    expect(packet.segmentBytes).toBe(1_448)
    packet.release()
  })

  it.each([
    ['a checksum field beyond the frame', [1, 0, 0, 0, 0, 0, 90, 0, 9, 0]],
    ['a sum that begins beyond the frame', [1, 0, 0, 0, 0, 0, 255, 255, 255, 255]],
    ['a GSO type that nobody offered', [0, 3, 0, 0, 100, 0, 0, 0, 0, 0]],
    ['segments of no bytes', [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]],
  ])('with %s is dropped', (_what, bytes) => {
    const packet = frame()
    expect(readVirtioNetHeader(viewOf(...bytes), 0, packet)).toBe('offloadMalformed')
    packet.release()
  })

  it('read from what was written says the same', () => {
    for (const kind of ['tcp4', 'tcp6', 'udp'] as const) {
      const packet = frame()
      packet.checksum = 'partial'
      packet.checksumStart = packet.data + 34
      packet.checksumField = packet.data + 50
      packet.segmentKind = kind
      packet.segmentBytes = 1_448
      const view = new DataView(new ArrayBuffer(VIRTIO_NET_HEADER))
      writeVirtioNetHeader(view, 0, packet)
      const twin = frame()
      expect(readVirtioNetHeader(view, 0, twin)).toBeUndefined()
      expect(twin).toMatchObject({ checksum: 'partial', segmentKind: kind, segmentBytes: 1_448 })
      expect(twin.checksumStart - twin.data).toBe(34)
      expect(twin.checksumField - twin.data).toBe(50)
      // Link and IP header 34, then TCP of data offset 5 (0x50), or UDP.
      expect(view.getUint16(2, true)).toBe(kind === 'udp' ? 42 : 54)
      packet.release()
      twin.release()
    }
  })

  it('leaves nothing of the last packet behind', () => {
    const view = viewOf(255, 255, 255, 255, 255, 255, 255, 255, 255, 255)
    const packet = frame()
    writeVirtioNetHeader(view, 0, packet)
    expect(new Uint8Array(view.buffer)).toEqual(new Uint8Array(VIRTIO_NET_HEADER))
    packet.release()
  })

  it('of any bytes never throws, and never points outside the packet', () => {
    const pool = testPool()
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 10, maxLength: 10 }),
        fc.integer({ min: 1, max: 1_500 }),
        (bytes, length) => {
          const packet = Packet.from(pool, new Uint8Array(length), RECEIVE_HEADROOM)!
          const drop = readVirtioNetHeader(new DataView(bytes.slice().buffer), 0, packet)
          if (drop === undefined && packet.checksum === 'partial') {
            expect(packet.checksumStart).toBeLessThan(packet.tail)
            expect(packet.checksumField + 2).toBeLessThanOrEqual(packet.tail)
          }
          packet.release()
        },
      ),
    )
  })
})
