// The small services (RFC 862, 863, 864, 867) on their well-known ports, for `hourglass up --serve` and for tests.
// Over UDP; each answers one datagram with one.

import { UsageError } from '../errors.ts'
import { type Datagram, UdpSocket } from '../socket/udp-socket.ts'
import type { Stack } from '../stack.ts'

export const SERVICE_PORTS = { echo: 7, discard: 9, daytime: 13, chargen: 19 } as const
export type ServiceName = keyof typeof SERVICE_PORTS

/** A running service; close() stops it. */
export interface Service {
  readonly name: ServiceName
  readonly protocol: 'udp' | 'tcp'
  readonly port: number
  close(): void
}

/** RFC 864: a line of 72 of the 95 printing characters, each line one further on. */
const CHARGEN_LINE = 72
/** And the lines after which the pattern begins anew. */
export const PRINTING = 95
const FIRST_PRINTING = 0x20
/** RFC 864 allows up to 512; a few lines show the pattern. */
const CHARGEN_LINES = 6

/** The names that `echo,discard` lists. Throws UsageError. */
export function parseServices(text: string): ServiceName[] {
  return text.split(',').map((name, index, all) => {
    if (all.indexOf(name) < index) throw new UsageError(`the service '${name}' is given twice`)
    if (Object.hasOwn(SERVICE_PORTS, name)) return name as ServiceName
    throw new UsageError(`'${name}' is not a service: choose from ${Object.keys(SERVICE_PORTS).join(', ')}`)
  })
}

/** Starts the services on both families. Throws NetError where a port is taken. */
export function startServices(stack: Stack, names: readonly ServiceName[]): Service[] {
  return names.map((name) => {
    const socket = new UdpSocket(stack, { family: 6, port: SERVICE_PORTS[name] })
    void serve(stack, socket, name)
    return { name, protocol: 'udp' as const, port: socket.localPort, close: () => socket.close() }
  })
}

async function serve(stack: Stack, socket: UdpSocket, name: ServiceName): Promise<void> {
  let line = 0
  for await (const datagram of socket) {
    // What was sent to many is answered by none: a service would amplify it, and none of its addresses was asked.
    if (!stack.interfaces.isLocal(datagram.destination)) continue
    const answer = answerOf(stack, name, datagram, line++)
    if (answer === null) continue
    try {
      // From the address that was asked, which a wildcard socket would not choose by itself.
      socket.send(answer, {
        address: datagram.source,
        port: datagram.sourcePort,
        source: datagram.destination,
        interfaceIndex: datagram.source.isLinkLocal ? datagram.interfaceIndex : 0,
      })
    } catch {
      // No way back to whoever asked: nobody to tell, and the next one shall be served.
    }
  }
}

function answerOf(stack: Stack, name: ServiceName, datagram: Datagram, line: number): Uint8Array | null {
  // A service answering a service would go on for ever (CERT CA-1996-01).
  if (Object.values(SERVICE_PORTS).includes(datagram.sourcePort as 7)) return null
  switch (name) {
    case 'echo':
      return datagram.bytes
    case 'discard':
      return null
    case 'daytime':
      return daytime(stack)
    case 'chargen':
      return chargenLines(line, CHARGEN_LINES)
  }
}

/** RFC 867: the date, on a line. */
export const daytime = (stack: Stack): Uint8Array =>
  new TextEncoder().encode(`${new Date(stack.clock.wall() / 1_000).toUTCString()}\r\n`)

/** `count` lines of RFC 864's pattern, beginning with the one of that number. */
export function chargenLines(first: number, count: number): Uint8Array {
  let text = ''
  for (let line = 0; line < count; line++) {
    for (let column = 0; column < CHARGEN_LINE; column++) {
      text += String.fromCharCode(FIRST_PRINTING + ((first + line + column) % PRINTING))
    }
    text += '\r\n'
  }
  return new TextEncoder().encode(text)
}
