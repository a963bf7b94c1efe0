// A host in real time: a stack, one link to the world, the driver between them, and a capture if wanted. What
// `hourglass up`, `ping` and `trace` run, and what a program uses that wants a host of its own.

import { PcapngWriter } from '../capture/pcapng-writer.ts'
import { UsageError } from '../errors.ts'
import type { Interface } from '../ip/interface.ts'
import { Cable } from '../link/cable.ts'
import { captured, PacketCapture } from '../link/capture.ts'
import type { Device } from '../link/device.ts'
import type { EdgeDevice } from '../link/edge-device.ts'
import { type LinkName, parseLinkName } from '../link/link-name.ts'
import { Stack } from '../stack.ts'
import { earlier, type Machine, type Micros } from '../time.ts'
import { type IpAddress, IpPrefix } from '../wire/address.ts'
import type { MacAddress } from '../wire/ethernet.ts'
import { CaptureFile } from './capture-file.ts'
import { BatchClock } from './clock.ts'
import { Driver } from './driver.ts'
import { openLink } from './open-link.ts'
import { CryptoRandom } from './random.ts'
import { checkSystemSide, configureSystemSide } from './system-side.ts'

export interface HostOptions {
  /** `tap:NAME` and the others of src/link/link-name.ts. */
  link: string
  /** Our addresses with their prefix lengths. */
  addresses?: readonly IpPrefix[]
  /** Default routers, one of each family at most. */
  gateways?: readonly IpAddress[]
  /** The longest IP packet. Default: the device's. */
  mtu?: number
  /** Addresses that the other side is given: the system's interface of a TAP, or the peer of `mem`. */
  osAddresses?: readonly IpPrefix[]
  /** Exchange super-segments and partial checksums with the system. Default true. */
  offload?: boolean
  /** A pcapng file to write; `-` is standard output. */
  capture?: string
  /** Ask for routers and take addresses from them. Default false. */
  acceptRouters?: boolean
  /** Pass on packets for others. Default false. */
  forwarding?: boolean
  mac?: MacAddress
  name?: string
  /** Probes for duplicates before an address is used. Default 1. */
  probes?: number
}

/** How long ready() waits between two looks. */
const READY_CHECK_MILLIS = 10

export class Host {
  readonly stack: Stack
  readonly clock: BatchClock
  readonly interface: Interface
  readonly driver: Driver
  /** The device broke, or the capture could not be written; told once each. The host stays to be closed. */
  onFailure: ((error: Error) => void) | null = null
  /** Packets that the capture had to leave out, because the disk was slower than the link. */
  get captureLosses(): number {
    return this.writer?.droppedRecords ?? 0
  }
  private readonly peer: Stack | null
  private readonly writer: PcapngWriter | null
  private readonly file: CaptureFile | null
  private closed = false

  /** Opens the link and brings the host up. Throws UsageError, EnvironmentError, NetError. */
  static async open(options: HostOptions): Promise<Host> {
    const link = parseLinkName(options.link)
    checkSystemSide(link, options.osAddresses ?? [])
    const clock = new BatchClock()
    clock.advance()
    const random = new CryptoRandom()
    const forwarding = options.forwarding ?? false
    const stack = new Stack({ clock, random, name: options.name ?? 'hourglass', forwarding })
    const writer = options.capture === undefined ? null : new PcapngWriter({ application: 'hourglass' })
    const file = writer === null ? null : CaptureFile.open(options.capture!, writer)
    try {
      if (link.kind === 'mem') {
        const cable = new Cable(clock, { name: 'mem', ...(options.mtu === undefined ? {} : { mtu: options.mtu }) })
        const peer = new Stack({ clock, random, name: 'peer' })
        peer.addInterface({ name: 'mem', device: cable.b, addresses: options.osAddresses ?? [], probes: 0 })
        return new Host(options, { stack, clock, writer, file, peer, device: cable.a, edge: null })
      }
      const mtu = options.mtu === undefined ? {} : { mtu: options.mtu }
      const offload = options.offload ?? true
      const edge = await openLink(link, { pool: stack.pool, counters: stack.counters, offload, ...mtu })
      try {
        configureSystemSide(link, edge.name, options.osAddresses ?? [], options.mtu)
        return new Host(options, { stack, clock, writer, file, peer: null, device: edge, edge })
      } catch (error) {
        edge.close()
        throw error
      }
    } catch (error) {
      await file?.close()
      throw error
    }
  }

  private constructor(options: HostOptions, parts: HostParts) {
    const { stack, clock, writer, file, peer, edge } = parts
    this.stack = stack
    this.clock = clock
    this.peer = peer
    this.writer = writer
    this.file = file
    if (file !== null) file.onFailure = (error) => this.onFailure?.(error)
    const capture = writer === null ? null : new PacketCapture(writer)
    // The wrapper is a device of the same kind: what was an edge device still is one.
    const outerEdge = edge === null || capture === null ? edge : captured(edge, capture, clock)
    const outer = outerEdge ?? (capture === null ? parts.device : captured(parts.device, capture, clock))
    for (const { address } of options.addresses ?? []) capture?.addName(address, stack.name)
    this.interface = stack.addInterface({
      name: parts.device.name,
      device: outer,
      addresses: options.addresses ?? [],
      acceptRouters: options.acceptRouters ?? false,
      probes: peer === null ? (options.probes ?? 1) : 0,
      ...(options.mac === undefined ? {} : { mac: options.mac }),
      ...(options.mtu === undefined ? {} : { mtu: Math.min(options.mtu, parts.device.mtu) }),
    })
    for (const gateway of options.gateways ?? []) stack.addGateway(gateway)
    this.driver = new Driver({
      machine: peer === null ? stack : together(stack, peer),
      clock,
      devices: outerEdge === null ? [] : [outerEdge],
      onFailure: (_device, error) => this.onFailure?.(error),
    })
    stack.onWork = () => this.driver.wake()
  }

  /** Resolves when no address waits to be known as unique any more. */
  async ready(): Promise<void> {
    while (this.stack.settling && !this.closed) {
      await new Promise((resolve) => setTimeout(resolve, READY_CHECK_MILLIS))
    }
  }

  /** Writes the capture's rest at once: for exits that cannot wait. */
  flushSync(): void {
    this.file?.flushSync()
  }

  /** Stops, gives the device back, and writes the capture to its end. A second call does nothing. */
  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.driver.close()
    this.stack.close()
    this.peer?.close()
    await this.file?.close()
  }
}

interface HostParts {
  readonly stack: Stack
  readonly clock: BatchClock
  readonly writer: PcapngWriter | null
  readonly file: CaptureFile | null
  readonly peer: Stack | null
  readonly device: Device
  /** The same device, where it reaches outside the process. */
  readonly edge: EdgeDevice | null
}

/** Two machines that the driver runs as one. */
function together(a: Machine, b: Machine): Machine {
  return {
    deadline: () => earlier(a.deadline(), b.deadline()),
    poll: (now: Micros) => {
      a.poll(now)
      b.poll(now)
    },
  }
}

/** The prefix that makes `address` a neighbour of one of ours; null: none does. */
export function neighborPrefix(address: IpAddress, own: readonly IpPrefix[]): IpPrefix | null {
  const network = own.find((prefix) => prefix.contains(address))
  return network === undefined ? null : new IpPrefix(address, network.length)
}

/** Throws UsageError unless addresses and link can go together. */
export function checkLinkAddresses(link: LinkName, addresses: readonly IpPrefix[]): void {
  if (link.kind === 'raw' && addresses.some(({ address }) => address.family !== link.remote.family)) {
    throw new UsageError(`the link raw: carries packets to ${link.remote} only: give addresses of its family`)
  }
}
