// Who has which MAC address on one link, for one family: the neighbour cache of RFC 4861 §7.3, used for ARP
// as well. Its interface asks it on every send; ARP and NDP tell it what they hear. Packets to a neighbour
// that is being resolved are parked here, within limits.

import type { Packet } from '../buf/packet.ts'
import { PacketQueue } from '../buf/packet-queue.ts'
import type { Counters, Drop } from '../counters.ts'
import { NetError } from '../errors.ts'
import { fraction, type Random } from '../random.ts'
import { after, type Machine, type Micros, millis, NEVER, seconds } from '../time.ts'
import { DeadlineHeap } from '../timers.ts'
import type { IpAddress } from '../wire/address.ts'
import type { MacAddress } from '../wire/ethernet.ts'
import { AddressTable } from './address-table.ts'

export type NeighborState = 'INCOMPLETE' | 'REACHABLE' | 'STALE' | 'DELAY' | 'PROBE' | 'PERMANENT'

/** RFC 4861 §10. */
const MAX_MULTICAST_SOLICIT = 3
const MAX_UNICAST_SOLICIT = 3
const REACHABLE_TIME = seconds(30)
const RETRANS_TIMER = millis(1_000)
const DELAY_FIRST_PROBE_TIME = seconds(5)
const MIN_RANDOM_FACTOR = 0.5
/** Neighbours remembered on one link, for one family. */
export const NEIGHBOR_LIMIT = 1_024
/** Pages parked for one neighbour: a fragmented 64 KiB datagram fits. */
const PARKED_BYTES_PER_NEIGHBOR = 256 * 1_024
/** Pages parked for all neighbours of one link. */
const PARKED_BYTES = 2 * 1_024 * 1_024

export class Neighbor {
  readonly address: IpAddress
  mac: MacAddress | null = null
  state: NeighborState = 'INCOMPLETE'
  isRouter = false
  /** Solicitations sent in this state. */
  probes = 0
  /** When it was last confirmed; NEVER: it has yet to answer, and gives way to those that did. */
  confirmedAt: Micros = NEVER
  deadlineAt: Micros = NEVER
  scheduledAt: Micros = NEVER
  removed = false
  readonly parked = new PacketQueue(PARKED_BYTES_PER_NEIGHBOR)

  constructor(address: IpAddress) {
    this.address = address
  }
}

/** What the cache needs of its link: ARP or NDP for the questions, the interface for the answers. */
export interface NeighborLink {
  /** Asks for `target`: by multicast or broadcast, or straight to `mac` when probing. */
  solicit(target: IpAddress, mac: MacAddress | null, now: Micros): void
  /** Sends a packet that was parked. */
  release(packet: Packet, mac: MacAddress): void
  /** Nobody answered for a parked packet; it stays the cache's. */
  unreachable(packet: Packet, now: Micros): void
}

/** What an ARP reply or a neighbour advertisement says (RFC 4861 §7.2.5). */
export interface Advertisement {
  readonly mac: MacAddress | null
  readonly solicited: boolean
  readonly override: boolean
  readonly isRouter: boolean
}

export class NeighborCache implements Machine {
  baseReachableTime: Micros = REACHABLE_TIME
  retransTimer: Micros = RETRANS_TIMER
  private readonly table = new AddressTable<Neighbor>()
  private readonly heap = new DeadlineHeap<Neighbor>()
  private readonly link: NeighborLink
  private readonly random: Random
  private readonly counters: Counters
  private parkedBytes = 0

  constructor(link: NeighborLink, random: Random, counters: Counters) {
    this.link = link
    this.random = random
    this.counters = counters
  }

  deadline(): Micros {
    return this.heap.next()
  }

  /** The entries, in no particular order. */
  list(): Neighbor[] {
    return [...this.table.values()]
  }

  get(address: IpAddress): Neighbor | undefined {
    return this.table.get(address)
  }

  /** The address to send to now; null: the packet was parked, or dropped and counted. */
  resolve(address: IpAddress, packet: Packet, now: Micros): MacAddress | null {
    const neighbor = this.table.get(address) ?? this.begin(address, now)
    if (neighbor === null) return this.discard(packet, 'neighborTableFull')
    if (neighbor.mac === null) return this.park(neighbor, packet)
    // RFC 4861 §7.3.3: the first packet to a stale neighbour starts the wait for a sign of life.
    if (neighbor.state === 'STALE') this.enter(neighbor, 'DELAY', after(now, DELAY_FIRST_PROBE_TIME))
    return neighbor.mac
  }

  /** Heard from `address` without being asked: an ARP request, a neighbour solicitation, a router's own option. */
  learn(address: IpAddress, mac: MacAddress): Neighbor | null {
    const known = this.table.get(address)
    if (known === undefined) {
      const neighbor = this.insert(address)
      if (neighbor === null) return null
      neighbor.mac = mac
      this.enter(neighbor, 'STALE', NEVER)
      return neighbor
    }
    if (known.state === 'PERMANENT') return known
    if (known.mac?.equals(mac)) return known
    known.mac = mac
    this.enter(known, 'STALE', NEVER)
    this.flush(known)
    return known
  }

  /** RFC 4861 §7.2.5, whose words are ARP's too: an answer, or an announcement. Strangers are not remembered. */
  advertise(address: IpAddress, message: Advertisement, now: Micros): void {
    const neighbor = this.table.get(address)
    if (neighbor === undefined || neighbor.state === 'PERMANENT') return
    if (neighbor.mac === null) {
      if (message.mac === null) return
      neighbor.mac = message.mac
      neighbor.isRouter = message.isRouter
      if (message.solicited) this.reachable(neighbor, now)
      else this.enter(neighbor, 'STALE', NEVER)
      this.flush(neighbor)
      return
    }
    const changes = message.mac !== null && !message.mac.equals(neighbor.mac)
    if (changes && !message.override) {
      if (neighbor.state === 'REACHABLE') this.enter(neighbor, 'STALE', NEVER)
      return
    }
    if (changes) neighbor.mac = message.mac
    if (message.solicited) this.reachable(neighbor, now)
    else if (changes) this.enter(neighbor, 'STALE', NEVER)
    neighbor.isRouter = message.isRouter
  }

  /** A transport made progress through this neighbour (RFC 4861 §7.3.1). */
  confirm(address: IpAddress, now: Micros): void {
    const neighbor = this.table.get(address)
    if (neighbor !== undefined && neighbor.mac !== null && neighbor.state !== 'PERMANENT') this.reachable(neighbor, now)
  }

  /** A transport hears nothing through this neighbour (RFC 1122 §3.3.1.4, negative advice): it is asked sooner. */
  doubt(address: IpAddress): void {
    const neighbor = this.table.get(address)
    if (neighbor?.state === 'REACHABLE') this.enter(neighbor, 'STALE', NEVER)
  }

  /** Pins an address by hand, as `ip neigh add` does. Throws NetError ENOBUFS where the table is full of the living. */
  setPermanent(address: IpAddress, mac: MacAddress, now: Micros): void {
    const neighbor = this.table.get(address) ?? this.insert(address)
    if (neighbor === null) throw new NetError('ENOBUFS', `there are ${NEIGHBOR_LIMIT} neighbours already`)
    neighbor.mac = mac
    neighbor.confirmedAt = now
    this.enter(neighbor, 'PERMANENT', NEVER)
    this.flush(neighbor)
  }

  poll(now: Micros): void {
    for (let due = this.heap.takeDue(now); due !== null; due = this.heap.takeDue(now)) {
      if (!due.removed) this.timeout(due, now)
    }
  }

  /** Forgets everything and releases what is parked. */
  clear(): void {
    for (const neighbor of this.list()) this.remove(neighbor)
  }

  private timeout(neighbor: Neighbor, now: Micros): void {
    switch (neighbor.state) {
      case 'INCOMPLETE':
        if (neighbor.probes >= MAX_MULTICAST_SOLICIT) this.fail(neighbor, now)
        else this.probe(neighbor, null, now)
        return
      case 'REACHABLE':
        this.enter(neighbor, 'STALE', NEVER)
        return
      case 'DELAY':
        this.enter(neighbor, 'PROBE', NEVER)
        this.probe(neighbor, neighbor.mac, now)
        return
      case 'PROBE':
        if (neighbor.probes >= MAX_UNICAST_SOLICIT) this.fail(neighbor, now)
        else this.probe(neighbor, neighbor.mac, now)
        return
      case 'STALE':
      case 'PERMANENT':
        return
    }
  }

  private begin(address: IpAddress, now: Micros): Neighbor | null {
    const neighbor = this.insert(address)
    if (neighbor !== null) this.probe(neighbor, null, now)
    return neighbor
  }

  private probe(neighbor: Neighbor, mac: MacAddress | null, now: Micros): void {
    neighbor.probes++
    neighbor.deadlineAt = after(now, this.retransTimer)
    this.heap.schedule(neighbor)
    this.link.solicit(neighbor.address, mac, now)
  }

  private reachable(neighbor: Neighbor, now: Micros): void {
    neighbor.confirmedAt = now
    const factor = MIN_RANDOM_FACTOR + fraction(this.random)
    this.enter(neighbor, 'REACHABLE', after(now, Math.round(this.baseReachableTime * factor) as Micros))
  }

  private enter(neighbor: Neighbor, state: NeighborState, deadlineAt: Micros): void {
    neighbor.state = state
    neighbor.probes = 0
    neighbor.deadlineAt = deadlineAt
    this.heap.schedule(neighbor)
  }

  /** RFC 4861 §7.2.2: where a neighbour's queue is full, the packet takes the place of the oldest. */
  private park(neighbor: Neighbor, packet: Packet): null {
    const { parked } = neighbor
    const charge = packet.chargedBytes
    while (parked.length > 0 && parked.chargedBytes + charge > PARKED_BYTES_PER_NEIGHBOR) {
      this.parkedBytes -= parked.peek()!.chargedBytes
      this.discard(parked.shift()!, 'neighborQueueFull')
    }
    if (this.parkedBytes + charge > PARKED_BYTES || !parked.push(packet)) {
      return this.discard(packet, 'neighborQueueFull')
    }
    this.parkedBytes += charge
    return null
  }

  private flush(neighbor: Neighbor): void {
    this.parkedBytes -= neighbor.parked.chargedBytes
    const { mac, parked } = neighbor
    for (let packet = parked.shift(); packet !== null; packet = parked.shift()) this.link.release(packet, mac!)
  }

  /** Forgets the neighbour first: what is told of its packets may itself be for it, and is then asked for anew. */
  private fail(neighbor: Neighbor, now: Micros): void {
    const { parked } = neighbor
    this.forget(neighbor)
    for (let packet = parked.shift(); packet !== null; packet = parked.shift()) {
      this.link.unreachable(packet, now)
      this.discard(packet, 'neighborUnreachable')
    }
  }

  private insert(address: IpAddress): Neighbor | null {
    if (this.table.size >= NEIGHBOR_LIMIT && !this.evict()) return null
    const neighbor = new Neighbor(address)
    this.table.set(address, neighbor)
    return neighbor
  }

  /** Makes room: of those that are worth the least, the one that was confirmed, or else made, the longest ago. */
  private evict(): boolean {
    let victim: Neighbor | null = null
    let least = KEPT
    for (const neighbor of this.table.values()) {
      const worth = worthOf(neighbor)
      if (worth > least || worth === KEPT) continue
      if (worth === least && victim !== null && neighbor.confirmedAt >= victim.confirmedAt) continue
      victim = neighbor
      least = worth
      if (worth === 0) break
    }
    if (victim !== null) this.remove(victim)
    return victim !== null
  }

  private remove(neighbor: Neighbor): void {
    this.forget(neighbor)
    this.counters.drops.neighborUnreachable += neighbor.parked.clear()
  }

  /** Takes it out of the table; its parked packets are no longer counted, and the caller's. */
  private forget(neighbor: Neighbor): void {
    this.parkedBytes -= neighbor.parked.chargedBytes
    neighbor.removed = true
    neighbor.deadlineAt = NEVER
    this.table.delete(neighbor.address)
  }

  private discard(packet: Packet, reason: Drop): null {
    this.counters.drops[reason]++
    packet.note = reason
    packet.release()
    return null
  }
}

const KEPT = 4

/**
 * What a full table loses first: who was only heard of (forged senders cost nothing), then who was never heard, then
 * who has not answered yet; at last those that did answer once. Who answered lately, or was pinned, stays.
 */
function worthOf({ state, confirmedAt }: Neighbor): number {
  if (state === 'PERMANENT' || state === 'REACHABLE') return KEPT
  if (confirmedAt !== NEVER) return state === 'STALE' ? 3 : KEPT
  return state === 'STALE' ? 0 : state === 'INCOMPLETE' ? 1 : 2
}
