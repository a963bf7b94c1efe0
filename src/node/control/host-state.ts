// What a host is doing, as rows of plain values: interfaces, routes, neighbours, sockets, counters. The control
// socket hands them to other programs (`hourglass ss`, `ip`, `nstat`), and the page of `up --http` shows them.

import type { Counters } from '../../counters.ts'
import type { Interface } from '../../ip/interface.ts'
import type { Route } from '../../ip/routes.ts'
import type { Stack } from '../../stack.ts'
import type { Connection } from '../../tcp/connection.ts'
import { type TcpInfo, tcpInfo } from '../../tcp/info.ts'
import { type Micros, NEVER } from '../../time.ts'
import type { Family, IpAddress } from '../../wire/address.ts'

export interface AddressState {
  readonly family: Family
  readonly address: string
  readonly prefixLength: number
  /** 'static' | 'link-local' | 'autoconf' | 'loopback' */
  readonly origin: string
  /** RFC 4862: 'tentative' | 'preferred' | 'deprecated' | 'duplicate' */
  readonly state: string
  readonly broadcast: string | null
  /** Seconds from now; null: for ever. */
  readonly validFor: number | null
  readonly preferredFor: number | null
}

export interface InterfaceState {
  readonly index: number
  readonly name: string
  readonly isLoopback: boolean
  /** Null where the link has none. */
  readonly mac: string | null
  /** Bytes. */
  readonly mtu: number
  readonly up: boolean
  readonly addresses: readonly AddressState[]
  readonly receivedPackets: number
  readonly receivedBytes: number
  readonly sentPackets: number
  readonly sentBytes: number
}

export interface RouteState {
  readonly family: Family
  readonly prefix: string
  readonly isDefault: boolean
  readonly gateway: string | null
  readonly interface: string
  readonly metric: number
  /** 'static' | 'connected' | 'router-advertisement' */
  readonly origin: string
  readonly source: string | null
  /** 'unicast' | 'blackhole' | 'prohibit' */
  readonly kind: string
}

export interface NeighborRow {
  readonly family: Family
  readonly address: string
  readonly interface: string
  /** Null while it is being asked for. */
  readonly mac: string | null
  /** RFC 4861 §7.3.2. */
  readonly state: string
  readonly isRouter: boolean
}

export interface SocketState {
  readonly protocol: 'tcp' | 'udp'
  /** RFC 9293's; 'LISTEN' of a listener, 'UNCONN' or 'ESTABLISHED' of a UDP port. */
  readonly state: string
  readonly family: Family
  readonly localAddress: string
  readonly localPort: number
  /** Null: any. */
  readonly remoteAddress: string | null
  readonly remotePort: number
  /** Bytes that wait to be read (of UDP with the pages that hold them); connections that wait to be accepted, of a listener. */
  readonly receiveQueue: number
  /** Bytes that nobody has acknowledged yet; the backlog, of a listener. */
  readonly sendQueue: number
  /** Takes IPv6 only. */
  readonly v6Only: boolean
  /** Of connections, where it is asked for. */
  readonly info: TcpInfo | null
  /** The name of the congestion control; null where there is none. */
  readonly congestionControl: string | null
}

export interface CounterRow {
  readonly name: string
  readonly count: number
}

const MICROS_PER_SECOND = 1_000_000

export function* interfaceRows(stack: Stack): Generator<InterfaceState> {
  const now = stack.clock.now()
  for (const on of stack.interfaces.all) yield interfaceState(on, now)
}

function interfaceState(on: Interface, now: Micros): InterfaceState {
  return {
    index: on.index,
    name: on.name,
    isLoopback: on.isLoopback,
    mac: on.isEthernet ? String(on.mac) : null,
    mtu: on.mtu,
    up: on.up,
    addresses: on.addresses.map((entry) => ({
      family: entry.address.family,
      address: String(entry.address),
      prefixLength: entry.prefix.length,
      origin: entry.origin,
      state: entry.state,
      broadcast: entry.broadcast === null ? null : String(entry.broadcast),
      validFor: secondsUntil(entry.validUntil, now),
      preferredFor: entry.state === 'deprecated' ? 0 : secondsUntil(entry.preferredUntil, now),
    })),
    receivedPackets: on.receivedPackets,
    receivedBytes: on.receivedBytes,
    sentPackets: on.sentPackets,
    sentBytes: on.sentBytes,
  }
}

const secondsUntil = (instant: Micros, now: Micros): number | null =>
  instant === NEVER ? null : Math.max(0, Math.floor((instant - now) / MICROS_PER_SECOND))

/** The address that made a connected route of IPv4, which Linux names with it; null: another route. */
function connectedSource(stack: Stack, { origin, prefix, interfaceIndex }: Route): IpAddress | null {
  if (origin !== 'connected' || prefix.address.family !== 4) return null
  const entry = stack.interfaces
    .byIndex(interfaceIndex)
    ?.addresses.find((one) => one.prefix.length === prefix.length && prefix.contains(one.address))
  return entry?.address ?? null
}

export function* routeRows(stack: Stack): Generator<RouteState> {
  for (const route of stack.routes.list()) {
    yield {
      family: route.prefix.address.family,
      prefix: String(route.prefix),
      isDefault: route.prefix.length === 0,
      gateway: textOf(route.gateway),
      interface: nameOf(stack, route.interfaceIndex),
      metric: route.metric,
      origin: route.origin,
      source: textOf(route.source ?? connectedSource(stack, route)),
      kind: route.kind,
    }
  }
}

export function* neighborRows(stack: Stack): Generator<NeighborRow> {
  for (const on of stack.interfaces.all) {
    for (const cache of [on.neighbors4, on.neighbors6]) {
      for (const { address, mac, state, isRouter } of cache?.list() ?? []) {
        const known = mac === null ? null : String(mac)
        yield { family: address.family, address: String(address), interface: on.name, mac: known, state, isRouter }
      }
    }
  }
}

/** UDP ports, TCP listeners, TCP connections. */
export function* socketRows(stack: Stack, withInfo: boolean): Generator<SocketState> {
  yield* portRows(stack)
  yield* connectionRows(stack, withInfo)
}

/** UDP ports and TCP listeners. */
export function* portRows(stack: Stack): Generator<SocketState> {
  for (const endpoint of stack.udp.list()) {
    yield {
      protocol: 'udp',
      state: endpoint.remoteAddress === null ? 'UNCONN' : 'ESTABLISHED',
      family: endpoint.family,
      localAddress: String(endpoint.localAddress),
      localPort: endpoint.localPort,
      remoteAddress: textOf(endpoint.remoteAddress),
      remotePort: endpoint.remotePort,
      receiveQueue: endpoint.queue.chargedBytes,
      sendQueue: 0,
      v6Only: endpoint.v6Only,
      info: null,
      congestionControl: null,
    }
  }
  for (const listeners of stack.tcp.listeners.values()) {
    for (const listener of listeners) {
      yield {
        protocol: 'tcp',
        state: 'LISTEN',
        family: listener.family,
        localAddress: String(listener.address),
        localPort: listener.port,
        remoteAddress: null,
        remotePort: 0,
        receiveQueue: listener.accepted.length,
        sendQueue: listener.backlog,
        v6Only: listener.v6Only,
        info: null,
        congestionControl: null,
      }
    }
  }
}

export function* connectionRows(stack: Stack, withInfo: boolean): Generator<SocketState> {
  for (const connection of stack.tcp.demux.values()) yield connectionState(stack, connection, withInfo)
}

function connectionState(stack: Stack, connection: Connection, withInfo: boolean): SocketState {
  return {
    protocol: 'tcp',
    state: connection.state,
    family: connection.localAddress.family,
    localAddress: String(connection.localAddress),
    localPort: connection.localPort,
    remoteAddress: String(connection.remoteAddress),
    remotePort: connection.remotePort,
    receiveQueue: connection.receiveQueue.available,
    sendQueue: connection.sendQueue.length,
    v6Only: false,
    info: withInfo ? tcpInfo(connection, stack.tcp.config, stack.clock.now()) : null,
    congestionControl: connection.control.name,
  }
}

/** Every count, zero or not, in declared order; drops as `drop.REASON`. */
export function* counterRows(counters: Counters): Generator<CounterRow> {
  for (const [name, count] of Object.entries(counters)) if (typeof count === 'number') yield { name, count }
  for (const [name, count] of Object.entries(counters.drops)) yield { name: `drop.${name}`, count }
}

const textOf = (address: IpAddress | null): string | null => (address === null ? null : String(address))

const nameOf = (stack: Stack, index: number): string => stack.interfaces.byIndex(index)?.name ?? `if${index}`
