// The host of this process: what `hourglass/net`, `hourglass/dgram` and `hourglass/dns` and the programs under
// `hourglass/register` talk through. A program sets one, or it is opened as the environment says, once.

import { isMainThread } from 'node:worker_threads'
import { EnvironmentError, UsageError } from '../errors.ts'
import { ControlSocket } from './control/control-socket.ts'
import { Host } from './host.ts'
import { farewell } from './register/farewell.ts'
import {
  CONFIG_VARIABLE,
  hostOptionsOf,
  readSettings,
  type Settings,
  strayVariables,
  variableOf,
} from './register/settings.ts'

/** What somebody reads who gave no settings at all. */
export const NO_HOST = `this process has no host: set ${variableOf('link')} and ${variableOf('address')}, or ${CONFIG_VARIABLE} to a file of settings, or call setProcessHost()`
/** What somebody reads whose require() comes before the host. */
const NOT_OPEN =
  'this process has no host yet, and require() cannot wait for one: run it with node --import hourglass/register, or await processHost() of hourglass/node first, or use import'

let opening: Promise<Host> | null = null
let opened: Host | null = null

/** Makes `host` the one of this process. Throws UsageError where there is one already. */
export function setProcessHost(host: Host): void {
  if (opening !== null) throw new UsageError('this process has a host already: set it before anything asks for it')
  opened = host
  opening = Promise.resolve(host)
}

/** The host of this process, opened as the environment says where nobody set one. Rejects with UsageError, EnvironmentError, NetError. */
export function processHost(): Promise<Host> {
  opening ??= openProcessHost()
  return opening
}

/** The same for who cannot wait, as require() cannot. Throws UsageError where none is open yet. */
export function openedProcessHost(): Host {
  if (opened === null) throw new UsageError(NOT_OPEN)
  return opened
}

async function openProcessHost(): Promise<Host> {
  const settings = readSettings(process.env)
  if (settings === null) throw new UsageError(NO_HOST)
  opened = await openHostOf(settings)
  return opened
}

/** Opens a host for as long as the process lasts, and waits until its addresses may be used. Rejects as processHost(). */
export async function openHostOf(settings: Settings): Promise<Host> {
  for (const name of strayVariables(process.env))
    process.emitWarning(`${name} is no setting of a host, and is passed over: docs/programs.md has them all`)
  const host = await Host.open(hostOptionsOf(settings))
  try {
    await host.ready()
    host.onFailure = (error) => {
      process.stderr.write(`hourglass: ${error.message}\n`)
    }
    farewell(host, await openControl(host, settings))
  } catch (error) {
    await host.close()
    throw error
  }
  // The program's sockets keep the process alive; the host alone does not.
  host.driver.unref()
  return host
}

async function openControl(host: Host, { control }: Settings): Promise<ControlSocket | null> {
  // The control socket is found by its process: a worker's host would take the place of the main thread's.
  if (control === 'off' || !isMainThread) return null
  try {
    return await ControlSocket.open(host.stack, control)
  } catch (error) {
    if (control !== undefined || !(error instanceof EnvironmentError)) throw error
    process.stderr.write(`hourglass: ${error.message}\n`)
    return null
  }
}
