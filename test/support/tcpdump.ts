// tcpdump in a namespace: what Linux saw of an interface, beside our own capture of it.

import type { Namespace } from './namespace.ts'
import { DEVICE } from './tap-host.ts'

/** Captures the TAP into a file until the promise that it returns is called for. */
export async function tcpdump(namespace: Namespace, path: string): Promise<() => Promise<void>> {
  const running = namespace.spawn(`tcpdump -i ${DEVICE} -s 0 -B 65536 -U -w ${path}`)
  await running.printed(/listening on/)
  return async () => {
    running.child.kill('SIGINT')
    const { stderr } = await running.finished
    // It ends by itself where the link goes down or away, with all written that it saw.
    const isOver = /the interface (went down|disappeared)/i.test(stderr)
    if (!isOver && !/^0 packets dropped by kernel$/m.test(stderr)) throw new Error(`tcpdump lost packets: ${stderr}`)
  }
}
