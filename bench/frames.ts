// Frames per second through a TAP device, in and out, with our stack in a process of its own (frame-host.ts) and the
// kernel on the other side.

import { fileURLToPath } from 'node:url'
import { type Bench, type Figure, type Result, skip } from './figure.ts'
import { Sandbox, whyNoSandbox } from './sandbox.ts'
import { median } from './timing.ts'

const ROUNDS = 5
const SIZES = [64, 1_400]
/** sendmmsg(2) on this machine; 0: not known. */
const SENDMMSG = { x64: 307, arm64: 269, riscv64: 269, loong64: 269 }[process.arch as string] ?? 0
/** What blasts, 64 datagrams a system call where it can: the host shall be the slower side. */
const BLASTER = `use Socket; socket(S, PF_INET, SOCK_DGRAM, 0) or die; connect(S, sockaddr_in(9, inet_aton($ARGV[0]))) or die;
my $d = "x" x $ARGV[1]; my $iov = pack("pQ", $d, length $d);
my $batch = pack("QQpQQQQQ", 0, 0, $iov, 1, 0, 0, 0, 0) x 64;
if ($ARGV[2]) { while (1) { syscall($ARGV[2] + 0, fileno(S), $batch, 64, 0) } } else { while (1) { send(S, $d, 0) } }`
/** What takes datagrams and reads none: the kernel drops them behind a full queue, and sends no ICMP errors. */
const TAKER = `use Socket; socket(S, PF_INET, SOCK_DGRAM, 0) or die; bind(S, sockaddr_in(9, INADDR_ANY)) or die; $| = 1;
print "bound\\n"; sleep 1000`

export const framesBench: Bench = {
  name: 'frames',
  summary: 'frames per second in and out of a TAP device',
  async run() {
    const why = whyNoSandbox(['perl'])
    return why === '' ? Sandbox.with(frames) : skip(why)
  },
}

async function frames(sandbox: Sandbox): Promise<Result> {
  const namespace = sandbox.namespace()
  const taker = sandbox.start(namespace, ['perl', '-e', TAKER])
  await taker.says('bound')
  const figures: Figure[] = []
  for (const size of SIZES) {
    const rates = new Map<string, number[]>()
    for (let round = 0; round < ROUNDS; round++) {
      for (const offload of ['on', 'off']) {
        for (const direction of ['in', 'out']) {
          const key = `${size.toLocaleString('en-US')} bytes ${direction}, offload ${offload}`
          const rate = await once(sandbox, namespace, direction, size, offload)
          rates.set(key, [...(rates.get(key) ?? []), rate])
        }
      }
    }
    for (const [what, values] of rates) {
      figures.push({ what, value: median(values), unit: 'frames/s' })
      figures.push({ what: `${what}, best run`, value: Math.max(...values), unit: 'frames/s' })
    }
  }
  return {
    figures,
    notes: [
      'in: a sender in the kernel as fast as it goes, counted at UdpSocket.receiveInto; what is beyond, the TAP queue drops. out: UdpSocket.send, counted by the kernel.',
      'Sender and host share the machine: with two cores and nothing else each has one. Where others want the cores too, the best run says more than the median.',
      `Median of ${ROUNDS} runs of a second each.`,
    ],
    skipped: '',
  }
}

async function once(
  sandbox: Sandbox,
  namespace: string,
  direction: string,
  size: number,
  offload: string,
): Promise<number> {
  const script = fileURLToPath(new URL('./frame-host.js', import.meta.url))
  const host = sandbox.start(namespace, [process.execPath, script, direction, String(size), offload])
  await host.says('ready')
  const blaster =
    direction === 'in'
      ? sandbox.start(namespace, ['perl', '-e', BLASTER, '10.98.0.2', String(size), String(SENDMMSG)])
      : null
  const text = await host.ended
  await blaster?.stop()
  const line = text.split('\n').find((one) => one.startsWith('{'))
  if (line === undefined) throw new Error(`the host gave no figure: ${text}`)
  return (JSON.parse(line) as { perSecond: number }).perSecond
}
