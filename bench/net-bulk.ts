// Bulk through sockets of node:net, whichever they are: the kernel's or ours. Both ends in this process, over loopback.

import { once } from 'node:events'
import type system from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { CHUNK } from './tcp-pair.ts'
import type { Runner } from './timing.ts'

export type AnyNet = typeof system

export const LOOPBACK = '127.0.0.1'

/** A connection, and the server that took it. */
export interface Ends {
  readonly server: Server
  readonly client: Socket
  readonly accepted: Socket
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Closes all three and waits until they are. */
export async function end({ server, client, accepted }: Ends): Promise<void> {
  const closed = Promise.all([once(server, 'close'), once(client, 'close'), once(accepted, 'close')])
  client.destroy()
  accepted.destroy()
  server.close()
  await closed
}

/** Writes of CHUNK bytes, read by the event data or into one array of the program's (onread), which is the fastest way. */
export async function netBulk(net: AnyNet, name: string, how: 'data' | 'onread'): Promise<Runner> {
  let arrived = 0
  const server = net.createServer().listen(0, LOOPBACK)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const connection = once(server, 'connection') as Promise<[Socket]>
  const take = (count: number): boolean => {
    arrived += count
    return true
  }
  // The reader is the one that connects, for only there node:net reads into an array of the program's.
  const onread = how === 'onread' ? { onread: { buffer: Buffer.alloc(CHUNK), callback: take } } : {}
  const reader = net.connect({ port, host: LOOPBACK, ...onread })
  if (how === 'data') reader.on('data', ({ length }: Buffer) => take(length))
  await once(reader, 'connect')
  const [writer] = await connection
  const chunk = Buffer.alloc(CHUNK, 0x5a)
  let going = false
  let sent = 0
  const pump = (): void => {
    while (going) {
      sent += CHUNK
      if (!writer.write(chunk)) return
    }
  }
  writer.on('drain', pump)
  return {
    name,
    async run(millis) {
      const before = arrived
      going = true
      pump()
      await new Promise((resolve) => setTimeout(resolve, millis))
      going = false
      while (arrived < sent) await turn()
      return arrived - before
    },
    close: () => end({ server, client: reader, accepted: writer }),
  }
}
