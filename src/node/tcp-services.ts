// The small services over TCP (RFC 862, 863, 864, 867), beside their UDP forms in services.ts.

import { TcpListener } from '../socket/tcp-listener.ts'
import type { TcpSocket } from '../socket/tcp-socket.ts'
import type { Stack } from '../stack.ts'
import { chargenLines, daytime, PRINTING, SERVICE_PORTS, type Service, type ServiceName } from './services.ts'

const READ_BYTES = 256 * 1_024

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
    const buffer = new Uint8Array(READ_BYTES)
    for (let count = await socket.read(buffer); count > 0; count = await socket.read(buffer)) {
      await socket.write(buffer.subarray(0, count))
    }
  },
  discard: async (socket) => {
    const buffer = new Uint8Array(READ_BYTES)
    while ((await socket.read(buffer)) > 0);
  },
  daytime: async (socket, stack) => socket.write(daytime(stack)),
  /** For ever, until the client closes (RFC 864). What it sends is thrown away. */
  chargen: async (socket) => {
    const sink = new Uint8Array(READ_BYTES)
    const lines = chargenLines(0, CHARGEN_BATCH)
    while (!socket.atEnd) {
      socket.tryRead(sink)
      await socket.write(lines)
    }
  },
}

/** Lines made once, and sent again and again: some 70 KiB of whole patterns. */
const CHARGEN_BATCH = 10 * PRINTING
