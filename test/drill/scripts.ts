// The packet scripts of this folder, for its tests.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('.', import.meta.url))

export interface ScriptFile {
  readonly name: string
  readonly text: string
}

/** All of them. */
export function scriptFiles(): ScriptFile[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.pkt'))
    .sort()
    .map((name) => ({ name, text: readFileSync(`${FOLDER}${name}`, 'utf8') }))
}
