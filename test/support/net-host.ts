// A host in real time with nothing but its loopback device, and node:net on it: what Node's own net is compared with.

import system from 'node:net'
import { BatchClock } from '../../src/node/clock.ts'
import { Driver } from '../../src/node/driver.ts'
import { makeNet, type Net } from '../../src/node/net/net.ts'
import { CryptoRandom } from '../../src/node/random.ts'
import { Stack } from '../../src/stack.ts'
import { testPool } from './pool.ts'

/** Node's net, or one of ours: what a test may do with both. */
export type AnyNet = typeof system
export type AnySocket = system.Socket
export type AnyServer = system.Server

export interface LocalHost {
  readonly stack: Stack
  readonly net: Net
  close(): void
}

export function localHost(): LocalHost {
  const clock = new BatchClock()
  clock.advance()
  const stack = new Stack({ clock, random: new CryptoRandom(), name: 'local', pool: testPool() })
  const driver = new Driver({ machine: stack, clock })
  stack.onWork = () => driver.wake()
  return {
    stack,
    net: makeNet(stack),
    close: () => {
      driver.close()
      stack.close()
    },
  }
}

/** What `run` gives on Node's net and on ours, on a fresh host. */
export async function onBoth<T>(run: (net: AnyNet) => T | Promise<T>): Promise<{ node: T; ours: T }> {
  const node = await run(system)
  const host = localHost()
  try {
    return { node, ours: await run(host.net) }
  } finally {
    host.close()
  }
}

/** What an emitter says next. */
export const once = (emitter: NodeJS.EventEmitter, event: string): Promise<unknown[]> =>
  new Promise((resolve) => emitter.once(event, (...args: unknown[]) => resolve(args)))

/** A server on 127.0.0.1, listening. */
export async function listening(
  net: AnyNet,
  options: system.ServerOpts = {},
  listener: (socket: AnySocket) => void = () => {},
): Promise<{ server: AnyServer; port: number }> {
  const server = net.createServer(options, listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as system.AddressInfo).port }
}

/** The class, and the own fields in their order, of an error; ports that differ from run to run have a name. */
export function shapeOf(error: unknown, names: Readonly<Record<number, string>> = {}): unknown {
  const named = (value: unknown): unknown => {
    if (typeof value === 'number') return names[value] ?? value
    if (typeof value !== 'string') return value
    return Object.entries(names).reduce((text, [port, name]) => text.replaceAll(`:${port}`, `:${name}`), value)
  }
  const one = error as Error & { errors?: readonly Error[] }
  const fields = Object.entries(one).filter(([key]) => key !== 'errors')
  return {
    class: one.constructor.name,
    name: one.name,
    message: named(one.message),
    text: named(String(one)),
    fields: fields.map(([key, value]) => [key, named(value)]),
    errors: one.errors?.map((inner) => shapeOf(inner, names)),
  }
}
