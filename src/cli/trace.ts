// `hourglass trace`: traceroute(8) from our stack. Datagrams, or echo requests with -I, of a growing hop limit;
// routers tell where they died.

import type { Command } from 'commander'
import { NetError, UsageError } from '../errors.ts'
import type { IcmpError } from '../ip/seams.ts'
import type { Host } from '../node/host.ts'
import { IcmpSocket } from '../socket/icmp-socket.ts'
import { UdpSocket } from '../socket/udp-socket.ts'
import { IpAddress } from '../wire/address.ts'
import * as read from './arguments.ts'
import { addHostOptions, checkSource, type HostFlags, openHost } from './host-options.ts'
import { type Stop, untilInterrupted } from './interrupt.ts'
import { EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_NO, EXIT_OK, print, printJson, report } from './output.ts'
import { withPeer } from './ping.ts'

interface TraceFlags extends HostFlags {
  icmp?: boolean
  firstHop: number
  maxHops: number
  queries: number
  wait: number
  port: number
  size: number
  dontFragment?: boolean
  sendWait: number
  source?: IpAddress
  json?: boolean
}

/** Of IPv4 or IPv6, and the eight bytes of UDP or ICMP. */
const HEADER_BYTES = { 4: 28, 6: 48 } as const
/** traceroute's: a port that nobody listens on, one more for each probe. */
const BASE_PORT = 33_434

export function traceCommand(program: Command, end: (code: number) => void): void {
  const command = program
    .command('trace <DESTINATION>')
    .summary('traceroute(8) from our stack')
    .description('Finds the routers on the way. Ends with 0 when the destination answered, with 1 when it did not.')
  addHostOptions(command)
    .option('-I, --icmp', 'echo requests instead of datagrams')
    .option('-f, --first-hop <N>', 'the first hop limit', (text) => read.integer('-f', text, 1, 255), 1)
    .option('-m, --max-hops <N>', 'the last hop limit', (text) => read.integer('-m', text, 1, 255), 30)
    .option('-q, --queries <N>', 'probes for each hop', (text) => read.integer('-q', text, 1, 10), 3)
    .option('-w, --wait <S>', 'seconds to wait for an answer', (text) => read.decimal('-w', text, 0.01, 1e4), 5)
    .option('-p, --port <N>', 'the first destination port', (text) => read.integer('-p', text, 1, 65_000), BASE_PORT)
    .option('-s, --source <A>', 'which of our addresses to send from', read.address)
    .option('-F, --dont-fragment', 'forbid fragmenting')
    .option(
      '-l, --length <N>',
      'bytes of each packet, IP header included',
      (text) => read.integer('-l', text, 48, 65_000),
      60,
    )
    .option('-z, --send-wait <S>', 'seconds between two probes', (text) => read.decimal('-z', text, 0, 1e4), 0)
    .option('-N, --sim-queries <N>', 'no effect: all probes of one hop are on their way at once', (text) =>
      read.integer('-N', text, 1, 1_000),
    )
    .option('-n, --numeric', 'no effect: addresses are never turned into names')
    .option('--json', 'the result as JSON')
    .action(async (destination: string, flags: TraceFlags & { length: number }) =>
      end(await trace(IpAddress.from(destination), { ...flags, size: flags.length })),
    )
  command.addHelpText(
    'before',
    `Examples:
  hourglass trace --link mem --address 10.0.0.1/24 10.0.0.2
  hourglass trace --link tap:tap0 --address 10.77.0.2/24 --os-address 10.77.0.1/24 --gateway 10.77.0.1 192.0.2.1
`,
  )
}

/** What came of one probe. */
interface Answer {
  readonly from: IpAddress
  readonly millis: number
  /** Null: an echo reply. */
  readonly error: IcmpError | null
}

interface Hop {
  readonly hop: number
  readonly answers: (Answer | null)[]
}

async function trace(destination: IpAddress, flags: TraceFlags): Promise<number> {
  checkSource('-s', flags)
  if (flags.firstHop > flags.maxHops) throw new UsageError(`-f ${flags.firstHop} is beyond -m ${flags.maxHops}`)
  const stop = untilInterrupted()
  const host = await openHost(withPeer(flags, destination), stop)
  if (host === null) return EXIT_INTERRUPTED
  let failure: Error | null = null
  host.onFailure = (error) => {
    failure ??= error
    stop.now('failed')
  }
  const hops: Hop[] = []
  try {
    await Promise.race([host.ready(), stop.promise])
    await walk(host, destination, flags, stop, hops)
  } finally {
    await host.close()
  }
  const arrived = hops.some((hop) => hop.answers.some((answer) => answer !== null && isTheEnd(answer, destination)))
  if (flags.json === true) printJson({ destination: String(destination), arrived, hops: hops.map(hopObject) })
  if (failure !== null) {
    report(failure)
    return EXIT_ENVIRONMENT
  }
  if (stop.reason === 'interrupted') return EXIT_INTERRUPTED
  return arrived ? EXIT_OK : EXIT_NO
}

async function walk(host: Host, destination: IpAddress, flags: TraceFlags, stop: Stop, hops: Hop[]): Promise<void> {
  if (flags.json !== true) {
    print(`traceroute to ${destination} (${destination}), ${flags.maxHops} hops max, ${flags.size} byte packets`)
  }
  const prober = flags.icmp === true ? icmpProber(host, destination, flags) : udpProber(host, destination, flags)
  try {
    for (let hop = flags.firstHop; hop <= flags.maxHops && stop.reason === null; hop++) {
      const answers = await prober.probe(hop, stop)
      hops.push({ hop, answers })
      if (flags.json !== true) print(hopLine(hop, answers))
      if (answers.some((answer) => answer !== null && isLast(answer, destination))) return
    }
  } finally {
    prober.close()
  }
}

interface Prober {
  probe(hop: number, stop: Stop): Promise<(Answer | null)[]>
  close(): void
}

/** Sends the probes of one hop at once and waits for their answers. */
async function collectAnswers(
  host: Host,
  flags: TraceFlags,
  stop: Stop,
  send: (query: number) => void,
  listen: (hear: (query: number, from: IpAddress, error: IcmpError | null, at: number) => void) => void,
): Promise<(Answer | null)[]> {
  const answers = new Array<Answer | null>(flags.queries).fill(null)
  const sentAt = new Array<number>(flags.queries).fill(0)
  let missing = flags.queries
  let finish: () => void = () => {}
  const done = new Promise<void>((resolve) => {
    finish = resolve
  })
  listen((query, from, error, at) => {
    if (query < 0 || query >= flags.queries || answers[query] !== null) return
    answers[query] = { from, error, millis: (at - sentAt[query]!) / 1_000 }
    missing--
    if (missing === 0) finish()
  })
  for (let query = 0; query < flags.queries && stop.reason === null; query++) {
    sentAt[query] = host.clock.advance()
    send(query)
    if (flags.sendWait > 0) await pause(flags.sendWait * 1_000, stop)
  }
  const timer = setTimeout(finish, flags.wait * 1_000)
  await Promise.race([done, stop.promise])
  clearTimeout(timer)
  return answers
}

async function pause(millis: number, stop: Stop): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const waited = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, millis)
  })
  await Promise.race([waited, stop.promise])
  clearTimeout(timer)
}

function udpProber(host: Host, destination: IpAddress, flags: TraceFlags): Prober {
  const { family } = destination
  const bound = flags.source === undefined ? {} : { address: flags.source }
  const socket = new UdpSocket(host.stack, { family, ...bound })
  const payload = new Uint8Array(Math.max(0, flags.size - HEADER_BYTES[family]))
  socket.endpoint.dontFragment = flags.dontFragment ?? false
  let port = flags.port
  return {
    probe: (hop, stop) => {
      const first = port
      socket.endpoint.hopLimit = hop
      return collectAnswers(
        host,
        flags,
        stop,
        () => sendQuietly(() => socket.send(payload, { address: destination, port: port++ })),
        (hear) => {
          socket.onIcmpError = (error, destinationPort) =>
            hear(destinationPort - first, error.reporter, error, host.clock.now())
        },
      )
    },
    close: () => socket.close(),
  }
}

function icmpProber(host: Host, destination: IpAddress, flags: TraceFlags): Prober {
  const { family } = destination
  const socket = new IcmpSocket(host.stack, family)
  const payload = new Uint8Array(Math.max(0, flags.size - HEADER_BYTES[family]))
  let sequence = 1
  return {
    probe: (hop, stop) => {
      const first = sequence
      const source = flags.source === undefined ? {} : { source: flags.source }
      const options = { hopLimit: hop, dontFragment: flags.dontFragment ?? false, ...source }
      return collectAnswers(
        host,
        flags,
        stop,
        () => sendQuietly(() => socket.sendEcho(destination, sequence++, payload, options)),
        (hear) => {
          socket.onEchoReply = (reply) => hear(reply.sequence - first, reply.source, null, reply.at)
          socket.onEchoError = (failure) =>
            hear(failure.sequence - first, failure.error.reporter, failure.error, failure.at)
        },
      )
    },
    close: () => socket.close(),
  }
}

/** A probe that could not be sent is a probe without an answer. */
function sendQuietly(send: () => void): void {
  try {
    send()
  } catch (error) {
    if (!(error instanceof NetError)) throw error
  }
}

const isTheEnd = (answer: Answer, destination: IpAddress): boolean =>
  answer.error === null || (answer.error.kind === 'port-unreachable' && answer.from.equals(destination))

/** Beyond an answer like this there is nothing to find. */
const isLast = (answer: Answer, destination: IpAddress): boolean =>
  isTheEnd(answer, destination) || (answer.error !== null && answer.error.kind !== 'hop-limit-exceeded')

function hopLine(hop: number, answers: readonly (Answer | null)[]): string {
  let line = `${String(hop).padStart(2)} `
  let last: IpAddress | null = null
  for (const answer of answers) {
    if (answer === null) {
      line += ' *'
      continue
    }
    if (last === null || !last.equals(answer.from)) line += ` ${answer.from} (${answer.from})`
    last = answer.from
    line += `  ${answer.millis.toFixed(3)} ms${annotation(answer.error)}`
  }
  return line
}

/** traceroute's marks for what is not simply an expired hop limit. */
function annotation(error: IcmpError | null): string {
  switch (error?.kind) {
    case 'net-unreachable':
      return ' !N'
    case 'host-unreachable':
      return ' !H'
    case 'protocol-unreachable':
      return ' !P'
    case 'source-route-failed':
      return ' !S'
    case 'packet-too-big':
      return ` !F-${error.mtu}`
    case 'admin-prohibited':
      return ' !X'
    default:
      return ''
  }
}

const hopObject = ({ hop, answers }: Hop): object => ({
  hop,
  answers: answers.map((answer) =>
    answer === null
      ? null
      : {
          from: String(answer.from),
          millis: answer.millis,
          kind: answer.error === null ? 'echo-reply' : answer.error.kind,
        },
  ),
})
