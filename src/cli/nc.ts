// `hourglass nc`: nc(1) from our stack: standard input to the peer, the peer to standard output.

import type { Command } from 'commander'
import { NetError, UsageError } from '../errors.ts'
import { TcpListener } from '../socket/tcp-listener.ts'
import { TcpSocket } from '../socket/tcp-socket.ts'
import type { IpAddress } from '../wire/address.ts'
import * as read from './arguments.ts'
import { addHostOptions, type HostFlags, openHost } from './host-options.ts'
import { untilInterrupted } from './interrupt.ts'
import { ncUdp } from './nc-udp.ts'
import { drained, EXIT_INTERRUPTED, EXIT_NO, EXIT_OK, printBytes, say } from './output.ts'

interface NcFlags extends HostFlags {
  listen?: boolean
  keep?: boolean
  verbose?: boolean
  closeAtEof?: boolean
  wait?: number
  sourcePort?: number
  ndjson?: boolean
  zero?: boolean
  udp?: boolean
}

const READ_BYTES = 256 * 1_024

export function ncCommand(program: Command, end: (code: number) => void): void {
  const command = program
    .command('nc [HOST_PORT...]')
    .usage('[options] [HOST] PORT')
    .summary('nc(1) from our stack')
    .description(
      'Connects to HOST and PORT, or with -l waits for a connection on PORT; copies standard input there and the answer to standard output. TCP, or with -u UDP.',
    )
  addHostOptions(command)
    .option('-l, --listen', 'wait for a connection')
    .option('-k, --keep', 'with -l: wait for the next one afterwards')
    .option('-u, --udp', 'datagrams, one for each piece of input; ends when it is interrupted or -w seconds are quiet')
    .option('-v, --verbose', 'say what happens')
    .option('-N, --close-at-eof', 'shut our side down at the end of standard input')
    .option('-z, --zero', 'connect, say so with -v, and send nothing')
    .option('-w, --wait <S>', 'seconds to wait for the connection; with -u, of silence until the end', (text) =>
      read.decimal('-w', text, 0.001, 1e6),
    )
    .option('-p, --source-port <N>', 'our port; with -l the one to listen on', (text) =>
      read.integer('-p', text, 1, 65_535),
    )
    .action(async (words: string[], flags: NcFlags) => end(await nc(words, flags)))
  command.addHelpText(
    'before',
    `Examples:
  hourglass nc --link tap:tap0 --address 10.77.0.2/24 --os-address 10.77.0.1/24 -l 5000
      then, in another terminal: nc 10.77.0.2 5000
  echo hello | hourglass nc --link tap:tap0 --address 10.77.0.2/24 --os-address 10.77.0.1/24 -N 10.77.0.1 5000
`,
  )
}

async function nc(words: readonly string[], flags: NcFlags): Promise<number> {
  const port = portOf(words, flags)
  const remote = flags.listen === true ? null : read.address(words[0]!)
  const stop = untilInterrupted()
  const host = await openHost(flags, stop)
  if (host === null) return EXIT_INTERRUPTED
  try {
    await Promise.race([host.ready(), stop.promise])
    if (flags.udp === true) return await ncUdp(host.stack, remote, port, flags, stop)
    if (remote === null) return await serve(host.stack, port, flags, stop.promise, () => stop.reason !== null)
    const calling = call(host.stack, remote, port, flags, () => stop.reason !== null)
    return await Promise.race([calling, stop.promise.then(() => EXIT_INTERRUPTED)])
  } finally {
    await host.close()
  }
}

/** Throws UsageError. */
function portOf(words: readonly string[], flags: NcFlags): number {
  const { listen = false, sourcePort } = flags
  if (flags.udp === true && (flags.zero === true || flags.closeAtEof === true))
    throw new UsageError('nc -u takes neither -z nor -N: UDP has no connection to open or to end; try -w SECONDS')
  if (listen && words.length === 0 && sourcePort !== undefined) return sourcePort
  if (listen && (words.length !== 1 || sourcePort !== undefined))
    throw new UsageError('nc -l takes a PORT alone, like nc -l 5000')
  if (!listen && words.length !== 2) throw new UsageError('nc takes HOST and PORT, like nc 10.77.0.1 5000')
  return read.integer('PORT', words.at(-1)!, 1, 65_535)
}

type Stack = Parameters<typeof TcpSocket.connect>[0]

async function call(
  stack: Stack,
  remoteAddress: IpAddress,
  remotePort: number,
  flags: NcFlags,
  isOver: () => boolean,
): Promise<number> {
  const signal = flags.wait === undefined ? {} : { signal: AbortSignal.timeout(flags.wait * 1_000) }
  const localPort = flags.sourcePort === undefined ? {} : { localPort: flags.sourcePort }
  try {
    const socket = await TcpSocket.connect(stack, { remoteAddress, remotePort, ...localPort, ...signal })
    if (flags.verbose === true) say(`connected to ${remoteAddress} port ${remotePort}`)
    if (flags.zero === true) socket.close()
    else await talk(socket, flags)
    return EXIT_OK
  } catch (error) {
    const isTimeout = error instanceof Error && error.name === 'TimeoutError'
    if (!isTimeout && !(error instanceof NetError)) throw error
    // Of a run that was interrupted it is the end, and nobody asked why.
    if (!isOver()) {
      say(
        isTimeout
          ? `nc: connect ${remoteAddress} port ${remotePort}: no answer in ${flags.wait} s`
          : `nc: ${error.message}`,
      )
    }
    return EXIT_NO
  }
}

async function serve(
  stack: Stack,
  port: number,
  flags: NcFlags,
  stopped: Promise<void>,
  isOver: () => boolean,
): Promise<number> {
  const listener = new TcpListener(stack, { family: 6, port })
  if (flags.verbose === true) say(`listening on port ${port}`)
  const over = stopped.then(() => null)
  try {
    do {
      const socket = await Promise.race([listener.accept(), over])
      if (socket === null) return EXIT_INTERRUPTED
      if (flags.verbose === true) say(`connection from ${socket.remoteAddress} port ${socket.remotePort}`)
      const failure = await Promise.race([talk(socket, flags).then(() => '', failureOf), over])
      if (failure === null) return EXIT_INTERRUPTED
      if (failure === '') continue
      socket.abort()
      say(`nc: connection from ${socket.remoteAddress} port ${socket.remotePort}: ${failure}`)
      if (flags.keep !== true) return EXIT_NO
    } while (flags.keep === true && !isOver())
    return EXIT_OK
  } finally {
    listener.close()
  }
}

/** What went wrong with one connection; anything else is thrown on. */
function failureOf(error: unknown): string {
  if (error instanceof NetError) return error.message
  throw error
}

/** Both directions, until the peer has finished and, with -N, we have as well. */
async function talk(socket: TcpSocket, flags: NcFlags): Promise<void> {
  const sending = send(socket, flags)
  const buffer = new Uint8Array(READ_BYTES)
  for (let count = await socket.read(buffer); count > 0; count = await socket.read(buffer)) {
    if (!printBytes(buffer.slice(0, count))) await drained()
  }
  process.stdin.destroy()
  // Standard input may never end, so it is not waited for; but what has gone wrong with it by now is told.
  await Promise.race([sending, Promise.resolve()])
  socket.shutdown()
  await socket.flush().catch(() => {})
  socket.close()
}

async function send(socket: TcpSocket, flags: NcFlags): Promise<void> {
  try {
    for await (const chunk of process.stdin) await socket.write(chunk as Uint8Array)
    if (flags.closeAtEof === true) socket.shutdown()
  } catch (error) {
    // The peer ended first, or our input was closed because it did.
    if (!(error instanceof NetError) && (error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE')
      throw error
  }
}
