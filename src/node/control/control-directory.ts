// Where control sockets lie: one file per running host, `PID.sock`, in a directory that only its owner may enter.

import { once } from 'node:events'
import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EnvironmentError } from '../../errors.ts'

const OWNER_ONLY = 0o700
/** The permissions of the group and of all others. */
const OTHERS = 0o077

/** $XDG_RUNTIME_DIR/hourglass, or a directory with the user's number where temporary files lie. */
export function controlDirectory(): string {
  const runtime = process.env.XDG_RUNTIME_DIR
  if (runtime !== undefined && runtime !== '') return join(runtime, 'hourglass')
  return join(tmpdir(), `hourglass-${process.getuid?.() ?? 0}`)
}

export const controlPath = (pid: number): string => join(controlDirectory(), `${pid}.sock`)

/** The same file by a name that Node takes for a file: a number in a text is a TCP port of the system to it. */
export const asFile = (path: string): string => (path !== '' && !Number.isNaN(Number(path)) ? `./${path}` : path)

/** Makes the directory; throws EnvironmentError where it is not ours alone: sockets in it could be somebody else's. */
export function makeControlDirectory(): string {
  const path = controlDirectory()
  const mend = `remove it, or give another place with --control PATH`
  try {
    mkdirSync(path, { recursive: true, mode: OWNER_ONLY })
  } catch (error) {
    throw new EnvironmentError(`the control socket's directory ${path}`, `it cannot be made (${codeOf(error)})`, mend)
  }
  const found = lstatSync(path)
  const isOurs = found.isDirectory() && found.uid === (process.getuid?.() ?? found.uid) && (found.mode & OTHERS) === 0
  if (!isOurs) throw new EnvironmentError(`the control socket's directory ${path}`, 'others may change it', mend)
  return path
}

/** The processes that listen at a control socket here; what dead ones left behind is removed. */
export async function runningHosts(): Promise<number[]> {
  const directory = controlDirectory()
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch {
    return []
  }
  const running: number[] = []
  for (const name of names) {
    const path = join(directory, name)
    const pid = Number(/^(\d{1,10})\.sock$/.exec(name)?.[1] ?? Number.NaN)
    if (Number.isNaN(pid) || !isSocket(path)) continue
    // The number of a dead process may be another's by now.
    if (await isRefused(path)) rmSync(path, { force: true })
    else running.push(pid)
  }
  return running.sort((a, b) => a - b)
}

const isSocket = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true

/** Whether there is a socket at which nobody listens: its process was killed. */
export const isLeftOver = async (path: string): Promise<boolean> => isSocket(path) && (await isRefused(path))

async function isRefused(path: string): Promise<boolean> {
  const client = createConnection(path)
  try {
    await once(client, 'connect')
    return false
  } catch (error) {
    return codeOf(error) === 'ECONNREFUSED'
  } finally {
    client.destroy()
  }
}

export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)
