// The device side of devices.test.ts, run in a namespace of its own: opens the link, answers pings and datagrams, and does what
// it is told on standard input, a word a line:
//
//   idle K  prints `idle K: N` with the milliseconds of CPU used in the next two seconds
//   gso     sends a TCP super-segment and prints `gso true` where the device took it
//   pieces  sends an echo request whose payload is in fragments, and prints `pieces true`
//   ask     sends a datagram to port 4001
//   count   prints the counters
//   quit    closes everything and prints `closed`; the process must then end by itself

import { createInterface } from 'node:readline'
import { openInherited } from '../../native-free-fallback/inherited-fd.ts'
import { openMacvtap } from '../../native-free-fallback/macvtap.ts'
import { HEADROOM, Packet } from '../../src/buf/packet.ts'
import { PagePool, SMALL_PAGE } from '../../src/buf/page.ts'
import { Counters, nonZero } from '../../src/counters.ts'
import type { EdgeDevice } from '../../src/link/edge-device.ts'
import { parseLinkName } from '../../src/link/link-name.ts'
import { BatchClock } from '../../src/node/clock.ts'
import { Driver } from '../../src/node/driver.ts'
import { loadLibc } from '../../src/node/libc.ts'
import { openLink } from '../../src/node/open-link.ts'
import { openTap } from '../../src/node/open-tap.ts'
import type { ReadinessKind } from '../../src/node/readiness.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { complement, fold, sumOctets } from '../../src/wire/checksum.ts'
import { BROADCAST_MAC, ETHERNET_HEADER, ETHERTYPE_IPV4, emitEthernet, MacAddress } from '../../src/wire/ethernet.ts'
import { ipv4Protocol, pseudoHeaderSum } from '../../src/wire/ipv4.ts'
import { EchoMachine } from '../support/echo-machine.ts'

const [linkText = '', offload = 'on', address = '10.9.8.2', peer = '10.9.8.1', readiness = ''] = process.argv.slice(2)
const pool = new PagePool()
const counters = new Counters()
const options = { pool, counters, offload: offload === 'on' }

async function open(): Promise<EdgeDevice> {
  const link = parseLinkName(linkText.replace('$TAP_FD', process.env.TAP_FD ?? ''))
  const { kind } = link
  if (readiness === 'polled' && kind === 'macvtap') return openMacvtap(link.name, { ...options, reading: 'polled' })
  if (readiness === 'polled' && kind === 'fd') return openInherited(link.fd, { ...options, reading: 'polled' })
  if (readiness === '' || (link.kind !== 'tap' && link.kind !== 'tun')) return openLink(link, options)
  return openTap(await loadLibc(), {
    ...options,
    name: link.name,
    mode: link.kind,
    readiness: readiness as ReadinessKind,
  })
}

const device = await open().catch((error: unknown) => {
  console.log(String(error))
  process.exit(1)
})
const machine = new EchoMachine(device, pool, address)
const driver = new Driver({
  machine,
  clock: new BatchClock(),
  devices: [device],
  onFailure: (failed, error) => console.log(`failure ${failed.name}: ${error.message}`),
})
let told = false
let replies = 0
const isEchoReply = ({ page }: Packet, at: number): boolean =>
  ipv4Protocol(page.view, at) === 1 && page.view.getUint8(at + 20) === 0

machine.onPacket = (packet) => {
  const at = packet.data + (device.medium === 'ethernet' ? ETHERNET_HEADER : 0)
  if (at % 4 !== 0) console.log('misaligned')
  if (packet.length < 28 || packet.page.view.getUint8(at) >>> 4 !== 4) return
  if (isEchoReply(packet, at)) console.log(`answered: ${++replies}`)
  if (told || ipv4Protocol(packet.page.view, at) !== 17) return
  told = true
  console.log(`datagram ${packet.checksum}`)
}
console.log(`ready ${device.name} mtu ${device.mtu} segment ${device.offloads.segmentBytes}`)

/** An IPv4 packet to the peer, `payload` bytes of zero behind `header` bytes of transport header. */
function datagram(protocol: number, header: number, payload: number): Packet {
  const packet = Packet.allocate(pool, header + payload, HEADROOM)!
  const at = packet.put(header + payload)
  packet.page.bytes.fill(0, at, packet.tail)
  const ip = packet.push(20)
  const { view } = packet.page
  view.setUint32(ip, 0x4500_0000 + 20 + header + payload)
  view.setUint32(ip + 4, 0x4000)
  view.setUint32(ip + 8, (64 << 24) | (protocol << 16))
  IpAddress.from(address).writeTo(view, ip + 12)
  IpAddress.from(peer).writeTo(view, ip + 16)
  view.setUint16(ip + 10, complement(sumOctets(packet.page, ip, 20)))
  packet.transportAt = at
  return packet
}

function send(packet: Packet): boolean {
  if (device.medium === 'ethernet')
    emitEthernet(
      packet.page.view,
      packet.push(ETHERNET_HEADER),
      BROADCAST_MAC,
      new MacAddress(0x0200, 9),
      ETHERTYPE_IPV4,
    )
  return device.transmit(packet)
}

/** Seven segments to a port where nobody listens. */
function sendSuperSegment(): boolean {
  const payload = 7 * 1_448
  const packet = datagram(6, 20, payload)
  const { view } = packet.page
  const at = packet.transportAt
  view.setUint32(at, (4_000 << 16) | 4_001)
  view.setUint16(at + 12, 0x5010)
  view.setUint16(at + 14, 1_000)
  const sum = pseudoHeaderSum(IpAddress.from(address), IpAddress.from(peer), 6, 20 + payload)
  view.setUint16(at + 16, fold(sum))
  packet.checksum = 'partial'
  packet.checksumStart = at
  packet.checksumField = at + 16
  packet.segmentKind = 'tcp4'
  packet.segmentBytes = 1_448
  return send(packet)
}

/** An echo request with its headers in one page and its payload in `count` pieces of another: 100 are more than one writev takes. */
function sendPieces(count: number): boolean {
  const packet = datagram(1, 8, 0)
  const { view } = packet.page
  view.setUint16(packet.transportAt - 18, 28 + 8 * count)
  view.setUint16(packet.transportAt - 10, 0)
  view.setUint16(packet.transportAt - 10, complement(sumOctets(packet.page, packet.transportAt - 20, 20)))
  view.setUint8(packet.transportAt, 8)
  const payload = pool.take(SMALL_PAGE)!
  payload.bytes.fill(count, 0, 8 * count)
  const sum = sumOctets(packet.page, packet.transportAt, 8) + sumOctets(payload, 0, 8 * count)
  view.setUint16(packet.transportAt + 2, complement(sum))
  for (let index = 0; index < count; index++) packet.addFragment(payload, index * 8, 8)
  payload.release()
  return send(packet)
}

/** Without a checksum, as RFC 768 allows. */
function sendDatagram(): boolean {
  const packet = datagram(17, 8, 5)
  packet.page.view.setUint32(packet.transportAt, (4_000 << 16) | 4_001)
  packet.page.view.setUint16(packet.transportAt + 4, 13)
  return send(packet)
}

async function obey(word: string): Promise<void> {
  if (word === 'gso') console.log(`gso ${sendSuperSegment()}`)
  else if (word === 'pieces') console.log(`pieces ${sendPieces(5)} ${sendPieces(100)}`)
  else if (word === 'ask') console.log(`asked ${sendDatagram()}`)
  else if (word === 'count') console.log(`counts ${JSON.stringify(Object.fromEntries(nonZero(counters)))}`)
  else if (word.startsWith('idle ')) {
    const before = process.cpuUsage()
    await new Promise((resolve) => setTimeout(resolve, 2_000))
    const used = process.cpuUsage(before)
    console.log(`${word}: ${(used.user + used.system) / 1_000}`)
  } else if (word === 'quit') {
    driver.close()
    device.close()
    input.close()
    process.stdin.destroy()
    console.log(`closed, ${pool.inUse} pages in use`)
  }
}

const input = createInterface({ input: process.stdin })
input.on('line', (word) => void obey(word))
