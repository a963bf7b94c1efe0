// What scripts ask of the system by commands: the settings that mean something to this stack, by a table; those that
// mean nothing here, which are ignored; and the defaults.sh that scripts of the Linux family begin with.

import { UsageError } from '../errors.ts'
import type { ConnectionOptions } from '../tcp/connection-options.ts'
import type { TcpConfig } from '../tcp/environment.ts'
import { seconds } from '../time.ts'
import { scriptError } from './lexer.ts'
import { NotRunError, type Shell } from './script.ts'

export class Profile {
  /** Linux gives a SYN up earlier than RFC 9293 allows. */
  readonly config: { -readonly [Name in keyof TcpConfig]?: TcpConfig[Name] } = { synRetries: 6 }
  readonly options: Partial<ConnectionOptions> = {}
  congestionControl: 'cubic' | 'reno' = 'cubic'
  /** Whether a command set something that means something to this stack. */
  isSet = false
}

/** Settings of Linux without a counterpart: the stack does what it does, and a script that depends on another value fails. */
const IGNORED = [
  'fack',
  'reordering',
  'frto',
  'early_retrans',
  'recovery',
  'tso_win_divisor',
  'min_tso_segs',
  'pacing_ss_ratio',
  'pacing_ca_ratio',
  'notsent_lowat',
  'fastopen',
  'fastopen_key',
  'syncookies',
  'mtu_probing',
  'base_mss',
  'moderate_rcvbuf',
  'adv_win_scale',
  'no_metrics_save',
  'autocorking',
  'limit_output_bytes',
  'invalid_ratelimit',
  'rfc1337',
  'abort_on_overflow',
  'max_reordering',
  'early_demux',
  'min_rtt_wlen',
  'comp_sack_nr',
  'comp_sack_delay_ns',
  'tso_rtt_log',
  'dsack',
]

const DEFAULTS = `net.ipv4.tcp_rmem=4096 540000 15728640
net.ipv4.tcp_wmem=4096 262144 4194304
net.ipv4.tcp_timestamps=1
net.ipv4.tcp_syn_retries=5
net.ipv4.tcp_synack_retries=5
net.ipv4.tcp_sack=1
net.ipv4.tcp_slow_start_after_idle=0
net.ipv4.tcp_congestion_control=cubic`

/**
 * What a command line of the script comes to. Throws NotRunError for one that would matter and is unknown, UsageError, at its
 * line, for a setting that cannot be.
 */
export function configure(profile: Profile, file: string, { command, line }: Shell): void {
  try {
    for (const part of command.split(/&&|[;\n]/)) configureOne(profile, part.trim())
  } catch (error) {
    throw error instanceof UsageError ? scriptError(file, line, error.message) : error
  }
}

function configureOne(profile: Profile, command: string): void {
  if (command === '' || isIdle(command)) return
  if (command.includes('defaults.sh')) {
    for (const line of DEFAULTS.split('\n')) setting(profile, line)
    return
  }
  if (/^(sudo\s+)?sysctl\b/.test(command) || command.includes('set_sysctls.py')) {
    for (const word of settingsOf(command)) setting(profile, word)
    return
  }
  throw new NotRunError(`the command '${command.split(/\s/)[0]}'`)
}

/** Commands about a machine's own network, which is not there. */
const isIdle = (command: string): boolean => /^(sudo\s+)?(tc|ip|ethtool|nstat|true|echo|sleep 0)\b/.test(command)

/** `a.b=c`, `a.b="c d"`, and the paths below /proc/sys that set_sysctls.py takes. */
function settingsOf(command: string): string[] {
  const found: string[] = []
  for (const match of command.matchAll(/([\w./]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|(\S+))/g)) {
    const name = match[1]!.replace(/^\/proc\/sys\//, '').replaceAll('/', '.')
    found.push(`${name}=${match[2] ?? match[3] ?? match[4] ?? ''}`)
  }
  return found
}

function setting(profile: Profile, text: string): void {
  const at = text.indexOf('=')
  const name = text.slice(0, at)
  const value = text.slice(at + 1).trim()
  // Those of FreeBSD describe another stack; net.core a machine.
  if (name.startsWith('net.inet') || name.startsWith('kern.') || name.startsWith('net.core')) return
  const short = /^net\.ipv4\.tcp_(\w+)$/.exec(name)?.[1]
  if (short === undefined) {
    if (/^net\.(ipv4|ipv6)\./.test(name)) return
    throw new NotRunError(`the setting ${name}`)
  }
  if (IGNORED.includes(short)) return
  tcpSetting(profile, short, value)
}

function wholeNumber(name: string, value: string): number {
  if (!/^-?\d{1,15}$/.test(value)) throw new UsageError(`net.ipv4.tcp_${name} is '${value}': it must be a number`)
  return Number(value)
}

function tcpSetting(profile: Profile, name: string, value: string): void {
  const { config, options } = profile
  profile.isSet = true
  const number = name === 'congestion_control' ? 0 : wholeNumber(name, value.split(/\s+/).at(-1) ?? '')
  if ((name === 'rmem' || name === 'wmem') && value.split(/\s+/).length !== 3) {
    throw new UsageError(`net.ipv4.tcp_${name} is '${value}': it must be three numbers, like '4096 131072 6291456'`)
  }
  switch (name) {
    case 'timestamps':
      config.timestamps = number !== 0
      return
    case 'sack':
      config.sack = number !== 0
      return
    case 'window_scaling':
      config.windowScaling = number !== 0
      return
    case 'syn_retries':
      config.synRetries = number
      return
    case 'synack_retries':
      config.synAckRetries = number
      return
    case 'retries2':
      config.dataRetries = number
      return
    case 'orphan_retries':
      config.orphanRetries = number
      return
    case 'max_tw_buckets':
      config.timeWaitLimit = number
      return
    case 'challenge_ack_limit':
      config.challengeAcksPerSecond = number
      return
    case 'slow_start_after_idle':
      config.slowStartAfterIdle = number !== 0
      return
    case 'keepalive_time':
      options.keepAliveIdle = seconds(number)
      return
    case 'keepalive_intvl':
      options.keepAliveInterval = seconds(number)
      return
    case 'keepalive_probes':
      options.keepAliveCount = number
      return
    case 'rmem':
      options.receiveBytes = number
      return
    case 'wmem':
      options.sendBytes = number
      return
    case 'congestion_control':
      if (value !== 'cubic' && value !== 'reno') throw new NotRunError(`congestion control ${value}`)
      profile.congestionControl = value
      return
    case 'ecn':
      if (number !== 0 && number !== 2) throw new NotRunError('ECN')
      return
    default:
      throw new NotRunError(`the setting net.ipv4.tcp_${name}`)
  }
}
