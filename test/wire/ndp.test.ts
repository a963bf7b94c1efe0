import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ALL_NODES6, ANY6, IpAddress, solicitedNode } from '../../src/wire/address.ts'
import { MacAddress } from '../../src/wire/ethernet.ts'
import {
  advertisementOverride,
  advertisementRouter,
  advertisementSolicited,
  checkNdpOptions,
  checkNeighborAdvertisement,
  checkNeighborSolicitation,
  checkRedirect,
  checkRouterAdvertisement,
  checkRouterSolicitation,
  emitNeighborAdvertisement,
  emitNeighborSolicitation,
  emitRedirect,
  emitRedirectedOption,
  emitRouterAdvertisement,
  emitRouterSolicitation,
  findNdpOption,
  ndpMac,
  ndpOptionLength,
  ndpTarget,
  nextNdpOption,
  OPTION_MTU,
  OPTION_REDIRECTED,
  OPTION_SOURCE_MAC,
  OPTION_TARGET_MAC,
  readPrefixInformation,
  readRouterAdvertisement,
  redirectDestination,
} from '../../src/wire/ndp.ts'
import { A6, B6, built, bytesOf, hexOf, joined, MAC_A, viewOf } from './frames.ts'

const i32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const u16 = fc.integer({ min: 0, max: 0xffff })
const unicast6 = fc.tuple(i32, i32, i32).map(([b, c, d]) => new IpAddress(6, 0x2001_0db8, b, c, d))
const mac = fc.option(fc.tuple(u16, i32).map(([high, low]) => new MacAddress(high, low)))

test('a neighbour solicitation has the bytes of RFC 4861 §4.3', () => {
  const message = built((view) => emitNeighborSolicitation(view, 0, B6, MAC_A))
  expect(hexOf(message)).toBe('8700000000000000' + '20010db8000000000000000000000002' + '010102000000000a')
})

test('reading undoes writing: neighbour solicitation', () => {
  fc.assert(
    fc.property(unicast6, mac, (target, sourceMac) => {
      const view = viewOf(built((at) => emitNeighborSolicitation(at, 0, target, sourceMac)))
      expect(checkNeighborSolicitation(view, 0, view.byteLength, A6, solicitedNode(target))).toBeUndefined()
      expect(ndpTarget(view, 0)).toEqual(target)
      expect(ndpMac(view, 24, view.byteLength, OPTION_SOURCE_MAC)).toEqual(sourceMac)
    }),
  )
})

test('reading undoes writing: neighbour advertisement', () => {
  const fields = fc.record({
    target: unicast6,
    mac,
    router: fc.boolean(),
    solicited: fc.boolean(),
    override: fc.boolean(),
  })
  fc.assert(
    fc.property(fields, (advertisement) => {
      const view = viewOf(built((at) => emitNeighborAdvertisement(at, 0, advertisement)))
      expect(checkNeighborAdvertisement(view, 0, view.byteLength, B6)).toBeUndefined()
      const read = {
        target: ndpTarget(view, 0),
        mac: ndpMac(view, 24, view.byteLength, OPTION_TARGET_MAC),
        router: advertisementRouter(view, 0),
        solicited: advertisementSolicited(view, 0),
        override: advertisementOverride(view, 0),
      }
      expect(read).toEqual(advertisement)
    }),
  )
})

const prefix = fc.record({
  prefix: unicast6,
  length: fc.nat({ max: 128 }),
  onLink: fc.boolean(),
  autonomous: fc.boolean(),
  validLifetime: u32,
  preferredLifetime: u32,
})

test('reading undoes writing: router advertisement, with its prefixes in order', () => {
  const fields = fc.record({
    hopLimit: fc.nat({ max: 255 }),
    managed: fc.boolean(),
    otherConfiguration: fc.boolean(),
    preference: fc.constantFrom(-1, 0, 1),
    lifetime: u16,
    reachableTime: u32,
    retransmitTime: u32,
    sourceMac: mac,
    mtu: u32,
    prefixes: fc.array(prefix, { maxLength: 4 }),
  })
  fc.assert(
    fc.property(fields, (advertisement) => {
      const view = viewOf(built((at) => emitRouterAdvertisement(at, 0, advertisement)))
      const end = view.byteLength
      expect(checkRouterAdvertisement(view, 0, end, A6)).toBeUndefined()
      const prefixes = []
      for (let option = 16; option < end; option = nextNdpOption(view, option, end)) {
        const info = readPrefixInformation(view, option)
        if (info !== null) prefixes.push(info)
      }
      expect({ ...readRouterAdvertisement(view, 0, end), prefixes }).toEqual(advertisement)
    }),
  )
})

test('the reserved preference of a router counts as medium (RFC 4191 §2.2)', () => {
  const view = viewOf(bytesOf('8600000040100708' + '0000000000000000'))
  expect(readRouterAdvertisement(view, 0, 16).preference).toBe(0)
})

test('reading undoes writing: redirect, with a quoted packet', () => {
  const message = built((view) => {
    const length = emitRedirect(view, 0, A6, B6, MAC_A)
    return length + emitRedirectedOption(view, length, 48) + 48
  })
  const view = viewOf(message)
  expect(checkRedirect(view, 0, message.length, A6)).toBeUndefined()
  expect([ndpTarget(view, 0), redirectDestination(view, 0)]).toEqual([A6, B6])
  expect(ndpMac(view, 40, message.length, OPTION_TARGET_MAC)).toEqual(MAC_A)
  const quoted = findNdpOption(view, 40, message.length, OPTION_REDIRECTED)
  expect([quoted, ndpOptionLength(view, quoted)]).toEqual([48, 56])
})

const MESSAGES = {
  solicitation: built((view) => emitNeighborSolicitation(view, 0, B6, MAC_A)),
  probe: built((view) => emitNeighborSolicitation(view, 0, B6, null)),
  advertisement: built((view) =>
    emitNeighborAdvertisement(view, 0, { target: B6, mac: MAC_A, router: false, solicited: true, override: true }),
  ),
  routerSolicitation: built((view) => emitRouterSolicitation(view, 0, MAC_A)),
  redirect: built((view) => emitRedirect(view, 0, A6, B6, MAC_A)),
}

test('a solicitation from :: goes to the solicited-node group and teaches no address (RFC 4861 §7.1.1)', () => {
  const check = (bytes: Uint8Array, source: IpAddress, destination: IpAddress) =>
    checkNeighborSolicitation(viewOf(bytes), 0, bytes.length, source, destination)
  expect(check(MESSAGES.probe, ANY6, solicitedNode(B6))).toBeUndefined()
  expect(check(MESSAGES.probe, ANY6, B6)).toBe('ndpMalformed')
  expect(check(MESSAGES.probe, ANY6, ALL_NODES6)).toBe('ndpMalformed')
  expect(check(MESSAGES.solicitation, ANY6, solicitedNode(B6))).toBe('ndpMalformed')
  expect(check(MESSAGES.solicitation, A6, B6)).toBeUndefined()
})

test('an advertisement to a group is not solicited (RFC 4861 §7.1.2)', () => {
  const view = viewOf(MESSAGES.advertisement)
  expect(checkNeighborAdvertisement(view, 0, view.byteLength, ALL_NODES6)).toBe('ndpMalformed')
})

test('a solicitation of routers from :: has no source address option (RFC 4861 §6.1.1)', () => {
  const view = viewOf(MESSAGES.routerSolicitation)
  expect(checkRouterSolicitation(view, 0, view.byteLength, ANY6)).toBe('ndpMalformed')
  expect(checkRouterSolicitation(view, 0, 8, ANY6)).toBeUndefined()
  expect(checkRouterSolicitation(view, 0, view.byteLength, A6)).toBeUndefined()
})

test('routers speak from link-local addresses (RFC 4861 §6.1.2, §8.1)', () => {
  expect(checkRouterAdvertisement(viewOf(new Uint8Array(16)), 0, 16, B6)).toBe('ndpMalformed')
  expect(checkRedirect(viewOf(MESSAGES.redirect), 0, 48, B6)).toBe('ndpMalformed')
})

test('a redirect leads to a router on the link or to the destination itself (RFC 4861 §8.1)', () => {
  const check = (target: string, destination: string) => {
    const bytes = built((view) => emitRedirect(view, 0, IpAddress.from(target), IpAddress.from(destination), null))
    return checkRedirect(viewOf(bytes), 0, bytes.length, A6)
  }
  expect(check('2001:db8::9', '2001:db8::9')).toBeUndefined()
  expect(check('fe80::9', '2001:db8::9')).toBeUndefined()
  expect(check('2001:db8::8', '2001:db8::9')).toBe('ndpMalformed')
  expect(check('fe80::9', 'ff0e::9')).toBe('ndpMalformed')
})

test('a code other than 0, a multicast target or a missing byte discards any message (RFC 4861 §7.1)', () => {
  const checks: [Uint8Array, number, (view: DataView, length: number) => string | undefined][] = [
    [MESSAGES.solicitation, 24, (view, length) => checkNeighborSolicitation(view, 0, length, A6, B6)],
    [MESSAGES.advertisement, 24, (view, length) => checkNeighborAdvertisement(view, 0, length, B6)],
    [MESSAGES.routerSolicitation, 8, (view, length) => checkRouterSolicitation(view, 0, length, A6)],
    [MESSAGES.redirect, 40, (view, length) => checkRedirect(view, 0, length, A6)],
  ]
  for (const [message, header, check] of checks) {
    expect(check(viewOf(message), message.length)).toBeUndefined()
    for (let length = 0; length < header; length++) {
      expect(check(viewOf(message.slice(0, length)), length)).toBe('ndpMalformed')
    }
    const coded = message.slice()
    coded[1] = 1
    expect(check(viewOf(coded), coded.length)).toBe('ndpMalformed')
    if (header !== 24) continue
    const grouped = message.slice()
    grouped[8] = 0xff
    expect(check(viewOf(grouped), grouped.length)).toBe('ndpMalformed')
  }
})

test.each([
  ['', undefined],
  ['0101020000000001', undefined],
  ['0e01aabbccddeeff' + '0101020000000001', undefined],
  ['0100020000000001', 'ndpMalformed'],
  ['0102020000000001', 'ndpMalformed'],
  ['01', 'ndpMalformed'],
  ['0101020000000001' + '0500', 'ndpMalformed'],
])('the options %s give %s (RFC 4861 §4.6)', (hex, drop) => {
  const bytes = bytesOf(hex)
  expect(checkNdpOptions(viewOf(bytes), 0, bytes.length)).toBe(drop)
})

test('unknown options are skipped, options of the wrong size are not read (RFC 4861 §4.6)', () => {
  const options = bytesOf(
    '0e01000000000000' + '0502000000000000' + '00000000000005dc' + '0102020000000001' + '0000000000000000',
  )
  const view = viewOf(options)
  expect(findNdpOption(view, 0, options.length, OPTION_MTU)).toBe(8)
  expect(ndpMac(view, 0, options.length, OPTION_SOURCE_MAC)).toBeNull()
  const advertisement = joined(new Uint8Array(16), options)
  expect(readRouterAdvertisement(viewOf(advertisement), 0, advertisement.length).mtu).toBe(0)
  expect(readPrefixInformation(viewOf(joined(bytesOf('0304 81 c0'), new Uint8Array(28))), 0)).toBeNull()
  expect(readPrefixInformation(viewOf(bytesOf('0301 40c0 00000000')), 0)).toBeNull()
})

test('random bytes never throw, and walks of options end', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      const view = viewOf(bytes)
      const end = bytes.length
      checkNeighborSolicitation(view, 0, end, ANY6, solicitedNode(B6))
      checkNeighborAdvertisement(view, 0, end, B6)
      checkRouterSolicitation(view, 0, end, ANY6)
      checkRedirect(view, 0, end, A6)
      if (checkRouterAdvertisement(view, 0, end, A6) !== undefined) return
      readRouterAdvertisement(view, 0, end)
      for (let option = 16; option < end; option = nextNdpOption(view, option, end)) readPrefixInformation(view, option)
    }),
    { numRuns: 3_000 },
  )
})

test('the walk over options never leaves the message, whatever an option says its length is', () => {
  for (const hex of ['0e00000000000000', '0e02000000000000', '0eff000000000000', '0e']) {
    const bytes = bytesOf(hex)
    expect(nextNdpOption(viewOf(joined(bytes, new Uint8Array(8))), 0, bytes.length)).toBe(bytes.length)
  }
})
