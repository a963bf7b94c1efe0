// The options of packetdrill that a script may begin with: which there are, what their values must be, and which of
// them ask for what does not exist here. parser.ts reads them.

import { IpAddress } from '../wire/address.ts'
import { scriptError } from './lexer.ts'
import { NotRunError } from './script.ts'

/** What a value must be: a number within bounds, an address, one of some words, anything; or why it is not run. */
type Rule =
  | { readonly least: number; readonly most: number }
  | { readonly words: readonly string[] }
  | 'address'
  | 'anything'
  | { readonly missing: string }

const PORT: Rule = { least: 1, most: 65_535 }
const NUMBER: Rule = { least: 0, most: 1e12 }

const RULES: Readonly<Record<string, Rule>> = {
  ip_version: { words: ['ipv4', 'ipv6', 'ipv4-mapped-ipv6', 'ipv4_mapped_ipv6'] },
  local_ip: 'address',
  remote_ip: 'address',
  bind_port: PORT,
  connect_port: PORT,
  mtu: { least: 68, most: 65_535 },
  mss: { least: 1, most: 65_535 },
  tolerance_usecs: NUMBER,
  tolerance_percent: NUMBER,
  tcp_ts_tick_usecs: NUMBER,
  tcp_ts_ecr_scaled: 'anything',
  strict_segments: 'anything',
  init_scripts: 'anything',
  define: 'anything',
  // What concerns a machine, its network or another program's way of running: nothing of it is here.
  gateway_ip: 'address',
  netmask_ip: 'address',
  speed: 'anything',
  verbose: 'anything',
  debug: 'anything',
  is_anyip: 'anything',
  send_omit_free: 'anything',
  non_fatal: 'anything',
  so_filename: 'anything',
  so_flags: 'anything',
  tun_dev: 'anything',
  persistent_tun_dev: 'anything',
  local_linklocal_ip: 'address',
  remote_linklocal_ip: 'address',
  dry_run: { missing: 'dry runs' },
  udp_encapsulation: { missing: 'TCP within UDP' },
  tcp_md5_secret: { missing: 'TCP MD5 signatures' },
  psp_udp_port: { missing: 'PSP' },
}
/** Options of two machines, and of the code that a Python would run. */
const IGNORED_PREFIXES = ['wire_', 'code_']

/** Throws UsageError for an option that there is not or a value that it cannot have, NotRunError for what is missing here. */
export function checkOption(file: string, line: number, name: string, value: string): void {
  if (IGNORED_PREFIXES.some((prefix) => name.startsWith(prefix))) return
  const rule = Object.hasOwn(RULES, name) ? RULES[name]! : null
  if (rule === null) throw scriptError(file, line, `expected an option of packetdrill, found '--${name}'`)
  if (rule === 'anything') return
  if (rule === 'address') {
    // Only the other side of --remote_ip may be a network.
    if (IpAddress.parse(name === 'remote_ip' ? value.split('/')[0]! : value) === null) {
      throw scriptError(file, line, `expected an IP address for --${name}, found '${value}'`)
    }
  } else if ('missing' in rule) throw new NotRunError(rule.missing)
  else if ('words' in rule) {
    if (!rule.words.includes(value)) {
      throw scriptError(file, line, `expected ${rule.words.join(' or ')} for --${name}, found '${value}'`)
    }
  } else if (!/^\d+(\.\d+)?$/.test(value) || Number(value) < rule.least || Number(value) > rule.most) {
    throw scriptError(
      file,
      line,
      `expected a number from ${rule.least} to ${rule.most} for --${name}, found '${value}'`,
    )
  }
}

/** The two ends of the script: addresses that hosts can have, of the family that it is about. Throws UsageError. */
export function checkEnds(file: string, line: number, options: ReadonlyMap<string, string>): void {
  const version = options.get('ip_version') ?? 'ipv4'
  // What else there is, is not run.
  if (version !== 'ipv4' && version !== 'ipv6') return
  for (const name of ['local_ip', 'remote_ip']) {
    const value = options.get(name)
    if (value === undefined) continue
    const address = IpAddress.from(value.split('/')[0]!)
    const isHost = !(address.isUnspecified || address.isMulticast || address.isLoopback || address.isLimitedBroadcast)
    if (isHost && address.family === (version === 'ipv4' ? 4 : 6)) continue
    const wanted = version === 'ipv4' ? 'IPv4' : 'IPv6'
    throw scriptError(file, line, `expected an ${wanted} address that a host can have for --${name}, found '${value}'`)
  }
}
