// All interfaces of one host and the addresses that are its own. Receiving asks it what an address means
// here; routing and source selection read it.

import type { IpAddress } from '../wire/address.ts'
import { AddressTable } from './address-table.ts'
import type { Interface, InterfaceAddress } from './interface.ts'

/** One of this host's addresses. A link-local address may stand on several interfaces; the table names one of them. */
export interface LocalAddress {
  readonly interface: Interface
  readonly entry: InterfaceAddress
}

export class Interfaces {
  readonly all: Interface[] = []
  /** Raised whenever an address comes or goes, or an interface changes. */
  generation = 0
  private readonly local = new AddressTable<LocalAddress>()

  add(added: Interface): void {
    this.all.push(added)
    this.generation++
  }

  byIndex(index: number): Interface | undefined {
    // Indices are given in order from 1 and never reused.
    return this.all[index - 1]
  }

  byName(name: string): Interface | undefined {
    return this.all.find((candidate) => candidate.name === name)
  }

  /** Takes an interface into service or out of it; what it knew of its neighbours is forgotten. */
  setUp(on: Interface, up: boolean): void {
    if (on.up === up) return
    on.up = up
    on.neighbors4?.clear()
    on.neighbors6?.clear()
    this.generation++
  }

  addAddress(on: Interface, entry: InterfaceAddress): void {
    on.addresses.push(entry)
    this.local.set(entry.address, { interface: on, entry })
    this.generation++
  }

  removeAddress(on: Interface, entry: InterfaceAddress): void {
    on.addresses.splice(on.addresses.indexOf(entry), 1)
    this.local.delete(entry.address)
    for (const other of this.all) {
      const twin = other.find(entry.address)
      if (twin !== undefined) this.local.set(twin.address, { interface: other, entry: twin })
    }
    this.generation++
  }

  /** The own address that equals this one, tentative ones included. */
  find(address: IpAddress): LocalAddress | undefined {
    return this.local.get(address)
  }

  /** Whether packets for the address are for this host; an address that is not yet known to be unique is not. */
  isLocal(address: IpAddress): boolean {
    const found = this.local.get(address)
    if (found !== undefined) {
      return found.entry.usable || this.all.some((candidate) => candidate.find(address)?.usable === true)
    }
    // The whole of 127.0.0.0/8 is this host (RFC 1122 §3.2.1.3).
    return address.family === 4 && address.isLoopback
  }

  /** Whether the address is the limited broadcast, or that of a network that one of our links has. */
  isBroadcast(address: IpAddress): boolean {
    return this.all.some((candidate) => candidate.isBroadcast(address))
  }
}
