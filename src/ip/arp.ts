// ARP on the Ethernet links of one host (RFC 826), conflict detection and announcements (RFC 5227). Interfaces
// hand it frames; their IPv4 neighbour caches ask it questions.

import { Packet } from '../buf/packet.ts'
import type { Drop } from '../counters.ts'
import type { Micros } from '../time.ts'
import { ANY4, type IpAddress } from '../wire/address.ts'
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
} from '../wire/arp.ts'
import { BROADCAST_MAC, type MacAddress, ZERO_MAC } from '../wire/ethernet.ts'
import { discard, type IpContext } from './context.ts'
import type { Interface, InterfaceAddress, NetworkLayer } from './interface.ts'

/** Hears that somebody else uses one of our addresses. */
export interface ConflictListener {
  onConflict(on: Interface, entry: InterfaceAddress, other: MacAddress, now: Micros): void
}

export class Arp implements NetworkLayer {
  /** Set by stack.ts. */
  conflicts: ConflictListener | null = null
  private readonly context: IpContext

  constructor(context: IpContext) {
    this.context = context
  }

  receive(from: Interface, packet: Packet, now: Micros): void {
    const drop = this.process(from, packet, now)
    if (drop !== undefined) discard(this.context, packet, drop)
    else packet.release()
  }

  /** Asks who has `target`; to everybody, or to the one who had it. */
  request(on: Interface, target: IpAddress, mac: MacAddress | null): void {
    const source = sourceFor(on, target)
    if (source === null) return
    this.send(on, { operation: ARP_REQUEST, senderIp: source, targetMac: ZERO_MAC, targetIp: target }, mac, '')
  }

  /** Asks whether somebody uses the address, without claiming it (RFC 5227 §2.1.1). */
  probe(on: Interface, address: IpAddress): void {
    const fields = { operation: ARP_REQUEST, senderIp: ANY4, targetMac: ZERO_MAC, targetIp: address }
    this.send(on, fields, null, `probe: does anybody use ${address}?`)
  }

  /** Tells the link that the address is ours (RFC 5227 §2.3). */
  announce(on: Interface, address: IpAddress): void {
    const fields = { operation: ARP_REQUEST, senderIp: address, targetMac: ZERO_MAC, targetIp: address }
    this.send(on, fields, null, `announcement: ${address} is ours`)
  }

  private process(from: Interface, packet: Packet, now: Micros): Drop | undefined {
    if (!packet.linearize(Math.min(packet.length, ARP_LENGTH))) return 'noBuffer'
    const { view } = packet.page
    const at = packet.data
    const malformed = checkArp(view, at, packet.headLength)
    if (malformed !== undefined) return malformed
    const senderMac = arpSenderMac(view, at)
    const senderIp = arpSenderIp(view, at)
    const targetIp = arpTargetIp(view, at)
    if (senderMac.isMulticast || senderMac.isZero) return 'arpMalformed'
    if (senderIp.isMulticast || senderIp.isLoopback || from.isBroadcast(senderIp)) return 'arpMalformed'
    if (senderMac.equals(from.mac)) return 'spoofedSource'
    const conflict = conflictOf(from, senderIp, targetIp)
    if (conflict !== undefined) {
      this.conflicts?.onConflict(from, conflict, senderMac, now)
      return undefined
    }
    const isReply = arpOperation(view, at) === ARP_REPLY
    const cache = from.neighbors4!
    const target = from.find(targetIp)
    const isForUs = target?.usable === true
    if (!senderIp.isUnspecified) {
      if (isReply) {
        const solicited = packet.linkCast === 'host'
        cache.advertise(senderIp, { mac: senderMac, solicited, override: true, isRouter: false }, now)
      } else if (isForUs || cache.get(senderIp) !== undefined) cache.learn(senderIp, senderMac)
    }
    if (isReply) return undefined
    if (!isForUs) return 'arpNotForUs'
    const fields = { operation: ARP_REPLY, senderIp: targetIp, targetMac: senderMac, targetIp: senderIp }
    this.send(from, fields, senderMac, '')
    return undefined
  }

  private send(
    on: Interface,
    fields: { operation: number; senderIp: IpAddress; targetMac: MacAddress; targetIp: IpAddress },
    mac: MacAddress | null,
    note: string,
  ): void {
    const packet = Packet.allocate(this.context.pool, ARP_LENGTH)
    if (packet === null) {
      this.context.counters.drops.noBuffer++
      return
    }
    emitArp(packet.page.view, packet.put(ARP_LENGTH), { ...fields, senderMac: on.mac })
    packet.note = note
    on.transmitArp(packet, mac ?? BROADCAST_MAC)
  }
}

/** RFC 5227 §2.1.1 and §2.4: another sender of our address, or another probe for what we are probing. */
function conflictOf(from: Interface, senderIp: IpAddress, targetIp: IpAddress): InterfaceAddress | undefined {
  const claimed = from.find(senderIp)
  if (claimed !== undefined && claimed.state !== 'duplicate') return claimed
  const probed = senderIp.isUnspecified ? from.find(targetIp) : undefined
  return probed?.state === 'tentative' ? probed : undefined
}

/** The own address to ask from: one of the target's network, else any. */
function sourceFor(on: Interface, target: IpAddress): IpAddress | null {
  let fallback: IpAddress | null = null
  for (const entry of on.addresses) {
    if (!entry.usable || entry.address.family === 6) continue
    if (entry.prefix.contains(target)) return entry.address
    fallback ??= entry.address
  }
  return fallback
}
