// `hourglass up`: a host on a link until it is told to stop.

import type { Command } from 'commander'
import { nonZero } from '../counters.ts'
import { EnvironmentError } from '../errors.ts'
import { parseLinkName } from '../link/link-name.ts'
import { ControlSocket } from '../node/control/control-socket.ts'
import type { Host } from '../node/host.ts'
import { parseServices, type Service, type ServiceName, startServices } from '../node/services.ts'
import { isSystemSideDown } from '../node/system-side.ts'
import { startTcpServices } from '../node/tcp-services.ts'
import * as read from './arguments.ts'
import { ConflictReport } from './conflict-report.ts'
import { addHostOptions, type HostFlags, openHost } from './host-options.ts'
import { untilInterrupted } from './interrupt.ts'
import { EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_OK, print, printJson, report, say } from './output.ts'

interface UpFlags extends HostFlags {
  serve?: ServiceName[]
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
    .option(
      '--serve <LIST>',
      'small services on UDP and TCP: echo,discard,chargen,daytime',
      read.once('--serve', parseServices),
    )
    .option(
      '--isn <HOW>',
      'initial sequence numbers of TCP: hashed (the default), random, or epoch:FILE',
      read.once('--isn', read.isn),
    )
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
  hourglass up --link udp:127.0.0.1:5000-127.0.0.1:5001 --address 10.0.0.1/24 --serve echo
`,
  )
}

async function up(flags: UpFlags): Promise<number> {
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
  try {
    control = await openControl(host, flags)
    await Promise.race([host.ready(), stop.promise])
    services = [...startServices(host.stack, flags.serve ?? []), ...startTcpServices(host.stack, flags.serve ?? [])]
    if (stop.reason === null) announce(host, services, flags.ndjson === true)
    if (isSystemSideDown(parseLinkName(flags.link), host.interface.name)) {
      say(
        `hourglass: the system's ${host.interface.name} is down: run ip link set ${host.interface.name} up, or give --os-address`,
      )
    }
    await stop.promise
  } finally {
    for (const service of services) service.close()
    control?.close()
    await host.close()
  }
  printCounters(host, stop.reason ?? 'ended', flags.ndjson === true)
  if (failure !== null) {
    report(failure)
    return EXIT_ENVIRONMENT
  }
  return stop.reason === 'interrupted' ? EXIT_INTERRUPTED : EXIT_OK
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

function announce(host: Host, services: readonly Service[], ndjson: boolean): void {
  const { interface: on } = host
  const addresses = on.addresses.filter(({ usable }) => usable).map(({ prefix }) => String(prefix))
  if (ndjson) {
    printJson({
      event: 'ready',
      interface: on.name,
      addresses,
      mac: on.isEthernet ? String(on.mac) : null,
      mtu: on.mtu,
      offloads: on.device.offloads,
      services: services.map(({ name, port, protocol }) => ({ name, port, protocol })),
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
