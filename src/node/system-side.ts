// The system's side of a link: the addresses and the MTU that `--os-address` gives to the kernel's interface, by
// ip(8). Only where the link's other side is an interface of this machine.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { unreachable } from '../assert.ts'
import { EnvironmentError, UsageError } from '../errors.ts'
import type { LinkName } from '../link/link-name.ts'
import type { IpPrefix } from '../wire/address.ts'

const IFF_UP = 1

/** Throws UsageError where the link has no system side to configure. */
export function checkSystemSide(link: LinkName, addresses: readonly IpPrefix[]): void {
  if (addresses.length === 0) return
  switch (link.kind) {
    case 'tap':
    case 'tun':
    case 'fd':
    case 'mem':
      return
    case 'macvtap':
    case 'vxlan':
    case 'qemu-unix':
    case 'qemu-tcp':
    case 'qemu-dgram':
    case 'passt':
    case 'udp':
    case 'raw':
      throw new UsageError(
        `--os-address goes with tap:, tun:, fd: and mem: only: the other side of ${link.kind} is not this machine's to configure`,
      )
    default:
      return unreachable(link)
  }
}

/** Gives the kernel's interface its addresses (without duplicate address detection: we are its only neighbour) and MTU, and brings it up. */
export function configureSystemSide(
  link: LinkName,
  deviceName: string,
  addresses: readonly IpPrefix[],
  mtu: number | undefined,
): void {
  if (addresses.length === 0 || link.kind === 'mem') return
  const name = link.kind === 'fd' ? nameOfDescriptor(link.fd) : deviceName
  if (mtu !== undefined) ip(['link', 'set', 'dev', name, 'mtu', String(mtu)])
  ip(['link', 'set', 'dev', name, 'up'])
  for (const prefix of addresses) {
    const flags = prefix.address.family === 6 ? ['nodad'] : []
    ip(['addr', 'replace', String(prefix), 'dev', name, ...flags])
  }
}

/** Whether the kernel's interface of a TAP or TUN is down, so that nothing gets through. False where it does not say. */
export function isSystemSideDown(link: LinkName, deviceName: string): boolean {
  if (link.kind !== 'tap' && link.kind !== 'tun') return false
  try {
    return (Number(readFileSync(`/sys/class/net/${deviceName}/flags`, 'latin1')) & IFF_UP) === 0
  } catch {
    // No sysfs here: nothing is known, and nothing is said.
    return false
  }
}

/** The kernel tells which interface a descriptor of /dev/net/tun is attached to. */
function nameOfDescriptor(fd: number): string {
  const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')
  const name = /^iff:[ \t]*(\S+)$/m.exec(info)?.[1]
  if (name === undefined) {
    throw new EnvironmentError(
      `configuring the system's side of descriptor ${fd}`,
      'the kernel does not say which interface it is attached to',
      'leave --os-address out and run ip addr add yourself',
    )
  }
  return name
}

function ip(words: readonly string[]): void {
  const command = `ip ${words.join(' ')}`
  const result = spawnSync('ip', words, { encoding: 'utf8' })
  if (result.error !== undefined) {
    throw new EnvironmentError(command, `ip(8) cannot be run (${result.error.message})`, 'apt-get install iproute2')
  }
  if (result.status !== 0) {
    const why = result.stderr.trim() || `it ended with ${result.status}`
    const mend = why.includes('Operation not permitted')
      ? `run it as root: sudo ${command}`
      : 'give an --os-address that the interface can have, or leave it out and configure the interface with ip(8) yourself'
    throw new EnvironmentError(command, why, mend)
  }
}
