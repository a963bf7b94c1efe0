// From a host name to addresses as getaddrinfo(3) finds them, and back as getnameinfo(3): literals, the hosts table,
// localhost (RFC 6761 §6.3), then the DNS; sorted by RFC 6724.

import { orderDestinations } from '../../ip/destination-order.ts'
import { type Family, IpAddress, LOOPBACK4, LOOPBACK6 } from '../../wire/address.ts'
import { errnoOf } from '../node-errors.ts'
import type { NodeHost } from '../node-host.ts'
import type { HostsTable } from './hosts.ts'
import type { Resolution } from './resolution.ts'
import type { StubResolver } from './resolver.ts'
import { serviceName } from './services.ts'
import { plain, type RecordType } from './wire.ts'

/** As on Linux. */
export const V4MAPPED = 8
export const ALL = 16
export const ADDRCONFIG = 32
/** EAI_NODATA: the name exists, addresses it has none. Node calls it ENOTFOUND all the same. */
const NODATA_ERRNO = -3_007
/** What libuv has room for. */
const NAME_LIMIT = 255

export type ResultOrder = 'verbatim' | 'ipv4first' | 'ipv6first'

export interface LookupParts {
  readonly host: NodeHost
  hosts(): HostsTable
  resolver(): StubResolver
}

export interface LookupRequest {
  /** ASCII. */
  readonly name: string
  /** 0: either. */
  readonly family: Family | 0
  readonly hints: number
  readonly order: ResultOrder
}

export interface LookupFailure {
  readonly code: string
  readonly errno: number | undefined
}

type Found = (failure: LookupFailure | null, addresses: readonly IpAddress[]) => void

/** Calls back from the event loop; there is one address at least, or a failure. */
export function findAddresses(parts: LookupParts, request: LookupRequest, done: Found): void {
  const { name } = request
  if (name.length > NAME_LIMIT) {
    process.nextTick(done, { code: 'EINVAL', errno: errnoOf('EINVAL') }, [])
    return
  }
  const known = knownAddresses(parts, name)
  if (known === null) return askBoth(parts, request, done)
  const fitting = arrange(parts, request, known)
  setImmediate(done, fitting.length === 0 ? notFound() : null, fitting)
}

const notFound = (): LookupFailure => ({ code: 'ENOTFOUND', errno: errnoOf('ENOTFOUND') })

/** What needs no question; null: the DNS has to be asked. */
function knownAddresses(parts: LookupParts, name: string): readonly IpAddress[] | null {
  const number = parseLoose4(name)
  if (number !== null) return [number]
  const listed = parts.hosts().addresses(name)
  if (listed.length > 0) return listed
  return isLocalhost(name) ? [LOOPBACK6, LOOPBACK4] : null
}

/** RFC 6761 §6.3: never asked for. */
const isLocalhost = (name: string): boolean => /(^|\.)localhost$/.test(plain(name))

function askBoth(parts: LookupParts, request: LookupRequest, done: Found): void {
  const types = typesFor(parts.host, request)
  const resolutions: Resolution[] = []
  // A host without servers knows what its table says, and nothing else.
  if (types.length === 0 || parts.resolver().servers.length === 0) {
    setImmediate(done, notFound(), [])
    return
  }
  for (const type of types) {
    parts.resolver().ask({ name: request.name, type }, (resolution) => {
      resolutions.push(resolution)
      if (resolutions.length === types.length) conclude(parts, request, resolutions, done)
    })
  }
}

function typesFor(host: NodeHost, { family, hints }: LookupRequest): RecordType[] {
  const mapped = family === 6 && (hints & V4MAPPED) !== 0
  const wanted: RecordType[] = family === 4 ? ['A'] : family === 6 && !mapped ? ['AAAA'] : ['A', 'AAAA']
  if ((hints & ADDRCONFIG) === 0) return wanted
  const has = (type: RecordType): boolean =>
    host.stack.interfaces.all.some((on) =>
      on.addresses.some(
        ({ address, usable }) =>
          usable &&
          !address.isLoopback &&
          address.family === (type === 'A' ? 4 : 6) &&
          !(type === 'AAAA' && address.isLinkLocal),
      ),
    )
  return wanted.filter(has)
}

function conclude(parts: LookupParts, request: LookupRequest, resolutions: readonly Resolution[], done: Found): void {
  const records = resolutions.flatMap((resolution) => resolution.records)
  const addresses = records.flatMap(({ data }) => IpAddress.parse(String(data)) ?? [])
  const fitting = arrange(parts, request, addresses)
  if (fitting.length > 0) return done(null, fitting)
  const codes = resolutions.map(({ code }) => code)
  if (codes.includes('ENOTFOUND') || codes.includes('EBADNAME')) return done(notFound(), [])
  if (codes.every((code) => code === 'ENODATA' || code === null))
    return done({ code: 'ENOTFOUND', errno: NODATA_ERRNO }, [])
  done({ code: 'EAI_AGAIN', errno: errnoOf('EAI_AGAIN') }, [])
}

/** Those of the family, best first, in the order asked for. */
function arrange({ host }: LookupParts, request: LookupRequest, addresses: readonly IpAddress[]): IpAddress[] {
  const unique = addresses.filter((one, index) => addresses.findIndex((other) => other.equals(one)) === index)
  const sorted = orderDestinations(unique, host.stack)
  const own = sorted.filter(({ family }) => request.family === 0 || family === request.family)
  const mapped = request.family === 6 && (request.hints & V4MAPPED) !== 0
  if (mapped && (own.length === 0 || (request.hints & ALL) !== 0))
    own.push(...sorted.filter(({ family }) => family === 4).map((one) => new IpAddress(6, 0, 0, 0xffff, one.w3)))
  const { order } = request
  if (order === 'verbatim') return own
  const first = order === 'ipv4first' ? 4 : 6
  return [...own.filter(({ family }) => family === first), ...own.filter(({ family }) => family !== first)]
}

/** The name and service of an address; calls back from the event loop. */
export function findName(
  parts: LookupParts,
  text: string,
  port: number,
  done: (failure: LookupFailure | null, name: string, service: string) => void,
): void {
  const service = serviceName(port)
  const address = IpAddress.parse(text.replace(/%.*/, ''))
  const listed = address === null ? [] : parts.hosts().names(address)
  const name = listed[0] ?? (address?.isLoopback ? 'localhost' : undefined)
  if (address === null || name !== undefined || parts.resolver().servers.length === 0) {
    setImmediate(done, name === undefined ? notFound() : null, name ?? '', service)
    return
  }
  parts.resolver().ask({ name: reverseName(address), type: 'PTR' }, ({ code, records }) => {
    const failed = code === 'ETIMEOUT' || code === 'ESERVFAIL' ? 'EAI_AGAIN' : 'ENOTFOUND'
    if (records.length > 0) done(null, String(records[0]!.data), service)
    else done({ code: failed, errno: errnoOf(failed) }, '', service)
  })
}

/** Where the names of an address are (RFC 1035 §3.5, RFC 3596 §2.5). */
export function reverseName(address: IpAddress): string {
  const bytes = new DataView(new ArrayBuffer(address.size))
  address.writeTo(bytes, 0)
  const parts = Array.from({ length: address.size }, (_, at) => bytes.getUint8(at))
  if (address.family === 4) return `${parts.reverse().join('.')}.in-addr.arpa`
  const nibbles = parts.flatMap((byte) => [byte >>> 4, byte & 0xf])
  return `${nibbles
    .reverse()
    .map((nibble) => nibble.toString(16))
    .join('.')}.ip6.arpa`
}

/** inet_aton(3): one to four numbers, decimal, octal or hexadecimal, the last one filling what is left. */
export function parseLoose4(text: string): IpAddress | null {
  const parts = text.split('.')
  if (parts.length > 4 || !parts.every((part) => /^(0[xX][0-9a-fA-F]+|\d+)$/.test(part))) return null
  const numbers = parts.map((part) => (/^0\d/.test(part) ? parseOctal(part) : Number(part)))
  const last = numbers.pop()!
  if (!numbers.every((one) => one <= 255) || !(last < 256 ** (4 - numbers.length))) return null
  return IpAddress.v4(numbers.reduce((word, one, index) => word + one * 256 ** (3 - index), last))
}

/** NaN where a digit is none. */
const parseOctal = (digits: string): number => Number(`0o${digits.slice(1)}`)
