// `hourglass up`: a host on a link until it is told to stop.

import type { Command } from 'commander'
import { nonZero } from '../counters.ts'
import { EnvironmentError, UsageError } from '../errors.ts'
import type { InterfaceAddress } from '../ip/interface.ts'
import { parseLinkName } from '../link/link-name.ts'
import { ControlSocket } from '../node/control/control-socket.ts'
import type { Host } from '../node/host.ts'
import { parseServices, SERVICE_PORTS, type Service, type ServiceName, startServices } from '../node/services.ts'
import { StatusServer } from '../node/status/status-server.ts'
import { isSystemSideDown } from '../node/system-side.ts'
import { startTcpServices } from '../node/tcp-services.ts'
import * as read from './arguments.ts'
import { ConflictReport } from './conflict-report.ts'
import { addHostOptions, type HostFlags, openHost } from './host-options.ts'
import { untilInterrupted } from './interrupt.ts'
import { EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_OK, print, printJson, report, say } from './output.ts'

const HTTP_PORT = 80
/** How long peers may take to get what was written to them, when the host ends. */
const LINGER_MILLIS = 1_000

interface UpFlags extends HostFlags {
  serve?: ServiceName[]
  /** The port of the page. */
  http?: number
  duration?: number
  ndjson?: boolean
  /** The path, or false: none. */
  control?: string | false
}

export function upCommand(program: Command, end: (code: number) => void): void {
  const command = program
    .command('up')
    .summary('put a host on a link: it answers pings and serves small services')
    .description(
      'Puts a host on a link. It answers pings, serves what --serve names, and prints its counters at the end.',
    )
  addHostOptions(command)
    .option('--serve <LIST>', 'small services on UDP and TCP: echo,discard,chargen,daytime', parseServices)
    .option('--http <PORT>', 'a page on this TCP port that shows what the host does', read.httpPort)
    .option('--isn <HOW>', 'initial sequence numbers of TCP: hashed (the default), random, or epoch:FILE', read.isn)
    .option('--duration <S>', 'stop after so many seconds', (text) => read.decimal('--duration', text, 0, 1e9))
    .option('--control <PATH>', 'the control socket that hourglass ss, ip and nstat ask; default: by the process')
    .option('--no-control', 'no control socket')
    .option('--ndjson', 'print events as JSON, one on a line')
    .action(async (flags: UpFlags) => end(await up(flags)))
  command.addHelpText(
    'before',
    `Examples (as root, or in a namespace of your own: unshare -rn):
  hourglass up --link tap:tap0 --address 10.77.0.2/24 --os-address 10.77.0.1/24
      then, in another terminal: ping 10.77.0.2
  hourglass up --link tap:tap0 --address fd77::2/64 --os-address fd77::1/64 --capture up.pcapng --duration 20
  hourglass up --link tap:tap0 --address 10.77.0.2/24 --os-address 10.77.0.1/24 --http 80
      then open http://10.77.0.2/ in a browser
  hourglass up --link udp:127.0.0.1:5000-127.0.0.1:5001 --address 10.0.0.1/24 --serve echo
`,
  )
}

async function up(flags: UpFlags): Promise<number> {
  checkPort(flags)
  const stop = untilInterrupted()
  if (flags.duration !== undefined) stop.after(flags.duration * 1_000)
  const host = await openHost(flags, stop)
  if (host === null) return stop.reason === 'interrupted' ? EXIT_INTERRUPTED : EXIT_OK
  let failure: Error | null = null
  host.onFailure = (error) => {
    failure ??= error
    stop.now('failed')
  }
  const conflicts = new ConflictReport()
  host.stack.addresses.onDuplicate = (on, entry, other) => {
    const line = conflicts.hear(`${entry.address} on ${on.name} is used by ${other} as well`, performance.now())
    if (line !== null) say(`hourglass: ${line}`)
  }
  let services: Service[] = []
  let control: ControlSocket | null = null
  let status: StatusServer | null = null
  try {
    control = await openControl(host, flags)
    await Promise.race([host.ready(), stop.promise])
    services = [...startServices(host.stack, flags.serve ?? []), ...startTcpServices(host.stack, flags.serve ?? [])]
    if (flags.http !== undefined) status = await StatusServer.open(host, flags.http)
    if (stop.reason === null) announce(host, services, status, flags.ndjson === true)
    if (isSystemSideDown(parseLinkName(flags.link), host.interface.name)) {
      say(
        `hourglass: the system's ${host.interface.name} is down: run ip link set ${host.interface.name} up, or give --os-address`,
      )
    }
    await stop.promise
  } finally {
    for (const service of services) service.close()
    status?.close()
    control?.close()
    // Whoever is impatient ends the process at once by a second signal.
    await host.close(failure === null ? { lingerMillis: LINGER_MILLIS } : {})
  }
  printCounters(host, stop.reason ?? 'ended', flags.ndjson === true)
  if (failure !== null) {
    report(failure)
    return EXIT_ENVIRONMENT
  }
  return stop.reason === 'interrupted' ? EXIT_INTERRUPTED : EXIT_OK
}

function checkPort({ http, serve = [] }: UpFlags): void {
  const taker = serve.find((name) => SERVICE_PORTS[name] === http)
  if (taker !== undefined) throw new UsageError(`--http ${http}: the service ${taker} has this port: give another`)
}

/** Null where none is wanted. The default one's failure is told, and the host runs on; a named one's is an error. */
async function openControl(host: Host, { control }: UpFlags): Promise<ControlSocket | null> {
  if (control === false) return null
  try {
    return await ControlSocket.open(host.stack, typeof control === 'string' ? control : undefined)
  } catch (error) {
    if (typeof control === 'string' || !(error instanceof EnvironmentError)) throw error
    say(`hourglass: ${error.message}`)
    return null
  }
}

function announce(host: Host, services: readonly Service[], status: StatusServer | null, ndjson: boolean): void {
  const { interface: on } = host
  const usable = on.addresses.filter((entry) => entry.usable)
  const addresses = usable.map(({ prefix }) => String(prefix))
  // A browser takes no zone, which a link-local address would need.
  const pages = status === null ? [] : usable.filter(({ address }) => !address.isLinkLocal).map(urlOf(status.port))
  if (ndjson) {
    printJson({
      event: 'ready',
      interface: on.name,
      addresses,
      mac: on.isEthernet ? String(on.mac) : null,
      mtu: on.mtu,
      offloads: on.device.offloads,
      services: services.map(({ name, port, protocol }) => ({ name, port, protocol })),
      pages,
      pid: process.pid,
    })
    return
  }
  const serving =
    services.length === 0
      ? ''
      : `, serving ${services.map(({ name, port, protocol }) => `${name} (${protocol} ${port})`).join(', ')}`
  const mac = on.isEthernet ? ` ${on.mac}` : ''
  print(`ready: ${on.name}${mac} mtu ${on.mtu} ${addresses.join(' ')}${serving}; Ctrl-C ends`)
  if (pages.length > 0) print(`page: ${pages.join(' ')}`)
}

const urlOf =
  (port: number) =>
  ({ address }: InterfaceAddress): string => {
    const host = address.family === 6 ? `[${address}]` : String(address)
    return `http://${host}${port === HTTP_PORT ? '' : `:${port}`}/`
  }

function printCounters(host: Host, reason: string, ndjson: boolean): void {
  const { interface: on, stack } = host
  const link = {
    receivedPackets: on.receivedPackets,
    receivedBytes: on.receivedBytes,
    sentPackets: on.sentPackets,
    sentBytes: on.sentBytes,
  }
  const counters = nonZero(stack.counters)
  if (ndjson) {
    printJson({
      event: 'end',
      reason,
      link,
      counters: Object.fromEntries(counters),
      pagesInUse: stack.pool.inUse,
      captureLosses: host.captureLosses,
    })
    return
  }
  print(
    `${on.name}: received ${link.receivedPackets} packets (${link.receivedBytes} bytes), sent ${link.sentPackets} (${link.sentBytes})`,
  )
  for (const [name, count] of counters) print(`${name.padEnd(34)}${count}`)
  if (host.captureLosses > 0)
    say(`hourglass: the capture left ${host.captureLosses} packets out: the disk was slower than the link`)
}
