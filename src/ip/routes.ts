// The routing table of one host: longest prefix first, then the smaller metric (RFC 1812 §5.2.4.3). One hash
// table per prefix length, so that a lookup costs one probe for each length in use.

import { type IpAddress, type IpPrefix, masked } from '../wire/address.ts'
import { AddressTable } from './address-table.ts'

export type RouteOrigin = 'static' | 'connected' | 'router-advertisement'

export interface Route {
  readonly prefix: IpPrefix
  /** Null: the destinations are on the link itself. */
  readonly gateway: IpAddress | null
  readonly interfaceIndex: number
  /** The smaller one wins among routes of one length. */
  readonly metric: number
  readonly origin: RouteOrigin
  /** Packets on this route leave from here, unless a socket says otherwise. */
  readonly source: IpAddress | null
  /** blackhole, prohibit: packets are dropped, and answered with an ICMP error in the second case. */
  readonly kind: 'unicast' | 'blackhole' | 'prohibit'
}

export interface RouteOptions {
  prefix: IpPrefix
  gateway?: IpAddress
  interfaceIndex: number
  metric?: number
  origin?: RouteOrigin
  source?: IpAddress
  kind?: Route['kind']
}

/** Which routes of a prefix are meant; what is left out may be anything. */
export interface RouteMatch {
  prefix: IpPrefix
  gateway?: IpAddress | null
  interfaceIndex?: number
  metric?: number
  origin?: RouteOrigin
}

/** Linux's: what it gives to IPv6 routes without one. */
export const DEFAULT_METRIC6 = 1_024

/** Routes of one host; a user's mistake beyond it, or a router's flood, is refused. */
export const ROUTE_LIMIT = 65_536

class FamilyTable {
  /** Index: prefix length. Each value holds the routes of one prefix, best metric first. */
  readonly byLength: (AddressTable<Route[]> | null)[]
  /** The lengths in use, longest first. */
  lengths: number[] = []

  constructor(bits: number) {
    this.byLength = new Array<AddressTable<Route[]> | null>(bits + 1).fill(null)
  }
}

export class RouteTable {
  /** Raised by each change: a way resolved under an older one is to be resolved anew. */
  generation = 0
  size = 0
  private readonly table4 = new FamilyTable(32)
  private readonly table6 = new FamilyTable(128)

  /** Adds a route, or replaces the one with the same prefix, metric, way and origin. False: the table is full. */
  add(options: RouteOptions): boolean {
    const prefix = options.prefix.network
    const family = prefix.address.family
    const route: Route = {
      prefix,
      gateway: options.gateway ?? null,
      interfaceIndex: options.interfaceIndex,
      metric: options.metric ?? (family === 4 ? 0 : DEFAULT_METRIC6),
      origin: options.origin ?? 'static',
      source: options.source ?? null,
      kind: options.kind ?? 'unicast',
    }
    const table = family === 4 ? this.table4 : this.table6
    let level = table.byLength[prefix.length]!
    if (level === null) {
      level = new AddressTable<Route[]>()
      table.byLength[prefix.length] = level
      table.lengths = [...table.lengths, prefix.length].sort((a, b) => b - a)
    }
    const routes = level.get(prefix.address) ?? []
    const twin = routes.findIndex((other) => other.metric === route.metric && sameWay(other, route))
    if (twin < 0 && this.size >= ROUTE_LIMIT) return false
    if (twin >= 0) routes[twin] = route
    else {
      routes.push(route)
      routes.sort((a, b) => a.metric - b.metric)
      this.size++
    }
    level.set(prefix.address, routes)
    this.generation++
    return true
  }

  /** Removes the routes of this prefix that match what is given, and returns how many. A gateway of null matches routes without. */
  remove(match: RouteMatch): number {
    const prefix = match.prefix.network
    const table = prefix.address.family === 4 ? this.table4 : this.table6
    const level = table.byLength[prefix.length] ?? null
    const routes = level?.get(prefix.address)
    if (level === null || routes === undefined) return 0
    const kept = routes.filter((route) => !matches(route, match))
    if (kept.length > 0) level.set(prefix.address, kept)
    else level.delete(prefix.address)
    if (level.size === 0) {
      table.byLength[prefix.length] = null
      table.lengths = table.lengths.filter((length) => length !== prefix.length)
    }
    const removed = routes.length - kept.length
    this.size -= removed
    if (removed > 0) this.generation++
    return removed
  }

  /** The best route for a destination that `usable` accepts; null: none. */
  lookup(destination: IpAddress, usable: (route: Route) => boolean): Route | null {
    const table = destination.family === 4 ? this.table4 : this.table6
    for (const length of table.lengths) {
      const routes = table.byLength[length]!.get(masked(destination, length))
      if (routes === undefined) continue
      for (const route of routes) if (usable(route)) return route
    }
    return null
  }

  /** All routes, longest prefix first, IPv4 before IPv6. */
  list(): Route[] {
    const all: Route[] = []
    for (const table of [this.table4, this.table6]) {
      for (const length of table.lengths) for (const routes of table.byLength[length]!.values()) all.push(...routes)
    }
    return all
  }
}

const sameWay = (a: Route, b: Route): boolean =>
  a.interfaceIndex === b.interfaceIndex && a.origin === b.origin && sameGateway(a.gateway, b.gateway)

const sameGateway = (a: IpAddress | null, b: IpAddress | null): boolean =>
  a === null ? b === null : b !== null && a.equals(b)

const matches = (route: Route, match: RouteMatch): boolean =>
  (match.gateway === undefined || sameGateway(route.gateway, match.gateway)) &&
  (match.interfaceIndex === undefined || route.interfaceIndex === match.interfaceIndex) &&
  (match.metric === undefined || route.metric === match.metric) &&
  (match.origin === undefined || route.origin === match.origin)
