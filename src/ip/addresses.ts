// The life of an interface's addresses, in both families: tentative until nobody answered a probe (RFC 4862
// §5.4, RFC 5227 §2.1), preferred, deprecated, gone. Keeps the connected routes and the solicited-node groups
// that go with them.

import { NetError } from '../errors.ts'
import { after, type Machine, type Micros, NEVER, seconds } from '../time.ts'
import { DeadlineHeap } from '../timers.ts'
import { IpAddress, IpPrefix, solicitedNode } from '../wire/address.ts'
import type { MacAddress } from '../wire/ethernet.ts'
import type { Arp, ConflictListener } from './arp.ts'
import type { IpContext } from './context.ts'
import { type AddressOrigin, type Interface, InterfaceAddress } from './interface.ts'
import type { Multicast } from './multicast.ts'
import type { Ndp } from './ndp.ts'

/** RFC 4861 §10 RetransTimer, and PROBE_MIN of RFC 5227: how long a probe waits for an answer. */
const PROBE_INTERVAL = seconds(1)
/** RFC 5227 §1.1. */
const ANNOUNCE_COUNT = 2
const ANNOUNCE_INTERVAL = seconds(2)
/** Addresses on one interface: a user's, and what routers advertise. */
export const ADDRESS_LIMIT = 256
/** The metric of routes to directly connected IPv6 networks, as Linux gives it. */
const CONNECTED_METRIC6 = 256

/** What is still to be done for one address. */
class Lease {
  readonly on: Interface
  readonly entry: InterfaceAddress
  probesLeft: number
  announcementsLeft = 0
  removed = false
  deadlineAt: Micros = NEVER
  scheduledAt: Micros = NEVER

  constructor(on: Interface, entry: InterfaceAddress, probes: number) {
    this.on = on
    this.entry = entry
    this.probesLeft = probes
  }
}

export interface AddressOptions {
  readonly origin: AddressOrigin
  /** Probes for duplicates before use (DupAddrDetectTransmits); 0: none, the address is usable at once. */
  readonly probes: number
}

export class Addresses implements Machine, ConflictListener {
  /** Tells that somebody else uses an address of ours, which is no longer used if it was being probed. */
  onDuplicate: ((on: Interface, entry: InterfaceAddress, other: MacAddress) => void) | null = null
  /** Tells autoconfiguration that an address may be used. */
  onUsable: ((on: Interface, entry: InterfaceAddress, now: Micros) => void) | null = null
  private readonly context: IpContext
  private readonly arp: Arp
  private readonly ndp: Ndp
  private readonly multicast: Multicast
  private readonly heap = new DeadlineHeap<Lease>()
  private readonly leases = new Map<InterfaceAddress, Lease>()

  constructor(context: IpContext, arp: Arp, ndp: Ndp, multicast: Multicast) {
    this.context = context
    this.arp = arp
    this.ndp = ndp
    this.multicast = multicast
  }

  /** Adds an address to an interface. Throws NetError when it is there already, or not a unicast address. */
  add(on: Interface, prefix: IpPrefix, options: AddressOptions, now: Micros): InterfaceAddress {
    const { address } = prefix
    if (address.isMulticast || address.isUnspecified || address.isLimitedBroadcast) {
      throw new NetError('EADDRNOTAVAIL', `${address} is no address that a host can have`)
    }
    if (on.find(address) !== undefined) throw new NetError('EADDRINUSE', `${address} is on ${on.name} already`)
    if (on.addresses.length >= ADDRESS_LIMIT) throw new NetError('ENOBUFS', `${on.name} has ${ADDRESS_LIMIT} addresses`)
    const entry = new InterfaceAddress(prefix, options.origin)
    const probes = on.isEthernet ? options.probes : 0
    const lease = new Lease(on, entry, probes)
    entry.state = probes > 0 ? 'tentative' : 'preferred'
    this.leases.set(entry, lease)
    this.context.interfaces.addAddress(on, entry)
    this.addConnectedRoute(on, prefix)
    if (address.family === 6 && on.isEthernet) this.multicast.join(on, solicitedNode(address), now)
    lease.deadlineAt = now
    this.heap.schedule(lease)
    return entry
  }

  remove(on: Interface, entry: InterfaceAddress, now: Micros): void {
    const lease = this.leases.get(entry)
    if (lease === undefined) return
    lease.removed = true
    this.leases.delete(entry)
    this.context.interfaces.removeAddress(on, entry)
    const { prefix } = entry
    if (prefix.address.family === 6 && on.isEthernet) this.multicast.leave(on, solicitedNode(prefix.address), now)
    const twin = on.addresses.some((other) => sameNetwork(other.prefix, prefix))
    if (!twin) this.context.routes.remove({ prefix: prefix.network, interfaceIndex: on.index })
  }

  /** RFC 4862 §5.5.3 e: new lifetimes for an address that routers keep alive. */
  extend(entry: InterfaceAddress, preferredUntil: Micros, validUntil: Micros, now: Micros): void {
    const lease = this.leases.get(entry)
    if (lease === undefined) return
    entry.preferredUntil = preferredUntil
    entry.validUntil = validUntil
    if (entry.state === 'deprecated' && preferredUntil > now) entry.state = 'preferred'
    this.reschedule(lease)
  }

  onConflict(on: Interface, entry: InterfaceAddress, other: MacAddress, now: Micros): void {
    const lease = this.leases.get(entry)
    if (lease === undefined) return
    if (entry.state === 'tentative') {
      entry.state = 'duplicate'
      lease.deadlineAt = NEVER
      this.context.interfaces.generation++
    } else if (lease.announcementsLeft === 0) {
      // RFC 5227 §2.4 b: defend it, once, and not again within the interval.
      lease.announcementsLeft = 1
      lease.deadlineAt = now
      this.heap.schedule(lease)
    }
    this.onDuplicate?.(on, entry, other)
  }

  /** Whether an address still waits for its probes. */
  get settling(): boolean {
    for (const { entry } of this.leases.values()) if (entry.state === 'tentative') return true
    return false
  }

  deadline(): Micros {
    return this.heap.next()
  }

  poll(now: Micros): void {
    for (let due = this.heap.takeDue(now); due !== null; due = this.heap.takeDue(now)) {
      if (!due.removed) this.step(due, now)
    }
  }

  private step(lease: Lease, now: Micros): void {
    const { on, entry } = lease
    if (entry.state === 'tentative') {
      if (lease.probesLeft > 0) return this.probe(lease, now)
      entry.state = 'preferred'
      this.context.interfaces.generation++
      lease.announcementsLeft = on.isEthernet ? ANNOUNCE_COUNT : 0
      this.onUsable?.(on, entry, now)
    } else if (lease.probesLeft === 0 && entry.state === 'preferred' && lease.announcementsLeft === 0) {
      lease.probesLeft = -1
      if (on.isEthernet && now < entry.preferredUntil) lease.announcementsLeft = ANNOUNCE_COUNT
      this.onUsable?.(on, entry, now)
    }
    if (entry.validUntil <= now) return this.remove(on, entry, now)
    if (entry.preferredUntil <= now && entry.state === 'preferred') {
      entry.state = 'deprecated'
      this.context.interfaces.generation++
    }
    if (lease.announcementsLeft > 0) return this.announce(lease, now)
    this.reschedule(lease)
  }

  private probe(lease: Lease, now: Micros): void {
    const { on, entry } = lease
    lease.probesLeft--
    if (entry.address.family === 4) this.arp.probe(on, entry.address)
    else this.ndp.probe(on, entry.address, now)
    lease.deadlineAt = after(now, PROBE_INTERVAL)
    this.heap.schedule(lease)
  }

  private announce(lease: Lease, now: Micros): void {
    const { on, entry } = lease
    lease.announcementsLeft--
    lease.probesLeft = -1
    if (entry.address.family === 4) this.arp.announce(on, entry.address)
    else this.ndp.announce(on, entry.address, now)
    if (lease.announcementsLeft > 0) lease.deadlineAt = after(now, ANNOUNCE_INTERVAL)
    else this.reschedule(lease)
    this.heap.schedule(lease)
  }

  private reschedule(lease: Lease): void {
    const { entry } = lease
    lease.deadlineAt = entry.state === 'preferred' ? entry.preferredUntil : entry.validUntil
    if (entry.validUntil < lease.deadlineAt) lease.deadlineAt = entry.validUntil
    this.heap.schedule(lease)
  }

  private addConnectedRoute(on: Interface, prefix: IpPrefix): void {
    if (on.isLoopback || prefix.length === (prefix.address.family === 4 ? 32 : 128)) return
    const metric = prefix.address.family === 4 ? 0 : CONNECTED_METRIC6
    const source = prefix.address.family === 4 ? { source: prefix.address } : {}
    this.context.routes.add({
      prefix: prefix.network,
      interfaceIndex: on.index,
      metric,
      origin: 'connected',
      ...source,
    })
  }
}

const sameNetwork = (a: IpPrefix, b: IpPrefix): boolean =>
  a.length === b.length && a.address.family === b.address.family && a.contains(b.address)

/** The interface identifier of RFC 2464 §4 (modified EUI-64), as the lower half of an address. */
export function withInterfaceIdentifier(prefix: IpAddress, mac: MacAddress): IpAddress {
  const w2 = ((mac.high ^ 0x0200) << 16) | ((mac.low >>> 16) & 0xff00) | 0xff
  const w3 = 0xfe00_0000 | (mac.low & 0xff_ffff)
  return new IpAddress(6, prefix.w0, prefix.w1, w2, w3)
}

/** fe80::/64 with the identifier of the MAC address (RFC 4291 §2.5.6). */
export const linkLocalPrefix = (mac: MacAddress): IpPrefix =>
  new IpPrefix(withInterfaceIdentifier(new IpAddress(6, 0xfe80_0000, 0, 0, 0), mac), 64)
