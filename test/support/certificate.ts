// Certificates for tests of TLS, made by openssl while they run: none in this repository is known to anybody.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runTool } from './tools.ts'

/** PEM, both. */
export interface KeyPair {
  readonly key: string
  readonly certificate: string
}

/** A key and its own certificate for `names`, like `IP:10.0.0.1` and `DNS:a.test`. Needs the tool openssl. */
export function certificateOf(names: readonly string[]): KeyPair {
  const folder = mkdtempSync(join(tmpdir(), 'hourglass-certificate-'))
  const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')] as const
  const words = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=server'.split(' ')
  runTool('openssl', [...words, '-addext', `subjectAltName=${names.join(',')}`, '-keyout', key, '-out', certificate])
  const pair = { key: readFileSync(key, 'utf8'), certificate: readFileSync(certificate, 'utf8') }
  rmSync(folder, { recursive: true })
  return pair
}
