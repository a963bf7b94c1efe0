// `hourglass nc -u`: each piece of standard input is a datagram to the peer, and each of the peer's is printed. UDP has no
// end: it goes on until it is interrupted, or nothing came or went for -w seconds.

import { NetError } from '../errors.ts'
import { type SendTo, UdpSocket } from '../socket/udp-socket.ts'
import type { Stack } from '../stack.ts'
import type { IpAddress } from '../wire/address.ts'
import type { Stop } from './interrupt.ts'
import { drained, EXIT_INTERRUPTED, EXIT_NO, EXIT_OK, printBytes, say } from './output.ts'

export interface UdpFlags {
  keep?: boolean
  verbose?: boolean
  wait?: number
  sourcePort?: number
}

/** What nc(1) reads at once, and so the longest datagram that it makes. */
const LONGEST = 16_384

/** To `remote`, or with null on `port` for whoever speaks first (with keep: for anybody). */
export async function ncUdp(
  stack: Stack,
  remote: IpAddress | null,
  port: number,
  flags: UdpFlags,
  stop: Stop,
): Promise<number> {
  const local = remote === null ? port : flags.sourcePort
  const socket = new UdpSocket(stack, { family: remote?.family ?? 6, ...(local === undefined ? {} : { port: local }) })
  try {
    if (remote !== null) socket.connect(remote, port)
    if (flags.verbose === true) say(remote === null ? `listening on port ${port}` : `sending to ${remote} port ${port}`)
    const failure = await Promise.race([talk(socket, remote === null, flags, stop), stop.promise.then(() => null)])
    if (failure === null) return stop.reason === 'ended' ? EXIT_OK : EXIT_INTERRUPTED
    say(`nc: ${failure.message}`)
    return EXIT_NO
  } finally {
    socket.close()
    process.stdin.destroy()
  }
}

/** Both directions, until one of them fails. */
async function talk(socket: UdpSocket, isListening: boolean, flags: UdpFlags, stop: Stop): Promise<NetError> {
  const active = (): void => {
    if (flags.wait !== undefined) stop.after(flags.wait * 1_000)
  }
  let peer: SendTo | null = null
  let begin: () => void = () => {}
  const known = new Promise<void>((resolve) => {
    begin = resolve
  })
  if (!isListening) begin()
  active()
  const receiving = failureOf(async () => {
    for await (const { bytes, source, sourcePort, interfaceIndex } of socket) {
      if (isListening && (flags.keep === true || peer === null)) {
        if (flags.verbose === true) say(`datagram from ${source} port ${sourcePort}`)
        // With -k others are heard as well, and the peer is whoever spoke last.
        if (flags.keep !== true) socket.connect(source, sourcePort, interfaceIndex)
        peer = { address: source, port: sourcePort, interfaceIndex }
        begin()
      }
      active()
      if (!printBytes(bytes)) await drained()
    }
  })
  const sending = failureOf(async () => {
    await known
    for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
      for (let at = 0; at < chunk.length; at += LONGEST) {
        const bytes = chunk.subarray(at, at + LONGEST)
        if (flags.keep === true && peer !== null) socket.send(bytes, peer)
        else socket.send(bytes)
      }
      active()
    }
  })
  return Promise.race([receiving, sending])
}

/** Resolves where the direction failed, and never where it only ended. */
async function failureOf(direction: () => Promise<void>): Promise<NetError> {
  try {
    await direction()
  } catch (error) {
    if (error instanceof NetError) return error
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  }
  return new Promise<never>(() => {})
}
