import fc from 'fast-check'
import { expect, test } from 'vitest'
import { IpAddress } from '../../src/wire/address.ts'
import {
  ARP_LENGTH,
  arpOperation,
  arpSenderIp,
  arpSenderMac,
  arpTargetIp,
  arpTargetMac,
  checkArp,
  emitArp,
} from '../../src/wire/arp.ts'
import { etherType, MacAddress, vlanInnerType, vlanTag } from '../../src/wire/ethernet.ts'
import { echoIdentifier, echoRest, echoSequence, emitIcmp, icmpCode, icmpType } from '../../src/wire/icmp4.ts'
import {
  checkIpv4,
  checkIpv4Options,
  emitIpv4,
  ipv4Destination,
  ipv4DontFragment,
  ipv4FlagsAndOffset,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Identification,
  ipv4MoreFragments,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  ipv4TrafficClass,
  ipv4Ttl,
  malformedOptionAt,
} from '../../src/wire/ipv4.ts'
import {
  checkIpv6,
  emitIpv6,
  ipv6Destination,
  ipv6FlowLabel,
  ipv6HopLimit,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6Source,
  ipv6TrafficClass,
} from '../../src/wire/ipv6.ts'
import { checkUdp, emitUdp, udpChecksum, udpDestinationPort, udpLength, udpSourcePort } from '../../src/wire/udp.ts'
import {
  arp,
  bytesOf,
  ethernet,
  hexOf,
  ip4,
  joined,
  MAC_A,
  MAC_B,
  octetsFrom,
  octetsOf,
  viewOf,
  vlan,
} from './frames.ts'

const u8 = fc.integer({ min: 0, max: 0xff })
const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const i32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })
const address4 = i32.map((word) => IpAddress.v4(word))
const address6 = fc.tuple(i32, i32, i32, i32).map(([a, b, c, d]) => new IpAddress(6, a, b, c, d))
const mac = fc.tuple(u16, i32).map(([high, low]) => new MacAddress(high, low))

test('an ARP request has the bytes of RFC 826', () => {
  expect(hexOf(arp({ operation: 1 }))).toBe(
    '02000000000b02000000000a0806' + '0001080006040001' + '02000000000a0a000001' + '0000000000000a000002',
  )
})

test('reading undoes writing: ARP', () => {
  const fields = fc.record({
    operation: fc.constantFrom(1, 2),
    senderMac: mac,
    senderIp: address4,
    targetMac: mac,
    targetIp: address4,
  })
  fc.assert(
    fc.property(fields, fc.nat({ max: 5 }), (packet, at) => {
      const { view } = octetsOf(40)
      emitArp(view, at, packet)
      expect(checkArp(view, at, ARP_LENGTH)).toBeUndefined()
      const read = {
        operation: arpOperation(view, at),
        senderMac: arpSenderMac(view, at),
        senderIp: arpSenderIp(view, at),
        targetMac: arpTargetMac(view, at),
        targetIp: arpTargetIp(view, at),
      }
      expect(read).toEqual(packet)
    }),
  )
})

test.each([
  [0, 9],
  [3, 1],
  [4, 8],
  [5, 16],
  [7, 3],
  [7, 0],
])('ARP whose byte %i is %i is malformed (RFC 826)', (at, value) => {
  const { view } = octetsFrom(arp({ operation: 1 }).subarray(14))
  view.setUint8(at, value)
  expect(checkArp(view, 0, ARP_LENGTH)).toBe('arpMalformed')
})

test('ARP of 27 bytes is malformed', () => {
  expect(checkArp(octetsFrom(arp({ operation: 1 }).subarray(14)).view, 0, 27)).toBe('arpMalformed')
})

test('a tagged frame has its tag between the addresses and the type (IEEE 802.1Q)', () => {
  const frame = vlan(0x6005, 0x0800, new Uint8Array(0))
  expect(hexOf(frame)).toBe('02000000000b02000000000a8100' + '60050800')
  const view = viewOf(frame)
  expect([etherType(view, 0), vlanTag(view, 0), vlanInnerType(view, 0)]).toEqual([0x8100, 0x6005, 0x0800])
  expect(etherType(viewOf(ethernet(0x86dd, new Uint8Array(0))), 0)).toBe(0x86dd)
})

test('MAC addresses: parse undoes print, and a map key is unique', () => {
  fc.assert(
    fc.property(mac, mac, (a, b) => {
      expect(MacAddress.parse(a.toString())?.equals(a)).toBe(true)
      expect(a.key === b.key).toBe(a.equals(b))
    }),
  )
  expect(MacAddress.parse('02-00-00-00-00-0A')?.equals(MAC_A)).toBe(true)
  for (const text of ['', '02:00:00:00:00', '02:00:00:00:00:0g', '0200.0000.000a', '02:00:00:00:00:0b:0c']) {
    expect(MacAddress.parse(text), text).toBeNull()
  }
  expect([MAC_B.isMulticast, MacAddress.from('01:00:5e:00:00:01').isMulticast]).toEqual([false, true])
  expect(MacAddress.from('ff:ff:ff:ff:ff:ff').isBroadcast).toBe(true)
})

test('the IPv4 header of a well-known example has the checksum b861', () => {
  const header = bytesOf('45000073000040004011b861c0a80001c0a800c7')
  const octets = octetsFrom(header)
  expect(checkIpv4(octets, 0, 20, 0x73)).toBeUndefined()
  emitIpv4(octets, 0, {
    trafficClass: 0,
    totalLength: 0x73,
    identification: 0,
    flagsAndOffset: 0x4000,
    ttl: 64,
    protocol: 17,
    source: IpAddress.from('192.168.0.1'),
    destination: IpAddress.from('192.168.0.199'),
    headerLength: 20,
  })
  expect(hexOf(octets.bytes)).toBe(hexOf(header))
})

test('reading undoes writing: IPv4, with options, anywhere in a page', () => {
  const fields = fc.record({
    trafficClass: u8,
    totalLength: fc.integer({ min: 60, max: 0xffff }),
    identification: u16,
    flagsAndOffset: u16,
    ttl: u8,
    protocol: u8,
    source: address4,
    destination: address4,
    headerLength: fc.integer({ min: 5, max: 15 }).map((words) => words * 4),
  })
  fc.assert(
    fc.property(fields, fc.nat({ max: 5 }), fc.uint8Array({ minLength: 40, maxLength: 40 }), (packet, at, options) => {
      const octets = octetsOf(72)
      const { view } = octets
      octets.bytes.set(options, at + 20)
      emitIpv4(octets, at, packet)
      expect(checkIpv4(octets, at, packet.headerLength, packet.totalLength)).toBeUndefined()
      const read = {
        trafficClass: ipv4TrafficClass(view, at),
        totalLength: ipv4TotalLength(view, at),
        identification: ipv4Identification(view, at),
        flagsAndOffset: ipv4FlagsAndOffset(view, at),
        ttl: ipv4Ttl(view, at),
        protocol: ipv4Protocol(view, at),
        source: ipv4Source(view, at),
        destination: ipv4Destination(view, at),
        headerLength: ipv4HeaderLength(view, at),
      }
      expect(read).toEqual(packet)
      expect(ipv4DontFragment(view, at)).toBe((packet.flagsAndOffset & 0x4000) !== 0)
      expect(ipv4MoreFragments(view, at)).toBe((packet.flagsAndOffset & 0x2000) !== 0)
      expect(ipv4FragmentOffset(view, at)).toBe((packet.flagsAndOffset & 0x1fff) * 8)
    }),
  )
})

test('a broken IPv4 header is told by what is wrong with it (RFC 1122 §3.2.1)', () => {
  const check = (at: number, value: number, linear = 20, length = 25) => {
    const octets = octetsFrom(ip4(17, new Uint8Array(5)))
    octets.view.setUint8(at, value)
    return checkIpv4(octets, 0, linear, length)
  }
  expect(check(0, 0x45)).toBeUndefined()
  expect(check(0, 0x45, 20, 60)).toBeUndefined()
  expect(check(0, 0x45, 19)).toBe('ipHeaderLength')
  expect(check(0, 0x55)).toBe('ipVersion')
  expect(check(0, 0x44)).toBe('ipHeaderLength')
  expect(check(0, 0x46)).toBe('ipHeaderLength')
  expect(check(3, 19)).toBe('ipTotalLength')
  expect(check(3, 26)).toBe('ipTotalLength')
  expect(check(8, 63)).toBe('ipChecksum')
})

test.each<[string, string | undefined]>([
  ['94040000', undefined],
  ['01010100', undefined],
  ['00ffffff', undefined],
  ['44040500', undefined],
  ['01010194', 'ipOptionMalformed'],
  ['94000000', 'ipOptionMalformed'],
  ['94010000', 'ipOptionMalformed'],
  ['94050000', 'ipOptionMalformed'],
  ['8307040a000001 00', 'ipSourceRoute'],
  ['01890704 0a000001', 'ipSourceRoute'],
])('the IPv4 options %s give %s (RFC 791 §3.1, RFC 7126)', (options, drop) => {
  const packet = ip4(17, new Uint8Array(0), { options: bytesOf(options) })
  expect(checkIpv4Options(viewOf(packet), 0, packet.length)).toBe(drop)
})

test.each([
  ['94040000', -1],
  ['00ffffff', -1],
  ['01010194', 23],
  ['9404000044000000', 24],
  ['01940500', 21],
])('the first malformed option of %s is at %i (RFC 1122 §3.2.2.5)', (options, at) => {
  const packet = joined(new Uint8Array(3), ip4(17, new Uint8Array(0), { options: bytesOf(options) }))
  expect(malformedOptionAt(viewOf(packet), 3, packet.length - 3)).toBe(at < 0 ? -1 : 3 + at)
})

test('reading undoes writing: IPv6', () => {
  const fields = fc.record({
    trafficClass: u8,
    flowLabel: fc.integer({ min: 0, max: 0xf_ffff }),
    payloadLength: u16,
    nextHeader: u8,
    hopLimit: u8,
    source: address6,
    destination: address6,
  })
  fc.assert(
    fc.property(fields, fc.nat({ max: 5 }), (packet, at) => {
      const { view } = octetsOf(48)
      emitIpv6(view, at, packet)
      expect(checkIpv6(view, at, 40, 40 + packet.payloadLength)).toBeUndefined()
      const read = {
        trafficClass: ipv6TrafficClass(view, at),
        flowLabel: ipv6FlowLabel(view, at),
        payloadLength: ipv6PayloadLength(view, at),
        nextHeader: ipv6NextHeader(view, at),
        hopLimit: ipv6HopLimit(view, at),
        source: ipv6Source(view, at),
        destination: ipv6Destination(view, at),
      }
      expect(read).toEqual(packet)
      expect(checkIpv6(view, at, 39, 100_000)).toBe('ipHeaderLength')
      expect(checkIpv6(view, at, 40, 39 + packet.payloadLength)).toBe('ipTotalLength')
      view.setUint8(at, 0x4f)
      expect(checkIpv6(view, at, 40, 100_000)).toBe('ipVersion')
    }),
  )
})

test('reading undoes writing: UDP', () => {
  const fields = fc.record({
    sourcePort: u16,
    destinationPort: u16,
    length: fc.integer({ min: 8, max: 0xffff }),
    checksum: u16,
  })
  fc.assert(
    fc.property(fields, (datagram) => {
      const { view } = octetsOf(8)
      emitUdp(view, 0, datagram)
      expect(checkUdp(view, 0, 8, datagram.length)).toBeUndefined()
      expect(checkUdp(view, 0, 8, datagram.length - 1)).toBe('udpLength')
      expect(checkUdp(view, 0, 7, datagram.length)).toBe('udpLength')
      const read = {
        sourcePort: udpSourcePort(view, 0),
        destinationPort: udpDestinationPort(view, 0),
        length: udpLength(view, 0),
        checksum: udpChecksum(view, 0),
      }
      expect(read).toEqual(datagram)
    }),
  )
  expect(checkUdp(viewOf(bytesOf('0001000200070000')), 0, 8, 8)).toBe('udpLength')
})

test('reading undoes writing: ICMP echo', () => {
  fc.assert(
    fc.property(u8, u8, u16, u16, (type, code, identifier, sequence) => {
      const { view } = octetsOf(8)
      view.setUint32(0, 0xffff_ffff)
      emitIcmp(view, 0, type, code, echoRest(identifier, sequence))
      expect([icmpType(view, 0), icmpCode(view, 0), view.getUint16(2)]).toEqual([type, code, 0])
      expect([echoIdentifier(view, 0), echoSequence(view, 0)]).toEqual([identifier, sequence])
    }),
  )
})

test('random bytes never throw, whatever reads them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), u32, (bytes, length) => {
      const octets = octetsFrom(bytes)
      const view = new DataView(octets.bytes.buffer, 0, bytes.length)
      checkArp(view, 0, bytes.length)
      checkUdp(view, 0, bytes.length, length)
      checkIpv6(view, 0, bytes.length, length)
      const exact = { bytes: octets.bytes, view, words: octets.words }
      if (bytes.length >= 20) {
        checkIpv4(exact, 0, bytes.length, length)
        checkIpv4Options(view, 0, Math.min(bytes.length, ipv4HeaderLength(view, 0)))
      }
    }),
    { numRuns: 2_000 },
  )
})
