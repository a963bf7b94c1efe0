// What a program says of a host and its links: host.ts takes it, host-check.ts looks whether it can be.

import { isIP } from 'node:net'
import { UsageError } from '../errors.ts'
import { checkOptionNames } from '../option-names.ts'
import { IpAddress, IpPrefix } from '../wire/address.ts'
import { MacAddress } from '../wire/ethernet.ts'
import type { IsnChoice } from './epoch-file.ts'

/** A link to the world and what the host is on it. */
export interface HostLink {
  /** `tap:NAME` and the others of src/link/link-name.ts. */
  link: string
  /** Our addresses with their prefix lengths, like `10.77.0.2/24`. */
  addresses?: readonly (IpPrefix | string)[]
  /** Default routers, one of each family at most. */
  gateways?: readonly (IpAddress | string)[]
  /** The longest IP packet. Default: the device's. */
  mtu?: number
  /** Addresses that the other side is given: the system's interface of a TAP, or the peer of `mem`. */
  osAddresses?: readonly (IpPrefix | string)[]
  /** Exchange super-segments and partial checksums with the system. Default true. */
  offload?: boolean
  /** Ask for routers and take addresses from them. Default false. */
  acceptRouters?: boolean
  mac?: MacAddress | string
  /** Probes for duplicates before an address is used. Default 1. */
  probes?: number
  /** Gives up where opening the link waits for somebody (qemu:unix:); the promise rejects with its reason. */
  signal?: AbortSignal
  /** Opening waits for somebody from now on; the sentence says for whom, and how to start it. */
  onWaiting?: (what: string) => void
}

/** Every option; the compiler sees that none is missing. */
const OPTIONS: Readonly<Record<keyof HostOptions, true>> = {
  link: true,
  addresses: true,
  gateways: true,
  mtu: true,
  osAddresses: true,
  offload: true,
  acceptRouters: true,
  mac: true,
  probes: true,
  signal: true,
  onWaiting: true,
  capture: true,
  forwarding: true,
  name: true,
  isn: true,
  nameServers: true,
  hosts: true,
  hostsFile: true,
}
const MOST_PORT = 0xffff
const LISTS = ['addresses', 'gateways', 'osAddresses', 'nameServers'] as const

/** For programs that no compiler has seen. Throws UsageError. */
export function checkShape(options: HostOptions): void {
  checkOptionNames('a host', options, OPTIONS)
  if (typeof options.link !== 'string')
    throw new UsageError(`the link of a host is ${String(options.link)}: give a text like 'tap:tap0'`)
  for (const name of LISTS) {
    if (options[name] !== undefined && !Array.isArray(options[name]))
      throw new UsageError(`${name} is no list: give one, also of a single address`)
  }
  for (const server of options.nameServers ?? []) nameServerOf(server)
}

/** As dns.setServers takes it. Throws UsageError. */
export function nameServerOf(text: string): string {
  const [, six = '', four = '', port = '53'] = /^(?:\[(.*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text) ?? []
  const isPort = Number(port) > 0 && Number(port) <= MOST_PORT
  if (isIP(text) !== 0 || (isPort && (isIP(six) === 6 || isIP(four) === 4))) return text
  throw new UsageError(`the name server '${text}': write an address, or one with a port, like 10.0.0.53:5353`)
}

/** The same with every text read. */
export interface ReadLink extends HostLink {
  addresses: readonly IpPrefix[]
  gateways: readonly IpAddress[]
  osAddresses: readonly IpPrefix[]
  mac?: MacAddress
}

/** Throws UsageError where a text names nothing. */
export function readLink(options: HostLink): ReadLink {
  const { addresses = [], gateways = [], osAddresses = [], mac, ...rest } = options
  return {
    ...rest,
    addresses: addresses.map((given) => IpPrefix.of(given)),
    gateways: gateways.map((given) => IpAddress.of(given)),
    osAddresses: osAddresses.map((given) => IpPrefix.of(given)),
    ...(mac === undefined ? {} : { mac: typeof mac === 'string' ? MacAddress.from(mac) : mac }),
  }
}

export interface HostOptions extends HostLink {
  /** A pcapng file to write; `-` is standard output. */
  capture?: string
  /** Pass on packets for others. Default false. */
  forwarding?: boolean
  name?: string
  /** How initial sequence numbers are chosen. Default hashed (RFC 6528). */
  isn?: IsnChoice
  /** Name servers, as dns.setServers() takes them. Default: none. */
  nameServers?: readonly string[]
  /** Names that need no server: lines in the format of /etc/hosts. */
  hosts?: string
  /** The same in a file, beside `hosts`, read when the first name is looked up; one that cannot be read is empty. Default: none. */
  hostsFile?: string
}
