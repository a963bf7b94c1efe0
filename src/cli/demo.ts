// `hourglass demo`: two hosts in memory, in virtual time, from a fixed seed. No privileges, no devices.

import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Command } from 'commander'
import { PcapngWriter } from '../capture/pcapng-writer.ts'
import { EnvironmentError } from '../errors.ts'
import { PacketCapture } from '../link/capture.ts'
import { CaptureFile } from '../node/capture-file.ts'
import { settle } from '../node/settle.ts'
import { World } from '../sim/world.ts'
import { IcmpSocket } from '../socket/icmp-socket.ts'
import { TcpListener } from '../socket/tcp-listener.ts'
import { TcpSocket } from '../socket/tcp-socket.ts'
import { UdpSocket } from '../socket/udp-socket.ts'
import type { Stack } from '../stack.ts'
import { millis } from '../time.ts'
import { IpAddress } from '../wire/address.ts'
import * as read from './arguments.ts'
import { bold, dim, EXIT_NO, EXIT_OK, giveAwayStdout, green, print, red } from './output.ts'

const DEFAULT_SEED = 7
const DEFAULT_CAPTURE = 'captures/demo.pcapng'
const ECHO_PORT = 7
const DATAGRAMS = 20
const LOSS = 0.2
const TRIES = 10
const TCP_PORT = 9_000
const TCP_BYTES = 1_000_000
const TCP_LOSS = 0.02

export function demoCommand(program: Command, end: (code: number) => void): void {
  program
    .command('demo')
    .summary('two hosts in memory: pings, fragments, UDP and TCP under loss; needs nothing')
    .description('Runs two hosts in memory, in virtual time, and writes every packet to a capture.')
    .option(
      '--seed <N>',
      'what every chance in the world is drawn from',
      (text) => read.integer('--seed', text, 0, 2 ** 32),
      DEFAULT_SEED,
    )
    .option('--capture <FILE>', 'where the packets go', DEFAULT_CAPTURE)
    .addHelpText('before', 'Examples:\n  hourglass demo\n  hourglass demo --seed 42 --capture /tmp/demo.pcapng\n')
    .action(async (flags: { seed: number; capture: string }) => end(await demo(flags.seed, flags.capture)))
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new EnvironmentError(
      `cannot make the folder ${path}`,
      why,
      'give --capture FILE, FILE being one you may write',
    )
  }
}

async function demo(seed: number, path: string): Promise<number> {
  if (path === '-') giveAwayStdout()
  if (path === DEFAULT_CAPTURE) makeFolder(dirname(path))
  const writer = new PcapngWriter({ application: 'hourglass demo' })
  const file = CaptureFile.open(path, writer)
  const capture = new PacketCapture(writer)
  const world = new World({ seed, settle, capture })
  const alice = world.host('alice')
  const bob = world.host('bob')
  const cable = world.cable({ delay: millis(10), bitsPerSecond: 100_000_000 })
  world.attach(alice, cable.a, { addresses: ['10.0.0.1/24', 'fd00::1/64'], faults: {} })
  world.attach(bob, cable.b, { addresses: ['10.0.0.2/24', 'fd00::2/64'] })
  for (const host of world.hosts)
    for (const { address } of host.interfaces.all[1]!.addresses) capture.addName(address, host.name)
  print(
    bold(`alice 10.0.0.1 fd00::1  <-- 100 Mbit/s, 10 ms -->  bob 10.0.0.2 fd00::2`) +
      dim(`   (virtual time, seed ${seed})`),
  )
  const results = [
    await ping(world, alice, '10.0.0.2', 56, 'ping over IPv4, after ARP found who has the address'),
    await ping(world, alice, 'fd00::2', 56, 'ping over IPv6, after neighbour discovery'),
    await ping(world, alice, '10.0.0.2', 4_000, 'a ping of 4,000 bytes: three fragments each way'),
    await ping(world, alice, 'fd00::2', 4_000, 'the same over IPv6'),
    await echoUnderLoss(world, alice, bob, seed),
    await transferUnderLoss(world, alice, bob),
  ]
  world.close()
  const packets = writer.packets
  await file.close()
  print('')
  print(`${packets} packets in ${path}. Now try:`)
  const dump = `npx hourglass dump ${path}`
  const suggest = (command: string, what: string): boolean => print(`  ${command.padEnd(dump.length)}  ${dim(what)}`)
  suggest(dump, 'every packet, and why some were sent')
  suggest(`wireshark ${path}`, 'the same with a window')
  suggest('npx hourglass doctor', 'what this machine can do with real links')
  print(`  sudo npx hourglass up --link tap:tap0 --address 10.77.0.2/24 --os-address 10.77.0.1/24`)
  return results.every((good) => good) ? EXIT_OK : EXIT_NO
}

async function ping(world: World, from: Stack, to: string, size: number, what: string): Promise<boolean> {
  const destination = IpAddress.from(to)
  const socket = new IcmpSocket(from, destination.family)
  const started = world.now
  let took = -1
  socket.onEchoReply = (reply) => {
    if (reply.length === size) took = reply.at - started
  }
  socket.sendEcho(destination, 1, new Uint8Array(size))
  world.runFor(millis(500))
  socket.close()
  const good = took >= 0
  const outcome = good ? green(`${(took / 1_000).toFixed(1)} ms`) : red('no answer')
  print(`  ${to.padEnd(9)} ${outcome.padEnd(8)}  ${what}`)
  return good
}

/** Each datagram is sent until it comes back: what UDP leaves to the program. */
async function echoUnderLoss(world: World, alice: Stack, bob: Stack, seed: number): Promise<boolean> {
  const link = alice.interfaces.all[1]!
  const lossy = world.faultsOf(link)
  lossy.outbound.configure({ loss: LOSS })
  lossy.inbound.configure({ loss: LOSS })
  const server = new UdpSocket(bob, { family: 4, port: ECHO_PORT })
  const serving = (async () => {
    for await (const { bytes, source, sourcePort } of server) server.send(bytes, { address: source, port: sourcePort })
  })()
  const client = new UdpSocket(alice, { family: 4 })
  client.connect(IpAddress.from('10.0.0.2'), ECHO_PORT)
  let sent = 0
  let echoed = 0
  const talk = async (): Promise<void> => {
    for (let number = 0; number < DATAGRAMS; number++) {
      for (let attempt = 0; attempt < TRIES && echoed === number; attempt++) {
        client.send(Uint8Array.of(number))
        sent++
        await world.sleep(millis(50))
        for (let answer = client.tryReceive(); answer !== null; answer = client.tryReceive()) {
          if (answer.bytes[0] === number && echoed === number) echoed++
        }
      }
    }
  }
  await world.run(talk())
  client.close()
  server.close()
  await world.run(serving)
  const good = echoed === DATAGRAMS
  const lost = lossy.outbound.counters.drops.faultLoss + lossy.inbound.counters.drops.faultLoss
  print(
    `  UDP echo  ${good ? green(`${echoed}/${DATAGRAMS}`) : red(`${echoed}/${DATAGRAMS}`)}     ${LOSS * 100}% loss each way: ${sent} sent, ${lost} lost; seed ${seed} loses the same ones every time`,
  )
  return good
}

/** What TCP leaves to the program: nothing but writing and reading. */
async function transferUnderLoss(world: World, alice: Stack, bob: Stack): Promise<boolean> {
  const lossy = world.faultsOf(alice.interfaces.all[1]!)
  lossy.outbound.configure({ loss: TCP_LOSS })
  lossy.inbound.configure({ loss: TCP_LOSS })
  const listener = new TcpListener(bob, { family: 6, port: TCP_PORT })
  const started = world.now
  const send = async (): Promise<number> => {
    const socket = await TcpSocket.connect(alice, { remoteAddress: 'fd00::2', remotePort: TCP_PORT })
    await socket.write(new Uint8Array(TCP_BYTES))
    await socket.flush()
    const { totalRetrans } = socket.info()
    socket.close()
    return totalRetrans
  }
  const receive = async (): Promise<number> => {
    const socket = await listener.accept()
    const buffer = new Uint8Array(65_536)
    let received = 0
    for (let count = await socket.read(buffer); count > 0; count = await socket.read(buffer)) received += count
    socket.close()
    return received
  }
  const [again, received] = await world.run(Promise.all([send(), receive()]))
  listener.close()
  const good = received === TCP_BYTES
  const outcome = good ? green('1 MB') : red(`${received} bytes`)
  const took = `${((world.now - started) / 1e6).toFixed(1)} s`
  const what = `over IPv6, ${TCP_LOSS * 100}% loss each way: all there after ${took}, ${again} segments sent again`
  print(`  TCP       ${outcome}      ${what}`)
  return good
}
