// The options that every command with a host of its own takes, and from them the host.

import type { Command } from 'commander'
import { UsageError } from '../errors.ts'
import type { IsnChoice } from '../node/epoch-file.ts'
import { Host } from '../node/host.ts'
import type { HostOptions } from '../node/host-options.ts'
import type { IpAddress, IpPrefix } from '../wire/address.ts'
import { MacAddress } from '../wire/ethernet.ts'
import * as read from './arguments.ts'
import type { Stop } from './interrupt.ts'
import { giveAwayStdout, say } from './output.ts'

export interface HostFlags {
  link: string
  address?: IpPrefix[]
  gateway?: IpAddress[]
  mtu?: number
  osAddress?: IpPrefix[]
  offload: boolean
  capture?: string
  autoconf?: boolean
  mac?: MacAddress
  isn?: IsnChoice
}

export const LINK_HELP =
  'tap:NAME, tun:NAME, macvtap:NAME, fd:N, vxlan:VNI,LOCAL:PORT,REMOTE:PORT, qemu:unix:PATH, qemu:HOST:PORT, passt:PATH, udp:LOCAL:PORT-REMOTE:PORT, raw:PROTO,REMOTE or mem'

export function addHostOptions(command: Command): Command {
  return command
    .requiredOption('--link <LINK>', `the link: ${LINK_HELP}`, read.link)
    .option('--address <A/LEN>', 'an address of ours; may be repeated', read.collect(read.prefix))
    .option('--gateway <A>', 'the default router; one of each family', read.collect(read.address))
    .option('--mtu <N>', 'the longest IP packet in bytes', read.mtu)
    .option('--os-address <A/LEN>', "an address for the system's side (tap, tun, fd, mem)", read.collect(read.prefix))
    .option('--no-offload', 'exchange no super-segments and no partial checksums with the system')
    .option('--capture <FILE>', 'write all packets to a pcapng file; - is standard output')
    .option('--autoconf', 'ask for IPv6 routers and take addresses from them (SLAAC)')
    .option('--mac <ADDRESS>', 'our MAC address; default: random', (text) => MacAddress.from(text))
}

export function hostOptions(flags: HostFlags): HostOptions {
  if ((flags.address ?? []).length === 0 && flags.autoconf !== true) {
    throw new UsageError('the host has no address: give one with --address A/LEN, or --autoconf')
  }
  const seen = new Set<string>()
  for (const { address } of flags.address ?? []) {
    if (seen.has(String(address))) throw new UsageError(`--address ${address} is given twice`)
    seen.add(String(address))
    if (flags.osAddress?.some((other) => other.address.equals(address))) {
      throw new UsageError(`${address} cannot be both --address and --os-address`)
    }
  }
  return {
    link: flags.link,
    addresses: flags.address ?? [],
    gateways: flags.gateway ?? [],
    osAddresses: flags.osAddress ?? [],
    offload: flags.offload,
    acceptRouters: flags.autoconf ?? false,
    ...(flags.mtu === undefined ? {} : { mtu: flags.mtu }),
    ...(flags.capture === undefined ? {} : { capture: flags.capture }),
    ...(flags.mac === undefined ? {} : { mac: flags.mac }),
    ...(flags.isn === undefined ? {} : { isn: flags.isn }),
  }
}

/** Throws UsageError where `option` names an address to send from that cannot be ours. */
export function checkSource(option: string, flags: HostFlags & { source?: IpAddress }): void {
  const { source } = flags
  if (source === undefined || flags.autoconf === true) return
  if (flags.address?.some(({ address }) => address.equals(source))) return
  throw new UsageError(`${option} ${source}: ${source} is no address of this host`)
}

/** How long a stopped run waits for a host that is still opening, to close it. */
const LATE_MILLIS = 500

/** Null where the run was stopped first; a host that opens too late is closed again. */
export async function openHost(flags: HostFlags, stop: Stop): Promise<Host | null> {
  if (flags.capture === '-') giveAwayStdout()
  const onWaiting = (what: string): void => say(`hourglass: ${what}`)
  const opening = Host.open({ ...hostOptions(flags), signal: stop.signal, onWaiting })
  const tooLate = stop.promise.then(() => null)
  const host = await Promise.race([opening, tooLate])
  if (host !== null && stop.reason === null) return host
  // What goes wrong with it now is of no interest: nobody waits for it any more.
  const closed = opening.then((late) => late.close()).catch(() => {})
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, LATE_MILLIS))])
  return null
}
