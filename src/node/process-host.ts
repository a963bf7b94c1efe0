// The host of this process: what `hourglass/net`, `hourglass/dgram` and `hourglass/dns` and the programs under
// `hourglass/register` talk through. A program sets one, or it is opened as the environment says, once.

import { UsageError } from '../errors.ts'
import { Host } from './host.ts'
import { CONFIG_VARIABLE, hostOptionsOf, readSettings, type Settings, variableOf } from './register/settings.ts'

let opening: Promise<Host> | null = null

/** Makes `host` the one of this process. Throws UsageError where there is one already. */
export function setProcessHost(host: Host): void {
  if (opening !== null) throw new UsageError('this process has a host already: set it before anything asks for it')
  opening = Promise.resolve(host)
}

/** The host of this process, opened as the environment says where nobody set one. Rejects with UsageError, EnvironmentError, NetError. */
export function processHost(): Promise<Host> {
  opening ??= openProcessHost()
  return opening
}

async function openProcessHost(): Promise<Host> {
  const settings = readSettings(process.env)
  if (settings === null) throw new UsageError(NO_HOST)
  const host = await openHostOf(settings)
  // Its sockets keep the process alive; the host alone does not.
  host.driver.unref()
  return host
}

/** What somebody reads who gave no settings at all. */
export const NO_HOST = `this process has no host: set ${variableOf('link')} and ${variableOf('address')}, or ${CONFIG_VARIABLE} to a file of settings, or call setProcessHost()`

/** Opens a host and waits until its addresses may be used. */
export async function openHostOf(settings: Settings): Promise<Host> {
  const host = await Host.open(hostOptionsOf(settings))
  await host.ready()
  return host
}
