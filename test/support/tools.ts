// Tests against other programs need these programs. Where one is missing the test is skipped with a line that
// nobody overlooks; under CI=true that is a failure, for a check that silently does not run is no check.

import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** True where the program is in PATH. Use it as `describe.skipIf(!needTool('tshark'))`. Throws under CI where it is not. */
export function needTool(name: string): boolean {
  if (hasTool(name)) return true
  const line = `MISSING TOOL: ${name} is not installed, the tests that need it do not run`
  if (process.env.CI === 'true') throw new Error(line)
  console.error(`\n*** ${line} ***\n`)
  return false
}

/** True where this user may read and write the device. Throws under CI where not. */
export function needDevice(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return true
  } catch {
    const line = `MISSING PRIVILEGE: ${path} is not open to this user, the tests that need it do not run`
    if (process.env.CI === 'true') throw new Error(line)
    console.error(`\n*** ${line} ***\n`)
    return false
  }
}

export function hasTool(name: string): boolean {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      // Not in this folder.
    }
  }
  return false
}

/** Runs a program to its end and returns what it printed; throws with its complaint where it fails. */
export function runTool(name: string, args: readonly string[], input?: Uint8Array): string {
  const result = spawnSync(name, args, { encoding: 'utf8', input, timeout: 60_000, maxBuffer: 64 * 1_024 * 1_024 })
  if (result.error !== undefined) throw result.error
  if (result.status !== 0) throw new Error(`${name} ${args.join(' ')} ended with ${result.status}: ${result.stderr}`)
  return result.stdout
}
