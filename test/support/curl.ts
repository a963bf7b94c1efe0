// Transfers by curl in a namespace, from and to the server of http-server.ts on our host: each is checked by SHA-256, which
// curl's end and ours reckon each for itself.

import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { HttpServer } from './http-server.ts'
import type { Namespace } from './namespace.ts'
import { digestOf, PseudoRandomBytes } from './pseudo-random.ts'
import { type Family, urlHost } from './tap-host.ts'

export const MIB = 1_024 * 1_024
/** LONG_TRANSFERS=1 (npm run test:long): every transfer as long as the longest, although some of them take their time. */
export const LONG = process.env.LONG_TRANSFERS === '1'
const MOST_SECONDS = 100
const CURL = `curl -sS --fail --max-time ${MOST_SECONDS}`
const PATIENCE_MILLIS = (MOST_SECONDS + 5) * 1_000

/** Files of pseudo-random bytes that curl uploads, made once each. */
export class UploadFiles {
  private readonly folder = mkdtempSync(join(tmpdir(), 'hourglass-upload-'))
  private readonly made = new Set<string>()

  path(seed: number, size: number): string {
    const path = join(this.folder, `${seed}-${size}`)
    if (!this.made.has(path)) {
      const fd = openSync(path, 'w')
      for (const chunk of new PseudoRandomBytes(seed, size)) writeSync(fd, chunk)
      closeSync(fd)
      this.made.add(path)
    }
    return path
  }

  remove(): void {
    rmSync(this.folder, { recursive: true })
  }
}

/** curl fetches `size` bytes from us. */
export async function download(
  namespace: Namespace,
  server: HttpServer,
  family: Family,
  size: number,
  seed: number,
): Promise<void> {
  const url = `http://${urlHost(family)}/${size}/${seed}`
  // What curl complains of is not hidden behind the end of the pipe.
  const told = await namespace.must(['bash', '-o', 'pipefail', '-c', `${CURL} '${url}' | sha256sum`], PATIENCE_MILLIS)
  const sha256 = digestOf(seed, size)
  expect(told.split(' ')[0], `what curl got from ${url}`).toBe(sha256)
  expect(server.served.at(-1)).toEqual({ method: 'GET', bytes: size, sha256 })
}

/** curl sends `size` bytes to us. */
export async function upload(
  namespace: Namespace,
  server: HttpServer,
  family: Family,
  size: number,
  seed: number,
  files: UploadFiles,
): Promise<void> {
  const told = await namespace.must(`${CURL} -T ${files.path(seed, size)} http://${urlHost(family)}/`, PATIENCE_MILLIS)
  const sha256 = digestOf(seed, size)
  expect(told, 'what our host got from curl').toBe(`${size} ${sha256}\n`)
  expect(server.served.at(-1)).toEqual({ method: 'PUT', bytes: size, sha256 })
}
