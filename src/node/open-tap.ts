// Attaches to a TAP or TUN interface through /dev/net/tun (ioctls: linux/if_tun.h), agrees on the offloads, and says what is
// wrong where it fails. Called by open-link.ts.

import { closeSync, constants, openSync } from 'node:fs'
import { VIRTIO_NET_HEADER } from '../../native-free-fallback/virtio-net-header.ts'
import { EnvironmentError } from '../errors.ts'
import { EBUSY, EINVAL, EPERM, type Libc } from './libc.ts'
import { TapDevice, type TapOptions } from './tap.ts'

export const TUN_PATH = '/dev/net/tun'

const TUNSETIFF = 0x4004_54ca
const TUNSETOFFLOAD = 0x4004_54d0
const TUNSETVNETHDRSZ = 0x4004_54d8
const SIOCGIFMTU = 0x8921

const IFF_TUN = 0x0001
const IFF_TAP = 0x0002
const IFF_NO_PI = 0x1000
const IFF_VNET_HDR = 0x4000

const TUN_F_CSUM = 1
const TUN_F_TSO4 = 2
const TUN_F_TSO6 = 4

const IFREQ_BYTES = 40
const IFREQ_VALUE_AT = 16

/** Attaches to the interface `name`, or makes it where there is none and the process may. */
export function openTap(libc: Libc, options: TapOptions): TapDevice {
  const fd = openTunFile()
  try {
    const header = options.offload ?? true
    const request = new ArrayBuffer(IFREQ_BYTES)
    const flags = (options.mode === 'tap' ? IFF_TAP : IFF_TUN) | IFF_NO_PI | (header ? IFF_VNET_HDR : 0)
    fillRequest(request, options.name, flags)
    const attached = libc.ioctl(fd, TUNSETIFF, libc.addressOf(request))
    if (attached < 0) throw attachError(-attached, options)
    const name = readName(request)
    const offloaded = negotiate(libc, fd, header)
    const mtu = options.mtu ?? interfaceMtu(libc, request)
    return new TapDevice(libc, { fd, name, mtu, header, offloaded }, options)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function openTunFile(): number {
  try {
    return openSync(TUN_PATH, constants.O_RDWR | constants.O_NONBLOCK)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const what = `the device file ${TUN_PATH}`
    if (code === 'ENOENT')
      throw new EnvironmentError(
        what,
        'it does not exist',
        `sudo sh -c 'mkdir -p /dev/net && mknod ${TUN_PATH} c 10 200 && chmod 0666 ${TUN_PATH}'`,
      )
    if (code === 'EACCES' || code === 'EPERM')
      throw new EnvironmentError(what, 'its mode keeps this user out', `sudo chmod 0666 ${TUN_PATH}`)
    if (code === 'ENODEV' || code === 'ENXIO')
      throw new EnvironmentError(what, 'the kernel has no driver behind it', 'sudo modprobe tun')
    throw new EnvironmentError(what, `it cannot be opened (${code})`, `ls -l ${TUN_PATH}`)
  }
}

function attachError(errno: number, { name, mode }: TapOptions): Error {
  const what = `the ${mode.toUpperCase()} device ${name}`
  if (errno === EPERM)
    return new EnvironmentError(
      what,
      'it needs CAP_NET_ADMIN, or a device made for this user beforehand',
      `sudo ip tuntap add dev ${name} mode ${mode} user $(id -un)`,
    )
  if (errno === EBUSY)
    return new EnvironmentError(what, 'another process holds it', `fuser -v ${TUN_PATH} names who; choose another name`)
  if (errno === EINVAL)
    return new EnvironmentError(
      what,
      `an interface of that name exists and is no ${mode.toUpperCase()} device, or one of several queues`,
      `ip -details link show ${name}; choose another name`,
    )
  return new EnvironmentError(what, `the kernel refuses it (errno ${errno})`, `ip -details link show ${name}`)
}

/**
 * True where the kernel will cut super-segments and complete checksums for us, and hand us such. A persistent device
 * remembers what its last user set: both are set anew, also to nothing.
 */
function negotiate(libc: Libc, fd: number, wanted: boolean): boolean {
  const size = new Int32Array(new ArrayBuffer(16))
  size[0] = VIRTIO_NET_HEADER
  if (wanted) libc.ioctl(fd, TUNSETVNETHDRSZ, libc.addressOf(size.buffer))
  const offloads = wanted ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0
  return libc.ioctl(fd, TUNSETOFFLOAD, offloads) >= 0 && wanted
}

function interfaceMtu(libc: Libc, request: ArrayBuffer): number {
  const AF_INET = 2
  const SOCK_DGRAM = 2
  const DEFAULT_MTU = 1_500
  const socket = libc.socket(AF_INET, SOCK_DGRAM, 0)
  if (socket < 0) return DEFAULT_MTU
  const failed = libc.ioctl(socket, SIOCGIFMTU, libc.addressOf(request)) < 0
  closeSync(socket)
  return failed ? DEFAULT_MTU : new DataView(request).getInt32(IFREQ_VALUE_AT, true)
}

function fillRequest(request: ArrayBuffer, name: string, flags: number): void {
  const bytes = new Uint8Array(request)
  for (let index = 0; index < name.length; index++) bytes[index] = name.charCodeAt(index)
  new DataView(request).setUint16(IFREQ_VALUE_AT, flags, true)
}

function readName(request: ArrayBuffer): string {
  const bytes = new Uint8Array(request, 0, IFREQ_VALUE_AT)
  const end = bytes.indexOf(0)
  return String.fromCharCode(...bytes.subarray(0, end < 0 ? IFREQ_VALUE_AT : end))
}
