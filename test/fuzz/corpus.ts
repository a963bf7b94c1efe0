// One frame of every protocol and kind of message that a host understands, right in every byte: what the flood mutates.
// The host is 10.0.0.1, fd00::1 and a router to 10.1.0.0/24, 10.2.0.0/24, fd00:1::/64 and fd00:2::/64.

import type { SeededRandom } from '../../src/random.ts'
import { ALL_HOSTS4, ALL_NODES6, ALL_ROUTERS6, ANY4, IpAddress, solicitedNode } from '../../src/wire/address.ts'
import { ARP_LENGTH, ARP_REPLY, ARP_REQUEST, emitArp } from '../../src/wire/arp.ts'
import type { Octets } from '../../src/wire/checksum.ts'
import {
  BROADCAST_MAC,
  ETHERNET_HEADER,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_VLAN,
  emitEthernet,
  MacAddress,
  multicastMac,
  ZERO_MAC,
} from '../../src/wire/ethernet.ts'
import { emitIgmp, emitIgmpV3Report, IGMPV2_LEAVE, IGMPV2_REPORT, MODE_IS_EXCLUDE } from '../../src/wire/igmp.ts'
import { PROTOCOL_ICMP6, PROTOCOL_IGMP, PROTOCOL_TCP } from '../../src/wire/ipv4.ts'
import { emitMld, emitMldV2Report } from '../../src/wire/mld.ts'
import {
  emitNeighborAdvertisement,
  emitNeighborSolicitation,
  emitRedirect,
  emitRouterAdvertisement,
  emitRouterSolicitation,
} from '../../src/wire/ndp.ts'
import {
  bytesUpTo,
  fragment6Of,
  icmp4,
  icmp6,
  packet4,
  packet6,
  pseudoHeader,
  udp4,
  udp6,
  udpOf,
} from '../support/packets.ts'
import { built, joined } from '../wire/frames.ts'
import { naiveChecksum } from '../wire/naive-checksum.ts'

export const HOST_MAC = MacAddress.from('02:00:00:00:00:01')
const PEER_MAC = MacAddress.from('02:00:00:00:00:02')
export const ECHO_IDENTIFIER = 77
export const UDP_PORT = 7
export const CONNECTED_PORT = 9_000
export const GROUP4 = IpAddress.from('239.1.2.3')
export const GROUP6 = IpAddress.from('ff05::5')
const HOST4 = IpAddress.from('10.0.0.1')
const PEER4 = IpAddress.from('10.0.0.2')
const HOST6 = IpAddress.from('fd00::1')
const PEER6 = IpAddress.from('fe80::2')

const body = (write: (view: DataView, octets: Octets) => number): Uint8Array => built(write)

/** ICMPv6 from a message without a checksum. */
function discovery(message: Uint8Array, destination: IpAddress, hopLimit = 255, source = PEER6): Uint8Array {
  message.set([0, 0], 2)
  const sum = naiveChecksum(joined(pseudoHeader(source, destination, PROTOCOL_ICMP6, message.length), message))
  message.set([sum >>> 8, sum & 0xff], 2)
  const ends = { source: String(source), destination: String(destination), hopLimit }
  return packet6({ ...ends, nextHeader: PROTOCOL_ICMP6, payload: message })
}

function arpFrames(): Uint8Array[] {
  const arp = (operation: number, senderIp: IpAddress, targetIp: IpAddress, senderMac = PEER_MAC): Uint8Array =>
    body((view) => {
      emitEthernet(view, 0, operation === ARP_REPLY ? HOST_MAC : BROADCAST_MAC, senderMac, ETHERTYPE_ARP)
      emitArp(view, ETHERNET_HEADER, { operation, senderMac, senderIp, targetMac: ZERO_MAC, targetIp })
      return ETHERNET_HEADER + ARP_LENGTH
    })
  return [
    arp(ARP_REQUEST, PEER4, HOST4),
    arp(ARP_REPLY, PEER4, HOST4),
    arp(ARP_REQUEST, ANY4, HOST4),
    arp(ARP_REQUEST, PEER4, PEER4),
    arp(ARP_REQUEST, HOST4, HOST4),
  ]
}

function icmp4Packets(): Uint8Array[] {
  const ours = { source: '10.0.0.1', destination: '10.0.0.2' }
  const quotes = [
    udp4({ ...ours, sourcePort: UDP_PORT, destinationPort: 4_000, payload: bytesUpTo(64) }),
    udp4({ ...ours, sourcePort: CONNECTED_PORT, destinationPort: 4_000, dontFragment: true }),
    icmp4(ours, 8, 0, (ECHO_IDENTIFIER << 16) | 1, bytesUpTo(32)),
    icmp4(ours, 3, 3, 0, bytesUpTo(28)),
    packet4({ ...ours, protocol: PROTOCOL_TCP, payload: bytesUpTo(20) }),
  ]
  const errors = quotes.flatMap((quote) => [
    ...[0, 1, 2, 3, 4, 5, 9, 13].map((code) => icmp4({}, 3, code, code === 4 ? 600 : 0, quote)),
    icmp4({}, 11, 0, 0, quote),
    icmp4({}, 11, 1, 0, quote),
    icmp4({}, 12, 0, 20 << 24, quote),
    icmp4({}, 5, 1, 0x0a00_0003, quote),
  ])
  const echoes = [8, 0, 13, 17].map((type) => icmp4({}, type, 0, (ECHO_IDENTIFIER << 16) | 1, bytesUpTo(56)))
  return [...errors, ...echoes]
}

function udp4Packets(): Uint8Array[] {
  const whole = udpOf(4, { payload: bytesUpTo(2_992) })
  return [
    udp4({ payload: bytesUpTo(30) }),
    udp4({ payload: bytesUpTo(30), checksum: 0 }),
    udp4({ sourcePort: 4_000, destinationPort: CONNECTED_PORT, payload: bytesUpTo(3) }),
    udp4({ destinationPort: 5_555 }),
    udp4({ destination: String(GROUP4), payload: bytesUpTo(9) }),
    udp4({ destination: '10.0.0.255', payload: bytesUpTo(9) }),
    udp4({ options: [148, 4, 0, 0, 7, 7, 4, 1, 2, 3, 4, 0] }),
    udp4({ options: [131, 7, 4, 10, 0, 0, 9, 0] }),
    packet4({ more: true, payload: whole.subarray(0, 1_480) }),
    packet4({ more: true, offset: 1_480, payload: whole.subarray(1_480, 2_960) }),
    packet4({ offset: 2_960, payload: whole.subarray(2_960) }),
    packet4({ more: true, payload: whole.subarray(0, 8) }),
    packet4({ protocol: 99, payload: bytesUpTo(9) }),
    packet4({ protocol: PROTOCOL_TCP, payload: bytesUpTo(40) }),
    udp4({ destination: '10.1.0.9', payload: bytesUpTo(200) }),
    udp4({ destination: '10.2.0.9', payload: bytesUpTo(1_400) }),
    udp4({ destination: '10.2.0.9', payload: bytesUpTo(1_400), dontFragment: true }),
    udp4({ destination: '10.1.0.9', ttl: 1 }),
    udp4({ destination: '192.168.3.4' }),
  ]
}

function groupPackets(): Uint8Array[] {
  const igmp = (payload: Uint8Array, destination: IpAddress): Uint8Array =>
    packet4({ protocol: PROTOCOL_IGMP, ttl: 1, destination: String(destination), options: [148, 4, 0, 0], payload })
  const old = (type: number, group: IpAddress, tenths: number): Uint8Array =>
    body((_, octets) => emitIgmp(octets, 0, type, group, tenths))
  const mld = (type: number, group: IpAddress, millis: number): Uint8Array =>
    body((view) => emitMld(view, 0, type, group, millis))
  const v3Query = joined(old(0x11, GROUP4, 20), Uint8Array.of(2, 125, 0, 0))
  return [
    igmp(old(0x11, ANY4, 100), ALL_HOSTS4),
    igmp(old(0x11, ANY4, 0), ALL_HOSTS4),
    igmp(old(0x11, GROUP4, 10), GROUP4),
    igmp(v3Query, GROUP4),
    igmp(old(IGMPV2_REPORT, GROUP4, 0), GROUP4),
    igmp(old(IGMPV2_LEAVE, GROUP4, 0), IpAddress.from('224.0.0.2')),
    igmp(
      body((_, octets) => emitIgmpV3Report(octets, 0, [{ type: MODE_IS_EXCLUDE, group: GROUP4, sources: [] }])),
      IpAddress.from('224.0.0.22'),
    ),
    discovery(mld(130, IpAddress.from('::'), 10_000), ALL_NODES6, 1),
    discovery(joined(mld(130, GROUP6, 1_000), Uint8Array.of(2, 125, 0, 0)), GROUP6, 1),
    discovery(mld(131, GROUP6, 0), GROUP6, 1),
    discovery(mld(132, GROUP6, 0), ALL_ROUTERS6, 1),
    discovery(
      body((view) => emitMldV2Report(view, 0, [{ type: MODE_IS_EXCLUDE, group: GROUP6, sources: [PEER6] }])),
      IpAddress.from('ff02::16'),
      1,
    ),
  ]
}

function neighborPackets(): Uint8Array[] {
  const prefix = { length: 64, onLink: true, autonomous: true, validLifetime: 3_600, preferredLifetime: 1_800 }
  const advertisement = {
    hopLimit: 64,
    managed: false,
    otherConfiguration: false,
    preference: 0,
    lifetime: 1_800,
    reachableTime: 0,
    retransmitTime: 0,
    sourceMac: PEER_MAC,
    mtu: 1_400,
    prefixes: [{ ...prefix, prefix: IpAddress.from('2001:db8:7::') }],
  }
  const answer = { target: PEER6, mac: PEER_MAC, router: true, solicited: true, override: true }
  return [
    discovery(
      body((view) => emitNeighborSolicitation(view, 0, HOST6, PEER_MAC)),
      solicitedNode(HOST6),
    ),
    discovery(
      body((view) => emitNeighborSolicitation(view, 0, HOST6, PEER_MAC)),
      HOST6,
    ),
    discovery(
      body((view) => emitNeighborSolicitation(view, 0, HOST6, null)),
      solicitedNode(HOST6),
      255,
      IpAddress.from('::'),
    ),
    discovery(
      body((view) => emitNeighborAdvertisement(view, 0, answer)),
      HOST6,
    ),
    discovery(
      body((view) => emitNeighborAdvertisement(view, 0, { ...answer, solicited: false })),
      ALL_NODES6,
    ),
    discovery(
      body((view) => emitRouterSolicitation(view, 0, PEER_MAC)),
      ALL_ROUTERS6,
    ),
    discovery(
      body((view) => emitRouterAdvertisement(view, 0, advertisement)),
      ALL_NODES6,
    ),
    discovery(
      body((view) => emitRedirect(view, 0, PEER6, IpAddress.from('fd00::9'), PEER_MAC)),
      HOST6,
    ),
  ]
}

function ip6Packets(): Uint8Array[] {
  const ours = { source: 'fd00::1', destination: 'fd00::2' }
  const quotes = [
    udp6({ ...ours, sourcePort: UDP_PORT, destinationPort: 4_000, payload: bytesUpTo(64) }),
    icmp6(ours, 128, 0, (ECHO_IDENTIFIER << 16) | 1, bytesUpTo(1_300)),
    icmp6(ours, 129, 0, 1, bytesUpTo(64)),
    icmp6(ours, 1, 4, 0, bytesUpTo(48)),
    fragment6Of({ ...ours, offset: 0, more: true, part: udpOf(6, { ...ours, sourcePort: UDP_PORT }) }),
  ]
  const errors = quotes.flatMap((quote) => [
    ...[0, 1, 3, 4].map((code) => icmp6({}, 1, code, 0, quote)),
    icmp6({}, 2, 0, 1_300, quote),
    icmp6({}, 3, 0, 0, quote),
    icmp6({}, 4, 1, 6, quote),
  ])
  const whole = udpOf(6, { payload: bytesUpTo(2_000) })
  const behind = (nextHeader: number, header: number[]): Uint8Array =>
    packet6({ nextHeader, payload: joined(Uint8Array.from(header), udpOf(6, { payload: bytesUpTo(9) })) })
  return [
    ...errors,
    icmp6({}, 128, 0, (ECHO_IDENTIFIER << 16) | 1, bytesUpTo(56)),
    icmp6({}, 129, 0, (ECHO_IDENTIFIER << 16) | 1, bytesUpTo(56)),
    icmp6({ destination: 'ff02::1', source: 'fe80::2' }, 128, 0, 1),
    udp6({ payload: bytesUpTo(30) }),
    udp6({ destination: String(GROUP6), payload: bytesUpTo(9) }),
    udp6({ destinationPort: 5_555 }),
    udp6({ checksum: 0 }),
    fragment6Of({ offset: 0, more: true, part: whole.subarray(0, 1_000) }),
    fragment6Of({ offset: 1_000, more: true, part: whole.subarray(1_000, 1_600) }),
    fragment6Of({ offset: 1_600, more: false, part: whole.subarray(1_600) }),
    fragment6Of({ offset: 0, more: false, part: udpOf(6, {}) }),
    behind(0, [17, 0, 5, 2, 0, 0, 1, 0]),
    behind(60, [17, 0, 0xc1, 4, 0, 0, 0, 0]),
    behind(60, [17, 0, 0x81, 2, 9, 9, 1, 0]),
    behind(43, [17, 0, 0, 1, 0, 0, 0, 0]),
    packet6({ nextHeader: 59 }),
    packet6({ nextHeader: 51, payload: bytesUpTo(24) }),
    udp6({ destination: 'fd00:1::9', payload: bytesUpTo(200) }),
    udp6({ destination: 'fd00:2::9', payload: bytesUpTo(1_400) }),
    udp6({ destination: 'fd00:1::9', hopLimit: 1 }),
    udp6({ destination: '2001:db8:99::1' }),
  ]
}

/** Every IP packet, bare. */
export const PACKETS: readonly Uint8Array[] = [
  ...icmp4Packets(),
  ...udp4Packets(),
  ...groupPackets(),
  ...neighborPackets(),
  ...ip6Packets(),
]

/** Every frame: ARP, and the packets with a header in front. */
export const FRAMES: readonly Uint8Array[] = [
  ...arpFrames(),
  ...PACKETS.map(framed),
  body((view) => {
    emitEthernet(view, 0, HOST_MAC, PEER_MAC, ETHERTYPE_VLAN)
    view.setUint32(14, 0x0005_0800)
    return 60
  }),
]

function framed(packet: Uint8Array): Uint8Array {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength)
  const isV4 = packet[0]! >>> 4 === 4
  const destination = isV4 ? IpAddress.read4(view, 16) : IpAddress.read6(view, 24)
  const isBroadcast = isV4 && (destination.w3 & 0xff) === 0xff
  const mac = destination.isMulticast ? multicastMac(destination) : isBroadcast ? BROADCAST_MAC : HOST_MAC
  const header = body((at) => {
    emitEthernet(at, 0, mac, PEER_MAC, isV4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6)
    return ETHERNET_HEADER
  })
  return joined(header, packet)
}

/** Values that off-by-one errors like. */
const EDGES = [0, 1, 4, 5, 7, 8, 0x0f, 0x10, 0x3f, 0x40, 0x45, 0x60, 0x7f, 0x80, 0xfe, 0xff]

/** Writes a frame, mutated more or less, to the beginning of `target` and returns its length. */
export function mutate(corpus: readonly Uint8Array[], random: SeededRandom, target: Uint8Array): number {
  const base = corpus[random.below(corpus.length)]!
  target.set(base)
  let { length } = base
  const kind = random.below(64)
  if (kind < 8) return length
  if (kind === 8) return noise(random, target, random.below(600))
  const below = (limit: number): number => random.below(limit)
  for (let count = 1 + below(kind < 40 ? 2 : 6); count > 0 && length > 0; count--) {
    switch (below(9)) {
      case 0:
        target[below(length)]! ^= 1 << below(8)
        break
      case 1:
        target[below(length)] = EDGES[below(EDGES.length)]!
        break
      case 2:
        // Headers are where it hurts.
        target[below(Math.min(length, 90))] = below(256)
        break
      case 3:
        length = below(length) + 1
        break
      case 4:
        length = Math.min(target.length, length + below(64))
        break
      case 5: {
        const other = corpus[below(corpus.length)]!
        const at = below(length)
        const from = below(other.length)
        const part = other.subarray(from, from + target.length - at)
        target.set(part, at)
        length = at + part.length
        break
      }
      case 6: {
        const from = below(length)
        target.copyWithin(below(length), from, length)
        break
      }
      default:
        forge(target, length, random)
    }
  }
  return length
}

/** Another sender, another identification: what fills tables. */
function forge(target: Uint8Array, length: number, random: SeededRandom): void {
  const ip = target[0]! >>> 4 === 4 || target[0]! >>> 4 === 6 ? 0 : ETHERNET_HEADER
  if (length < ip + 40) return
  const word = random.u32()
  if (ip > 0) target[11] = word >>> 24
  if (target[ip]! >>> 4 === 4) {
    target[ip + 14] = (word >>> 16) & 3
    target[ip + 15] = word & 0xff
    target[ip + 5] = (word >>> 8) & 0xff
  } else {
    target[ip + 22] = (word >>> 8) & 0xff
    target[ip + 23] = word & 0xff
    target[ip + 47] = word >>> 16
  }
}

function noise(random: SeededRandom, target: Uint8Array, length: number): number {
  for (let at = 0; at < length; at++) target[at] = random.u32()
  return length
}

/** Makes the IPv4 header checksum, and that of ICMP, UDP or ICMPv6 behind it, right again where there is one. */
export function mendChecksums(
  octets: Octets,
  at: number,
  length: number,
  sum: (at: number, length: number) => number,
): void {
  const { view } = octets
  if (length < 20) return
  const isV4 = view.getUint8(at) >>> 4 === 4
  const headerLength = isV4 ? (view.getUint8(at) & 0xf) * 4 : 40
  const total = isV4 ? view.getUint16(at + 2) : 40 + view.getUint16(at + 4)
  if (headerLength < 20 || headerLength > length) return
  if (isV4) write(view, at + 10, () => sum(at, headerLength))
  if (isV4 && (view.getUint16(at + 6) & 0x3fff) !== 0) return
  const end = Math.min(length, total)
  const protocol = view.getUint8(at + (isV4 ? 9 : 6))
  const field = protocol === 17 ? 6 : protocol === 1 || protocol === 58 || protocol === 2 ? 2 : -1
  const payload = end - headerLength
  if (field < 0 || payload < 8) return
  const transport = at + headerLength
  const addresses = isV4 ? at + 12 : at + 8
  const pseudo = protocol === 1 || protocol === 2 ? 0 : sum(addresses, isV4 ? 8 : 32) + protocol + payload
  write(view, transport + field, () => pseudo + sum(transport, payload))
}

function write(view: DataView, field: number, sum: () => number): void {
  view.setUint16(field, 0)
  let folded = sum()
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000)
  view.setUint16(field, ~folded & 0xffff)
}
