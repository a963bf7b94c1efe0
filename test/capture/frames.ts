// Packets for captures, put together byte by byte and summed by the plainest code there is: nothing of
// src/wire, so that what it writes can be checked against this.

export const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replace(/[\s:]/g, ''), 'hex'))

export function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

export const u16 = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value & 0xff)
export const u32 = (value: number): Uint8Array => join(u16(value >>> 16), u16(value & 0xffff))

/** RFC 1071, two bytes at a time. */
export function plainChecksum(bytes: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** The bytes with the checksum of `covered` written at `at`. */
function summed(bytes: Uint8Array, at: number, covered: Uint8Array): Uint8Array<ArrayBuffer> {
  const sum = plainChecksum(covered)
  return join(bytes.subarray(0, at), u16(sum), bytes.subarray(at + 2))
}

/** `00 01 02 ...`, as ping sends. */
export const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index & 0xff)

export interface Host {
  readonly mac: Uint8Array
  readonly ip4: Uint8Array
  readonly ip6: Uint8Array
}

export const HOST_A: Host = {
  mac: bytesOf('02:00:00:00:00:0a'),
  ip4: Uint8Array.of(10, 0, 0, 1),
  ip6: bytesOf('fd00 0000 0000 0000 0000 0000 0000 0001'),
}
export const HOST_B: Host = {
  mac: bytesOf('02:00:00:00:00:0b'),
  ip4: Uint8Array.of(10, 0, 0, 2),
  ip6: bytesOf('fd00 0000 0000 0000 0000 0000 0000 0002'),
}
export const BROADCAST = bytesOf('ff:ff:ff:ff:ff:ff')

export const ethernet = (to: Uint8Array, from: Uint8Array, type: number, payload: Uint8Array): Uint8Array =>
  join(to, from, u16(type), payload)

export function arp(operation: 1 | 2, from: Host, to: Host): Uint8Array {
  const target = operation === 1 ? new Uint8Array(6) : to.mac
  const body = join(bytesOf('0001 0800 06 04'), u16(operation), from.mac, from.ip4, target, to.ip4)
  return ethernet(operation === 1 ? BROADCAST : to.mac, from.mac, 0x0806, body)
}

export interface Ip4Options {
  protocol: number
  identification: number
  /** Flags and offset in units of 8 bytes. */
  fragment?: number
  ttl?: number
}

export function ipv4(from: Host, to: Host, options: Ip4Options, payload: Uint8Array): Uint8Array {
  const { protocol, identification, fragment = 0, ttl = 64 } = options
  const head = join(
    Uint8Array.of(0x45, 0),
    u16(20 + payload.length),
    u16(identification),
    u16(fragment),
    Uint8Array.of(ttl, protocol),
    u16(0),
    from.ip4,
    to.ip4,
  )
  return join(summed(head, 10, head), payload)
}

export const ipv6 = (from: Uint8Array, to: Uint8Array, next: number, hops: number, payload: Uint8Array): Uint8Array =>
  join(u32(0x6000_0000), u16(payload.length), Uint8Array.of(next, hops), from, to, payload)

/** The transport bytes with their checksum at `at`, over a pseudo-header of either family. */
export function transport(
  from: Uint8Array,
  to: Uint8Array,
  protocol: number,
  at: number,
  bytes: Uint8Array,
): Uint8Array {
  const pseudo = join(from, to, u32(bytes.length), u32(protocol))
  return summed(bytes, at, join(pseudo, bytes))
}

/** The sum that a sender leaves in the field when its device is to complete it. */
export const partialSum = (from: Uint8Array, to: Uint8Array, protocol: number, length: number): number =>
  ~plainChecksum(join(from, to, u32(length), u32(protocol))) & 0xffff

export function echo4(type: 8 | 0, identifier: number, sequence: number, payload: Uint8Array): Uint8Array {
  const message = join(Uint8Array.of(type, 0), u16(0), u16(identifier), u16(sequence), payload)
  return summed(message, 2, message)
}

export function echo6(type: 128 | 129, from: Host, to: Host, sequence: number, payload: Uint8Array): Uint8Array {
  const message = join(Uint8Array.of(type, 0), u16(0), u16(0x2a), u16(sequence), payload)
  return transport(from.ip6, to.ip6, 58, 2, message)
}

export const udp = (sourcePort: number, destinationPort: number, payload: Uint8Array): Uint8Array =>
  join(u16(sourcePort), u16(destinationPort), u16(8 + payload.length), u16(0), payload)

export interface TcpFields {
  sourcePort: number
  destinationPort: number
  seq: number
  ack: number
  flags: number
  window: number
  options: Uint8Array
  payload: Uint8Array
}

export const tcp = (fields: TcpFields): Uint8Array =>
  join(
    u16(fields.sourcePort),
    u16(fields.destinationPort),
    u32(fields.seq),
    u32(fields.ack),
    Uint8Array.of(((20 + fields.options.length) / 4) << 4, fields.flags),
    u16(fields.window),
    u16(0),
    u16(0),
    fields.options,
    fields.payload,
  )
