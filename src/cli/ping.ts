// `hourglass ping`: ping(8) from our stack.

import type { Command } from 'commander'
import { NetError, UsageError } from '../errors.ts'
import type { IcmpError } from '../ip/seams.ts'
import { parseLinkName } from '../link/link-name.ts'
import { type Host, neighborPrefix } from '../node/host.ts'
import { canBeHost } from '../node/host-check.ts'
import { IcmpSocket } from '../socket/icmp-socket.ts'
import { IpAddress } from '../wire/address.ts'
import { IPV4_HEADER } from '../wire/ipv4.ts'
import * as read from './arguments.ts'
import { addHostOptions, checkSource, type HostFlags, openHost } from './host-options.ts'
import { LONGEST_MILLIS, type Stop, untilInterrupted } from './interrupt.ts'
import { EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_NO, EXIT_OK, print, printJson, report } from './output.ts'
import { RoundTrips } from './statistics.ts'

interface PingFlags extends HostFlags {
  count?: number
  interval: number
  size: number
  ttl: number
  timeout: number
  deadline?: number
  quiet?: boolean
  flood?: boolean
  pmtudisc: 'do' | 'want' | 'dont'
  source?: IpAddress
  timestamp?: boolean
  json?: boolean
  ipv4?: boolean
  ipv6?: boolean
  pattern?: Uint8Array
  outstanding?: boolean
  audible?: boolean
}

/** What ping(8) sends: RFC 792 header and payload over IPv4. */
const ICMP_HEADER = 8
const MAX_SIZE = 65_507
const MAX_PATTERN = 16
const BELL = '\u0007'
/** ping(8) -f: a hundred requests a second at least. */
const FLOOD_MILLIS = 10
/** Instead of the instant of a request. */
const NOT_SENT = -2
const ANSWERED = -1

export function pingCommand(program: Command, end: (code: number) => void): void {
  const command = program
    .command('ping <DESTINATION>')
    .summary('ping(8) from our stack')
    .description('Sends echo requests from our own stack. Ends with 0 when an answer came, with 1 when none did.')
  addHostOptions(command)
    .option('-c, --count <N>', 'stop after so many requests', (text) => read.integer('-c', text, 1, 1e9))
    .option('-i, --interval <S>', 'seconds between two requests', (text) => read.decimal('-i', text, 0, 1e6), 1)
    .option('-s, --size <N>', 'payload bytes', (text) => read.integer('-s', text, 0, MAX_SIZE), 56)
    .option('-t, --ttl <N>', 'hop limit', (text) => read.integer('-t', text, 1, 255), 64)
    .option('-W, --timeout <S>', 'seconds to wait for the last answer', (text) => read.decimal('-W', text, 0, 1e6), 10)
    .option('-w, --deadline <S>', 'seconds until the end, whatever came', (text) => read.decimal('-w', text, 0, 1e6))
    .option('-M, --pmtudisc <HINT>', 'do, want, dont: may requests be fragmented?', hint, 'want')
    .option('-I, --source <A>', 'which of our addresses to send from', read.address)
    .option('-f, --flood', 'the next request as soon as an answer came, or after 10 ms')
    .option('-q, --quiet', 'only the summary')
    .option('-D, --timestamp', 'print the time before each line')
    .option('-O, --outstanding', 'say before the next request that the last one has no answer yet')
    .option('-a, --audible', 'ring the bell at each answer')
    .option('-p, --pattern <HEX>', 'up to 16 bytes to fill requests with', pattern)
    .option('-4, --ipv4', 'only an IPv4 destination')
    .option('-6, --ipv6', 'only an IPv6 destination')
    .option('-n, --numeric', 'no effect: addresses are never turned into names')
    .option('-v, --verbose', 'no effect: errors are told anyway')
    .option('--json', 'the summary as JSON')
    .action(async (destination: string, flags: PingFlags) => end(await ping(IpAddress.from(destination), flags)))
  command.addHelpText(
    'before',
    `Examples:
  hourglass ping --link mem --address 10.0.0.1/24 -c 3 10.0.0.2      (a host in memory answers)
  hourglass ping --link tap:tap0 --address 10.77.0.2/24 --os-address 10.77.0.1/24 -c 3 10.77.0.1
`,
  )
}

const pattern = (text: string): Uint8Array => read.hexadecimal('-p', text, MAX_PATTERN)

function checkFamily(destination: IpAddress, { ipv4, ipv6 }: PingFlags): void {
  if (ipv4 === true && ipv6 === true) throw new UsageError('-4 and -6: give one of them')
  const wanted = ipv4 === true ? 4 : ipv6 === true ? 6 : destination.family
  if (wanted !== destination.family) {
    throw new UsageError(`-${wanted}: ${destination} is an address of IPv${destination.family}`)
  }
}

function hint(text: string): 'do' | 'want' | 'dont' {
  if (text === 'do' || text === 'want' || text === 'dont') return text
  throw new UsageError(`-M ${text}: give do, want or dont`)
}

async function ping(destination: IpAddress, flags: PingFlags): Promise<number> {
  checkFamily(destination, flags)
  checkSource('-I', flags)
  const stop = untilInterrupted()
  // Twice: from here for a link that does not open, and from the first request as ping(8) counts it.
  if (flags.deadline !== undefined) stop.after(flags.deadline * 1_000)
  const host = await openHost(withPeer(flags, destination), stop)
  if (host === null) return stop.reason === 'interrupted' ? EXIT_INTERRUPTED : EXIT_NO
  if (flags.deadline !== undefined) stop.after(Number.POSITIVE_INFINITY)
  const run = new PingRun(host, destination, flags, stop)
  try {
    await Promise.race([host.ready(), stop.promise])
    await run.run()
  } finally {
    await host.close()
  }
  run.summary()
  if (run.failure !== null) {
    report(run.failure)
    return EXIT_ENVIRONMENT
  }
  if (run.received > 0) return EXIT_OK
  return stop.reason === 'interrupted' ? EXIT_INTERRUPTED : EXIT_NO
}

/** On `mem`, the destination is the host at the other end, unless --os-address says otherwise. */
export function withPeer<T extends HostFlags>(flags: T, destination: IpAddress): T {
  if (parseLinkName(flags.link).kind !== 'mem' || flags.osAddress !== undefined) return flags
  const own = flags.address ?? []
  const isMine = destination.isLoopback || own.some(({ address }) => address.equals(destination))
  if (isMine || destination.isMulticast || destination.isLimitedBroadcast) return flags
  const peer = neighborPrefix(destination, own)
  if (peer === null) {
    throw new UsageError(`${destination} is on no network of ours: on the link mem, give an --address of its network`)
  }
  // A network's own address and its broadcast address are no host's.
  return canBeHost(peer) ? { ...flags, osAddress: [peer] } : flags
}

class PingRun {
  received = 0
  failure: Error | null = null
  private transmitted = 0
  private errors = 0
  private duplicates = 0
  private readonly host: Host
  private readonly destination: IpAddress
  private readonly flags: PingFlags
  private readonly stop: Stop
  private readonly socket: IcmpSocket
  private readonly payload: Uint8Array
  private readonly trips = new RoundTrips()
  /** When the request of each sequence number was sent, or NOT_SENT, or ANSWERED. Sequence numbers wrap at 65,536. */
  private readonly sentAt = new Float64Array(65_536).fill(NOT_SENT)
  private startedAt = 0
  private endedAt = 0
  private onProgress: () => void = () => {}

  constructor(host: Host, destination: IpAddress, flags: PingFlags, stop: Stop) {
    this.host = host
    this.destination = destination
    this.flags = flags
    this.stop = stop
    const fill = flags.pattern
    this.payload = Uint8Array.from({ length: flags.size }, (_, index) => fill?.[index % fill.length] ?? index & 0xff)
    this.socket = new IcmpSocket(host.stack, destination.family)
    this.socket.onEchoReply = (reply) =>
      this.answered(reply.sequence, reply.source, reply.hopLimit, reply.length, reply.at)
    this.socket.onEchoError = ({ error, sequence }) => this.refused(error, sequence)
    host.onFailure = (error) => {
      this.failure ??= error
      stop.now('failed')
    }
  }

  async run(): Promise<void> {
    const { destination, flags, stop } = this
    const total = ICMP_HEADER + IPV4_HEADER + flags.size
    if (flags.json !== true) {
      print(
        destination.family === 4
          ? `PING ${destination} (${destination}) ${flags.size}(${total}) bytes of data.`
          : `PING ${destination}(${destination}) ${flags.size} data bytes`,
      )
    }
    if (flags.deadline !== undefined) stop.after(flags.deadline * 1_000)
    this.startedAt = this.host.clock.advance()
    const count = flags.count ?? Number.POSITIVE_INFINITY
    while (this.transmitted < count && stop.reason === null) {
      this.sendOne()
      if (this.transmitted < count)
        await this.pause(flags.flood === true ? FLOOD_MILLIS : flags.interval * 1_000, flags.flood === true)
      if (flags.outstanding === true && stop.reason === null && this.transmitted < count) this.tellOutstanding()
    }
    await this.waitForRest()
    this.endedAt = this.host.clock.advance()
    this.socket.close()
  }

  private sendOne(): void {
    const sequence = ++this.transmitted & 0xffff
    const { destination, flags } = this
    this.sentAt[sequence] = this.host.clock.advance()
    try {
      this.socket.sendEcho(destination, sequence, this.payload, {
        hopLimit: flags.ttl,
        dontFragment: flags.pmtudisc === 'do',
        ...(flags.source === undefined ? {} : { source: flags.source }),
      })
    } catch (error) {
      if (!(error instanceof NetError)) throw error
      this.errors++
      if (flags.quiet !== true && flags.json !== true) print(`ping: ${error.message}`)
    }
  }

  private tellOutstanding(): void {
    const sequence = this.transmitted & 0xffff
    const { flags } = this
    if (this.sentAt[sequence]! < 0 || flags.quiet === true || flags.flood === true || flags.json === true) return
    print(`${this.stamp()}no answer yet for icmp_seq=${sequence}`)
  }

  private async waitForRest(): Promise<void> {
    const until = this.host.clock.advance() + this.flags.timeout * 1_000_000
    while (this.stop.reason === null && this.received + this.errors < this.transmitted) {
      const left = (until - this.host.clock.advance()) / 1_000
      if (left <= 0) return
      await this.pause(left, true)
    }
  }

  /** Waits so long, or until an answer where `early`, or until the run is stopped. */
  private async pause(millis: number, early: boolean): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const waited = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.min(millis, LONGEST_MILLIS))
      if (early) this.onProgress = resolve
    })
    await Promise.race([waited, this.stop.promise])
    clearTimeout(timer)
    this.onProgress = () => {}
  }

  private answered(sequence: number, source: IpAddress, hopLimit: number, length: number, at: number): void {
    const sentAt = this.sentAt[sequence]!
    if (sentAt === NOT_SENT) return
    const isDuplicate = sentAt === ANSWERED
    this.sentAt[sequence] = ANSWERED
    if (isDuplicate) this.duplicates++
    else this.received++
    const millis = (at - sentAt) / 1_000
    if (!isDuplicate) this.trips.add(millis)
    const { flags } = this
    if (flags.quiet !== true && flags.flood !== true && flags.json !== true) {
      const time = isDuplicate ? '' : ` time=${milliseconds(millis)} ms`
      const suffix = isDuplicate ? ' (DUP!)' : ''
      print(
        `${flags.audible === true ? BELL : ''}${this.stamp()}${length + ICMP_HEADER} bytes from ${source}: icmp_seq=${sequence} ttl=${hopLimit}${time}${suffix}`,
      )
    }
    this.onProgress()
  }

  private refused(error: IcmpError, sequence: number): void {
    this.errors++
    const { flags } = this
    if (flags.quiet !== true && flags.flood !== true && flags.json !== true) {
      print(`${this.stamp()}From ${error.reporter} icmp_seq=${sequence} ${textOfError(error)}`)
    }
    this.onProgress()
  }

  private stamp(): string {
    return this.flags.timestamp === true ? `[${(this.host.clock.wall() / 1_000_000).toFixed(6)}] ` : ''
  }

  summary(): void {
    const { destination, duplicates, errors, flags, received, transmitted, trips } = this
    const loss = transmitted === 0 ? 0 : ((transmitted - received) / transmitted) * 100
    const time = Math.round((this.endedAt - this.startedAt) / 1_000)
    if (flags.json === true) {
      const rtt = { min: trips.least, avg: trips.mean, max: trips.most, mdev: trips.deviation }
      printJson({
        destination: String(destination),
        transmitted,
        received,
        duplicates,
        errors,
        loss,
        time,
        rtt: trips.count > 0 ? rtt : null,
      })
      return
    }
    const more = `${duplicates > 0 ? ` +${duplicates} duplicates,` : ''}${errors > 0 ? ` +${errors} errors,` : ''}`
    print('')
    print(`--- ${destination} ping statistics ---`)
    print(
      `${transmitted} packets transmitted, ${received} received,${more} ${shortNumber(loss)}% packet loss, time ${time}ms`,
    )
    if (trips.count === 0) return
    const figures = [trips.least, trips.mean, trips.most, trips.deviation].map((value) => value.toFixed(3))
    print(`rtt min/avg/max/mdev = ${figures.join('/')} ms`)
  }
}

/** Three significant figures, as ping prints them. */
const milliseconds = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toFixed(3)

const shortNumber = (value: number): string => String(Number(value.toPrecision(6)))

function textOfError(error: IcmpError): string {
  switch (error.kind) {
    case 'net-unreachable':
      return 'Destination Net Unreachable'
    case 'host-unreachable':
      return 'Destination Host Unreachable'
    case 'protocol-unreachable':
      return 'Destination Protocol Unreachable'
    case 'port-unreachable':
      return 'Destination Port Unreachable'
    case 'admin-prohibited':
      return 'Packet filtered'
    case 'source-route-failed':
      return 'Source Route Failed'
    case 'packet-too-big':
      return error.source.family === 4
        ? `Frag needed and DF set (mtu = ${error.mtu})`
        : `Packet too big: mtu=${error.mtu}`
    case 'hop-limit-exceeded':
      return error.source.family === 4 ? 'Time to live exceeded' : 'Time exceeded: Hop limit'
    case 'reassembly-timeout':
      return 'Frag reassembly time exceeded'
    case 'parameter-problem':
      return 'Parameter problem'
  }
}
