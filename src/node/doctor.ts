// What this machine lacks for each kind of link and for the tests, and the one step that mends it. Everything is tried rather
// than guessed, nothing is changed, and nothing here throws.

import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { EnvironmentError } from '../errors.ts'
import { loadLibc } from './libc.ts'
import { TUN_PATH } from './open-tap.ts'
import { loadRawSocket } from './raw-socket.ts'

export interface Finding {
  readonly name: string
  readonly ok: boolean
  /** What was found. */
  readonly detail: string
  /** The one step that mends it; '' where nothing is to be mended. */
  readonly mend: string
}

type Check = () => Promise<Finding> | Finding

const OLDEST_NODE = [20, 19] as const
const CAP_NET_ADMIN = 12
const CAP_NET_RAW = 13
const TRY_MILLIS = 5_000

/** One finding for each thing that a link or a test needs, in order of importance. */
export async function examine(): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const [name, check] of CHECKS) findings.push(await settle(name, check))
  return findings
}

async function settle(name: string, check: Check): Promise<Finding> {
  try {
    return await check()
  } catch (error) {
    if (error instanceof EnvironmentError) return lacking(name, error.why, error.mend)
    return lacking(name, `the check itself failed: ${error instanceof Error ? error.message : String(error)}`, '')
  }
}

const found = (name: string, detail: string): Finding => ({ name, ok: true, detail, mend: '' })
const lacking = (name: string, detail: string, mend: string): Finding => ({ name, ok: false, detail, mend })

const tool = (name: string, what: string, mend: string): [string, Check] => [
  name,
  () => {
    const path = pathOf(name)
    return path === '' ? lacking(name, `not installed: ${what}`, mend) : found(name, `${path}: ${what}`)
  },
]

const CHECKS: readonly [string, Check][] = [
  ['node', checkNode],
  ['linux', checkLinux],
  [TUN_PATH, checkTunFile],
  ['CAP_NET_ADMIN', () => checkCapability('CAP_NET_ADMIN', CAP_NET_ADMIN, 'makes TAP and TUN devices')],
  [
    'koffi',
    async () => {
      await loadLibc()
      return found('koffi', 'loads: tap: and tun: links work through it')
    },
  ],
  [
    'raw-socket',
    async () => {
      await loadRawSocket()
      return found('raw-socket', 'loads: raw: links work through it')
    },
  ],
  ['CAP_NET_RAW', () => checkCapability('CAP_NET_RAW', CAP_NET_RAW, 'opens raw sockets')],
  tool('ip', 'makes and addresses interfaces', 'sudo apt-get install iproute2'),
  ['network namespaces', checkNamespaces],
  ['macvtap', checkMacvtap],
  tool('passt', 'a gateway that needs no privilege', 'sudo apt-get install passt'),
  tool('tshark', 'checks captures in the tests', 'sudo apt-get install tshark'),
  tool('tcpdump', 'reads captures', 'sudo apt-get install tcpdump'),
  tool('nft', 'filters packets in the tests', 'sudo apt-get install nftables'),
  tool('perl', 'runs native-free-fallback/launch.pl', 'sudo apt-get install perl'),
]

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [oldestMajor, oldestMinor] = OLDEST_NODE
  const detail = `version ${process.versions.node} on ${process.arch}`
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return found('node', detail)
  return lacking('node', detail, `install Node ${OLDEST_NODE.join('.')} or newer`)
}

function checkLinux(): Finding {
  if (process.platform !== 'linux')
    return lacking(
      'linux',
      `this is ${process.platform}`,
      'use the links udp:, vxlan: and qemu:, or the in-memory world',
    )
  return found('linux', readFileSync('/proc/sys/kernel/osrelease', 'latin1').trim())
}

function checkTunFile(): Finding {
  const make = `sudo sh -c 'mkdir -p /dev/net && mknod -m 0666 ${TUN_PATH} c 10 200'`
  const status = statSync(TUN_PATH, { throwIfNoEntry: false })
  if (status === undefined) return lacking(TUN_PATH, 'does not exist', make)
  const mode = `mode ${(status.mode & 0o777).toString(8).padStart(4, '0')}, owner ${status.uid}`
  if (!status.isCharacterDevice()) return lacking(TUN_PATH, 'is no device file', `sudo rm ${TUN_PATH} && ${make}`)
  if (!accessible(TUN_PATH, constants.R_OK | constants.W_OK))
    return lacking(TUN_PATH, `${mode}: this user is kept out`, `sudo chmod 0666 ${TUN_PATH}`)
  return found(TUN_PATH, mode)
}

function checkCapability(name: string, bit: number, what: string): Finding {
  const status = readFileSync('/proc/self/status', 'latin1')
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`)
  if (((effective >> BigInt(bit)) & 1n) === 1n) return found(name, `held: ${what}`)
  const mend =
    bit === CAP_NET_ADMIN
      ? 'sudo ip tuntap add dev tap0 mode tap user $(id -un), then use the link tap:tap0'
      : 'sudo setcap cap_net_raw+ep $(command -v node)'
  return lacking(name, `not held: ${what}`, mend)
}

/** A namespace of the kind that vanishes with its process: as root, or with a user namespace around it. */
function checkNamespaces(): Finding {
  const name = 'network namespaces'
  const attempts = [
    ['--net', 'true'],
    ['--user', '--map-root-user', '--net', 'true'],
  ]
  for (const words of attempts) {
    const made = spawnSync('unshare', words, { timeout: TRY_MILLIS, stdio: 'ignore' })
    if (made.status === 0)
      return found(name, words.length === 2 ? 'can be made' : 'can be made inside a user namespace')
  }
  return lacking(name, 'cannot be made', 'run as root, or sudo sysctl kernel.unprivileged_userns_clone=1')
}

/** Built in or loaded, it has a class in sysfs or a driver that ip(8) can name; loadable, a file. */
function checkMacvtap(): Finding {
  if (existsSync('/sys/class/macvtap') || existsSync('/sys/module/macvtap')) return found('macvtap', 'in the kernel')
  const release = readFileSync('/proc/sys/kernel/osrelease', 'latin1').trim()
  const listed = ['modules.builtin', 'modules.dep'].some((list) =>
    mentions(`/lib/modules/${release}/${list}`, 'macvtap.ko'),
  )
  if (listed) return found('macvtap', 'a module of this kernel')
  return lacking('macvtap', 'neither in this kernel nor among its modules', 'sudo modprobe macvtap')
}

function mentions(path: string, word: string): boolean {
  try {
    return readFileSync(path, 'latin1').includes(word)
  } catch {
    return false
  }
}

function pathOf(name: string): string {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']) {
    const path = join(folder, name)
    if (folder !== '' && accessible(path, constants.X_OK)) return path
  }
  return ''
}

function accessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
