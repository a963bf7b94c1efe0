// The small services over TCP (RFC 862, 863, 864, 867), beside their UDP forms in services.ts.

import { TcpListener } from '../socket/tcp-listener.ts'
import type { TcpSocket } from '../socket/tcp-socket.ts'
import type { Stack } from '../stack.ts'
import { chargenLines, daytime, PRINTING, SERVICE_PORTS, type Service, type ServiceName } from './services.ts'

/** Thousands of clients may wait for ever: what each of them has is small, and what is done at once is done in shared memory. */
const shared = new Uint8Array(256 * 1_024)
const FIRST_BYTES = 512

/** Starts the services on both families. Throws NetError where a port is taken. */
export function startTcpServices(stack: Stack, names: readonly ServiceName[]): Service[] {
  return names.map((name) => {
    const listener = new TcpListener(stack, { family: 6, port: SERVICE_PORTS[name] })
    void accept(stack, listener, name)
    return { name, protocol: 'tcp' as const, port: listener.port, close: () => listener.close() }
  })
}

async function accept(stack: Stack, listener: TcpListener, name: ServiceName): Promise<void> {
  for await (const socket of listener) void serve(stack, socket, name)
}

/** One client; what goes wrong with it ends it alone. */
async function serve(stack: Stack, socket: TcpSocket, name: ServiceName): Promise<void> {
  try {
    await SERVE[name](socket, stack)
    socket.close()
  } catch {
    // The client is gone, by reset or time-out: there is nobody to tell.
    socket.abort()
  }
}

const SERVE: Readonly<Record<ServiceName, (socket: TcpSocket, stack: Stack) => Promise<void>>> = {
  echo: async (socket) => {
    const first = new Uint8Array(FIRST_BYTES)
    for (let count = await socket.read(first); count > 0; count = await socket.read(first)) {
      await socket.write(first.subarray(0, count))
      for (let more = socket.tryRead(shared); more > 0; more = socket.tryRead(shared)) {
        const done = socket.tryWrite(shared.subarray(0, more))
        if (done < more) await socket.write(shared.slice(done, more))
      }
    }
  },
  discard: async (socket) => {
    while ((await socket.read(shared)) > 0);
  },
  daytime: async (socket, stack) => socket.write(daytime(stack)),
  /** For ever, until the client closes (RFC 864). What it sends is thrown away. */
  chargen: async (socket) => {
    lines ??= chargenLines(0, CHARGEN_BATCH)
    while (!socket.atEnd) {
      socket.tryRead(shared)
      await socket.write(lines)
    }
  },
}

/** Lines made once, and sent again and again: some 70 KiB of whole patterns. */
const CHARGEN_BATCH = 10 * PRINTING
let lines: Uint8Array | null = null
