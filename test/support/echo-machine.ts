// The smallest host there is: for one IPv4 address it answers ARP requests and ICMP echoes, and sends UDP datagrams back,
// all at once. It lets devices and the driver be tested from outside without the stack.

import { HEADROOM, Packet } from '../../src/buf/packet.ts'
import type { PagePool } from '../../src/buf/page.ts'
import type { Device } from '../../src/link/device.ts'
import { type Machine, type Micros, NEVER } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import {
  ARP_LENGTH,
  ARP_REPLY,
  ARP_REQUEST,
  arpOperation,
  arpSenderIp,
  arpSenderMac,
  arpTargetIp,
  checkArp,
  emitArp,
} from '../../src/wire/arp.ts'
import { complement, sumOctets } from '../../src/wire/checksum.ts'
import {
  ETHERNET_HEADER,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  emitEthernet,
  etherType,
  MacAddress,
} from '../../src/wire/ethernet.ts'
import { ICMP4_ECHO, ICMP4_ECHO_REPLY } from '../../src/wire/icmp4.ts'
import {
  ipv4Destination,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  PROTOCOL_ICMP4,
  PROTOCOL_UDP,
} from '../../src/wire/ipv4.ts'

export class EchoMachine implements Machine {
  readonly address: IpAddress
  readonly mac: MacAddress
  private readonly device: Device
  private readonly pool: PagePool
  /** Packets that came in, and those that were answered. */
  received = 0
  answered = 0
  /** Told of each packet before it is answered. */
  onPacket: ((packet: Packet) => void) | null = null

  constructor(device: Device, pool: PagePool, address: string) {
    this.device = device
    this.pool = pool
    this.address = IpAddress.from(address)
    this.mac = device.macAddress ?? new MacAddress(0x0200, 0x5e01)
    device.onReceive = (packet) => this.receive(packet)
  }

  deadline(): Micros {
    return NEVER
  }

  poll(): void {}

  private receive(packet: Packet): void {
    this.received++
    this.onPacket?.(packet)
    const { view } = packet.page
    if (this.device.medium === 'ip') this.echo(packet, packet.data)
    else if (packet.length >= ETHERNET_HEADER && etherType(view, packet.data) === ETHERTYPE_ARP) this.arp(packet)
    else if (packet.length >= ETHERNET_HEADER && etherType(view, packet.data) === ETHERTYPE_IPV4)
      this.echo(packet, packet.data + ETHERNET_HEADER)
    else packet.release()
  }

  private arp(packet: Packet): void {
    const { view } = packet.page
    const at = packet.data + ETHERNET_HEADER
    const asked =
      checkArp(view, at, packet.tail - at) === undefined &&
      arpOperation(view, at) === ARP_REQUEST &&
      arpTargetIp(view, at).equals(this.address)
    const reply = asked ? Packet.allocate(this.pool, ARP_LENGTH, HEADROOM) : null
    if (reply !== null) {
      const target = arpSenderMac(view, at)
      emitArp(reply.page.view, reply.put(ARP_LENGTH), {
        operation: ARP_REPLY,
        senderMac: this.mac,
        senderIp: this.address,
        targetMac: target,
        targetIp: arpSenderIp(view, at),
      })
      emitEthernet(reply.page.view, reply.push(ETHERNET_HEADER), target, this.mac, ETHERTYPE_ARP)
      this.answered++
      this.device.transmit(reply)
    }
    packet.release()
  }

  /** Turns the request into its reply in place. */
  private echo(packet: Packet, at: number): void {
    const { view } = packet.page
    const transport = at + ipv4HeaderLength(view, at)
    const protocol = ipv4Protocol(view, at)
    const asked =
      packet.tail >= transport + 8 &&
      ipv4Destination(view, at).equals(this.address) &&
      ((protocol === PROTOCOL_ICMP4 && view.getUint8(transport) === ICMP4_ECHO) || protocol === PROTOCOL_UDP)
    if (!asked) {
      packet.release()
      return
    }
    const source = ipv4Source(view, at)
    source.writeTo(view, at + 16)
    this.address.writeTo(view, at + 12)
    if (protocol === PROTOCOL_ICMP4) this.answerEcho(packet, transport)
    else this.swapPorts(view, transport)
    if (this.device.medium === 'ethernet') {
      packet.page.bytes.copyWithin(packet.data, packet.data + 6, packet.data + 12)
      this.mac.writeTo(view, packet.data + 6)
    }
    this.answered++
    this.device.transmit(packet)
  }

  private answerEcho(packet: Packet, at: number): void {
    const { view } = packet.page
    view.setUint8(at, ICMP4_ECHO_REPLY)
    view.setUint16(at + 2, 0)
    view.setUint16(at + 2, complement(sumOctets(packet.page, at, packet.tail - at)))
    packet.checksum = 'complete'
  }

  /** The checksum stays what it was, complete or partial: sums do not mind the order. */
  private swapPorts(view: DataView, at: number): void {
    const source = view.getUint16(at)
    view.setUint16(at, view.getUint16(at + 2))
    view.setUint16(at + 2, source)
  }
}
