// From a destination to a way: which interface, which next hop, which source (RFC 1122 §3.3.1, RFC 4861 §5.2).

import { type IpAddress, LOOPBACK4, LOOPBACK6 } from '../wire/address.ts'
import { IPV4_MAX_PACKET } from '../wire/ipv4.ts'
import type { IpContext } from './context.ts'
import type { Interface } from './interface.ts'
import type { Route } from './routes.ts'
import type { NoWay, Way, WayOptions } from './seams.ts'
import { selectSource } from './source-address.ts'

export class Ways {
  private readonly context: IpContext

  constructor(context: IpContext) {
    this.context = context
  }

  /** What a way must have been resolved under to be still true. */
  get generation(): number {
    return this.context.routes.generation + this.context.interfaces.generation
  }

  isFresh(way: Way): boolean {
    return way.generation === this.generation
  }

  resolve(destination: IpAddress, options: WayOptions): Way | NoWay {
    if (destination.isUnspecified) return 'no-route'
    if (this.isSelf(destination, options.interfaceIndex)) return this.toSelf(destination, options)
    if (needsInterface(destination)) return this.onLink(destination, options)
    const route = this.route(destination, options.interfaceIndex)
    if (route === null) return 'no-route'
    if (route.kind === 'prohibit') return 'prohibited'
    if (route.kind === 'blackhole') return 'no-route'
    const outgoing = this.context.interfaces.byIndex(route.interfaceIndex)
    if (outgoing === undefined) return 'no-interface'
    const { source } = route
    const routeSource = source !== null && this.context.interfaces.isLocal(source) ? source : null
    return this.way(destination, route.gateway ?? destination, outgoing, options.source ?? routeSource)
  }

  /** The route for a destination over any interface, or over the given one (0: any). */
  route(destination: IpAddress, interfaceIndex: number): Route | null {
    const { interfaces, routes } = this.context
    return routes.lookup(destination, (route) => {
      // A route that leads nowhere needs no interface.
      if (route.kind !== 'unicast') return true
      if (interfaceIndex !== 0 && route.interfaceIndex !== interfaceIndex) return false
      return interfaces.byIndex(route.interfaceIndex)?.up === true
    })
  }

  /** A link-local address is ours only on links where we have it (RFC 4007 §6): elsewhere it may be a neighbour's. */
  private isSelf(destination: IpAddress, interfaceIndex: number): boolean {
    const { interfaces } = this.context
    if (!interfaces.isLocal(destination)) return false
    if (interfaceIndex === 0 || destination.family === 4 || !destination.isLinkLocal) return true
    const on = interfaces.byIndex(interfaceIndex)
    return on === undefined || on.isLoopback || on.find(destination)?.usable === true
  }

  private toSelf(destination: IpAddress, options: WayOptions): Way | NoWay {
    const loopback = this.context.interfaces.all.find((candidate) => candidate.isLoopback)
    if (loopback === undefined) return 'no-interface'
    const source = options.source ?? (destination.isLoopback && destination.family === 4 ? LOOPBACK4 : destination)
    return this.way(destination, destination, loopback, destination.equals(LOOPBACK6) ? LOOPBACK6 : source)
  }

  /** Multicast, limited broadcast and IPv6 link-local destinations: the interface is the caller's choice, else the first that fits. */
  private onLink(destination: IpAddress, options: WayOptions): Way | NoWay {
    const outgoing = this.chooseInterface(destination, options)
    return outgoing === undefined ? 'no-interface' : this.way(destination, destination, outgoing, options.source)
  }

  private chooseInterface(destination: IpAddress, options: WayOptions): Interface | undefined {
    const { interfaces } = this.context
    if (options.interfaceIndex !== 0) return interfaces.byIndex(options.interfaceIndex)
    if (options.source !== null) {
      const owner = interfaces.find(options.source)
      if (owner !== undefined && !owner.interface.isLoopback) return owner.interface
    }
    const route = this.route(destination, 0)
    if (route !== null) return interfaces.byIndex(route.interfaceIndex)
    return (
      interfaces.all.find(
        (candidate) =>
          candidate.up &&
          !candidate.isLoopback &&
          candidate.addresses.some(({ address, usable }) => usable && address.family === destination.family),
      ) ?? interfaces.all.find((candidate) => candidate.up && candidate.isLoopback)
    )
  }

  private way(destination: IpAddress, nextHop: IpAddress, outgoing: Interface, wanted: IpAddress | null): Way | NoWay {
    if (!outgoing.up) return 'no-interface'
    const { interfaces } = this.context
    const isOwn = wanted === null || (wanted.family === destination.family && interfaces.isLocal(wanted))
    if (!isOwn) return 'no-source'
    // An IPv4 router knows the networks of its own links best, so hosts speak to it from the one that they share.
    const towards = destination.family === 4 ? nextHop : destination
    // The interface's own record of it, so that a hundred thousand connections do not keep one each.
    const known = wanted === null ? null : (interfaces.find(wanted)?.entry.address ?? wanted)
    const source = known ?? selectSource(towards, outgoing, interfaces.all)
    if (source === null) return 'no-source'
    return {
      source,
      destination,
      nextHop,
      interfaceIndex: outgoing.index,
      // The loopback device takes one byte more than an IPv4 packet can say that it has.
      linkMtu: destination.family === 4 ? Math.min(outgoing.mtu, IPV4_MAX_PACKET) : outgoing.mtu,
      generation: this.generation,
    }
  }
}

const needsInterface = (destination: IpAddress): boolean =>
  destination.isMulticast || destination.isLimitedBroadcast || (destination.family === 6 && destination.isLinkLocal)
