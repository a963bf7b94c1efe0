// The program's modules over a host: what is replaced in each. Both ways to a module see it, require() and import.

import dgram from 'node:dgram'
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { isIP } from 'node:net'
import { IpAddress, type IpPrefix } from '../../wire/address.ts'
import type { Host } from '../host.ts'
import type { OwnNet } from '../net/net.ts'
import { interposeHttp2 } from './interpose-http2.ts'
import { interposeNet } from './interpose-net.ts'
import { interposeTls } from './interpose-tls.ts'

/** Once in a process, before the program's own modules are loaded. `system`: destinations that stay the system's. */
export function interpose(host: Host, system: readonly IpPrefix[]): void {
  const isOurs = (name: string | undefined): boolean => {
    if (system.length === 0) return true
    if (typeof name !== 'string' || isIP(name) === 0) return true
    const address = IpAddress.parse(name)
    return address === null || !system.some((prefix) => prefix.contains(address))
  }
  const net = host.net as unknown as OwnNet
  interposeNet(net, isOurs)
  interposeTls(net, isOurs)
  interposeHttp2()
  replace(dgram, host.dgram)
  const { promises, ...names } = host.dns
  replace(dns, names)
  replace(dns.promises, promises)
  syncBuiltinESMExports()
}

/** The functions of `theirs` become `ours`; the constants are the same in both. */
function replace(theirs: object, ours: object): void {
  for (const [name, value] of Object.entries(ours)) {
    if (typeof value === 'function' && name in theirs) Reflect.set(theirs, name, value)
  }
}
