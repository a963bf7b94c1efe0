// Servers and clients of Node's libraries in two processes under `--import hourglass/register`, over udp:, unchanged. What
// the client sees is what it sees on Node's own net.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { askGrpc, OFFICE_NAME, serveGrpc } from '../programs/grpc.ts'
import { askSsh } from '../programs/ssh.ts'
import { makeSshKeys, serveSsh } from '../programs/ssh-server.ts'
import type { Trace } from '../programs/trace.ts'
import { certificateOf } from '../support/certificate.ts'
import { type Namespace, needRoot, withNamespace } from '../support/namespace.ts'
import { needTool } from '../support/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'hourglass-libraries-'))
afterAll(() => rmSync(folder, { recursive: true }))
const REGISTER = pathToFileURL(resolve('dist/src/node/register/register.js')).href
const NODE = [process.execPath, '--import', REGISTER, '--import', 'tsx', 'test/programs/main.ts']
const PROGRAM_MILLIS = 60_000
const OURS = ['10.0.0.1', '10.0.0.2'] as const
const PORTS = [5_000, 5_001] as const

/** The program `name` on host 0 or 1 of a link between two processes. */
function start(namespace: Namespace, index: 0 | 1, name: string, given: object): ReturnType<Namespace['spawn']> {
  const [own, peer] = index === 0 ? PORTS : [PORTS[1], PORTS[0]]
  return namespace.spawn([...NODE, name, JSON.stringify(given)], {
    XDG_RUNTIME_DIR: folder,
    HOURGLASS_LINK: `udp:127.0.0.1:${own}-127.0.0.1:${peer}`,
    HOURGLASS_ADDRESS: `${OURS[index]}/24`,
  })
}

/** What the client of `name` sees of its server, each on a host of its own. */
async function between(name: string, server: object, client: object): Promise<Trace> {
  let trace: Trace = {}
  await withNamespace(async (namespace) => {
    const serving = start(namespace, 1, `${name}-server`, { host: OURS[1], ...server })
    const [line, ready] = await serving.printed(/^READY (.*)$/m)
    const asking = start(namespace, 0, name, { host: OURS[1], ...client, ...JSON.parse(ready!) })
    const [, seen] = await asking.printed(/^TRACE (.*)$/m, PROGRAM_MILLIS)
    expect(await asking.finished).toMatchObject({ code: 0, stderr: '' })
    expect(serving.output()).toBe(`${line}\n`)
    trace = JSON.parse(seen!) as Trace
  })
  return trace
}

describe.skipIf(!needRoot())('under --import hourglass/register, over udp:', () => {
  it.skipIf(!needTool('openssl'))('@grpc/grpc-js calls its server', async () => {
    const tls = certificateOf([`DNS:${OFFICE_NAME}`])
    const { certificate } = tls
    const { close, ...ports } = await serveGrpc({ host: '127.0.0.1', ...tls })
    const node = await askGrpc({ host: '127.0.0.1', certificate, ...ports })
    close()
    expect(await between('grpc', tls, { certificate })).toEqual(node)
  })

  it('ssh2 logs in to its server', async () => {
    const keys = makeSshKeys()
    const user = { username: 'me', privateKey: keys.userKey }
    const { close, port } = await serveSsh({ host: '127.0.0.1', ...keys })
    const node = await askSsh({ host: '127.0.0.1', port, ...user })
    close()
    expect(await between('ssh', keys, user)).toEqual(node)
  })
})
