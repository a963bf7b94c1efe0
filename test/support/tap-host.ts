// A host of ours inside the test's own process, on a TAP whose other side is Linux in a network namespace: the test holds the
// stack and its sockets in its hand, and Linux's programs in the other. For tests as root.
//
// Only the file of the TAP is opened inside the namespace: a descriptor belongs to the namespace it was opened in.

import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'
import { PagePool } from '../../src/buf/page.ts'
import { PcapngWriter } from '../../src/capture/pcapng-writer.ts'
import { captured, PacketCapture } from '../../src/link/capture.ts'
import type { EdgeDevice } from '../../src/link/edge-device.ts'
import { type Faults, faulty } from '../../src/link/faults.ts'
import { CaptureFile } from '../../src/node/capture-file.ts'
import { BatchClock } from '../../src/node/clock.ts'
import { Driver } from '../../src/node/driver.ts'
import { loadLibc } from '../../src/node/libc.ts'
import { openTap } from '../../src/node/open-tap.ts'
import { CryptoRandom } from '../../src/node/random.ts'
import { SeededRandom } from '../../src/random.ts'
import { Stack, type StackOptions } from '../../src/stack.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { type Namespace, withNamespace } from './namespace.ts'

/** Ours and Linux's, on the TAP `hg0`. */
export const US4 = '10.77.0.2'
export const US6 = 'fd77::2'
export const LINUX4 = '10.77.0.1'
export const LINUX6 = 'fd77::1'
export const DEVICE = 'hg0'
/** IPv6 asks for so much of a link (RFC 8200 §5). */
const LEAST_MTU6 = 1_280

export type Family = 4 | 6
export const ours = (family: Family): string => (family === 4 ? US4 : US6)
export const linux = (family: Family): IpAddress => IpAddress.from(family === 4 ? LINUX4 : LINUX6)
/** As it stands in a URL. */
export const urlHost = (family: Family): string => (family === 4 ? US4 : `[${US6}]`)

export interface TapHostOptions {
  readonly mtu?: number
  /** Default true. */
  readonly offload?: boolean
  readonly faults?: Faults
  /** Of the faults. */
  readonly seed?: number
  /** A pcapng file. */
  readonly capture?: string
  readonly tcp?: StackOptions['tcp']
}

export interface TapHost {
  readonly stack: Stack
  readonly pool: PagePool
  /** Ends it; throws where a page is left over, or the capture left out a packet. */
  stop(): Promise<void>
  /** Lets go of the device without a word to anybody, as a process does that is killed. */
  kill(): void
}

const CAPTURE_BYTES = 256 * 1_024 * 1_024
const NEW_NETWORK = 0x4000_0000
const enter = koffi.load(null).func('int setns(int fd, int type)')

/** Runs `body`, which must not wait, in the network namespace. */
function inside<T>(namespace: Namespace, body: () => T): T {
  const own = openSync('/proc/thread-self/ns/net', 'r')
  const other = openSync(`/run/netns/${namespace.name}`, 'r')
  try {
    move(other)
    return body()
  } finally {
    move(own)
    closeSync(own)
    closeSync(other)
  }
}

function move(namespaceFd: number): void {
  if (enter(namespaceFd, NEW_NETWORK) !== 0) throw new Error(`setns: errno ${koffi.errno()}`)
}

/** Makes a namespace, brings up a host in it, hands both to `body` and ends them. */
export const withTapHost = (
  options: TapHostOptions,
  body: (host: TapHost, namespace: Namespace) => Promise<void>,
): Promise<void> =>
  withNamespace(async (namespace) => {
    const host = await tapHost(namespace, options)
    try {
      await body(host, namespace)
    } catch (error) {
      // That comes first, whatever else is wrong then.
      await host.stop().catch(() => {})
      throw error
    }
    await host.stop()
  })

/** Brings up a host with one address of each family that the MTU allows, and Linux's side with its own. */
export async function tapHost(namespace: Namespace, options: TapHostOptions = {}): Promise<TapHost> {
  const libc = await loadLibc()
  const { mtu = 1_500 } = options
  const pool = new PagePool()
  const clock = new BatchClock()
  clock.advance()
  const stack = new Stack({ clock, random: new CryptoRandom(), name: 'hourglass', pool, tcp: options.tcp ?? {} })
  const { counters } = stack
  const tap = inside(namespace, () =>
    openTap(libc, { name: DEVICE, mode: 'tap', pool, counters, mtu, offload: options.offload ?? true }),
  )
  const writer = new PcapngWriter({ application: 'hourglass', limitBytes: CAPTURE_BYTES })
  const file = options.capture === undefined ? null : CaptureFile.open(options.capture, writer)
  let device: EdgeDevice = tap
  if (file !== null) device = captured(device, new PacketCapture(writer), clock)
  if (options.faults !== undefined) device = faulty(device, options.faults, new SeededRandom(options.seed ?? 1), clock)
  const both = mtu >= LEAST_MTU6
  await namespace.must(`ip link set ${DEVICE} mtu ${mtu} up`)
  await namespace.must(`ip addr add ${LINUX4}/24 dev ${DEVICE}`)
  if (both) await namespace.must(`ip addr add ${LINUX6}/64 dev ${DEVICE} nodad`)
  const addresses = [`${US4}/24`, ...(both ? [`${US6}/64`] : [])].map((text) => IpPrefix.from(text))
  stack.addInterface({ name: DEVICE, device, addresses, probes: 0, linkLocal: both, mtu })
  const driver = new Driver({ machine: stack, clock, devices: [device] })
  stack.onWork = () => driver.wake()
  let closed = false
  return {
    stack,
    pool,
    kill: () => {
      closed = true
      driver.remove(device)
      driver.close()
      tap.close()
      stack.close()
    },
    stop: async () => {
      if (!closed) driver.close()
      stack.close()
      await file?.close()
      if (pool.inUse !== 0) throw new Error(pool.leakReport())
      if (writer.droppedRecords !== 0) throw new Error(`the capture left out ${writer.droppedRecords} packets`)
    },
  }
}
