// Frames of every kind that describe.ts knows, whole and broken, for the comparison with tcpdump.

import { IpAddress } from '../../src/wire/address.ts'
import { ARP_REPLY, ARP_REQUEST } from '../../src/wire/arp.ts'
import { MacAddress } from '../../src/wire/ethernet.ts'
import { emitIcmp } from '../../src/wire/icmp4.ts'
import {
  BLOCK_OLD_SOURCES,
  CHANGE_TO_EXCLUDE,
  emitIgmp,
  emitIgmpV3Report,
  IGMP_QUERY,
  IGMPV1_REPORT,
  IGMPV2_LEAVE,
  IGMPV2_REPORT,
  MODE_IS_INCLUDE,
} from '../../src/wire/igmp.ts'
import { PROTOCOL_ICMP4, PROTOCOL_IGMP, PROTOCOL_TCP, PROTOCOL_UDP } from '../../src/wire/ipv4.ts'
import {
  emitFragmentHeader,
  emitRouterAlertHopByHop,
  NEXT_DESTINATION,
  NEXT_FRAGMENT,
  NEXT_HOP_BY_HOP,
  NEXT_NONE,
  NEXT_ROUTING,
} from '../../src/wire/ipv6-extensions.ts'
import { emitMld, emitMldV2Report } from '../../src/wire/mld.ts'
import {
  emitNeighborAdvertisement,
  emitNeighborSolicitation,
  emitRedirect,
  emitRouterAdvertisement,
  emitRouterSolicitation,
} from '../../src/wire/ndp.ts'
import { ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG } from '../../src/wire/tcp.ts'
import {
  A4,
  A6,
  arp,
  B4,
  B6,
  built,
  bytesOf,
  checksummed,
  ethernet,
  icmp6,
  ip4,
  ip6,
  joined,
  MAC_A,
  MAC_B,
  overEthernet4,
  overEthernet6,
  type SegmentFields,
  tcp,
  udp,
  vlan,
} from './frames.ts'

const GROUP4 = IpAddress.from('239.1.2.3')
const GROUP6 = IpAddress.from('ff0e::1:2:3')
const HELLO = bytesOf('68656c6c6f')

const igmp = (message: Uint8Array, destination = GROUP4): Uint8Array =>
  overEthernet4(ip4(PROTOCOL_IGMP, message, { destination, ttl: 1, options: bytesOf('94040000') }))

const icmp4 = (type: number, code: number, rest: number, data: Uint8Array = HELLO): Uint8Array =>
  overEthernet4(
    ip4(
      PROTOCOL_ICMP4,
      checksummed(
        joined(
          built((view) => {
            emitIcmp(view, 0, type, code, rest)
            return 8
          }),
          data,
        ),
        2,
      ),
    ),
  )

const icmp6Message = (type: number, code: number, rest: number, data: Uint8Array = HELLO): Uint8Array =>
  overEthernet6(
    icmp6(
      joined(
        built((view) => {
          emitIcmp(view, 0, type, code, rest)
          return 8
        }),
        data,
      ),
    ),
  )

const segment4 = (fields: SegmentFields): Uint8Array => overEthernet4(ip4(PROTOCOL_TCP, tcp(fields)))
const segment6 = (fields: SegmentFields): Uint8Array => overEthernet6(ip6(PROTOCOL_TCP, tcp(fields, A6, B6)))
const built6 = (write: (view: DataView) => number): Uint8Array => overEthernet6(icmp6(built(write)))
const fragment6 = (nextHeader: number, offset: number, more: boolean): Uint8Array =>
  built((view) => {
    emitFragmentHeader(view, 0, { nextHeader, offset, more, identification: 99 })
    return 8
  })
const alert = (nextHeader: number): Uint8Array =>
  built((view) => {
    emitRouterAlertHopByHop(view, 0, nextHeader)
    return 8
  })

const quoted4 = ip4(PROTOCOL_UDP, udp(HELLO, B4, A4), { source: B4, destination: A4 })
const quotedTcp4 = ip4(PROTOCOL_TCP, tcp({ flags: SYN }, B4, A4), { source: B4, destination: A4 })
const quotedIgmp4 = ip4(132, HELLO, { source: B4, destination: A4 })
const quoted6 = ip6(PROTOCOL_UDP, udp(HELLO, B6, A6), { source: B6, destination: A6 })
const quotedTcp6 = ip6(PROTOCOL_TCP, tcp({ flags: SYN }, B6, A6), { source: B6, destination: A6 })

const arpFrames: [string, Uint8Array][] = [
  ['arp request', arp({ operation: ARP_REQUEST })],
  ['arp request with a target', arp({ operation: ARP_REQUEST, targetMac: MAC_B })],
  ['arp reply', arp({ operation: ARP_REPLY, targetMac: MAC_B })],
  ['arp probe', arp({ operation: ARP_REQUEST, senderIp: IpAddress.v4(0) })],
  ['arp announcement', arp({ operation: ARP_REQUEST, targetIp: A4 })],
  [
    'arp gratuitous reply',
    arp({ operation: ARP_REPLY, targetIp: A4, targetMac: MacAddress.from('ff:ff:ff:ff:ff:ff') }),
  ],
  ['arp operation 9', arp({ operation: 9 })],
  ['arp padded', joined(arp({ operation: ARP_REQUEST }), new Uint8Array(18))],
]

const icmpFrames: [string, Uint8Array][] = [
  ['echo', icmp4(8, 0, 0x0102_0003)],
  ['echo reply', icmp4(0, 0, 0x0102_0003)],
  ...Array.from({ length: 17 }, (_, code): [string, Uint8Array] => [`unreachable ${code}`, icmp4(3, code, 0, quoted4)]),
  ['unreachable port tcp', icmp4(3, 3, 0, quotedTcp4)],
  ['unreachable port other', icmp4(3, 3, 0, quotedIgmp4)],
  ['need to fragment 1400', icmp4(3, 4, 1400, quotedTcp4)],
  ['source quench', icmp4(4, 0, 0, quoted4)],
  ...Array.from({ length: 5 }, (_, code): [string, Uint8Array] => [
    `redirect ${code}`,
    icmp4(5, code, 0x0a000009, quoted4),
  ]),
  ['time exceeded', icmp4(11, 0, 0, quoted4)],
  ['reassembly time exceeded', icmp4(11, 1, 0, quoted4)],
  ['time exceeded 2', icmp4(11, 2, 0, quoted4)],
  ['parameter problem', icmp4(12, 0, 0x1400_0000, quoted4)],
  ['parameter problem code', icmp4(12, 2, 0x1400_0000, quoted4)],
  ['time stamp', icmp4(13, 0, 0x0102_0003, bytesOf('000000010000000200000003'))],
  ['time stamp reply', icmp4(14, 0, 0x0102_0003, bytesOf('000000010000000200000003'))],
  ['router solicitation', icmp4(10, 0, 0)],
  ['icmp 77', icmp4(77, 0, 0)],
  ['unreachable port, quote cut', icmp4(3, 3, 0, quoted4.subarray(0, 18))],
  ['unreachable port, quote cut in udp', icmp4(3, 3, 0, quoted4.subarray(0, 21))],
  ['icmp cut', overEthernet4(ip4(PROTOCOL_ICMP4, bytesOf('0800')))],
]

const icmp6Frames: [string, Uint8Array][] = [
  ['echo6', icmp6Message(128, 0, 0x0102_0003)],
  ['echo6 reply', icmp6Message(129, 0, 0x0102_0003)],
  ...Array.from({ length: 8 }, (_, code): [string, Uint8Array] => [
    `unreachable6 ${code}`,
    icmp6Message(1, code, 0, quoted6),
  ]),
  ['unreachable6 port tcp', icmp6Message(1, 4, 0, quotedTcp6)],
  ['unreachable6 port, quote cut', icmp6Message(1, 4, 0, quotedTcp6.subarray(0, 36))],
  ['too big', icmp6Message(2, 0, 1280, quoted6)],
  ['time exceeded6', icmp6Message(3, 0, 0, quoted6)],
  ['time exceeded6 reassembly', icmp6Message(3, 1, 0, quoted6)],
  ['time exceeded6 2', icmp6Message(3, 2, 0, quoted6)],
  ...Array.from({ length: 5 }, (_, code): [string, Uint8Array] => [
    `problem6 ${code}`,
    icmp6Message(4, code, 42, quoted6),
  ]),
  ['icmp6 200', icmp6Message(200, 0, 42, quoted6)],
  ['neighbor solicitation', built6((view) => emitNeighborSolicitation(view, 0, B6, MAC_A))],
  [
    'neighbor advertisement',
    built6((view) =>
      emitNeighborAdvertisement(view, 0, { target: B6, mac: MAC_A, router: true, solicited: true, override: true }),
    ),
  ],
  ['router solicitation6', built6((view) => emitRouterSolicitation(view, 0, MAC_A))],
  [
    'router advertisement',
    built6((view) =>
      emitRouterAdvertisement(view, 0, {
        hopLimit: 64,
        managed: true,
        otherConfiguration: true,
        preference: 1,
        lifetime: 1800,
        reachableTime: 30_000,
        retransmitTime: 1_000,
        sourceMac: MAC_A,
        mtu: 1500,
        prefixes: [
          {
            prefix: IpAddress.from('2001:db8:1::'),
            length: 64,
            onLink: true,
            autonomous: true,
            validLifetime: 0xffff_ffff,
            preferredLifetime: 3600,
          },
        ],
      }),
    ),
  ],
  ['redirect6', built6((view) => emitRedirect(view, 0, A6, B6, MAC_A))],
  ['mld query', built6((view) => emitMld(view, 0, 130, IpAddress.from('::'), 10_000))],
  ['mld report', built6((view) => emitMld(view, 0, 131, GROUP6))],
  ['mld done', built6((view) => emitMld(view, 0, 132, GROUP6))],
  [
    'mldv2 query',
    built6((view) => {
      emitMld(view, 0, 130, GROUP6, 1_000)
      view.setUint16(24, 0x027d)
      view.setUint16(26, 2)
      A6.writeTo(view, 28)
      B6.writeTo(view, 44)
      return 60
    }),
  ],
  [
    'mldv2 report behind a router alert',
    overEthernet6(
      ip6(
        NEXT_HOP_BY_HOP,
        joined(
          alert(58),
          built((view) =>
            emitMldV2Report(view, 0, [
              { type: CHANGE_TO_EXCLUDE, group: GROUP6, sources: [] },
              { type: BLOCK_OLD_SOURCES, group: GROUP6, sources: [A6, B6] },
            ]),
          ),
        ),
      ),
    ),
  ],
  ['icmp6 cut', overEthernet6(ip6(58, bytesOf('8000')))],
  ['neighbor solicitation cut', overEthernet6(ip6(58, bytesOf('8700000000000000fe80')))],
]

const igmpFrames: [string, Uint8Array][] = [
  ['igmp v1 query', igmp(built((_, octets) => emitIgmp(octets, 0, IGMP_QUERY, IpAddress.v4(0))))],
  ['igmp v2 query', igmp(built((_, octets) => emitIgmp(octets, 0, IGMP_QUERY, IpAddress.v4(0), 100)))],
  ['igmp v2 group query', igmp(built((_, octets) => emitIgmp(octets, 0, IGMP_QUERY, GROUP4, 13)))],
  ['igmp v1 report', igmp(built((_, octets) => emitIgmp(octets, 0, IGMPV1_REPORT, GROUP4)))],
  ['igmp v2 report', igmp(built((_, octets) => emitIgmp(octets, 0, IGMPV2_REPORT, GROUP4)))],
  ['igmp v2 leave', igmp(built((_, octets) => emitIgmp(octets, 0, IGMPV2_LEAVE, GROUP4)))],
  ['igmp v3 general query', igmp(checksummed(bytesOf('1164000000000000027d0000'), 2))],
  ['igmp v3 slow query', igmp(checksummed(bytesOf('11a40000ef010203027d0000'), 2))],
  ['igmp v3 query for sources', igmp(checksummed(bytesOf('11010000ef010203027d00020a0000010a000002'), 2))],
  [
    'igmp v3 report',
    igmp(
      built((_, octets) =>
        emitIgmpV3Report(octets, 0, [
          { type: CHANGE_TO_EXCLUDE, group: GROUP4, sources: [] },
          { type: MODE_IS_INCLUDE, group: GROUP4, sources: [A4, B4] },
          { type: 9, group: GROUP4, sources: [] },
        ]),
      ),
    ),
  ],
  ['igmp 0x99', igmp(built((_, octets) => emitIgmp(octets, 0, 0x99, GROUP4)))],
  ['igmp cut', igmp(bytesOf('1164'))],
]

const tcpFrames: [string, Uint8Array][] = [
  [
    'syn',
    segment4({
      flags: SYN,
      options: { mss: 1460, sackPermitted: true, timestamps: true, timestampValue: 1, windowScale: 7 },
    }),
  ],
  [
    'syn ack',
    segment4({ flags: SYN | ACK, seq: -5, ack: 1001, options: { mss: 1460, sackPermitted: true, windowScale: 0 } }),
  ],
  ['ack', segment4({ flags: ACK, ack: -4, options: { timestamps: true, timestampValue: -1, timestampEcho: 7 } })],
  ['data', segment4({ flags: ACK | PSH, ack: -4, payload: HELLO })],
  ['fin', segment4({ flags: ACK | FIN, seq: 1 })],
  ['fin with data', segment4({ flags: ACK | FIN | PSH, seq: 1, payload: HELLO })],
  ['rst', segment4({ flags: RST, seq: 1 })],
  ['rst ack', segment4({ flags: RST | ACK, seq: 1 })],
  ['urgent', segment4({ flags: URG | ACK, urgentPointer: 3, payload: HELLO })],
  ['all flags', segment4({ flags: 0x1ff, payload: HELLO })],
  ['no flags', segment4({ flags: 0 })],
  ['ecn', segment4({ flags: SYN | ECE | CWR })],
  ['accurate ecn', segment4({ flags: SYN | ECE | CWR | AE })],
  [
    'sack',
    segment4({
      flags: ACK,
      options: {
        timestamps: true,
        sackCount: 2,
        sackLeft: new Int32Array([100, -3, 0, 0]),
        sackRight: new Int32Array([200, 300, 0, 0]),
      },
    }),
  ],
  ['unknown option', segment4({ flags: ACK, rawOptions: bytesOf('fd06aabbccdd1c04000500').subarray(0, 8) })],
  ['user timeout', segment4({ flags: ACK, rawOptions: bytesOf('1c04800a00000000') })],
  ['option of length 0', segment4({ flags: ACK, rawOptions: bytesOf('0101080002040101') })],
  ['option too long', segment4({ flags: ACK, rawOptions: bytesOf('0101080a00000000') })],
  ['mss of length 5', segment4({ flags: SYN, rawOptions: bytesOf('0205057812010101') })],
  ['sack of length 12', segment4({ flags: ACK, rawOptions: bytesOf('050c00000001000000020000') })],
  ['wscale 20', segment4({ flags: SYN, rawOptions: bytesOf('03031400') })],
  ['lone kind', segment4({ flags: SYN, rawOptions: bytesOf('01010102') })],
  [
    'fast open',
    segment4({ flags: SYN, rawOptions: bytesOf('2202010122060102030401010101010101010101').subarray(0, 8) }),
  ],
  ['header too short', overEthernet4(ip4(PROTOCOL_TCP, mutated(tcp({ flags: ACK }), 12, 0x40)))],
  ['header too long', overEthernet4(ip4(PROTOCOL_TCP, mutated(tcp({ flags: ACK }), 12, 0xf0)))],
  ['tcp cut', overEthernet4(ip4(PROTOCOL_TCP, tcp({ flags: ACK }).subarray(0, 16)))],
  ['tcp cut to nothing', overEthernet4(ip4(PROTOCOL_TCP, new Uint8Array(0)))],
  ['tcp cut to ports', overEthernet4(ip4(PROTOCOL_TCP, tcp({ flags: ACK }).subarray(0, 4)))],
  ['syn6', segment6({ flags: SYN, options: { mss: 1440, sackPermitted: true, timestamps: true, windowScale: 7 } })],
  ['data6', segment6({ flags: ACK, payload: HELLO })],
]

const udpFrames: [string, Uint8Array][] = [
  ['udp', overEthernet4(ip4(PROTOCOL_UDP, udp(HELLO)))],
  ['udp empty', overEthernet4(ip4(PROTOCOL_UDP, udp(new Uint8Array(0))))],
  ['udp6', overEthernet6(ip6(PROTOCOL_UDP, udp(HELLO, A6, B6)))],
  ['udp padded', joined(overEthernet4(ip4(PROTOCOL_UDP, udp(HELLO))), new Uint8Array(13))],
  ['udp length 4', overEthernet4(ip4(PROTOCOL_UDP, mutated(udp(HELLO), 5, 4)))],
  ['udp length 99', overEthernet4(ip4(PROTOCOL_UDP, mutated(udp(HELLO), 5, 99)))],
  ['udp length 10', overEthernet4(ip4(PROTOCOL_UDP, mutated(udp(HELLO), 5, 10)))],
  ['udp cut', overEthernet4(ip4(PROTOCOL_UDP, bytesOf('0001000200')))],
  ['udp cut to nothing', overEthernet4(ip4(PROTOCOL_UDP, new Uint8Array(0)))],
]

const ipFrames: [string, Uint8Array][] = [
  [
    'first fragment',
    overEthernet4(ip4(PROTOCOL_UDP, udp(new Uint8Array(2000)).subarray(0, 1480), { flagsAndOffset: 0x2000 })),
  ],
  ['last fragment', overEthernet4(ip4(PROTOCOL_UDP, new Uint8Array(528), { flagsAndOffset: 185 }))],
  ['middle fragment of tcp', overEthernet4(ip4(PROTOCOL_TCP, new Uint8Array(528), { flagsAndOffset: 0x2000 | 185 }))],
  [
    'first fragment of tcp',
    overEthernet4(ip4(PROTOCOL_TCP, tcp({ flags: ACK, payload: new Uint8Array(40) }), { flagsAndOffset: 0x2000 })),
  ],
  [
    'first fragment of icmp',
    overEthernet4(ip4(PROTOCOL_ICMP4, bytesOf('08000000010200036868'), { flagsAndOffset: 0x2000 })),
  ],
  ['protocol 132', overEthernet4(ip4(132, HELLO))],
  ['protocol 253', overEthernet4(ip4(253, HELLO))],
  ['ip options', overEthernet4(ip4(PROTOCOL_UDP, udp(HELLO), { options: bytesOf('94040000') }))],
  ['ip cut', ethernet(0x0800, bytesOf('45000020'))],
  ['ip total length too long', overEthernet4(ip4(PROTOCOL_UDP, udp(HELLO)).subarray(0, 30))],
  ['ip header length 4', ethernet(0x0800, mutated(ip4(PROTOCOL_UDP, udp(HELLO)), 0, 0x44))],
  ['ip header longer than packet', ethernet(0x0800, mutated(ip4(PROTOCOL_UDP, udp(HELLO)).subarray(0, 28), 0, 0x4f))],
  ['ip version 5', ethernet(0x0800, mutated(ip4(PROTOCOL_UDP, udp(HELLO)), 0, 0x55))],
  ['ip total length too short', ethernet(0x0800, mutated(ip4(PROTOCOL_UDP, udp(HELLO)), 3, 12))],
  ['ip6 cut', ethernet(0x86dd, bytesOf('6000000000000000'))],
  ['ip6 version 4', ethernet(0x86dd, mutated(ip6(PROTOCOL_UDP, udp(HELLO, A6, B6)), 0, 0x40))],
  ['ip6 payload too long', ethernet(0x86dd, ip6(PROTOCOL_UDP, udp(HELLO, A6, B6)).subarray(0, 49))],
  [
    'ip6 first fragment',
    overEthernet6(ip6(NEXT_FRAGMENT, joined(fragment6(PROTOCOL_UDP, 0, true), udp(HELLO, A6, B6)))),
  ],
  ['ip6 later fragment', overEthernet6(ip6(NEXT_FRAGMENT, joined(fragment6(PROTOCOL_UDP, 1448, false), HELLO)))],
  ['ip6 middle fragment', overEthernet6(ip6(NEXT_FRAGMENT, joined(fragment6(PROTOCOL_UDP, 1448, true), HELLO)))],
  [
    'ip6 atomic fragment',
    overEthernet6(ip6(NEXT_FRAGMENT, joined(fragment6(PROTOCOL_UDP, 0, false), udp(HELLO, A6, B6)))),
  ],
  ['ip6 nothing', overEthernet6(ip6(NEXT_NONE, HELLO))],
  ['ip6 protocol 253', overEthernet6(ip6(253, HELLO))],
  [
    'ip6 destination options',
    overEthernet6(ip6(NEXT_DESTINATION, joined(bytesOf('1100010400000000'), udp(HELLO, A6, B6)))),
  ],
  [
    'ip6 routing',
    overEthernet6(ip6(NEXT_ROUTING, joined(bytesOf('1102000100000000'), new Uint8Array(16), udp(HELLO, A6, B6)))),
  ],
  ['ip6 segment routing', overEthernet6(ip6(NEXT_ROUTING, joined(bytesOf('1100fd0000000000'), udp(HELLO, A6, B6))))],
  ['ip6 hop-by-hop cut', overEthernet6(ip6(NEXT_HOP_BY_HOP, bytesOf('1105')))],
  ['ip6 fragment cut', overEthernet6(ip6(NEXT_FRAGMENT, bytesOf('1105')))],
  ['vlan', vlan(0x6005, 0x0800, ip4(PROTOCOL_UDP, udp(HELLO)))],
  ['unknown ethertype', ethernet(0x88b5, HELLO)],
]

function mutated(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice()
  copy[at] = value
  return copy
}

/** Ethernet frames by name. */
export const CORPUS: ReadonlyMap<string, Uint8Array> = new Map([
  ...arpFrames,
  ...icmpFrames,
  ...icmp6Frames,
  ...igmpFrames,
  ...tcpFrames,
  ...udpFrames,
  ...ipFrames,
])
