// Two hosts in real time with a cable between them, and node:net on each: for programs of two ends that keep time by
// Node's own timers.

import { PagePool } from '../../src/buf/page.ts'
import { Cable } from '../../src/link/cable.ts'
import { BatchClock } from '../../src/node/clock.ts'
import { Driver } from '../../src/node/driver.ts'
import { makeNet } from '../../src/node/net/net.ts'
import { CryptoRandom } from '../../src/node/random.ts'
import { Stack } from '../../src/stack.ts'
import { earlier } from '../../src/time.ts'
import { IpPrefix } from '../../src/wire/address.ts'
import type { AnyNet } from './net-host.ts'

export const CLIENT = '10.0.0.1'
export const SERVER = '10.0.0.2'

/** Hands the nets of both hosts to `body`, and ends them. */
export async function withLinkedHosts<T>(body: (client: AnyNet, server: AnyNet) => Promise<T>): Promise<T> {
  const clock = new BatchClock()
  clock.advance()
  const pool = new PagePool()
  const cable = new Cable(clock, {})
  const stacks = [CLIENT, SERVER].map((address, index) => {
    const stack = new Stack({ clock, random: new CryptoRandom(), name: address, pool })
    const device = index === 0 ? cable.a : cable.b
    stack.addInterface({ name: 'cable', device, addresses: [IpPrefix.from(`${address}/24`)], probes: 0 })
    return stack
  })
  const [a, b] = stacks as [Stack, Stack]
  const driver = new Driver({
    machine: {
      deadline: () => earlier(a.deadline(), b.deadline()),
      poll: (now) => {
        a.poll(now)
        b.poll(now)
      },
    },
    clock,
  })
  for (const stack of stacks) stack.onWork = () => driver.wake()
  let result: T
  try {
    result = await body(makeNet(a), makeNet(b) as unknown as AnyNet)
  } finally {
    driver.close()
    for (const stack of stacks) stack.close()
  }
  // Not testPool(), which notes where each page was taken: that costs more than all the rest.
  if (pool.inUse !== 0) throw new Error(pool.leakReport())
  return result
}
