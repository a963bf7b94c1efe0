// A test that fails in a world leaves its packets behind: captures/failed/TITLE.pcapng, and the command that repeats it.

import { mkdirSync, writeFileSync } from 'node:fs'
import { expect } from 'vitest'
import { PcapngWriter } from '../../src/capture/pcapng-writer.ts'
import { PacketCapture } from '../../src/link/capture.ts'

const FOLDER = 'captures/failed'
/** What is kept of one world; later packets are left out. */
const LIMIT_BYTES = 8 * 1_024 * 1_024
const TITLE_LENGTH = 120

/** A capture to give to a world, and what to call when its test fails. */
export class FailedCapture {
  readonly sink: PacketCapture
  private readonly writer = new PcapngWriter({ application: 'hourglass test', limitBytes: LIMIT_BYTES })

  constructor() {
    this.sink = new PacketCapture(this.writer)
  }

  /** Writes the file, and returns what to add to the error's message. */
  keep(): string {
    const title = expect.getState().currentTestName ?? 'test'
    const path = `${FOLDER}/${title.replace(/[^A-Za-z0-9]+/g, '-').slice(0, TITLE_LENGTH)}.pcapng`
    mkdirSync(FOLDER, { recursive: true })
    writeFileSync(path, this.writer.take())
    return `\n  packets: npx hourglass dump ${path}\n  repeat: npx vitest run -t ${JSON.stringify(title.split(' > ').at(-1))}`
  }
}
