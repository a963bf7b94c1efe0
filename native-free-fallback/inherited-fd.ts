// A TAP or TUN that a launcher opened before it became node: launch.pl and launch.py beside this file do so, and leave the
// descriptor's number in TAP_FD. Any other that hands over a descriptor of which one read is one frame will do.

import { fstatSync, readFileSync, type Stats } from 'node:fs'
import type { PagePool } from '../src/buf/page.ts'
import type { Counters } from '../src/counters.ts'
import { EnvironmentError } from '../src/errors.ts'
import { FrameFile } from './frame-file.ts'

export interface InheritedOptions {
  readonly pool: PagePool
  readonly counters: Counters
  readonly mtu?: number
  readonly offload?: boolean
  readonly reading?: 'pipe' | 'polled'
}

const DEFAULT_MTU = 1_500
const O_NONBLOCK = 0o4000
const IFF_TUN = 1
const MEND = 'perl native-free-fallback/launch.pl NAME node PROGRAM, with the link fd:$TAP_FD'

/** Takes the descriptor over. What kind it is, the kernel tells in /proc/self/fdinfo and /sys. */
export function openInherited(fd: number, options: InheritedOptions): FrameFile {
  const what = `the inherited descriptor ${fd}`
  let kind: DescriptorKind
  try {
    const found = fstatSync(fd)
    const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')
    const name = /^iff:[ \t]*(\S*)/m.exec(info)?.[1]
    // A device that knows nothing of frames must not be handed to libuv: it would abort the process.
    if (name === undefined && !isMacvtap(found)) throw new EnvironmentError(what, 'it is no TAP or TUN device', MEND)
    if (name === '') throw new EnvironmentError(what, 'it is /dev/net/tun, but attached to no interface', MEND)
    kind = inspect(info, name ?? '')
  } catch (error) {
    if (error instanceof EnvironmentError) throw error
    throw new EnvironmentError(what, 'it is not open', MEND)
  }
  if (!kind.nonBlocking)
    throw new EnvironmentError(what, 'it blocks, which would stop the whole process', `${MEND}: it sets O_NONBLOCK`)
  return new FrameFile({
    name: kind.name === '' ? `fd${fd}` : kind.name,
    fd,
    medium: kind.medium,
    mtu: options.mtu ?? kind.mtu,
    macAddress: null,
    header: kind.header,
    offload: false,
    pool: options.pool,
    counters: options.counters,
    mend: MEND,
    ...(options.reading === undefined ? {} : { reading: options.reading }),
  })
}

interface DescriptorKind {
  readonly name: string
  readonly medium: 'ethernet' | 'ip'
  readonly mtu: number
  readonly header: boolean
  readonly nonBlocking: boolean
}

const IFF_VNET_HDR = 0x4000

/** Its driver has whatever major number was free. */
function isMacvtap(found: Stats): boolean {
  const major = Math.floor(found.rdev / 0x100) & 0xfff
  const devices = readOr('/proc/devices', '')
  return found.isCharacterDevice() && new RegExp(`^ *${major} (macvtap|ipvtap)$`, 'm').test(devices)
}

/** Of its text in fdinfo, `flags:` are those of open(2) in octal, `iff:` names the interface that a TUN file is attached to. */
function inspect(text: string, name: string): DescriptorKind {
  const nonBlocking = (Number.parseInt(/^flags:\s*([0-7]+)/m.exec(text)?.[1] ?? '0', 8) & O_NONBLOCK) !== 0
  const flags = Number.parseInt(readOr(`/sys/class/net/${name}/tun_flags`, '0x2'), 16)
  return {
    name,
    medium: (flags & IFF_TUN) !== 0 ? 'ip' : 'ethernet',
    mtu: Number(readOr(`/sys/class/net/${name}/mtu`, String(DEFAULT_MTU))),
    header: (flags & IFF_VNET_HDR) !== 0,
    nonBlocking,
  }
}

/** sysfs may be that of another network namespace, or not mounted. */
function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'latin1').trim()
  } catch {
    return otherwise
  }
}
