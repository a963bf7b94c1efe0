// macvtap: a virtual interface on top of a real one, or of one end of a veth pair, whose frames a character device carries
// (Linux networking, Documentation/networking/tuntap.rst; drivers/net/tap.c). It is opened with plain fs, so that it
// needs neither native code nor an ioctl; the price is that its offloads cannot be switched off from here: each frame has
// a virtio-net header, and the other side of the wire decides what comes.
//
// The device file is found by the numbers in sysfs. /dev/tapN is whatever the machine's device manager made of them, and
// in a container there is none.

import { spawnSync } from 'node:child_process'
import { constants, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PagePool } from '../src/buf/page.ts'
import type { Counters } from '../src/counters.ts'
import { EnvironmentError } from '../src/errors.ts'
import { MacAddress } from '../src/wire/ethernet.ts'
import { FrameFile } from './frame-file.ts'

export interface MacvtapOptions {
  readonly pool: PagePool
  readonly counters: Counters
  readonly mtu?: number
  readonly offload?: boolean
  readonly reading?: 'pipe' | 'polled'
}

/** Opens the character device of the macvtap interface `name`. */
export function openMacvtap(name: string, options: MacvtapOptions): FrameFile {
  const folder = `/sys/class/net/${name}`
  const what = `the macvtap interface ${name}`
  const make = `sudo ip link add link LOWER name ${name} type macvtap mode bridge && sudo ip link set ${name} up`
  let text: { address: string; mtu: string; numbers: string; index: string }
  try {
    const tap = readdirSync(`${folder}/macvtap`)[0]
    if (tap === undefined) throw new Error('no tap')
    text = {
      address: readFileSync(`${folder}/address`, 'latin1').trim(),
      mtu: readFileSync(`${folder}/mtu`, 'latin1').trim(),
      numbers: readFileSync(`${folder}/macvtap/${tap}/dev`, 'latin1').trim(),
      index: tap,
    }
  } catch {
    throw new EnvironmentError(what, 'there is no interface of that name and kind in this network namespace', make)
  }
  const fd = openByNumbers(text.numbers, text.index, what)
  warnOfLower(name, folder)
  return new FrameFile({
    name,
    fd,
    medium: 'ethernet',
    mtu: options.mtu ?? Number(text.mtu),
    macAddress: MacAddress.parse(text.address),
    header: true,
    offload: options.offload ?? true,
    pool: options.pool,
    counters: options.counters,
    mend: make,
    // A read of its descriptor goes on saying that there is nothing, and a write that all went well.
    stillThere: () => existsSync(folder),
    ...(options.reading === undefined ? {} : { reading: options.reading }),
  })
}

const IFF_UP = 1

/** Nothing goes over an interface whose lower one is down, and no write tells. Nothing is known of one in another namespace. */
function warnOfLower(name: string, folder: string): void {
  const link = readdirSync(folder).find((entry) => entry.startsWith('lower_'))
  if (link === undefined) return
  const lower = link.slice('lower_'.length)
  let flags: number
  try {
    flags = Number(readFileSync(`${folder}/${link}/flags`, 'latin1'))
  } catch {
    return
  }
  if ((flags & IFF_UP) !== 0) return
  const mend = `sudo ip link set ${lower} up`
  const warning = new EnvironmentError(`the macvtap interface ${name}`, `the interface ${lower} below it is down`, mend)
  process.emitWarning(warning.message, 'HourglassWarning')
}

/** `numbers` is `MAJOR:MINOR` as sysfs has it. */
function openByNumbers(numbers: string, index: string, what: string): number {
  const [major, minor] = numbers.split(':').map(Number) as [number, number]
  const named = `/dev/${index}`
  if (deviceNumbers(named) === numbers) return openFrames(named, what, `sudo chmod 0666 ${named}`)
  // No such file: make one, open it and take the name away again.
  const folder = mkdtempSync(join(tmpdir(), 'hourglass-'))
  const path = join(folder, index)
  try {
    const made = spawnSync('mknod', [path, 'c', String(major), String(minor)], { encoding: 'utf8' })
    if (made.status !== 0)
      throw new EnvironmentError(
        what,
        `its device file ${named} is missing, and this user may not make one`,
        `sudo mknod -m 0666 ${named} c ${major} ${minor}`,
      )
    return openFrames(path, what, `sudo mknod -m 0666 ${named} c ${major} ${minor}`)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function openFrames(path: string, what: string, mend: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EBUSY') throw new EnvironmentError(what, 'another process holds it', `fuser -v ${path} names who`)
    if (code === 'EACCES' || code === 'EPERM')
      throw new EnvironmentError(what, `the mode of ${path}, or a file system mounted nodev, keeps this user out`, mend)
    throw new EnvironmentError(what, `its device file cannot be opened (${code})`, mend)
  }
}

/** `MAJOR:MINOR` of a character device; '' where there is none at that path. */
function deviceNumbers(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined || !found.isCharacterDevice()) return ''
  // As glibc's gnu_dev_major: twelve bits and twenty, interleaved.
  const major = Math.floor(found.rdev / 0x100) & 0xfff
  const minor = (found.rdev & 0xff) | (Math.floor(found.rdev / 0x1000) & 0xfff00)
  return `${major}:${minor}`
}
