// Where control sockets lie: one file per running host, `PID.sock`, in a directory that only its owner may enter.

import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
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
  const { mode, uid } = lstatSync(path)
  const isOurs = lstatSync(path).isDirectory() && uid === (process.getuid?.() ?? uid) && (mode & OTHERS) === 0
  if (!isOurs) throw new EnvironmentError(`the control socket's directory ${path}`, 'others may change it', mend)
  return path
}

/** The processes with a control socket here; what dead ones left behind is removed. */
export function runningHosts(): number[] {
  const directory = controlDirectory()
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch {
    return []
  }
  const running: number[] = []
  for (const name of names) {
    const pid = Number(/^(\d{1,10})\.sock$/.exec(name)?.[1] ?? Number.NaN)
    if (Number.isNaN(pid)) continue
    if (isAlive(pid)) running.push(pid)
    else rmSync(join(directory, name), { force: true })
  }
  return running.sort((a, b) => a - b)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)
