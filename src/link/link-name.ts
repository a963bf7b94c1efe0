// The link strings that name a way to the world, as the command line and the API take them. Grammar only: what a
// name stands for is opened by src/node/open-link.ts.
//
//   tap:NAME  tun:NAME  macvtap:NAME  fd:N  mem
//   vxlan:VNI,LOCAL:PORT,REMOTE:PORT        udp:LOCAL:PORT-REMOTE:PORT
//   qemu:unix:PATH  qemu:HOST:PORT  qemu:dgram:LOCAL:PORT-REMOTE:PORT  passt:PATH
//   raw:PROTOCOL,REMOTE
//
// A host is an IP address; IPv6 in brackets before a port.

import { UsageError } from '../errors.ts'
import { IpAddress } from '../wire/address.ts'

export interface LinkEndpoint {
  readonly address: IpAddress
  readonly port: number
}

export interface EndpointPair {
  readonly local: LinkEndpoint
  readonly remote: LinkEndpoint
}

export type LinkName =
  | { readonly kind: 'tap' | 'tun' | 'macvtap'; readonly name: string }
  | { readonly kind: 'fd'; readonly fd: number }
  | ({ readonly kind: 'vxlan'; readonly vni: number } & EndpointPair)
  | { readonly kind: 'qemu-unix'; readonly path: string }
  | { readonly kind: 'qemu-tcp'; readonly remote: LinkEndpoint }
  | ({ readonly kind: 'qemu-dgram' } & EndpointPair)
  | { readonly kind: 'passt'; readonly path: string }
  | ({ readonly kind: 'udp' } & EndpointPair)
  | { readonly kind: 'raw'; readonly protocol: number; readonly remote: IpAddress }
  | { readonly kind: 'mem' }

const KINDS = 'tap:NAME, tun:NAME, macvtap:NAME, fd:N, vxlan:, qemu:, passt:PATH, udp:, raw: or mem'
/** sockaddr_un takes 108 bytes, the last one zero. */
const MAX_UNIX_PATH = 107
const MAX_VNI = 0xff_ffff
const MAX_NAME = 15

/** The link that the text names; UsageError with one sentence where it names none. */
export function parseLinkName(text: string): LinkName {
  const colon = text.indexOf(':')
  const kind = colon < 0 ? text : text.slice(0, colon)
  const rest = colon < 0 ? '' : text.slice(colon + 1)
  switch (kind) {
    case 'tap':
    case 'tun':
    case 'macvtap':
      return { kind, name: interfaceName(text, rest) }
    case 'fd':
      return { kind, fd: integer(text, rest, 'a descriptor', 0, 0xffff) }
    case 'vxlan':
      return vxlan(text, rest)
    case 'qemu':
      return qemu(text, rest)
    case 'passt':
      return { kind, path: unixPath(text, rest) }
    case 'udp':
      return { kind, ...endpointPair(text, rest) }
    case 'raw':
      return raw(text, rest)
    case 'mem':
      if (colon >= 0) throw usage(text, 'mem takes nothing after it')
      return { kind }
    default:
      throw usage(text, `write ${KINDS}`)
  }
}

const usage = (text: string, why: string): UsageError => new UsageError(`'${text}' is not a link: ${why}`)

/** As the kernel's dev_valid_name: no slash, no colon, no space, not '.' or '..', at most 15 bytes; and plain ASCII here. */
function interfaceName(text: string, name: string): string {
  if (name.length === 0 || name.length > MAX_NAME) throw usage(text, 'an interface name has 1 to 15 characters')
  if (name === '.' || name === '..' || !/^[\x21-\x7e]+$/.test(name) || /[/:%]/.test(name))
    throw usage(text, `'${name}' is not an interface name: use letters, digits, '-', '_' and '.'`)
  return name
}

function integer(text: string, digits: string, what: string, least: number, most: number): number {
  const value = /^[0-9]{1,10}$/.test(digits) ? Number(digits) : -1
  if (value < least || value > most) throw usage(text, `${what} is a number from ${least} to ${most}, not '${digits}'`)
  return value
}

function unixPath(text: string, path: string): string {
  if (path.length === 0 || path.includes('\0')) throw usage(text, 'it needs the path of a Unix socket')
  if (new TextEncoder().encode(path).length > MAX_UNIX_PATH)
    throw usage(text, `the path of a Unix socket has at most ${MAX_UNIX_PATH} bytes`)
  return path
}

function endpoint(text: string, part: string, leastPort: number): LinkEndpoint {
  const match = /^(?:\[([^[\]]*)\]|([^[\]:]*)):([0-9]*)$/.exec(part)
  if (match === null) throw usage(text, `'${part}' is not ADDRESS:PORT (IPv6 addresses in brackets)`)
  const host = match[1] ?? match[2] ?? ''
  const address = IpAddress.parse(host)
  if (address === null || (match[1] !== undefined) !== (address.family === 6))
    throw usage(text, `'${host}' is not an IP address`)
  return { address, port: integer(text, match[3] ?? '', 'a port', leastPort, 0xffff) }
}

function endpointPair(text: string, rest: string): EndpointPair {
  const dash = rest.indexOf('-')
  if (dash < 0) throw usage(text, 'write LOCAL:PORT-REMOTE:PORT')
  return sameFamily(text, endpoint(text, rest.slice(0, dash), 0), endpoint(text, rest.slice(dash + 1), 1))
}

function sameFamily(text: string, local: LinkEndpoint, remote: LinkEndpoint): EndpointPair {
  if (local.address.family !== remote.address.family) throw usage(text, 'both addresses must be of one family')
  return { local, remote }
}

function vxlan(text: string, rest: string): LinkName {
  const parts = rest.split(',')
  if (parts.length !== 3) throw usage(text, 'write vxlan:VNI,LOCAL:PORT,REMOTE:PORT')
  const vni = integer(text, parts[0]!, 'a VNI', 0, MAX_VNI)
  return { kind: 'vxlan', vni, ...sameFamily(text, endpoint(text, parts[1]!, 0), endpoint(text, parts[2]!, 1)) }
}

function qemu(text: string, rest: string): LinkName {
  if (rest.startsWith('unix:')) return { kind: 'qemu-unix', path: unixPath(text, rest.slice(5)) }
  if (rest.startsWith('dgram:')) return { kind: 'qemu-dgram', ...endpointPair(text, rest.slice(6)) }
  return { kind: 'qemu-tcp', remote: endpoint(text, rest, 1) }
}

function raw(text: string, rest: string): LinkName {
  const comma = rest.indexOf(',')
  if (comma < 0) throw usage(text, 'write raw:PROTOCOL,REMOTE')
  const protocol = integer(text, rest.slice(0, comma), 'a protocol', 1, 254)
  const remote = IpAddress.parse(rest.slice(comma + 1))
  if (remote === null) throw usage(text, `'${rest.slice(comma + 1)}' is not an IP address`)
  return { kind: 'raw', protocol, remote }
}
