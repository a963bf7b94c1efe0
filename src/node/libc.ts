// The few system calls that Node has no door to, through koffi. The package is optional and is loaded on the first
// call, so that everything else works where it is absent. Addresses are plain numbers (user space ends below
// 2^47): a call then costs no typed array and no bigint.

import { EnvironmentError } from '../errors.ts'

/** Calls return what the system call returns, or the negative errno: nothing here throws. */
export interface Libc {
  read(fd: number, address: number, length: number): number
  write(fd: number, address: number, length: number): number
  /** `address` is that of `count` struct iovec. */
  writev(fd: number, address: number, count: number): number
  ioctl(fd: number, request: number, argument: number): number
  socket(family: number, type: number, protocol: number): number
  eventfd(initial: number, flags: number): number
  syscall(number: number, a: number, b: number, c: number, d: number, e: number): number
  /** poll(2) in a thread of libuv's pool. */
  pollInThread(address: number, count: number, timeoutMillis: number, done: () => void): void
  /** Where the first byte of the memory is. It holds while the memory is reachable: keep a reference. */
  addressOf(memory: ArrayBuffer): number
}

export const EPERM = 1
export const EINTR = 4
export const EIO = 5
export const EAGAIN = 11
export const ENOMEM = 12
export const EBUSY = 16
export const EINVAL = 22
export const EBADFD = 77
export const ENOBUFS = 105

type NativeCall = (...values: number[]) => number
type NativeFunction = NativeCall & {
  async(...values: (number | ((error: unknown, result: number) => void))[]): void
}
/** As much of koffi as is used here. */
interface Koffi {
  load(path: null): { func(definition: string): NativeFunction }
  errno(): number
  address(value: ArrayBufferView): bigint
}

let loaded: Libc | null = null

/** The binding, loaded once; EnvironmentError where koffi is absent or does not run here. */
export async function loadLibc(): Promise<Libc> {
  if (loaded !== null) return loaded
  let koffi: Koffi
  try {
    const module = (await import('koffi')) as unknown as { default: Koffi }
    koffi = module.default
    loaded = bind(koffi)
  } catch (error) {
    throw new EnvironmentError(
      'the native binding for TAP and TUN',
      `the optional package koffi does not load (${firstLine(error)}); links of kind macvtap, fd, vxlan, qemu, passt and udp do without it`,
      'npm install koffi',
    )
  }
  return loaded
}

const firstLine = (error: unknown): string => String(error instanceof Error ? error.message : error).split('\n')[0]!

function bind(koffi: Koffi): Libc {
  const library = koffi.load(null)
  const read = library.func('intptr_t read(int fd, uintptr_t to, size_t length)')
  const write = library.func('intptr_t write(int fd, uintptr_t from, size_t length)')
  const writev = library.func('intptr_t writev(int fd, uintptr_t vectors, int count)')
  const ioctl = library.func('int ioctl(int fd, unsigned long request, uintptr_t argument)')
  const socket = library.func('int socket(int family, int type, int protocol)')
  const eventfd = library.func('int eventfd(unsigned int initial, int flags)')
  const syscall = library.func(
    'long syscall(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e)',
  )
  const poll = library.func('int poll(uintptr_t entries, unsigned long count, int timeout)')
  const settle = (result: number): number => (result < 0 ? -koffi.errno() : result)
  const addresses = new WeakMap<ArrayBuffer, number>()
  return {
    read: (fd, address, length) => settle(read(fd, address, length)),
    write: (fd, address, length) => settle(write(fd, address, length)),
    writev: (fd, address, count) => settle(writev(fd, address, count)),
    ioctl: (fd, request, argument) => settle(ioctl(fd, request, argument)),
    socket: (family, type, protocol) => settle(socket(family, type, protocol)),
    eventfd: (initial, flags) => settle(eventfd(initial, flags)),
    syscall: (number, a, b, c, d, e) => settle(syscall(number, a, b, c, d, e)),
    pollInThread: (address, count, timeoutMillis, done) =>
      poll.async(address, count, timeoutMillis, () => {
        done()
      }),
    addressOf(memory) {
      let address = addresses.get(memory)
      if (address === undefined) {
        address = Number(koffi.address(new Uint8Array(memory)))
        addresses.set(memory, address)
      }
      return address
    },
  }
}
