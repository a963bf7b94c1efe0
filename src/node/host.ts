// A host in real time: a stack, its links to the world, the driver between them, and a capture if wanted. What
// `hourglass up`, `ping` and `trace` run, and what a program uses that wants a host of its own.

import { PcapngWriter } from '../capture/pcapng-writer.ts'
import type { Interface } from '../ip/interface.ts'
import { Cable } from '../link/cable.ts'
import { captured, PacketCapture } from '../link/capture.ts'
import type { Device } from '../link/device.ts'
import type { Random } from '../random.ts'
import { Stack } from '../stack.ts'
import { awaitsEnds, cutShort, letAllGo, owes } from '../tcp/leave.ts'
import type { Tcp } from '../tcp/tcp.ts'
import { earlier, type Machine, type Micros } from '../time.ts'
import { type IpAddress, IpPrefix } from '../wire/address.ts'
import { CaptureFile } from './capture-file.ts'
import { BatchClock } from './clock.ts'
import { type DgramModule, makeDgram } from './dgram/dgram.ts'
import { type DnsModule, makeDns } from './dns/dns.ts'
import { Driver } from './driver.ts'
import { isnOf } from './epoch-file.ts'
import { carriesIpv6, checkLink } from './host-check.ts'
import { checkShape, type HostLink, type HostOptions, type ReadLink, readLink } from './host-options.ts'
import { makeNet, type Net } from './net/net.ts'
import { openLink } from './open-link.ts'
import { CryptoRandom } from './random.ts'
import { configureSystemSide } from './system-side.ts'

/** How long ready() waits between two looks. */
const READY_CHECK_MILLIS = 10
/** How long ready() waits for routers: a probe of our address, a solicitation that waits up to 1 s (RFC 4861 §10) and its answer, a probe of theirs; the stack goes on asking. */
const ROUTER_WAIT_MILLIS = 10_000

export interface CloseOptions {
  /** How long it may take until the peers of connections have acknowledged what was written to them. Default 0: it is sent, but not waited for. */
  lingerMillis?: number
}

export class Host {
  readonly stack: Stack
  readonly clock: BatchClock
  readonly driver: Driver
  private readonly random: Random
  private readonly writer: PcapngWriter | null
  private readonly file: CaptureFile | null
  private readonly capture: PacketCapture | null
  /** The hosts at the other ends of links of kind `mem`. */
  private readonly peers: Stack[] = []
  /** The interfaces that take addresses from routers. */
  private readonly askers: Interface[] = []
  /** Who is told of failures; those that come before wait until there is somebody. */
  private failureListener: ((error: Error) => void) | null = null
  private readonly untold: Error[] = []
  private ownNet: Net | null = null
  private readonly options: HostOptions
  private dgramModule: DgramModule | null = null
  private dnsModule: DnsModule | null = null
  private closed = false

  /** Opens the link and brings the host up. Throws UsageError, EnvironmentError, NetError. */
  static async open(options: HostOptions): Promise<Host> {
    checkShape(options)
    checkLink(readLink(options))
    const host = new Host(options)
    try {
      await host.addLink(options)
      return host
    } catch (error) {
      await host.close()
      throw error
    }
  }

  private constructor(options: HostOptions) {
    this.options = options
    this.clock = new BatchClock()
    this.clock.advance()
    this.random = new CryptoRandom()
    const isn = isnOf(options.isn ?? 'hashed', this.random)
    this.stack = new Stack({
      clock: this.clock,
      random: this.random,
      name: options.name ?? 'hourglass',
      forwarding: options.forwarding ?? false,
      ...(isn === undefined ? {} : { tcp: { isn } }),
    })
    this.writer = options.capture === undefined ? null : new PcapngWriter({ application: 'hourglass' })
    this.file = this.writer === null ? null : CaptureFile.open(options.capture!, this.writer)
    if (this.file !== null) this.file.onFailure = (error) => this.tellFailure(error)
    this.capture = this.writer === null ? null : new PacketCapture(this.writer)
    this.driver = new Driver({
      machine: together(this.stack, this.peers),
      clock: this.clock,
      onFailure: (_device, error) => this.tellFailure(error),
    })
    this.stack.onWork = (mayWait) => this.driver.wake(mayWait)
  }

  /** A device broke, or the capture could not be written; told once each, also what happened before this was set. The host stays to be closed. */
  set onFailure(listener: ((error: Error) => void) | null) {
    this.failureListener = listener
    if (listener !== null) for (const error of this.untold.splice(0)) listener(error)
  }

  /** node:net over this host; names are those of its dns. */
  get net(): Net {
    this.ownNet ??= makeNet(this.stack, { lookup: (...given) => this.dns.lookup(...given) })
    return this.ownNet
  }

  /** node:dgram over this host. */
  get dgram(): DgramModule {
    this.dgramModule ??= makeDgram(this.stack, { lookup: (...given) => this.dns.lookup(...given) })
    return this.dgramModule
  }

  /** node:dns over this host. */
  get dns(): DnsModule {
    const { nameServers: servers = [], hosts, hostsFile } = this.options
    this.dnsModule ??= makeDns(this.stack, {
      servers,
      ...(hosts === undefined ? {} : { hosts }),
      ...(hostsFile === undefined ? {} : { hostsFile }),
    })
    return this.dnsModule
  }

  /** The first link's. */
  get interface(): Interface {
    return this.stack.interfaces.all[1]!
  }

  /** Packets that the capture had to leave out, because the disk was slower than the link. */
  get captureLosses(): number {
    return this.writer?.droppedRecords ?? 0
  }

  /** Opens one more link. Throws UsageError, EnvironmentError, NetError; the host is then as before. */
  async addLink(given: HostLink): Promise<Interface> {
    checkShape(given)
    const options = readLink(given)
    const link = checkLink(options)
    const mtu = options.mtu === undefined ? {} : { mtu: options.mtu }
    if (link.kind === 'mem') {
      const cable = new Cable(this.clock, { name: 'mem', ...mtu })
      const peer = new Stack({ clock: this.clock, random: this.random, name: 'peer' })
      peer.addInterface({
        name: 'mem',
        device: cable.b,
        addresses: options.osAddresses,
        probes: 0,
        linkLocal: carriesIpv6(cable.b.mtu),
      })
      this.peers.push(peer)
      const device = this.capture === null ? cable.a : captured(cable.a, this.capture, this.clock)
      return this.attach(device, { ...options, probes: 0 })
    }
    const { pool, counters } = this.stack
    const waiting = {
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.onWaiting === undefined ? {} : { onWaiting: options.onWaiting }),
    }
    const edge = await openLink(link, { pool, counters, offload: options.offload ?? true, ...mtu, ...waiting })
    try {
      configureSystemSide(link, edge.name, options.osAddresses, options.mtu)
      const device = this.capture === null ? edge : captured(edge, this.capture, this.clock)
      const added = this.attach(device, options)
      this.driver.add(device)
      return added
    } catch (error) {
      edge.close()
      throw error
    }
  }

  private attach(device: Device, options: ReadLink): Interface {
    const { stack } = this
    for (const { address } of options.addresses) this.capture?.addName(address, stack.name)
    const added = stack.addInterface({
      name: device.name,
      device,
      addresses: options.addresses,
      acceptRouters: options.acceptRouters ?? false,
      probes: options.probes ?? 1,
      linkLocal: carriesIpv6(Math.min(options.mtu ?? device.mtu, device.mtu)),
      ...(options.mac === undefined ? {} : { mac: options.mac }),
      ...(options.mtu === undefined ? {} : { mtu: Math.min(options.mtu, device.mtu) }),
    })
    for (const gateway of options.gateways) stack.addGateway(gateway, added)
    if (options.acceptRouters === true && added.isEthernet) this.askers.push(added)
    return added
  }

  /** Resolves when no address waits to be known as unique any more; on a link that asks for routers, when one gave an address or none answered for some time. */
  async ready(): Promise<void> {
    const patience = Date.now() + ROUTER_WAIT_MILLIS
    while (!this.closed && (this.stack.settling || (this.asksRouters && Date.now() < patience))) {
      await new Promise((resolve) => setTimeout(resolve, READY_CHECK_MILLIS))
    }
  }

  /** Whether an interface that takes addresses from routers has none yet. */
  private get asksRouters(): boolean {
    return this.askers.some((on) => !on.addresses.some(({ origin, usable }) => origin === 'autoconf' && usable))
  }

  private tellFailure(error: Error): void {
    if (this.failureListener === null) this.untold.push(error)
    else this.failureListener(error)
  }

  /** Writes the capture's rest at once: for exits that cannot wait. */
  flushSync(): void {
    this.file?.flushSync()
  }

  /**
   * Ends what programs hold, as the system does for a process that ends: listeners stop, and the peers of connections get
   * FIN behind what was written, or RST where something was not read. Then it stops, gives the devices back, and writes the
   * capture to its end; rejects where that fails and onFailure was not there to tell. A second call does nothing.
   */
  async close({ lingerMillis = 0 }: CloseOptions = {}): Promise<void> {
    if (this.closed) return
    this.closed = true
    const { clock, driver, stack } = this
    letAllGo(stack.tcp, clock.now())
    driver.wake()
    // Who does not linger is closed when the call returns: some cannot wait.
    if (lingerMillis > 0) await linger(stack.tcp, lingerMillis)
    driver.close()
    cutShort(stack.tcp, clock.now())
    stack.close()
    for (const peer of this.peers) peer.close()
    // Some links hand over what was sent when the loop turns.
    await new Promise((resolve) => setImmediate(resolve))
    try {
      await this.file?.close()
    } catch (error) {
      if (this.failureListener === null) throw error
    }
  }
}

/** How often it is looked whether the peers have everything. */
const LINGER_CHECK_MILLIS = 5
/** How long a peer that has everything may take to end its direction: it would not know later that nobody is there. */
const COURTESY_MILLIS = 250

/** Waits until the peers have acknowledged all that was written to them, and ended in their turn; at most so long. */
async function linger(tcp: Tcp, lingerMillis: number): Promise<void> {
  const until = performance.now() + lingerMillis
  const wait = async (goesOn: () => boolean, end: number): Promise<void> => {
    while (goesOn() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, LINGER_CHECK_MILLIS))
  }
  await wait(() => owes(tcp), until)
  await wait(() => awaitsEnds(tcp), Math.min(until, performance.now() + COURTESY_MILLIS))
}

/** Machines that the driver runs as one. */
function together(first: Machine, others: readonly Machine[]): Machine {
  return {
    deadline: () => others.reduce((least, machine) => earlier(least, machine.deadline()), first.deadline()),
    poll: (now: Micros) => {
      first.poll(now)
      for (const machine of others) machine.poll(now)
    },
  }
}

/** The prefix that makes `address` a neighbour of one of ours; null: none does. */
export function neighborPrefix(address: IpAddress, own: readonly IpPrefix[]): IpPrefix | null {
  const network = own.find((prefix) => prefix.contains(address))
  return network === undefined ? null : new IpPrefix(address, network.length)
}
