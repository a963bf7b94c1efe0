// What must hold of a host's options before its link is opened. host.ts asks; the command line lets the sentences
// through as they are.

import { UsageError } from '../errors.ts'
import { isHostAddress } from '../ip/addresses.ts'
import { type EndpointPair, type LinkName, parseLinkName } from '../link/link-name.ts'
import type { IpAddress, IpPrefix } from '../wire/address.ts'
import type { MacAddress } from '../wire/ethernet.ts'
import { IPV6_MIN_MTU } from '../wire/ipv6.ts'
import type { ReadLink } from './host-options.ts'
import { checkSystemSide } from './system-side.ts'

export const carriesIpv6 = (mtu: number): boolean => mtu >= IPV6_MIN_MTU

/** The link that the options name, once everything is known to fit it. Throws UsageError. */
export function checkLink(options: ReadLink): LinkName {
  const link = parseLinkName(options.link)
  const { addresses, osAddresses } = options
  const all = [...addresses, ...osAddresses]
  checkEnds(link, options.link)
  checkSystemSide(link, osAddresses)
  for (const prefix of all) checkAddress(prefix)
  if (link.kind === 'raw' && addresses.some(({ address }) => address.family !== link.remote.family)) {
    throw new UsageError(`the link raw: carries packets to ${link.remote} only: give addresses of its family`)
  }
  checkMedium(link, options)
  checkMtu(options, all)
  if (options.mac !== undefined) checkMac(options.mac)
  checkGateways(link, options)
  return link
}

/** A link leads to another place than it comes from, and to one place. */
function checkEnds(link: LinkName, text: string): void {
  switch (link.kind) {
    case 'udp':
    case 'vxlan':
    case 'qemu-dgram':
      checkRemote(link.remote.address, text)
      checkPair(link, text)
      return
    case 'qemu-tcp':
      checkRemote(link.remote.address, text)
      return
    case 'raw':
      checkRemote(link.remote, text)
      return
    default:
      return
  }
}

function checkRemote(remote: IpAddress, text: string): void {
  if (!remote.isUnspecified && !remote.isMulticast && !remote.isLimitedBroadcast) return
  throw new UsageError(`'${text}' is not a link: ${remote} is not the address of one other host`)
}

function checkPair({ local, remote }: EndpointPair, text: string): void {
  if (local.port !== remote.port || !local.address.equals(remote.address)) return
  throw new UsageError(`'${text}' is not a link: it leads to itself, as both its ends are the same`)
}

function checkAddress(prefix: IpPrefix): void {
  if (!canBeHost(prefix)) throw new UsageError(`${prefix.address} is no address that a host can have`)
}

/** Whether a host on a link can have the address, on the prefix's network. */
export function canBeHost(prefix: IpPrefix): boolean {
  const { address } = prefix
  if (address.isLoopback || address.isThisNetwork4 || address.isReserved4) return false
  return isHostAddress(prefix) && !isNetworkAddress(address, prefix)
}

/** The address of the network itself (RFC 1122 §3.2.1.3); networks of two and of one have none (RFC 3021). */
const isNetworkAddress = (address: IpAddress, prefix: IpPrefix): boolean =>
  prefix.address.family === 4 && prefix.length < 31 && prefix.network.address.equals(address)

const belongsToNobody = (address: IpAddress, prefix: IpPrefix): boolean =>
  isNetworkAddress(address, prefix) || prefix.broadcast?.equals(address) === true

function checkMedium(link: LinkName, { mac, acceptRouters }: ReadLink): void {
  if (link.kind !== 'tun' && link.kind !== 'raw') return
  if (mac !== undefined) throw new UsageError(`--mac goes with Ethernet: the link ${link.kind}: has no MAC addresses`)
  if (acceptRouters === true) {
    throw new UsageError(`--autoconf goes with Ethernet: on the link ${link.kind}: give an --address`)
  }
}

function checkMtu({ mtu, acceptRouters }: ReadLink, all: readonly IpPrefix[]): void {
  if (mtu === undefined || carriesIpv6(mtu)) return
  const one = all.find(({ address }) => address.family === 6)
  if (one === undefined && acceptRouters !== true) return
  const what = one === undefined ? '--autoconf' : String(one.address)
  throw new UsageError(`--mtu ${mtu} and ${what} do not go together: IPv6 needs ${IPV6_MIN_MTU} bytes at least`)
}

function checkMac(mac: MacAddress): void {
  if (mac.isMulticast || mac.isZero) {
    throw new UsageError(
      `${mac} is no MAC address that a host can have: give one with an even first byte, not all zero`,
    )
  }
}

function checkGateways(link: LinkName, options: ReadLink): void {
  const { addresses, gateways } = options
  for (const [index, gateway] of gateways.entries()) {
    if (gateways.findIndex(({ family }) => family === gateway.family) < index) {
      throw new UsageError(`the gateway ${gateway} is the second one of IPv${gateway.family}: give one of each family`)
    }
    if (addresses.some(({ address }) => address.equals(gateway))) {
      throw new UsageError(`the gateway ${gateway} is this host itself: give a router's address`)
    }
    if (gateway.isMulticast || gateway.isUnspecified || addresses.some((prefix) => belongsToNobody(gateway, prefix))) {
      throw new UsageError(`the gateway ${gateway} is no host's address: give a router's`)
    }
    const near =
      gateway.family === 6 && gateway.isLinkLocal
        ? hasIpv6(link, options)
        : gateway.isLinkLocal || addresses.some((prefix) => prefix.contains(gateway))
    if (!near)
      throw new UsageError(`the gateway ${gateway} is on no network of this host: give an address of its network`)
  }
}

/** Whether the host will have an IPv6 address, be it the link-local one that it makes on Ethernet. */
const hasIpv6 = (link: LinkName, { addresses, mtu }: ReadLink): boolean =>
  addresses.some(({ address }) => address.family === 6) ||
  (link.kind !== 'tun' && link.kind !== 'raw' && (mtu === undefined || carriesIpv6(mtu)))
