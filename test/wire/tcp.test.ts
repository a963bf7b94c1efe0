import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seq } from '../../src/wire/sequence.ts'
import {
  AE,
  checkTcp,
  emitTcp,
  SYN,
  TCP_HEADER,
  tcpAck,
  tcpChecksum,
  tcpDestinationPort,
  tcpFlags,
  tcpHeaderLength,
  tcpSeq,
  tcpSourcePort,
  tcpUrgentPointer,
  tcpWindow,
} from '../../src/wire/tcp.ts'
import {
  emitTcpOptions,
  MAX_SACK_BLOCKS,
  MAX_SACK_BLOCKS_WITH_TIMESTAMPS,
  readTcpOptions,
  TcpOptions,
  tcpOptionsLength,
} from '../../src/wire/tcp-options.ts'
import { bytesOf, hexOf, joined, octetsOf, tcp, viewOf } from './frames.ts'

const u16 = fc.integer({ min: 0, max: 0xffff })
const i32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })

test('a SYN has the bytes of RFC 9293 §3.1, with the options in the order of Linux', () => {
  const options = { mss: 1460, sackPermitted: true, timestamps: true, timestampValue: 1, windowScale: 7 }
  const segment = tcp({ flags: SYN, seq: 1, options })
  expect(hexOf(segment.subarray(0, 16))).toBe('9c401e610000000100000000a002faf0')
  expect(hexOf(segment.subarray(20))).toBe('020405b4' + '0402080a0000000100000000' + '01030307')
})

test('reading undoes writing: the TCP header, nine flags and all', () => {
  const fields = fc.record({
    sourcePort: u16,
    destinationPort: u16,
    seq: i32.map(seq),
    ack: i32.map(seq),
    headerLength: fc.integer({ min: 5, max: 15 }).map((words) => words * 4),
    flags: fc.integer({ min: 0, max: 0x1ff }),
    window: u16,
    checksum: u16,
    urgentPointer: u16,
  })
  fc.assert(
    fc.property(fields, fc.nat({ max: 5 }), (segment, at) => {
      const { view } = octetsOf(28)
      emitTcp(view, at, segment)
      const read = {
        sourcePort: tcpSourcePort(view, at),
        destinationPort: tcpDestinationPort(view, at),
        seq: tcpSeq(view, at),
        ack: tcpAck(view, at),
        headerLength: tcpHeaderLength(view, at),
        flags: tcpFlags(view, at),
        window: tcpWindow(view, at),
        checksum: tcpChecksum(view, at),
        urgentPointer: tcpUrgentPointer(view, at),
      }
      expect(read).toEqual(segment)
      expect(checkTcp(view, at, segment.headerLength)).toBeUndefined()
      expect(checkTcp(view, at, segment.headerLength - 1)).toBe('tcpHeaderLength')
    }),
  )
})

test('the reserved bits are no flags, and a data offset below 5 is malformed (RFC 9293 §3.1)', () => {
  const { view } = octetsOf(20)
  view.setUint16(12, 0x5e00)
  expect([tcpFlags(view, 0), checkTcp(view, 0, 20)]).toEqual([0, undefined])
  view.setUint16(12, 0x5100)
  expect(tcpFlags(view, 0)).toBe(AE)
  view.setUint16(12, 0x4000)
  expect(checkTcp(view, 0, 20)).toBe('tcpHeaderLength')
})

/** What is read from these options; `hex` is a multiple of 4 bytes. */
function read(hex: string): TcpOptions {
  const bytes = joined(new Uint8Array(TCP_HEADER), bytesOf(hex))
  const options = filled()
  readTcpOptions(viewOf(bytes), 0, bytes.length, options)
  return options
}

/** A record full of what a segment before this one left. */
function filled(): TcpOptions {
  const options = new TcpOptions()
  Object.assign(options, { mss: 9, windowScale: 9, sackPermitted: true, timestamps: true, timestampValue: 9 })
  Object.assign(options, { timestampEcho: 9, sackCount: 4 })
  return options
}

const blocks = fc.array(fc.tuple(i32, i32), { maxLength: MAX_SACK_BLOCKS })
const fields = fc.record({
  mss: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 0xffff })),
  windowScale: fc.integer({ min: -1, max: 14 }),
  sackPermitted: fc.boolean(),
  timestamps: fc.option(fc.tuple(i32, i32)),
  blocks,
})

test('reading undoes writing: every set of TCP options that fits', () => {
  fc.assert(
    fc.property(fields, (wanted) => {
      const options = new TcpOptions()
      const { timestamps, blocks: sack, ...rest } = wanted
      Object.assign(options, rest)
      if (timestamps !== null) {
        options.timestamps = true
        ;[options.timestampValue, options.timestampEcho] = timestamps
      }
      options.sackCount = sack.length
      for (const [index, [left, right]] of sack.entries()) {
        options.sackLeft[index] = left
        options.sackRight[index] = right
      }
      fc.pre(tcpOptionsLength(options) <= 40)
      const { view } = octetsOf(60)
      const length = emitTcpOptions(view, TCP_HEADER, options)
      expect(length).toBe(tcpOptionsLength(options))
      expect(length % 4).toBe(0)
      const parsed = filled()
      readTcpOptions(view, 0, TCP_HEADER + length, parsed)
      expect(parsed).toEqual(options)
    }),
    { numRuns: 1_000 },
  )
})

test('what is written has a length for every option but no-operations, and no end before its end (RFC 9293 §3.1, MUST-68, MUST-69)', () => {
  fc.assert(
    fc.property(fields, (wanted) => {
      const { timestamps, blocks: sack, ...rest } = wanted
      const options = Object.assign(new TcpOptions(), rest, { timestamps: timestamps !== null })
      options.sackCount = Math.min(sack.length, 2)
      const { view } = octetsOf(40)
      const length = emitTcpOptions(view, 0, options)
      let at = 0
      while (at < length) {
        const kind = view.getUint8(at)
        expect(kind).not.toBe(0)
        at += kind === 1 ? 1 : view.getUint8(at + 1)
      }
      expect(at).toBe(length)
    }),
  )
})

test('beside timestamps three SACK blocks fit, without them four (RFC 2018 §3)', () => {
  const options = Object.assign(new TcpOptions(), { timestamps: true, sackCount: MAX_SACK_BLOCKS_WITH_TIMESTAMPS })
  expect(tcpOptionsLength(options)).toBe(40)
  options.sackCount = MAX_SACK_BLOCKS
  expect(() => emitTcpOptions(octetsOf(80).view, 0, options)).toThrow('TCP options too long')
  options.timestamps = false
  expect(tcpOptionsLength(options)).toBe(36)
})

const NONE = new TcpOptions()

test.each<[string, string, Partial<TcpOptions>]>([
  ['nothing', '', {}],
  ['a length of 0', '0204057808000101', { mss: 1400 }],
  ['a length of 1', '0204057808010101', { mss: 1400 }],
  ['a length beyond the header', '020405780101080a', { mss: 1400 }],
  ['a kind without a length', '0204057801010108', { mss: 1400 }],
  ['bytes after the end', '0000000002040578', {}],
  ['unknown options, which are skipped', 'fd06aabbccdd1c04800a010102040578', { mss: 1400 }],
  ['an MSS of length 3', '0203050103030700', { windowScale: 7 }],
  ['a window scale of length 4', '0304070002040578', { mss: 1400 }],
  ['a window scale of 200, which counts as 14 (RFC 7323 §2.3)', '0303c800', { windowScale: 14 }],
  ['SACK-permitted of length 3', '0403010002040578', {}],
  ['timestamps of length 9', '0809000000010000000100000000'.slice(0, 24), {}],
  ['SACK of length 2', '0502010102040578', { mss: 1400 }],
  ['SACK of length 12', '050c000000010000000200000204057801010101'.slice(0, 40), {}],
  ['an MSS twice: the last counts', '0204057802040200', { mss: 512 }],
  [
    'unaligned timestamps',
    '080a000000010000000201010303070000'.slice(0, 32),
    { timestamps: true, timestampValue: 1, timestampEcho: 2, windowScale: 7 },
  ],
])('the options survive %s (RFC 9293 §3.1, MUST-4, MUST-6, MUST-7, MUST-64, MUST-68)', (_, hex, expected) => {
  const options = read(hex)
  const { sackLeft: _left, sackRight: _right, ...scalars } = options
  const { sackLeft: _noLeft, sackRight: _noRight, ...none } = NONE
  const seen = hex.startsWith('050c') || hex.startsWith('0403') ? { ...scalars, mss: 0 } : scalars
  expect(seen).toEqual({ ...none, ...expected })
})

test('the aligned timestamps of nearly every segment are read as any others', () => {
  expect(read('0101080affffffff00000007')).toMatchObject({
    timestamps: true,
    timestampValue: -1,
    timestampEcho: 7,
    mss: 0,
  })
})

test('a SACK option with four blocks is read whole (RFC 2018 §3)', () => {
  const options = read('01010522' + '00000001000000020000000300000004ffffffff000000000000000500000006')
  expect(options.sackCount).toBe(4)
  expect([...options.sackLeft]).toEqual([1, 3, -1, 5])
  expect([...options.sackRight]).toEqual([2, 4, 0, 6])
})

test('random options never throw, and what they leave is in range', () => {
  const soup = fc.array(fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 10, 18, 255), { minLength: 40, maxLength: 40 })
  const words = fc.integer({ min: 5, max: 15 })
  fc.assert(
    fc.property(
      fc.oneof(soup, fc.array(fc.nat({ max: 255 }), { minLength: 40, maxLength: 40 })),
      words,
      (bytes, length) => {
        const header = joined(new Uint8Array(TCP_HEADER), Uint8Array.from(bytes)).slice(0, length * 4)
        const options = filled()
        readTcpOptions(viewOf(header), 0, header.length, options)
        expect(options.windowScale).toBeLessThanOrEqual(14)
        expect(options.sackCount).toBeLessThanOrEqual(MAX_SACK_BLOCKS)
      },
    ),
    { numRuns: 5_000 },
  )
})
