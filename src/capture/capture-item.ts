// What a capture consists of, as the reader hands it out.

import type { Direction } from './pcapng-format.ts'

export interface SectionItem {
  readonly kind: 'section'
  readonly application: string
}

export interface InterfaceItem {
  readonly kind: 'interface'
  readonly id: number
  /** '' where the capture does not say. */
  readonly name: string
  readonly description: string
  /** As in tcpdump's list: 1 Ethernet, 101 bare IP. */
  readonly linkType: number
  /** 0: no limit. */
  readonly snapLength: number
  readonly ticksPerSecond: bigint
  /** Seconds to add to each stamp. */
  readonly offsetSeconds: bigint
}

export interface PacketItem {
  readonly kind: 'packet'
  readonly device: InterfaceItem
  /** False: the record has no stamp, and seconds and nanos are 0. */
  readonly stamped: boolean
  /** Since 1970. */
  readonly seconds: number
  readonly nanos: number
  /** What was captured; valid until the next push(). */
  readonly bytes: Uint8Array
  /** Bytes that the packet had. */
  readonly originalLength: number
  readonly direction: Direction | 'unknown'
  readonly comments: readonly string[]
  /** Packets of this interface lost since the one before. */
  readonly dropCount: number
}

export interface NamesItem {
  readonly kind: 'names'
  /** Addresses of 4 or 16 bytes. */
  readonly names: readonly { readonly address: Uint8Array; readonly name: string }[]
}

export interface SecretsItem {
  readonly kind: 'secrets'
  readonly secretsType: number
  /** Valid until the next push(). */
  readonly bytes: Uint8Array
}

/** The rest of the capture cannot be read: what is wrong, and at which byte of it. */
export interface ErrorItem {
  readonly kind: 'error'
  readonly at: number
  readonly what: string
}

export type CaptureItem = SectionItem | InterfaceItem | PacketItem | NamesItem | SecretsItem | ErrorItem
