// `node --import hourglass/register app.js`: before the program begins, its process gets a host of its own, and its
// net, dgram, dns and TLS go through that. What the host is, the environment says (settings.ts).

import { basename } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { EnvironmentError, NetError, UsageError } from '../../errors.ts'
import { NO_HOST, openHostOf, setProcessHost } from '../process-host.ts'
import { interpose } from './interpose.ts'
import { readSettings, systemPrefixes, TAKEN_VARIABLE } from './settings.ts'

const EXIT_USAGE = 2
const EXIT_ENVIRONMENT = 3
/** Programs that only start others: those are to be the host. */
const STARTERS = new Set([
  'npm-cli.js',
  'npx-cli.js',
  'npm',
  'npx',
  'yarn.js',
  'yarn',
  'pnpm.cjs',
  'pnpm',
  'corepack.js',
])

/** Whether this process is the one that is meant. */
function isMeant(): boolean {
  // A worker shares its process's host only through the main thread.
  if (!isMainThread) return false
  if (process.env[TAKEN_VARIABLE] !== undefined) return false
  return !STARTERS.has(basename(process.argv[1] ?? ''))
}

async function register(): Promise<void> {
  const settings = readSettings(process.env)
  if (settings === null) throw new UsageError(NO_HOST)
  const system = systemPrefixes(settings)
  const host = await openHostOf(settings)
  setProcessHost(host)
  process.env[TAKEN_VARIABLE] = String(process.pid)
  interpose(host, system)
}

if (isMeant()) {
  try {
    await register()
  } catch (error) {
    const isKnown = error instanceof UsageError || error instanceof EnvironmentError || error instanceof NetError
    process.stderr.write(
      `hourglass: ${isKnown ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
    )
    process.exit(error instanceof UsageError ? EXIT_USAGE : EXIT_ENVIRONMENT)
  }
}
