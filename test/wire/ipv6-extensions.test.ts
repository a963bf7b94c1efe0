import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  ExtensionWalk,
  emitFragmentHeader,
  emitRouterAlertHopByHop,
  fragment6Identification,
  fragment6More,
  fragment6Offset,
  fragmentNextHeader,
  MAX_EXTENSIONS,
  NEXT_AH,
  NEXT_DESTINATION,
  NEXT_ESP,
  NEXT_FRAGMENT,
  NEXT_HOP_BY_HOP,
  NEXT_NONE,
  NEXT_ROUTING,
  walkExtensions,
} from '../../src/wire/ipv6-extensions.ts'
import { bytesOf, hexOf, ip6, joined, octetsOf, viewOf } from './frames.ts'

const UDP = 17
/** Where the packets begin, so that pointers are seen to count from there. */
const PACKET_AT = 6

/** Walks an IPv6 packet whose first next header is `first` and whose payload is `hex`. */
function walked(first: number, hex: string, cut = 0): ExtensionWalk {
  const packet = joined(new Uint8Array(PACKET_AT), ip6(first, bytesOf(hex)))
  const view = viewOf(packet.slice(0, packet.length - cut))
  const walk = new ExtensionWalk()
  const drop = walkExtensions(view, PACKET_AT, first, PACKET_AT + 6, PACKET_AT + 40, view.byteLength, walk)
  expect(walk.drop).toBe(drop)
  return walk
}

const PADDED = (next: number) => `${next.toString(16).padStart(2, '0')}00010400000000`

test('a packet without extension headers is walked in no step', () => {
  const walk = walked(UDP, '')
  expect(walk).toMatchObject({ nextHeader: UDP, at: PACKET_AT + 40, nextHeaderFieldAt: PACKET_AT + 6, drop: undefined })
})

test('hop-by-hop, destination options and routing headers are walked through (RFC 8200 §4.1)', () => {
  const walk = walked(
    NEXT_HOP_BY_HOP,
    PADDED(NEXT_DESTINATION) + PADDED(NEXT_ROUTING) + PADDED(UDP).replace('0104', '0000'),
  )
  expect(walk).toMatchObject({
    nextHeader: UDP,
    at: PACKET_AT + 64,
    nextHeaderFieldAt: PACKET_AT + 56,
    drop: undefined,
  })
  expect(walk.routerAlert).toBe(false)
})

test('the walk stops at a fragment header, at no next header, at AH and at ESP', () => {
  for (const next of [NEXT_FRAGMENT, NEXT_NONE, NEXT_AH, NEXT_ESP]) {
    const walk = walked(NEXT_DESTINATION, PADDED(next) + PADDED(UDP))
    expect(walk).toMatchObject({
      nextHeader: next,
      at: PACKET_AT + 48,
      nextHeaderFieldAt: PACKET_AT + 40,
      drop: undefined,
    })
  }
})

test('the router alert of MLD is 8 bytes and is seen (RFC 2711 §2.1)', () => {
  const { view, bytes } = octetsOf(8)
  emitRouterAlertHopByHop(view, 0, 58)
  expect(hexOf(bytes)).toBe('3a00050200000100')
  expect(walked(NEXT_HOP_BY_HOP, hexOf(bytes))).toMatchObject({ routerAlert: true, nextHeader: 58, drop: undefined })
  expect(walked(NEXT_DESTINATION, hexOf(bytes))).toMatchObject({ routerAlert: false, nextHeader: 58, drop: undefined })
})

test('a record used again remembers nothing', () => {
  const walk = walked(NEXT_HOP_BY_HOP, '1100050200008100')
  expect(walk).toMatchObject({
    problemCode: 2,
    problemToMulticast: true,
    drop: 'ipExtensionUnknown',
    routerAlert: true,
  })
  const packet = viewOf(ip6(UDP, new Uint8Array(0)))
  expect(walkExtensions(packet, 0, UDP, 6, 40, 40, walk)).toBeUndefined()
  expect(walk).toEqual(Object.assign(new ExtensionWalk(), { nextHeader: UDP, at: 40, nextHeaderFieldAt: 6 }))
})

test.each([
  ['00', '3e', { drop: undefined }],
  ['01', '7e', { drop: 'ipExtensionUnknown', problemCode: -1 }],
  ['10', 'be', { drop: 'ipExtensionUnknown', problemCode: 2, problemPointer: 43, problemToMulticast: true }],
  ['11', 'fe', { drop: 'ipExtensionUnknown', problemCode: 2, problemPointer: 43, problemToMulticast: false }],
])('an unknown option whose type begins with %s is treated so (RFC 8200 §4.2)', (_, type, expected) => {
  for (const first of [NEXT_HOP_BY_HOP, NEXT_DESTINATION]) {
    expect(walked(first, `1100 00 ${type} 01aa 0000`)).toMatchObject(expected)
  }
})

test('a hop-by-hop header that is not the first is an unknown next header (RFC 8200 §4)', () => {
  const walk = walked(NEXT_DESTINATION, PADDED(NEXT_HOP_BY_HOP) + PADDED(UDP))
  expect(walk).toMatchObject({ drop: 'ipExtensionMalformed', problemCode: 1, problemPointer: 40 })
})

test.each([0, 2, 3, 4, 253])(
  'a routing header of type %i with segments left is a problem at its type (RFC 5095 §3, RFC 8200 §4.4)',
  (type) => {
    const hexType = type.toString(16).padStart(2, '0')
    const walk = walked(NEXT_ROUTING, `1100${hexType}0100000000`)
    expect(walk).toMatchObject({ drop: 'ipExtensionUnknown', problemCode: 0, problemPointer: 42 })
    expect(walked(NEXT_ROUTING, `1100${hexType}0000000000`)).toMatchObject({ drop: undefined, nextHeader: UDP })
  },
)

test.each([
  ['a header with no bytes', NEXT_DESTINATION, ''],
  ['half a header', NEXT_DESTINATION, '11000104'],
  ['a length beyond the packet', NEXT_DESTINATION, '1101010400000000'],
  ['the greatest length', NEXT_DESTINATION, '11ff010400000000'],
  ['an option beyond its header', NEXT_DESTINATION, '1100010500000000'],
  ['an option type without a length', NEXT_DESTINATION, '1100 0000 0000 00 1e'],
  ['a router alert of length 1', NEXT_HOP_BY_HOP, '1100 0501 00 000000'],
  ['a cut fragment header', NEXT_FRAGMENT, '11000000'],
  ['a cut routing header', NEXT_ROUTING, '1102000100000000'],
])('%s is dropped in silence', (_, first, hex) => {
  expect(walked(first, hex)).toMatchObject({ drop: 'ipExtensionMalformed', problemCode: -1 })
})

test('what lies beyond the end given counts as missing', () => {
  expect(walked(NEXT_DESTINATION, PADDED(UDP), 1).drop).toBe('ipExtensionMalformed')
})

test(`${MAX_EXTENSIONS} extension headers are walked, one more is too many (RFC 8504 §5.3)`, () => {
  const chain = (count: number) => PADDED(NEXT_DESTINATION).repeat(count - 1) + PADDED(UDP)
  expect(walked(NEXT_DESTINATION, chain(MAX_EXTENSIONS)).drop).toBeUndefined()
  expect(walked(NEXT_DESTINATION, chain(MAX_EXTENSIONS + 1)).drop).toBe('ipExtensionTooMany')
})

test('reading undoes writing: the fragment header (RFC 8200 §4.5)', () => {
  const fields = fc.record({
    nextHeader: fc.nat({ max: 255 }),
    offset: fc.nat({ max: 8191 }).map((units) => units * 8),
    more: fc.boolean(),
    identification: fc.integer({ min: 0, max: 0xffff_ffff }),
  })
  fc.assert(
    fc.property(fields, (fragment) => {
      const { view } = octetsOf(8)
      emitFragmentHeader(view, 0, fragment)
      const read = {
        nextHeader: fragmentNextHeader(view, 0),
        offset: fragment6Offset(view, 0),
        more: fragment6More(view, 0),
        identification: fragment6Identification(view, 0),
      }
      expect(read).toEqual(fragment)
    }),
  )
})

test('random chains never throw, and end inside the packet', () => {
  const header = fc
    .tuple(fc.constantFrom(0, 43, 44, 59, 60, 17), fc.nat({ max: 2 }), fc.uint8Array({ minLength: 6, maxLength: 22 }))
    .map(([next, length, body]) => joined(Uint8Array.of(next, length), body))
  const chain = fc.array(header, { maxLength: 12 }).map((headers) => joined(...headers))
  const first = fc.constantFrom(0, 43, 44, 60)
  fc.assert(
    fc.property(first, fc.oneof(chain, fc.uint8Array({ maxLength: 100 })), (next, bytes) => {
      const view = viewOf(ip6(next, bytes))
      const walk = new ExtensionWalk()
      walkExtensions(view, 0, next, 6, 40, view.byteLength, walk)
      expect(walk.at).toBeLessThanOrEqual(view.byteLength)
      expect(walk.problemPointer).toBeLessThan(view.byteLength)
      if (walk.problemCode >= 0) expect(walk.drop).toBeDefined()
    }),
    { numRuns: 3_000 },
  )
})
