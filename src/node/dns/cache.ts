// What the DNS said, for as long as it said so (RFC 1035 §3.2.1, RFC 2308). Bounded: the entry that was not asked for
// for the longest time goes first. A timer of the host takes each out when its time is over.

import type { Stack } from '../../stack.ts'
import type { Micros } from '../../time.ts'
import type { HostTimer } from '../host-timers.ts'
import type { NodeHost } from '../node-host.ts'
import type { Resolution } from './resolution.ts'

const ENTRY_LIMIT = 1_024
/** However long a server says: a week (RFC 8767 §4). */
const TTL_LIMIT = 7 * 86_400
/** RFC 2308 §5. */
const NEGATIVE_LIMIT = 3 * 3_600
const MICROS_PER_SECOND = 1_000_000

interface Entry {
  readonly resolution: Resolution
  readonly since: Micros
  readonly timer: HostTimer
}

export class DnsCache {
  private readonly host: NodeHost
  private readonly stack: Stack
  private readonly entries = new Map<string, Entry>()

  constructor(host: NodeHost) {
    this.host = host
    this.stack = host.stack
  }

  get size(): number {
    return this.entries.size
  }

  /** The resolution with the TTLs that are left; null: unknown. */
  get(key: string): Resolution | null {
    const entry = this.entries.get(key)
    if (entry === undefined) return null
    this.entries.delete(key)
    this.entries.set(key, entry)
    const age = Math.floor((this.stack.clock.now() - entry.since) / MICROS_PER_SECOND)
    const { resolution } = entry
    const records = resolution.records.map((record) => ({ ...record, ttl: Math.max(0, record.ttl - age) }))
    return { ...resolution, records, ttl: Math.max(0, resolution.ttl - age) }
  }

  /** Kept for its `ttl`; with a TTL of 0 not at all. */
  put(key: string, resolution: Resolution): void {
    const seconds = Math.min(resolution.ttl, resolution.code === null ? TTL_LIMIT : NEGATIVE_LIMIT)
    if (seconds <= 0) return
    this.remove(key)
    const oldest = this.entries.size >= ENTRY_LIMIT ? this.entries.keys().next().value : undefined
    if (oldest !== undefined) this.remove(oldest)
    const timer = this.host.timers.set(seconds * 1_000, () => this.remove(key))
    this.entries.set(key, { resolution, since: this.stack.clock.now(), timer })
  }

  clear(): void {
    for (const key of [...this.entries.keys()]) this.remove(key)
  }

  private remove(key: string): void {
    const entry = this.entries.get(key)
    if (entry === undefined) return
    this.host.timers.cancel(entry.timer)
    this.entries.delete(key)
  }
}
