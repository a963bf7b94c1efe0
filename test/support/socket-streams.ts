// The pseudo-random streams of pseudo-random.ts through our sockets, and nc on Linux as the other end.

import { createHash } from 'node:crypto'
import type { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { Namespace, Running } from './namespace.ts'
import { PseudoRandomBytes } from './pseudo-random.ts'

/** Writes `size` bytes from `seed`; the direction stays open. */
export async function sendStream(socket: TcpSocket, seed: number, size: number): Promise<void> {
  for (const chunk of new PseudoRandomBytes(seed, size)) await socket.write(chunk)
}

/** Reads to the peer's end, and returns how much it was and its SHA-256. */
export async function readStream(socket: TcpSocket): Promise<{ bytes: number; sha256: string }> {
  const buffer = new Uint8Array(256 * 1_024)
  const hash = createHash('sha256')
  let bytes = 0
  for (let count = await socket.read(buffer); count > 0; count = await socket.read(buffer)) {
    hash.update(buffer.subarray(0, count))
    bytes += count
  }
  return { bytes, sha256: hash.digest('hex') }
}

/** Runs a shell line with an `nc -n -v -l` in it (with names it would ask a server for ours), and waits until that listens. */
export async function listening(namespace: Namespace, line: string): Promise<Running> {
  const running = namespace.spawn(['sh', '-c', line])
  await running.printed(/Listening on/)
  return running
}
