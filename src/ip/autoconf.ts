// Stateless address autoconfiguration (RFC 4862) and default routers (RFC 4861 §6.3): asks for routers, takes
// their prefixes, routes and parameters, and lets them expire.

import type { Random } from '../random.ts'
import { after, earlier, type Machine, type Micros, millis, NEVER, seconds } from '../time.ts'
import { DeadlineHeap } from '../timers.ts'
import { ANY6, type IpAddress, IpPrefix } from '../wire/address.ts'
import { IPV6_MIN_MTU } from '../wire/ipv6.ts'
import {
  INFINITE_LIFETIME,
  nextNdpOption,
  type PrefixInformation,
  ROUTER_ADVERTISEMENT_HEADER,
  readPrefixInformation,
  readRouterAdvertisement,
} from '../wire/ndp.ts'
import { type Addresses, linkLocalPrefix, withInterfaceIdentifier } from './addresses.ts'
import type { IpContext } from './context.ts'
import type { Interface, InterfaceAddress } from './interface.ts'
import type { Ndp, RouterListener } from './ndp.ts'

/** RFC 4861 §10. */
const MAX_RTR_SOLICITATIONS = 3
const RTR_SOLICITATION_INTERVAL = seconds(4)
/** RFC 4862 §5.5.3 e 3: no router can shorten a lifetime below this. */
const MIN_VALID_LIFETIME = seconds(7_200)
/** Routers, on-link prefixes and autoconfigured addresses taken from one link. */
const PER_LINK_LIMIT = 16
/** The smallest hop limit taken from a router: as many as the Internet's longest ways have. */
const LEAST_HOP_LIMIT = 32
/** RFC 4191 §2.1 as metrics: Linux's 1,024 for medium, better for high, worse for low. */
const ROUTER_METRIC = 1_024

/** A route that a router advertised, until it expires. */
interface Learned {
  readonly on: Interface
  readonly prefix: IpPrefix
  readonly gateway: IpAddress | null
  metric: number
  deadlineAt: Micros
  scheduledAt: Micros
}

class Link {
  readonly on: Interface
  readonly probes: number
  /** Whether routers are asked and listened to. */
  readonly accepts: boolean
  solicitationsLeft = 0
  deadlineAt: Micros = NEVER
  scheduledAt: Micros = NEVER

  constructor(on: Interface, probes: number, accepts: boolean) {
    this.on = on
    this.probes = probes
    this.accepts = accepts
    this.solicitationsLeft = accepts ? MAX_RTR_SOLICITATIONS : 0
  }
}

export class Autoconf implements Machine, RouterListener {
  private readonly context: IpContext
  private readonly addresses: Addresses
  private readonly ndp: Ndp
  private readonly random: Random
  private readonly links = new Map<Interface, Link>()
  private readonly learned: Learned[] = []
  private readonly linkHeap = new DeadlineHeap<Link>()
  private readonly learnedHeap = new DeadlineHeap<Learned>()

  constructor(context: IpContext, addresses: Addresses, ndp: Ndp) {
    this.context = context
    this.addresses = addresses
    this.ndp = ndp
    this.random = context.random
  }

  /** Gives the interface its link-local address and, where `solicit`, looks for routers once that is unique. */
  start(on: Interface, options: { probes: number; solicit: boolean }, now: Micros): void {
    this.links.set(on, new Link(on, options.probes, options.solicit))
    this.addresses.add(on, linkLocalPrefix(on.mac), { origin: 'link-local', probes: options.probes }, now)
  }

  /** An address became usable: with the link-local one, routers can be asked. */
  onUsable(on: Interface, entry: InterfaceAddress, now: Micros): void {
    const link = this.links.get(on)
    if (link === undefined || entry.origin !== 'link-local' || link.solicitationsLeft === 0) return
    link.deadlineAt = now
    this.linkHeap.schedule(link)
  }

  onRouterAdvertisement(on: Interface, view: DataView, at: number, end: number, router: IpAddress, now: Micros): void {
    const link = this.links.get(on)
    // Routers do not configure themselves from others' advertisements (RFC 4861 §6.2.7).
    if (link === undefined || !link.accepts || this.context.forwarding) return
    const message = readRouterAdvertisement(view, at, end)
    // RFC 4861 §6.3.7: one that is a default router ends the search.
    if (message.lifetime > 0) link.solicitationsLeft = 0
    // A lower one would cut the host off beyond its next routers, which is what a forger wants (CVE-2015-2922).
    if (message.hopLimit >= LEAST_HOP_LIMIT) on.hopLimit = message.hopLimit
    const cache = on.neighbors6!
    if (message.reachableTime > 0) cache.baseReachableTime = millis(Math.min(message.reachableTime, 3_600_000))
    if (message.retransmitTime > 0) cache.retransTimer = millis(Math.min(Math.max(message.retransmitTime, 100), 60_000))
    if (message.mtu >= IPV6_MIN_MTU && message.mtu <= on.greatestMtu && message.mtu !== on.mtu) {
      on.mtu = message.mtu
      this.context.interfaces.generation++
    }
    const metric = ROUTER_METRIC - message.preference
    this.learn(on, new IpPrefix(ANY6, 0), router, expiry(message.lifetime, now), metric, now)
    for (let option = at + ROUTER_ADVERTISEMENT_HEADER; option < end; option = nextNdpOption(view, option, end)) {
      const prefix = readPrefixInformation(view, option)
      if (prefix !== null) this.takePrefix(link, prefix, now)
    }
  }

  onRouterLost(on: Interface, router: IpAddress): void {
    for (const entry of [...this.learned]) {
      if (entry.on === on && entry.gateway?.equals(router)) this.forget(entry)
    }
  }

  deadline(): Micros {
    return earlier(this.linkHeap.next(), this.learnedHeap.next())
  }

  poll(now: Micros): void {
    for (let link = this.linkHeap.takeDue(now); link !== null; link = this.linkHeap.takeDue(now)) {
      this.solicit(link, now)
    }
    for (let due = this.learnedHeap.takeDue(now); due !== null; due = this.learnedHeap.takeDue(now)) {
      this.forget(due)
    }
  }

  private solicit(link: Link, now: Micros): void {
    if (link.solicitationsLeft === 0 || this.context.forwarding) return
    link.solicitationsLeft--
    const own = link.on.addresses.find(({ origin, usable }) => origin === 'link-local' && usable)
    this.ndp.solicitRouters(link.on, own === undefined ? ANY6 : own.address, now)
    if (link.solicitationsLeft === 0) return
    // Spread, so that hosts that came up together do not ask together.
    const spread = this.random.below(200_000) as Micros
    link.deadlineAt = after(after(now, RTR_SOLICITATION_INTERVAL), spread)
    this.linkHeap.schedule(link)
  }

  private takePrefix(link: Link, info: PrefixInformation, now: Micros): void {
    const { on } = link
    const prefix = new IpPrefix(info.prefix, info.length).network
    if (prefix.address.isLinkLocal || prefix.address.isMulticast) return
    if (info.onLink) this.learn(on, prefix, null, expiry(info.validLifetime, now), 256, now)
    // RFC 4862 §5.5.3: only prefixes that leave 64 bits, and whose lifetimes make sense.
    if (!info.autonomous || info.length !== 64 || info.preferredLifetime > info.validLifetime) return
    const address = withInterfaceIdentifier(prefix.address, on.mac)
    const known = on.find(address)
    const preferredUntil = expiry(info.preferredLifetime, now)
    const stated = expiry(info.validLifetime, now)
    if (known === undefined) {
      const own = on.addresses.filter(({ origin }) => origin === 'autoconf').length
      if (info.validLifetime === 0 || own >= PER_LINK_LIMIT) return
      // The route to the prefix is the on-link flag's business, so the address has none of its own.
      const added = new IpPrefix(address, 128)
      const entry = this.addresses.add(on, added, { origin: 'autoconf', probes: link.probes }, now)
      this.addresses.extend(entry, preferredUntil, stated, now)
      return
    }
    if (known.origin !== 'autoconf') return
    const left = known.validUntil - now
    const floor = Math.min(left, MIN_VALID_LIFETIME) as Micros
    const validUntil = stated > after(now, MIN_VALID_LIFETIME) || stated > known.validUntil ? stated : after(now, floor)
    this.addresses.extend(known, preferredUntil, validUntil, now)
  }

  private learn(
    on: Interface,
    prefix: IpPrefix,
    gateway: IpAddress | null,
    expiresAt: Micros,
    metric: number,
    now: Micros,
  ): void {
    const same = this.learned.find(
      (other) => other.on === on && sameRoute(other.prefix, prefix) && sameGateway(other.gateway, gateway),
    )
    if (expiresAt <= now) {
      if (same !== undefined) this.forget(same)
      return
    }
    if (same === undefined && this.learned.filter((other) => other.on === on).length >= PER_LINK_LIMIT) return
    if (same === undefined || same.metric !== metric) {
      if (same !== undefined) this.removeRoute(same)
      const via = gateway === null ? {} : { gateway }
      const origin = 'router-advertisement'
      if (!this.context.routes.add({ prefix, interfaceIndex: on.index, metric, origin, ...via })) return
    }
    const entry = same ?? { on, prefix, gateway, metric, deadlineAt: NEVER, scheduledAt: NEVER }
    if (same === undefined) this.learned.push(entry)
    entry.metric = metric
    entry.deadlineAt = expiresAt
    this.learnedHeap.schedule(entry)
  }

  private forget(entry: Learned): void {
    const index = this.learned.indexOf(entry)
    if (index < 0) return
    this.learned.splice(index, 1)
    entry.deadlineAt = NEVER
    this.removeRoute(entry)
  }

  private removeRoute({ on, prefix, gateway, metric }: Learned): void {
    const origin = 'router-advertisement'
    this.context.routes.remove({ prefix, interfaceIndex: on.index, gateway, metric, origin })
  }
}

const expiry = (lifetimeSeconds: number, now: Micros): Micros =>
  lifetimeSeconds === INFINITE_LIFETIME ? NEVER : after(now, seconds(lifetimeSeconds))

const sameRoute = (a: IpPrefix, b: IpPrefix): boolean => a.length === b.length && a.address.equals(b.address)

const sameGateway = (a: IpAddress | null, b: IpAddress | null): boolean =>
  a === null ? b === null : b !== null && a.equals(b)
