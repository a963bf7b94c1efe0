// What is known of the path MTU to each destination (RFC 1191, RFC 8201): learned from ICMP errors that a
// transport recognized, forgotten after ten minutes so that a better path is found again.

import { after, type Machine, type Micros, NEVER, seconds } from '../time.ts'
import type { IpAddress } from '../wire/address.ts'
import { IPV4_MIN_MTU } from '../wire/ipv4.ts'
import { IPV6_MIN_MTU } from '../wire/ipv6.ts'
import { AddressTable } from './address-table.ts'
import { type Aged, AgeList } from './age-list.ts'

/** RFC 1191 §6.3 recommends to try a larger one after 10 minutes. */
const PATH_MTU_LIFETIME = seconds(600)
export const PATH_MTU_LIMIT = 4_096

/** RFC 1191 §7.1: where a router does not name the MTU, the next lower of the common ones. */
const PLATEAUS = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, IPV4_MIN_MTU]

interface PathMtu extends Aged<PathMtu> {
  readonly destination: IpAddress
  mtu: number
}

export class PathMtuCache implements Machine {
  /** Raised by each change, so that transports look again. */
  generation = 0
  private readonly table = new AddressTable<PathMtu>()
  private readonly ages = new AgeList<PathMtu>()

  /** The MTU to use towards a destination over a first link of `linkMtu`. */
  get(destination: IpAddress, linkMtu: number): number {
    if (this.table.size === 0) return linkMtu
    const entry = this.table.get(destination)
    return entry === undefined ? linkMtu : Math.min(entry.mtu, linkMtu)
  }

  /**
   * A router said that packets of `size` bytes do not fit, and what does (0: it did not say). Returns the MTU now in
   * force. It never grows here, and never falls below what the family guarantees.
   */
  reduce(destination: IpAddress, mtu: number, size: number, now: Micros): number {
    const floor = destination.family === 4 ? IPV4_MIN_MTU : IPV6_MIN_MTU
    const stated = mtu > 0 ? mtu : (PLATEAUS.find((plateau) => plateau < size) ?? floor)
    const wanted = Math.max(stated, floor)
    const known = this.table.get(destination)
    if (known !== undefined && known.mtu <= wanted) return known.mtu
    // What a packet of this size did not fit into is smaller than it: the message contradicts itself.
    if (stated >= size) return known === undefined ? size : known.mtu
    if (known !== undefined) this.ages.remove(known)
    else if (this.table.size >= PATH_MTU_LIMIT) this.forget(this.ages.oldest!)
    const entry = known ?? { destination, mtu: wanted, deadlineAt: NEVER, older: null, newer: null, listed: false }
    entry.mtu = wanted
    if (known === undefined) this.table.set(destination, entry)
    this.ages.add(entry, after(now, PATH_MTU_LIFETIME))
    this.generation++
    return wanted
  }

  list(): { destination: IpAddress; mtu: number; expiresAt: Micros }[] {
    return [...this.table.values()].map(({ destination, mtu, deadlineAt }) => ({
      destination,
      mtu,
      expiresAt: deadlineAt,
    }))
  }

  deadline(): Micros {
    return this.ages.deadline()
  }

  poll(now: Micros): void {
    for (let due = this.ages.oldest; due !== null && due.deadlineAt <= now; due = this.ages.oldest) this.forget(due)
  }

  private forget(entry: PathMtu): void {
    this.ages.remove(entry)
    this.table.delete(entry.destination)
    this.generation++
  }
}
