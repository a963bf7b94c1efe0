// A map from addresses of either family to values, keyed by an int32 hash with chains. Neighbours, routes,
// path MTUs and local addresses are kept in it; its owners bound its size. Iterates in insertion order of hashes.

import type { IpAddress } from '../wire/address.ts'

interface Entry<V> {
  readonly address: IpAddress
  value: V
  next: Entry<V> | null
}

export class AddressTable<V> {
  size = 0
  private readonly chains = new Map<number, Entry<V>>()

  get(address: IpAddress): V | undefined {
    let entry = this.chains.get(address.hash) ?? null
    while (entry !== null && !entry.address.equals(address)) entry = entry.next
    return entry?.value
  }

  set(address: IpAddress, value: V): void {
    const first = this.chains.get(address.hash) ?? null
    let entry = first
    while (entry !== null && !entry.address.equals(address)) entry = entry.next
    if (entry !== null) {
      entry.value = value
      return
    }
    this.chains.set(address.hash, { address, value, next: first })
    this.size++
  }

  delete(address: IpAddress): boolean {
    let previous: Entry<V> | null = null
    let entry = this.chains.get(address.hash) ?? null
    while (entry !== null && !entry.address.equals(address)) {
      previous = entry
      entry = entry.next
    }
    if (entry === null) return false
    if (previous !== null) previous.next = entry.next
    else if (entry.next === null) this.chains.delete(address.hash)
    else this.chains.set(address.hash, entry.next)
    this.size--
    return true
  }

  *values(): IterableIterator<V> {
    for (const first of this.chains.values()) {
      for (let entry: Entry<V> | null = first; entry !== null; entry = entry.next) yield entry.value
    }
  }
}
