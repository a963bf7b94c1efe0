// What a program of the tests saw, part by part: plain values, so that the same program on Node's own net and on ours can be
// compared, also across processes.

import { createHash } from 'node:crypto'
import type { EventEmitter } from 'node:events'

/** By the part's name: what it gives, or `failed` and how. */
export type Trace = Record<string, unknown>

/** Runs the parts one after another. One that fails says so in its place; the others run. */
export async function traceOf(parts: Readonly<Record<string, () => Promise<unknown>>>): Promise<Trace> {
  const trace: Trace = {}
  for (const [name, run] of Object.entries(parts)) {
    try {
      trace[name] = await run()
    } catch (error) {
      trace[name] = { failed: failureOf(error), stack: error instanceof Error ? error.stack : undefined }
    }
  }
  return trace
}

/** A part of a program, with what matters of what it sees, wherever it runs. */
export interface Part {
  readonly part: string
  readonly title: string
  readonly seen: unknown
}

const FIELDS = ['code', 'errno', 'syscall', 'severity'] as const

/** Of an error, what programs look at: never where it was thrown, nor addresses, which differ from way to way. */
export function failureOf(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { thrown: String(error) }
  const found: Record<string, unknown> = { name: error.name, message: withoutAddresses(error.message) }
  for (const field of FIELDS) if (field in error) found[field] = Reflect.get(error, field)
  return found
}

const ADDRESS = /\d+\.\d+\.\d+\.\d+(:\d+)?|[0-9a-f]+(:[0-9a-f]*){2,}:\d+/g

export const withoutAddresses = (text: string): string => text.replaceAll(ADDRESS, 'ADDRESS')

/** How a promise fails; that it does not is a failure here. */
export async function refusal(promise: Promise<unknown>): Promise<Record<string, unknown>> {
  return promise.then(
    (value) => ({ fulfilled: String(value) }),
    (error: unknown) => failureOf(error),
  )
}

/** An EventEmitter, however narrow its types. */
interface Emits {
  once(event: never, listener: never): unknown
}

/** The arguments of the next `event`; rejects after the time. */
export const next = (emitter: Emits, event: string, millis = 10_000): Promise<unknown[]> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} within ${millis} ms`)), millis)
    // Who does not wait any more is not to keep the process.
    timer.unref()
    ;(emitter as EventEmitter).once(event, (...values: unknown[]) => {
      clearTimeout(timer)
      resolve(values)
    })
  })

export const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
