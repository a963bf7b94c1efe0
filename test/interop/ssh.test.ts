// OpenSSH over a TAP: the system's ssh and sftp into a server of ssh2 on our host, and ssh2's client from our host into the
// system's sshd; each by ssh2's hook, in this process, and as an unchanged program under `hourglass run`.

import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeNet } from '../../src/node/net/net.ts'
import { askSsh, type SshPlace } from '../programs/ssh.ts'
import { makeSshKeys, publicKeyOf, type SshSettings, serveSsh } from '../programs/ssh-server.ts'
import type { Trace } from '../programs/trace.ts'
import { command } from '../support/hourglass.ts'
import { type Namespace, needRoot } from '../support/namespace.ts'
import { digestOf, PseudoRandomBytes } from '../support/pseudo-random.ts'
import { startSshd } from '../support/servers.ts'
import { LINUX4, US4, withTapHost } from '../support/tap-host.ts'
import { needTool } from '../support/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'hourglass-ssh-'))
afterAll(() => rmSync(folder, { recursive: true }))
const path = (name: string): string => join(folder, name)

/** The program's own host, and the system's address there. */
const OWN = '10.78.0.2'
const SYSTEM = '10.78.0.1'
const PORT = 2_222
const FILE_BYTES = 8 * 1_024 * 1_024
const PROGRAM_MILLIS = 60_000
const MAIN = [process.execPath, '--import', 'tsx', 'test/programs/main.ts']
const LINK = ['run', '--link', 'tap:tap0', '--address', `${OWN}/24`, '--os-address', `${SYSTEM}/24`, '--']
const keys = makeSshKeys()
const IDENTITY = path('identity')

const start = (namespace: Namespace, words: readonly string[]): ReturnType<Namespace['spawn']> =>
  namespace.spawn(words, { XDG_RUNTIME_DIR: folder })

/** What the system's programs do with a server at `host`, whose key they know. */
async function visit(namespace: Namespace, host: string): Promise<unknown> {
  const known = path(`known-${host}`)
  writeFileSync(known, `[${host}]:${PORT} ${publicKeyOf(keys.hostKey)}\n`)
  const given = [`UserKnownHostsFile=${known}`, 'StrictHostKeyChecking=yes', `IdentityFile=${IDENTITY}`, `Port=${PORT}`]
  const options = ['-F', 'none', '-o', 'BatchMode=yes', ...given.flatMap((option) => ['-o', option])]
  const ssh = ['ssh', ...options]
  const ran = await namespace.run([...ssh, `me@${host}`, 'echo hello; echo wrong >&2; exit 7'])
  const [sent, back] = [path('sent'), path(`back-${host}`)]
  writeFileSync(sent, Buffer.concat([...new PseudoRandomBytes(7, FILE_BYTES)]))
  const shell = ['sh', '-c', `exec "$@" <${sent}`, '']
  const piped = await namespace.must([...shell, ...ssh, `me@${host}`, 'sha256sum'])
  writeFileSync(path('batch'), `put ${sent} ${back}.there\nget ${back}.there ${back}\nrm ${back}.there\n`)
  await namespace.must(['sftp', ...options, '-b', path('batch'), `me@${host}`])
  // Through the server to its own port.
  const greeting = await namespace.run([
    'sh',
    '-c',
    'exec "$@" </dev/null',
    '',
    ...ssh,
    '-W',
    `${host}:${PORT}`,
    `me@${host}`,
  ])
  return {
    ran,
    piped: piped.split(' ')[0],
    file: createHash('sha256').update(readFileSync(back)).digest('hex'),
    greeting: greeting.stdout.slice(0, 8),
  }
}

const VISITED = {
  ran: { code: 7, stdout: 'hello\n', stderr: 'wrong\n' },
  piped: digestOf(7, FILE_BYTES),
  file: digestOf(7, FILE_BYTES),
  greeting: 'SSH-2.0-',
}

async function traceIn(namespace: Namespace, words: readonly string[]): Promise<Trace> {
  const running = start(namespace, words)
  const [, json] = await running.printed(/^TRACE (.*)$/m, PROGRAM_MILLIS)
  expect(await running.finished).toMatchObject({ code: 0, stderr: '' })
  return (JSON.parse(json!) as { ssh: Trace }).ssh
}

describe.skipIf(!needRoot() || !needTool('ssh'))('the ssh and sftp of the system', () => {
  writeFileSync(IDENTITY, keys.userKey, { mode: 0o600 })

  it('run commands, carry files and forward a port through ssh2 with injectSocket() on our host', () =>
    withTapHost({}, async (host, namespace) => {
      const net = makeNet(host.stack)
      const { close } = await serveSsh({ host: US4, port: PORT, ...keys }, net)
      expect(await visit(namespace, US4)).toEqual(VISITED)
      close()
    }))

  it('do so through an unchanged server under hourglass run', () =>
    withTapHost({}, async (_host, namespace) => {
      const settings: SshSettings = { host: OWN, port: PORT, ...keys }
      const server = start(namespace, [...command(LINK), ...MAIN, JSON.stringify({ 'ssh-server': settings })])
      await server.printed(/^READY/m)
      expect(await visit(namespace, OWN)).toEqual(VISITED)
    }))
})

describe.skipIf(!needRoot() || !needTool('sshd'))('the sshd of the system', () => {
  it('serves ssh2 on our host, by `sock` and under hourglass run, as it serves it on Node’s own net', () =>
    withTapHost({}, async (host, namespace) => {
      const sshd = await startSshd(namespace, keys.hostKey, publicKeyOf(keys.userKey))
      const at = (address: string): SshPlace => ({
        host: address,
        port: sshd.port,
        username: 'root',
        privateKey: keys.userKey,
      })
      const program = (address: string): string[] => [...MAIN, JSON.stringify({ ssh: at(address) })]
      try {
        const node = await traceIn(namespace, program(LINUX4))
        expect(node).toMatchObject({ bulk: { same: true }, files: { seen: [true, true] }, forwardIn: 'there and back' })
        expect(await askSsh(at(LINUX4), makeNet(host.stack))).toEqual(node)
        expect(await traceIn(namespace, [...command(LINK), ...program(SYSTEM)])).toEqual(node)
      } finally {
        await sshd.stop()
      }
    }))
})
