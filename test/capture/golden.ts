// The captures in captures/*.pcapng, made anew in memory from fixed bytes and fixed times. make-golden.ts
// writes them to the files; the tests compare.

import type { Direction } from '../../src/capture/pcapng-format.ts'
import { LINK_ETHERNET, LINK_RAW } from '../../src/capture/pcapng-format.ts'
import { PcapngWriter } from '../../src/capture/pcapng-writer.ts'
import * as frames from './frames.ts'
import { bytesOf, ethernet, HOST_A, HOST_B, ipv4, ipv6, join, pattern, u16, u32 } from './frames.ts'

/** 2026-11-21 12:34:56 UTC. */
export const GOLDEN_SECONDS = 1_795_264_496
export const GOLDEN_KEYS = `CLIENT_RANDOM ${'ab'.repeat(32)} ${'cd'.repeat(48)}\n`

const IPV4 = 0x0800
const IPV6 = 0x86dd

class Golden {
  readonly writer = new PcapngWriter({ application: 'hourglass golden' })
  private nanos = 123_456_789

  packet(interfaceId: number, direction: Direction, bytes: Uint8Array, comment = ''): number {
    const at = this.writer.packet({
      interfaceId,
      seconds: GOLDEN_SECONDS,
      nanos: this.nanos,
      capturedLength: bytes.length,
      originalLength: bytes.length,
      direction,
      comment,
    })
    this.writer.bytes.set(bytes, at)
    this.nanos += 100_001
    return this.writer.packets
  }

  nameHosts(): void {
    this.writer.addNames([
      { address: HOST_A.ip4, name: 'host-a.sim' },
      { address: HOST_B.ip4, name: 'host-b.sim' },
      { address: HOST_A.ip6, name: 'host-a.sim' },
      { address: HOST_B.ip6, name: 'host-b.sim' },
    ])
  }

  done(): Uint8Array {
    return this.writer.take().slice()
  }
}

const frame4 = (from: frames.Host, to: frames.Host, packet: Uint8Array): Uint8Array =>
  ethernet(to.mac, from.mac, IPV4, packet)
const frame6 = (from: frames.Host, to: frames.Host, packet: Uint8Array): Uint8Array =>
  ethernet(to.mac, from.mac, IPV6, packet)

function ping4(): Uint8Array {
  const golden = new Golden()
  const eth0 = golden.writer.addInterface('eth0', LINK_ETHERNET, 'host A, towards B')
  golden.nameHosts()
  golden.packet(eth0, 'out', frames.arp(1, HOST_A, HOST_B), 'who has the next hop')
  golden.packet(eth0, 'in', frames.arp(2, HOST_B, HOST_A))
  for (let sequence = 1; sequence <= 2; sequence++) {
    const echo = { protocol: 1, identification: sequence }
    const request = ipv4(HOST_A, HOST_B, echo, frames.echo4(8, 42, sequence, pattern(56)))
    const reply = ipv4(HOST_B, HOST_A, echo, frames.echo4(0, 42, sequence, pattern(56)))
    golden.packet(eth0, 'out', frame4(HOST_A, HOST_B, request))
    golden.packet(eth0, 'in', frame4(HOST_B, HOST_A, reply))
  }
  return golden.done()
}

/** Neighbour discovery: type 135 to the solicited-node group, 136 back, each with the sender's link address. */
function neighborMessage(solicitation: boolean): Uint8Array {
  const from = solicitation ? HOST_A : HOST_B
  const group = bytesOf('ff02 0000 0000 0000 0000 0001 ff00 0002')
  const to = solicitation ? group : HOST_A.ip6
  const mac = solicitation ? bytesOf('33:33:ff:00:00:02') : HOST_A.mac
  const option = join(Uint8Array.of(solicitation ? 1 : 2, 1), from.mac)
  const head = Uint8Array.of(solicitation ? 135 : 136, 0, 0, 0)
  const message = join(head, u32(solicitation ? 0 : 0x6000_0000), HOST_B.ip6, option)
  return ethernet(mac, from.mac, IPV6, ipv6(from.ip6, to, 58, 255, frames.transport(from.ip6, to, 58, 2, message)))
}

function ping6(): Uint8Array {
  const golden = new Golden()
  const eth0 = golden.writer.addInterface('eth0', LINK_ETHERNET, 'host A, towards B')
  golden.nameHosts()
  golden.packet(eth0, 'out', neighborMessage(true), 'who has the next hop')
  golden.packet(eth0, 'in', neighborMessage(false))
  const request = frames.echo6(128, HOST_A, HOST_B, 1, pattern(56))
  const reply = frames.echo6(129, HOST_B, HOST_A, 1, pattern(56))
  golden.packet(eth0, 'out', frame6(HOST_A, HOST_B, ipv6(HOST_A.ip6, HOST_B.ip6, 58, 64, request)))
  golden.packet(eth0, 'in', frame6(HOST_B, HOST_A, ipv6(HOST_B.ip6, HOST_A.ip6, 58, 64, reply)))
  return golden.done()
}

const FRAGMENT_BYTES = 1_448

function fragmentedPing(): Uint8Array {
  const golden = new Golden()
  const eth0 = golden.writer.addInterface('eth0', LINK_ETHERNET)
  const message4 = frames.echo4(8, 42, 1, pattern(3_000))
  const message6 = frames.echo6(128, HOST_A, HOST_B, 1, pattern(3_000))
  for (let at = 0; at < message4.length; at += FRAGMENT_BYTES) {
    const part = message4.subarray(at, at + FRAGMENT_BYTES)
    const more = at + FRAGMENT_BYTES < message4.length
    const fragment = (more ? 0x2000 : 0) | (at >>> 3)
    const packet = ipv4(HOST_A, HOST_B, { protocol: 1, identification: 7, fragment }, part)
    golden.packet(eth0, 'out', frame4(HOST_A, HOST_B, packet), at === 0 ? 'fragmented: 3028 bytes, mtu 1500' : '')
  }
  for (let at = 0; at < message6.length; at += FRAGMENT_BYTES) {
    const more = at + FRAGMENT_BYTES < message6.length
    const header = join(Uint8Array.of(58, 0), u16(at | (more ? 1 : 0)), u32(0x1234_5678))
    const part = join(header, message6.subarray(at, at + FRAGMENT_BYTES))
    golden.packet(eth0, 'out', frame6(HOST_A, HOST_B, ipv6(HOST_A.ip6, HOST_B.ip6, 44, 64, part)))
  }
  return golden.done()
}

function udpDrops(): Uint8Array {
  const golden = new Golden()
  const a = golden.writer.addInterface('host-a', LINK_ETHERNET, 'A end of the cable')
  const b = golden.writer.addInterface('host-b', LINK_ETHERNET, 'B end of the cable')
  golden.nameHosts()
  const text = (line: string): Uint8Array => new TextEncoder().encode(line)
  const datagram4 = (identification: number, line: string): Uint8Array => {
    const payload = frames.transport(HOST_A.ip4, HOST_B.ip4, 17, 6, frames.udp(40_000, 50_000, text(line)))
    return frame4(HOST_A, HOST_B, ipv4(HOST_A, HOST_B, { protocol: 17, identification }, payload))
  }
  const payload6 = frames.transport(HOST_A.ip6, HOST_B.ip6, 17, 6, frames.udp(40_000, 50_000, text('over IPv6')))
  const datagram6 = frame6(HOST_A, HOST_B, ipv6(HOST_A.ip6, HOST_B.ip6, 17, 64, payload6))
  golden.packet(a, 'out', datagram4(1, 'first'))
  golden.packet(b, 'in', datagram4(1, 'first'))
  golden.packet(a, 'out', datagram4(2, 'lost'), 'dropped: faultLoss')
  golden.packet(a, 'out', datagram6)
  const number = golden.packet(b, 'in', datagram6, 'delayed 3 ms')
  golden.packet(a, 'out', datagram4(3, 'odd'), 'Überlänge ✓ 時')
  golden.writer.addComment(number, 'dropped: udpReceiveQueueFull')
  return golden.done()
}

const SYN = 2
const ACK = 16
const PSH_ACK = 24

function tcpHandshake(): Uint8Array {
  const golden = new Golden()
  const tun0 = golden.writer.addInterface('tun0', LINK_RAW, 'bare IP')
  golden.nameHosts()
  golden.writer.addTlsKeys(GOLDEN_KEYS)
  const stamps = (value: number, echoed: number): Uint8Array => join(Uint8Array.of(8, 10), u32(value), u32(echoed))
  const opening = (value: number, echoed: number): Uint8Array =>
    join(bytesOf('0204 05b4 0402'), stamps(value, echoed), bytesOf('01 0303 07'))
  const later = (value: number, echoed: number): Uint8Array => join(bytesOf('0101'), stamps(value, echoed))
  let identification = 0
  const segment = (out: boolean, fields: Omit<frames.TcpFields, 'sourcePort' | 'destinationPort'>, why = ''): void => {
    const [from, to] = out ? [HOST_A, HOST_B] : [HOST_B, HOST_A]
    const ports = out
      ? { sourcePort: 49_152, destinationPort: 50_000 }
      : { sourcePort: 50_000, destinationPort: 49_152 }
    const bytes = frames.transport(from.ip4, to.ip4, 6, 16, frames.tcp({ ...ports, ...fields }))
    const packet = ipv4(from, to, { protocol: 6, identification: ++identification, fragment: 0x4000 }, bytes)
    golden.packet(tun0, out ? 'out' : 'in', packet, why)
  }
  const none = new Uint8Array(0)
  const data = new TextEncoder().encode('eighteen bytes it\n')
  const iss = 0xffff_fff0
  const irs = 1_000
  segment(true, { seq: iss, ack: 0, flags: SYN, window: 64_240, options: opening(100, 0), payload: none }, 'connect')
  segment(false, {
    seq: irs,
    ack: iss + 1,
    flags: SYN | ACK,
    window: 65_160,
    options: opening(900, 100),
    payload: none,
  })
  segment(true, { seq: iss + 1, ack: irs + 1, flags: ACK, window: 502, options: later(101, 900), payload: none })
  segment(
    true,
    { seq: iss + 1, ack: irs + 1, flags: PSH_ACK, window: 502, options: later(102, 900), payload: data },
    'cwnd=14600 ssthresh=inf RTO=1s (retransmission #1)',
  )
  const acked = (iss + 1 + data.length) >>> 0
  segment(false, { seq: irs + 1, ack: acked, flags: ACK, window: 509, options: later(901, 102), payload: none })
  return golden.done()
}

export const GOLDEN: readonly { readonly file: string; readonly make: () => Uint8Array }[] = [
  { file: 'ping4.pcapng', make: ping4 },
  { file: 'ping6.pcapng', make: ping6 },
  { file: 'fragmented-ping.pcapng', make: fragmentedPing },
  { file: 'udp-drops.pcapng', make: udpDrops },
  { file: 'tcp-handshake.pcapng', make: tcpHandshake },
]

export const goldenPath = (file: string): string => new URL(`../../captures/${file}`, import.meta.url).pathname
