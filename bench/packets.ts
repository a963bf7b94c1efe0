// One UDP packet over IPv4 and Ethernet, out and in: by the wire functions alone, and through a whole stack.

import { Packet } from '../src/buf/packet.ts'
import { PagePool } from '../src/buf/page.ts'
import { type Device, NO_OFFLOADS } from '../src/link/device.ts'
import { sumFrom } from '../src/link/segmentation.ts'
import { SeededRandom } from '../src/random.ts'
import { UdpSocket } from '../src/socket/udp-socket.ts'
import { Stack } from '../src/stack.ts'
import { micros, NEVER, seconds } from '../src/time.ts'
import { VirtualClock } from '../src/virtual-clock.ts'
import { IpAddress, IpPrefix } from '../src/wire/address.ts'
import { complement, fold } from '../src/wire/checksum.ts'
import { ETHERTYPE_IPV4, emitEthernet, etherType, MacAddress } from '../src/wire/ethernet.ts'
import {
  checkIpv4,
  emitIpv4,
  IPV4_HEADER,
  ipv4Destination,
  ipv4HeaderLength,
  ipv4Source,
  ipv4TotalLength,
  PROTOCOL_UDP,
  pseudoHeaderSum,
} from '../src/wire/ipv4.ts'
import { checkUdp, emitUdp, UDP_HEADER, udpDestinationPort } from '../src/wire/udp.ts'
import type { Bench, Figure, Result } from './figure.ts'
import { race } from './timing.ts'

const SIZES = [64, 1_400]
const OURS = IpAddress.from('10.0.0.1')
const THEIRS = IpAddress.from('10.0.0.2')
const OUR_MAC = MacAddress.from('02:00:00:00:00:01')
const THEIR_MAC = MacAddress.from('02:00:00:00:00:02')
const PORT = 9_000
const ETHERNET = 14

export const packetsBench: Bench = {
  name: 'packets',
  summary: 'build and receive one UDP/IPv4/Ethernet packet',
  run: packets,
}

/** Keeps the last frame that the stack sent, as bytes. */
class SinkDevice implements Device {
  readonly name = 'sink'
  readonly medium = 'ethernet'
  readonly mtu = 1_500
  readonly offloads = NO_OFFLOADS
  readonly macAddress = OUR_MAC
  onReceive: ((packet: Packet) => void) | null = null
  sent = 0

  transmit(packet: Packet): boolean {
    this.sent++
    packet.release()
    return true
  }

  deadline = () => NEVER
  poll(): void {}
  close(): void {}
}

function packets(): Result {
  return {
    figures: SIZES.flatMap(measure),
    notes: [
      'The sizes are of the payload: 42 bytes of headers come on top.',
      'build, parse: the functions of src/wire on a packet of the pool, payload copied, both checksums, released at the end.',
      'send, receive: UdpSocket.send to a device that releases; a frame copied into a page, through the stack, receiveInto.',
    ],
    skipped: '',
  }
}

function measure(size: number): Figure[] {
  const pool = new PagePool()
  const payload = new Uint8Array(size).fill(0x5a)
  const frame = build(pool, payload).toBytes()
  const device = new SinkDevice()
  const clock = new VirtualClock(micros(0))
  const stack = new Stack({ clock, random: new SeededRandom(1), pool })
  const link = stack.addInterface({ name: 'sink', device, addresses: [new IpPrefix(OURS, 24)], probes: 0 })
  stack.poll(clock.now())
  clock.advance(seconds(5))
  stack.poll(clock.now())
  link.neighbors4!.setPermanent(THEIRS, THEIR_MAC, clock.now())
  const socket = new UdpSocket(stack, { family: 4, port: PORT })
  socket.connect(THEIRS, PORT)
  const target = new Uint8Array(size)
  const times = race([
    {
      name: 'build',
      run(count) {
        for (let index = 0; index < count; index++) build(pool, payload).release()
        return count
      },
    },
    {
      name: 'parse',
      run(count) {
        let good = 0
        for (let index = 0; index < count; index++) good += parse(pool, frame)
        if (good !== count) throw new Error('a packet was not recognized')
        return good
      },
    },
    {
      name: 'send',
      run(count) {
        const before = device.sent
        for (let index = 0; index < count; index++) socket.send(payload)
        if (device.sent - before !== count) throw new Error('a packet was not sent')
        return count
      },
    },
    {
      name: 'receive',
      run(count) {
        for (let index = 0; index < count; index++) {
          device.onReceive!(Packet.from(pool, frame, 66)!)
          if (socket.receiveInto(target) !== size) throw new Error('a packet was not received')
          if ((index & 31) === 31) stack.poll(clock.now())
        }
        return count
      },
    },
  ])
  socket.close()
  stack.close()
  return [...times].map(([what, value]) => ({
    what: `${size.toLocaleString('en-US')} bytes: ${what}`,
    value,
    unit: 'ns',
  }))
}

function build(pool: PagePool, payload: Uint8Array): Packet {
  const packet = Packet.allocate(pool, payload.length)!
  const { page } = packet
  page.bytes.set(payload, packet.put(payload.length))
  const length = payload.length + UDP_HEADER
  const udp = packet.push(UDP_HEADER)
  emitUdp(page.view, udp, { sourcePort: PORT, destinationPort: PORT, length, checksum: 0 })
  const sum = pseudoHeaderSum(THEIRS, OURS, PROTOCOL_UDP, length) + sumFrom(packet, udp)
  page.view.setUint16(udp + 6, complement(sum) || 0xffff)
  emitIpv4(page, packet.push(IPV4_HEADER), {
    trafficClass: 0,
    totalLength: IPV4_HEADER + length,
    identification: 1,
    flagsAndOffset: 0,
    ttl: 64,
    protocol: PROTOCOL_UDP,
    source: THEIRS,
    destination: OURS,
    headerLength: IPV4_HEADER,
  })
  emitEthernet(page.view, packet.push(ETHERNET), OUR_MAC, THEIR_MAC, ETHERTYPE_IPV4)
  return packet
}

/** 1 for a datagram to our port, whole and right. */
function parse(pool: PagePool, frame: Uint8Array): number {
  const packet = Packet.from(pool, frame, 66)!
  const { page } = packet
  if (etherType(page.view, packet.data) !== ETHERTYPE_IPV4) return 0
  const ip = packet.pull(ETHERNET)
  if (checkIpv4(page, ip, packet.headLength, packet.length) !== undefined) return 0
  packet.trim(ipv4TotalLength(page.view, ip))
  const source = ipv4Source(page.view, ip)
  const destination = ipv4Destination(page.view, ip)
  const udp = packet.pull(ipv4HeaderLength(page.view, ip))
  if (checkUdp(page.view, udp, packet.headLength, packet.length) !== undefined) return 0
  const sum = pseudoHeaderSum(source, destination, PROTOCOL_UDP, packet.length) + sumFrom(packet, udp)
  const good = fold(sum) === 0xffff && udpDestinationPort(page.view, udp) === PORT ? 1 : 0
  packet.release()
  return good
}
