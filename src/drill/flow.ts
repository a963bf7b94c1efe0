// The connection under test, from the script's side: who its ends are, and how the script's numbers become those on
// the wire. Sequence numbers of a script count from the initial ones; its time stamps from the first that it names.

import type { Connection } from '../tcp/connection.ts'
import type { Family, IpAddress } from '../wire/address.ts'
import { type Seq, seq, seqAdd, seqDiff } from '../wire/sequence.ts'

/** Who speaks to whom where the script does not say. */
export interface Addresses {
  readonly family: 4 | 6
  readonly local: IpAddress
  readonly remote: IpAddress
  readonly bindPort: number
  readonly connectPort: number
}

export class Flow {
  readonly family: Family
  readonly protocol: 'tcp' | 'udp'
  readonly local: IpAddress
  readonly remote: IpAddress
  /** 0: not known yet. */
  localPort: number
  remotePort: number
  /** Our initial sequence number on the wire, and in the script; null: no SYN of ours was seen. */
  localStart: Seq | null = null
  scriptStart = 0
  /** The script's own: the same on the wire. Null: it sent no SYN. */
  remoteStart: Seq | null = null
  /** A SYN after the first one: where the peer's numbers begin if the stack takes it; null: there was none. */
  nextRemoteStart: Seq | null = null
  /** The stack's side of it, once there is one. */
  connection: Connection | null = null
  private stampOffset: number | null = null
  private readonly stamps = new Map<number, number>()
  private readonly labels = new Map<number, number>()

  constructor(fields: Pick<Flow, 'family' | 'protocol' | 'local' | 'remote' | 'localPort' | 'remotePort'>) {
    this.family = fields.family
    this.protocol = fields.protocol
    this.local = fields.local
    this.remote = fields.remote
    this.localPort = fields.localPort
    this.remotePort = fields.remotePort
  }

  /** The script sends a SYN. */
  noteRemoteSyn(number: number): void {
    if (this.remoteStart === null) this.remoteStart = seq(number)
    else this.nextRemoteStart = seq(number)
  }

  /** The stack sent a SYN: the first, or that of a new connection between the same ends. */
  noteLocalSyn(number: Seq, script: number): void {
    if (this.localStart === number) return
    if (this.localStart !== null && this.nextRemoteStart !== null) {
      this.remoteStart = this.nextRemoteStart
      this.stampOffset = null
      this.stamps.clear()
    }
    this.nextRemoteStart = null
    this.localStart = number
    this.scriptStart = script
  }

  remoteToWire(number: number): Seq {
    return seqAdd(this.remoteStart ?? seq(0), number)
  }

  localToWire(number: number): Seq {
    return seqAdd(this.localStart ?? seq(0), number)
  }

  remoteToScript(number: Seq): number {
    return seqDiff(number, this.remoteStart ?? seq(0)) >>> 0
  }

  localToScript(number: Seq): number {
    return seqDiff(number, this.localStart ?? seq(0)) >>> 0
  }

  /** Whether the label on the wire is the one that stands for the script's; the first one seen is. */
  hasLabel(script: number, wire: number): boolean {
    const known = this.labels.get(script)
    if (known !== undefined) return known === wire
    if ([...this.labels.values()].includes(wire)) return false
    this.labels.set(script, wire)
    return true
  }

  /** Remembers which time stamp on the wire the script's stands for. */
  learnStamp(script: number, wire: number): void {
    this.stampOffset ??= (wire - script) | 0
    this.stamps.set(script, wire)
  }

  /** What the stack's time stamp is in the script's count; the first one seen is whatever the script says. */
  stampToScript(wire: number, first: number): number {
    return (wire - (this.stampOffset ?? (wire - first) | 0)) >>> 0
  }

  /** The stack's time stamp that the script echoes; 0 stands for none. Null: no packet had it. */
  echoToWire(script: number): number | null {
    if (this.stamps.has(script)) return this.stamps.get(script)!
    return script === 0 ? 0 : null
  }

  /** For a script that echoes what it never saw: counted from the first (`--tcp_ts_ecr_scaled`). */
  echoByOffset(script: number): number {
    return (script + (this.stampOffset ?? 0)) | 0
  }
}
