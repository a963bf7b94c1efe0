// Prints what passes a device, a line per packet in tcpdump's manner: traced() wraps any device. For tests
// that fail and for `--trace`; captures (capture.ts) are what to use under load.

import type { Packet } from '../buf/packet.ts'
import type { Clock, Micros } from '../time.ts'
import { type DescribeOptions, describeFrame } from '../wire/describe.ts'
import { TcpFlows } from '../wire/describe-tcp.ts'
import { noteText } from './capture.ts'
import type { Device } from './device.ts'
import type { EdgeDevice } from './edge-device.ts'
import { type Observer, observed } from './observed.ts'

/** The device, printed: `0.250000 eth0 Out IP 10.0.0.1 > 10.0.0.2: ...  # why`, in seconds of the monotonic clock. */
export function traced(device: EdgeDevice, print: (line: string) => void, clock: Clock): EdgeDevice
export function traced(device: Device, print: (line: string) => void, clock: Clock): Device
export function traced(device: Device, print: (line: string) => void, clock: Clock): Device {
  return observed(device, new Tracer(device, print, clock))
}

class Tracer implements Observer {
  private readonly device: Device
  private readonly print: (line: string) => void
  private readonly clock: Clock
  private readonly style: DescribeOptions = { flows: new TcpFlows() }

  constructor(device: Device, print: (line: string) => void, clock: Clock) {
    this.device = device
    this.print = print
    this.clock = clock
  }

  before(packet: Packet, direction: 'in' | 'out'): number {
    const { name } = this.device
    const note = packet.note === '' ? '' : `  # ${noteText(packet.note)}`
    const arrow = direction === 'in' ? 'In ' : 'Out'
    this.print(`${secondsText(this.clock.now())} ${name} ${arrow} ${this.describe(packet)}${note}`)
    return 0
  }

  after(_mark: number, note: string, refused: boolean): void {
    const why = note === '' && refused ? 'dropped: refused by the device' : noteText(note)
    this.print(`${secondsText(this.clock.now())} ${this.device.name}     # ${why}`)
  }

  /** A packet that lies in one piece is described where it is; others are copied. */
  private describe(packet: Packet): string {
    const { medium } = this.device
    if (packet.fragmentBytes === 0) {
      return describeFrame(packet.page.view, packet.data, packet.length, medium, this.style)
    }
    const bytes = packet.toBytes()
    return describeFrame(new DataView(bytes.buffer), 0, bytes.length, medium, this.style)
  }
}

const secondsText = (instant: Micros): string =>
  `${Math.floor(instant / 1_000_000)}.${String(instant % 1_000_000).padStart(6, '0')}`
