// The composition root: one host. Everything is made and joined here and nowhere else.
//
//   devices -> Interface.receive -> Arp, Ipv4, Ipv6 -> Icmp4, Icmp6, Udp -> sockets
//   sockets -> Udp -> Ipv4, Ipv6 -> Interface.send -> devices
//
// It is driven from outside, by src/node/driver.ts or src/sim/world.ts: hand in packets, then poll(now).

import { PagePool } from './buf/page.ts'
import { Counters } from './counters.ts'
import { NetError, UsageError } from './errors.ts'
import { Addresses } from './ip/addresses.ts'
import { Arp } from './ip/arp.ts'
import { Autoconf } from './ip/autoconf.ts'
import type { IpContext, ReversePathFilter } from './ip/context.ts'
import { Forwarding4, Forwarding6 } from './ip/forwarding.ts'
import { Icmp4 } from './ip/icmp4.ts'
import { Icmp6 } from './ip/icmp6.ts'
import { chooseMac, Interface, type InterfaceAddress, type InterfaceOptions } from './ip/interface.ts'
import { Interfaces } from './ip/interfaces.ts'
import { Ipv4 } from './ip/ipv4.ts'
import { Ipv6 } from './ip/ipv6.ts'
import { Multicast } from './ip/multicast.ts'
import { Ndp } from './ip/ndp.ts'
import { NeighborCache, type NeighborLink } from './ip/neighbors.ts'
import { PathMtuCache } from './ip/path-mtu.ts'
import { Reassembly } from './ip/reassembly.ts'
import { RouteTable } from './ip/routes.ts'
import type { Way } from './ip/seams.ts'
import { Ways } from './ip/ways.ts'
import { LoopbackDevice } from './link/loopback.ts'
import type { Random } from './random.ts'
import type { TcpParts } from './tcp/parts.ts'
import { listenArrives } from './tcp/passive.ts'
import { Tcp } from './tcp/tcp.ts'
import { type Clock, earlier, IMMEDIATELY, type Machine, type Micros, NEVER } from './time.ts'
import { Udp } from './udp/udp.ts'
import { UserCalls } from './user-calls.ts'
import { ANY4, ANY6, type IpAddress, IpPrefix, LOOPBACK4, LOOPBACK6 } from './wire/address.ts'
import { MacAddress } from './wire/ethernet.ts'
import { IPV4_MIN_MTU, PROTOCOL_ICMP4, PROTOCOL_ICMP6, PROTOCOL_IGMP, PROTOCOL_TCP, PROTOCOL_UDP } from './wire/ipv4.ts'

export interface StackOptions {
  clock: Clock
  random: Random
  /** The host's name, for captures and messages. Default `host`. */
  name?: string
  /** Default: a pool of its own. */
  pool?: PagePool
  /** Pass on packets for others: be a router. Default false. */
  forwarding?: boolean
  /** Default loose: a forwarded packet's source must be reachable by some interface. */
  reversePathFilter?: ReversePathFilter
  /** Default 64. */
  hopLimit?: number
  /** What holds for all TCP connections; congestion control and sequence numbers of one's choice. */
  tcp?: Pick<TcpParts, 'config' | 'isn' | 'congestionControl'>
}

export interface StackInterfaceOptions extends InterfaceOptions {
  /** With their prefix lengths. */
  addresses?: readonly IpPrefix[]
  /** Make a link-local IPv6 address. Default true on Ethernet. */
  linkLocal?: boolean
  /** Ask for routers and take addresses and routes from them. Default false. */
  acceptRouters?: boolean
  /** Probes for duplicates before an address is used; 0: none. Default 1. */
  probes?: number
}

/** A poll does this many rounds of loopback at most before it lets the driver breathe. */
const POLL_ROUNDS = 16

export class Stack implements Machine {
  readonly name: string
  readonly clock: Clock
  readonly random: Random
  readonly pool: PagePool
  readonly counters = new Counters()
  readonly interfaces = new Interfaces()
  readonly routes = new RouteTable()
  readonly pathMtu = new PathMtuCache()
  readonly ipv4: Ipv4
  readonly ipv6: Ipv6
  readonly icmp4: Icmp4
  readonly icmp6: Icmp6
  readonly multicast: Multicast
  readonly addresses: Addresses
  readonly autoconf: Autoconf
  readonly udp: Udp
  readonly tcp: Tcp
  readonly loopback: Interface
  /** Set by the driver: a socket made work that poll() should do soon. `mayWait`: it may be done with that of sockets whose turn is to come. */
  onWork: ((mayWait?: boolean) => void) | null = null
  private readonly context: IpContext
  private readonly arp: Arp
  private readonly ndp: Ndp
  private readonly reassembly: Reassembly
  private readonly machines: Machine[] = []
  private readonly calls = new UserCalls()
  private closed = false

  constructor(options: StackOptions) {
    this.name = options.name ?? 'host'
    this.clock = options.clock
    this.random = options.random
    this.pool = options.pool ?? new PagePool()
    this.context = {
      pool: this.pool,
      counters: this.counters,
      random: options.random,
      interfaces: this.interfaces,
      routes: this.routes,
      pathMtu: this.pathMtu,
      calls: this.calls,
      forwarding: options.forwarding ?? false,
      reversePathFilter: options.reversePathFilter ?? 'loose',
      hopLimit: options.hopLimit ?? 64,
    }
    const ways = new Ways(this.context)
    this.reassembly = new Reassembly(this.counters, this.pool)
    this.multicast = new Multicast(this.context)
    this.ipv4 = new Ipv4(this.context, ways, this.reassembly, this.multicast)
    this.ipv6 = new Ipv6(this.context, ways, this.reassembly, this.multicast)
    this.icmp4 = new Icmp4(this.context, this.ipv4)
    this.icmp6 = new Icmp6(this.context, this.ipv6)
    this.arp = new Arp(this.context)
    this.ndp = new Ndp(this.context)
    this.addresses = new Addresses(this.context, this.arp, this.ndp, this.multicast)
    this.autoconf = new Autoconf(this.context, this.addresses, this.ndp)
    const addresses = {
      isLocal: (address: IpAddress) => this.interfaces.isLocal(address),
      isBroadcast: (address: IpAddress) => this.interfaces.isBroadcast(address),
    }
    this.udp = new Udp({
      pool: this.pool,
      counters: this.counters,
      random: options.random,
      calls: this.calls,
      ipv4: this.ipv4,
      ipv6: this.ipv6,
      addresses,
    })
    this.tcp = new Tcp({
      pool: this.pool,
      counters: this.counters,
      random: options.random,
      calls: this.calls,
      ipv4: this.ipv4,
      ipv6: this.ipv6,
      ...addresses,
      confirm: (way, now) => this.neighborsOf(way)?.confirm(way.nextHop, now),
      doubt: (way) => this.neighborsOf(way)?.doubt(way.nextHop),
      ...options.tcp,
    })
    this.tcp.onListen = (listener, segment, packet, ends, now) =>
      listenArrives(this.tcp, listener, segment, packet, ends, now)
    this.join(ways)
    // RFC 4862 §5.4.2: the solicited-node group is joined before its address is probed.
    this.machines.push(this.multicast, this.addresses, this.autoconf, this.reassembly, this.pathMtu, this.udp, this.tcp)
    this.loopback = this.addInterface({
      name: 'lo',
      device: new LoopbackDevice(),
      addresses: [new IpPrefix(LOOPBACK4, 8), new IpPrefix(LOOPBACK6, 128)],
    })
  }

  /** Whether packets for others are passed on. */
  get forwarding(): boolean {
    return this.context.forwarding
  }

  set forwarding(on: boolean) {
    this.context.forwarding = on
  }

  /** Adds an attachment to a link and takes over its device. Throws NetError and UsageError for what cannot be. */
  addInterface(options: StackInterfaceOptions): Interface {
    if (this.interfaces.byName(options.name) !== undefined) {
      throw new NetError('EADDRINUSE', `an interface is called ${options.name} already`)
    }
    const mtu = options.mtu ?? options.device.mtu
    const vlan = options.vlan ?? 0
    if (!(Number.isInteger(vlan) && vlan >= 0 && vlan < 4_095)) throw new UsageError(`vlan is ${vlan}: give 0 to 4,094`)
    if (!(Number.isInteger(mtu) && mtu >= IPV4_MIN_MTU))
      throw new UsageError(`mtu is ${mtu}: IP needs ${IPV4_MIN_MTU} bytes at least`)
    const mac = chooseMac(options, () => MacAddress.random(this.random))
    const added = new Interface(this.interfaces.all.length + 1, options, mac, this.counters)
    added.ipv4 = this.ipv4
    added.ipv6 = this.ipv6
    if (added.isEthernet) {
      added.arp = this.arp
      added.neighbors4 = new NeighborCache(this.link4(added), this.random, this.counters)
      added.neighbors6 = new NeighborCache(this.link6(added), this.random, this.counters)
      this.machines.push(added.neighbors4, added.neighbors6)
    }
    this.interfaces.add(added)
    options.device.onReceive = (packet) => added.receive(packet, this.clock.now())
    const now = this.clock.now()
    const probes = options.probes ?? 1
    for (const prefix of options.addresses ?? []) {
      this.addresses.add(added, prefix, { origin: added.isLoopback ? 'loopback' : 'static', probes }, now)
    }
    if (added.isEthernet && (options.linkLocal ?? true)) {
      this.autoconf.start(added, { probes, solicit: options.acceptRouters ?? false }, now)
    }
    return added
  }

  addAddress(on: Interface, prefix: IpPrefix, probes = 1): InterfaceAddress {
    return this.addresses.add(on, prefix, { origin: 'static', probes }, this.clock.now())
  }

  removeAddress(on: Interface, address: IpAddress): void {
    const entry = on.find(address)
    if (entry === undefined) throw new NetError('EADDRNOTAVAIL', `${address} is not on ${on.name}`)
    this.addresses.remove(on, entry, this.clock.now())
  }

  /** The default route of the gateway's family. Throws NetError where the gateway is on no link of ours. */
  addGateway(gateway: IpAddress, on?: Interface): void {
    const via =
      on ?? this.interfaces.all.find((candidate) => candidate.addresses.some(({ prefix }) => prefix.contains(gateway)))
    if (via === undefined) throw new NetError('ENETUNREACH', `the gateway ${gateway} is on no network of this host`)
    const prefix = new IpPrefix(gateway.family === 4 ? ANY4 : ANY6, 0)
    this.routes.add({ prefix, gateway, interfaceIndex: via.index })
  }

  /** Runs `machine` with this host's own, after them. */
  attach(machine: Machine): void {
    this.machines.push(machine)
  }

  deadline(): Micros {
    if (this.closed) return NEVER
    let least = NEVER
    for (const machine of this.machines) least = earlier(least, machine.deadline())
    for (const { device } of this.interfaces.all) least = earlier(least, device.deadline())
    return least
  }

  poll(now: Micros): void {
    if (this.closed) return
    for (let round = 0; round < POLL_ROUNDS; round++) {
      for (const { device } of this.interfaces.all) if (device.deadline() <= now) device.poll(now)
      for (const machine of this.machines) if (machine.deadline() <= now) machine.poll(now)
      if (this.loopback.device.deadline() > IMMEDIATELY) break
    }
    this.calls.rethrow()
  }

  /** Whether an address still waits to be known as unique. */
  get settling(): boolean {
    return this.addresses.settling
  }

  /** Closes sockets and devices and gives every page back. A second call does nothing. */
  close(): void {
    if (this.closed) return
    this.closed = true
    for (const endpoint of this.udp.list()) {
      this.udp.close(endpoint)
      // Whoever waits for a datagram learns that none will come.
      this.calls.run(() => endpoint.onReadable?.())
    }
    this.tcp.closeAll()
    for (const on of this.interfaces.all) {
      this.interfaces.setUp(on, false)
      on.device.onReceive = null
      on.device.close()
    }
    this.reassembly.clear()
    this.calls.rethrow()
  }

  /** The few places where a lower part calls a higher one. */
  private join(ways: Ways): void {
    const { ipv4, ipv6, icmp4, icmp6 } = this
    ipv4.protocols[PROTOCOL_ICMP4] = icmp4
    ipv4.protocols[PROTOCOL_IGMP] = this.multicast
    ipv4.protocols[PROTOCOL_UDP] = this.udp
    ipv4.protocols[PROTOCOL_TCP] = this.tcp
    ipv4.reporter = icmp4
    ipv4.forwarder = new Forwarding4(this.context, ways, icmp4)
    ipv6.protocols[PROTOCOL_ICMP6] = icmp6
    ipv6.protocols[PROTOCOL_UDP] = this.udp
    ipv6.protocols[PROTOCOL_TCP] = this.tcp
    ipv6.reporter = icmp6
    ipv6.forwarder = new Forwarding6(this.context, ways, icmp6)
    icmp6.neighborDiscovery = this.ndp
    icmp6.listenerDiscovery = this.multicast
    this.multicast.output4 = ipv4
    this.multicast.output6 = ipv6
    this.arp.conflicts = this.addresses
    this.ndp.conflicts = this.addresses
    this.ndp.routers = this.autoconf
    this.addresses.onUsable = (on, entry, now) => this.autoconf.onUsable(on, entry, now)
    this.reassembly.onTimeout = (first, now) => {
      const isV4 = first.page.view.getUint8(first.networkAt) >>> 4 === 4
      if (isV4) icmp4.tellReassemblyTimeout(first, now)
      else icmp6.tellReassemblyTimeout(first, now)
    }
  }

  private neighborsOf({ interfaceIndex, nextHop }: Way): NeighborCache | null {
    const on = this.interfaces.byIndex(interfaceIndex)
    return (nextHop.family === 4 ? on?.neighbors4 : on?.neighbors6) ?? null
  }

  private link4(on: Interface): NeighborLink {
    return {
      solicit: (target, mac) => this.arp.request(on, target, mac),
      release: (packet, mac) => on.transmitTo(packet, mac),
      unreachable: (packet, now) => this.icmp4.tellUnreachable(packet, now),
    }
  }

  private link6(on: Interface): NeighborLink {
    return {
      solicit: (target, mac, now) => this.ndp.solicit(on, target, mac, now),
      release: (packet, mac) => on.transmitTo(packet, mac),
      unreachable: (packet, now) => this.icmp6.tellUnreachable(packet, now),
    }
  }
}
