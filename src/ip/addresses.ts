// The life of an interface's addresses, in both families: tentative until nobody answered a probe (RFC 4862
// §5.4, RFC 5227 §2.1), preferred, deprecated, gone. Keeps the connected routes and the solicited-node groups
// that go with them.

import { NetError } from '../errors.ts'
import { after, earlier, type Machine, type Micros, NEVER, seconds } from '../time.ts'
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
const DEFEND_INTERVAL = seconds(10)
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
  /** When the next probe or announcement is due, or the address has been probed for long enough; NEVER: nothing is. */
  workAt: Micros
  /** When somebody else was last told that the address is ours. */
  defendedAt: Micros = -DEFEND_INTERVAL as Micros
  removed = false
  deadlineAt: Micros = NEVER
  scheduledAt: Micros = NEVER

  constructor(on: Interface, entry: InterfaceAddress, probes: number, now: Micros) {
    this.on = on
    this.entry = entry
    this.probesLeft = probes
    this.workAt = now
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
    if (!isHostAddress(prefix)) {
      throw new NetError('EADDRNOTAVAIL', `${address} is no address that a host can have`)
    }
    if (on.find(address) !== undefined) throw new NetError('EADDRINUSE', `${address} is on ${on.name} already`)
    if (on.addresses.length >= ADDRESS_LIMIT) throw new NetError('ENOBUFS', `${on.name} has ${ADDRESS_LIMIT} addresses`)
    const entry = new InterfaceAddress(prefix, options.origin)
    const probes = on.isEthernet ? options.probes : 0
    const lease = new Lease(on, entry, probes, now)
    entry.state = probes > 0 ? 'tentative' : 'preferred'
    this.leases.set(entry, lease)
    this.context.interfaces.addAddress(on, entry)
    this.addConnectedRoute(on, prefix)
    if (address.family === 6 && on.isEthernet) this.multicast.join(on, solicitedNode(address), now)
    this.reschedule(lease)
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
    if (twin) return
    this.context.routes.remove({ prefix: prefix.network, gateway: null, interfaceIndex: on.index, origin: 'connected' })
  }

  /** RFC 4862 §5.5.3 e: new lifetimes for an address that routers keep alive. */
  extend(entry: InterfaceAddress, preferredUntil: Micros, validUntil: Micros, now: Micros): void {
    const lease = this.leases.get(entry)
    if (lease === undefined) return
    entry.preferredUntil = preferredUntil
    entry.validUntil = validUntil
    if (entry.state === 'deprecated' && preferredUntil > now) {
      entry.state = 'preferred'
      this.context.interfaces.generation++
    }
    this.reschedule(lease)
  }

  onConflict(on: Interface, entry: InterfaceAddress, other: MacAddress, now: Micros): void {
    const lease = this.leases.get(entry)
    if (lease === undefined) return
    if (entry.state === 'tentative') {
      entry.state = 'duplicate'
      lease.workAt = NEVER
      this.context.interfaces.generation++
      this.reschedule(lease)
    } else if (after(lease.defendedAt, DEFEND_INTERVAL) <= now) {
      // RFC 5227 §2.4 c: defend it, but two hosts that both do must not go on and on.
      lease.defendedAt = now
      lease.announcementsLeft = Math.max(1, lease.announcementsLeft)
      lease.workAt = now
      this.reschedule(lease)
    }
    this.context.calls.run(() => this.onDuplicate?.(on, entry, other))
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
    if (entry.validUntil <= now) return this.remove(on, entry, now)
    if (entry.preferredUntil <= now && entry.state === 'preferred') {
      entry.state = 'deprecated'
      this.context.interfaces.generation++
    }
    if (lease.workAt <= now) {
      lease.workAt = NEVER
      if (lease.probesLeft > 0) this.probe(lease, now)
      else if (lease.probesLeft === 0) this.begin(lease, now)
      else this.announce(lease, now)
    }
    this.reschedule(lease)
  }

  private probe(lease: Lease, now: Micros): void {
    const { on, entry } = lease
    lease.probesLeft--
    lease.workAt = after(now, PROBE_INTERVAL)
    if (entry.address.family === 4) this.arp.probe(on, entry.address)
    else this.ndp.probe(on, entry.address, now)
  }

  /** Nobody answered, or nobody was asked: the address may be used. */
  private begin(lease: Lease, now: Micros): void {
    const { on, entry } = lease
    lease.probesLeft = -1
    if (entry.state === 'tentative') {
      entry.state = entry.preferredUntil <= now ? 'deprecated' : 'preferred'
      this.context.interfaces.generation++
    }
    if (entry.address.isLinkLocal) this.multicast.reportAgain(on, now)
    this.onUsable?.(on, entry, now)
    if (!on.isEthernet) return
    lease.announcementsLeft = ANNOUNCE_COUNT
    this.announce(lease, now)
  }

  private announce(lease: Lease, now: Micros): void {
    const { on, entry } = lease
    lease.announcementsLeft--
    if (lease.announcementsLeft > 0) lease.workAt = after(now, ANNOUNCE_INTERVAL)
    if (entry.address.family === 4) this.arp.announce(on, entry.address)
    else this.ndp.announce(on, entry.address, now)
  }

  private reschedule(lease: Lease): void {
    const { entry } = lease
    lease.deadlineAt = earlier(lease.workAt, entry.validUntil)
    if (entry.state === 'preferred') lease.deadlineAt = earlier(lease.deadlineAt, entry.preferredUntil)
    this.heap.schedule(lease)
  }

  private addConnectedRoute(on: Interface, prefix: IpPrefix): void {
    if (on.isLoopback || prefix.length === (prefix.address.family === 4 ? 32 : 128)) return
    const metric = prefix.address.family === 4 ? 0 : CONNECTED_METRIC6
    this.context.routes.add({ prefix: prefix.network, interfaceIndex: on.index, metric, origin: 'connected' })
  }
}

/** Whether a host can have the address: no group, no broadcast address, not an IPv4 address in the clothes of IPv6. */
export function isHostAddress({ address, broadcast }: IpPrefix): boolean {
  if (address.isMulticast || address.isUnspecified || address.isLimitedBroadcast) return false
  return !(address.family === 6 && address.isMapped4) && !broadcast?.equals(address)
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
