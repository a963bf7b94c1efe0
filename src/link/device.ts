// The one interface of everything that carries packets: cables, switches, TAP, tunnels, and the wrappers
// around them. A device never delivers from inside transmit(): what it has, it hands over from poll() or
// from its own reader, so the stack is never re-entered.

import type { Packet } from '../buf/packet.ts'
import type { Machine } from '../time.ts'
import type { MacAddress } from '../wire/ethernet.ts'

/** What the far side of a device does for us, as in Linux. */
export interface Offloads {
  /** It completes a partial transport checksum. */
  readonly checksum: boolean
  /** It cuts TCP super-segments of up to this many bytes (IP header included); 0: it does not. */
  readonly segmentBytes: number
}

export const NO_OFFLOADS: Offloads = { checksum: false, segmentBytes: 0 }

export interface Device extends Machine {
  /** What it is called in captures and messages: `tap0`, `eth0`, `a-b`. */
  readonly name: string
  /** ethernet: frames with an Ethernet header. ip: bare IPv4 and IPv6 packets. */
  readonly medium: 'ethernet' | 'ip'
  /** The longest IP packet in bytes, link headers not counted. */
  readonly mtu: number
  readonly offloads: Offloads
  /** The address that the device insists on; null: the interface makes one. */
  readonly macAddress: MacAddress | null
  /** Set once by the interface that owns the device. Ownership of the packet passes to the callee. */
  onReceive: ((packet: Packet) => void) | null
  /** Consumes the packet. False: the device was full or down and dropped it (already counted). */
  transmit(packet: Packet): boolean
  /** Stops, releases every packet it holds. A second call does nothing. */
  close(): void
}
