// What a program says of a host and its links: host.ts takes it, host-check.ts looks whether it can be.

import type { IpAddress, IpPrefix } from '../wire/address.ts'
import type { MacAddress } from '../wire/ethernet.ts'
import type { IsnChoice } from './epoch-file.ts'

/** A link to the world and what the host is on it. */
export interface HostLink {
  /** `tap:NAME` and the others of src/link/link-name.ts. */
  link: string
  /** Our addresses with their prefix lengths. */
  addresses?: readonly IpPrefix[]
  /** Default routers, one of each family at most. */
  gateways?: readonly IpAddress[]
  /** The longest IP packet. Default: the device's. */
  mtu?: number
  /** Addresses that the other side is given: the system's interface of a TAP, or the peer of `mem`. */
  osAddresses?: readonly IpPrefix[]
  /** Exchange super-segments and partial checksums with the system. Default true. */
  offload?: boolean
  /** Ask for routers and take addresses from them. Default false. */
  acceptRouters?: boolean
  mac?: MacAddress
  /** Probes for duplicates before an address is used. Default 1. */
  probes?: number
  /** Gives up where opening the link waits for somebody (qemu:unix:); the promise rejects with its reason. */
  signal?: AbortSignal
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
  /** The same in a file, read where `hosts` is not given. Default: none. */
  hostsFile?: string
}
