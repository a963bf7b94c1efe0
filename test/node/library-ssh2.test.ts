// ssh2 between two hosts of ours, by its hooks. What the client sees is what it sees on Node's own net.

import { beforeAll, describe, expect, it } from 'vitest'
import { askSsh } from '../programs/ssh.ts'
import { makeSshKeys, serveSsh } from '../programs/ssh-server.ts'
import type { Part, Trace } from '../programs/trace.ts'
import { SERVER, withLinkedHosts } from '../support/linked-hosts.ts'
import type { AnyNet } from '../support/net-host.ts'

const PARTS: readonly Part[] = [
  {
    part: 'commands',
    title: 'runs a command, with its input, output, errors and code',
    seen: { code: 7, stdout: 'fünf ☃', stderr: 'wrong\n' },
  },
  { part: 'bulk', title: 'sends 4 MiB through a command', seen: { length: 4 * 1_024 * 1_024, same: true } },
  { part: 'many', title: 'runs five commands at once, in one connection', seen: { length: 5 } },
  { part: 'files', title: 'puts a file by SFTP and gets it back', seen: { seen: [true, true], missing: { code: 2 } } },
  {
    part: 'forwardOut',
    title: 'is led to a port on the other side',
    seen: { greeting: 'SSH-2.0-', toNobody: 'refused' },
  },
  { part: 'forwardIn', title: 'takes a connection that comes to a port of the server', seen: 'there and back' },
  {
    part: 'stranger',
    title: 'is refused with a key that the server does not know',
    seen: { message: 'All configured authentication methods failed' },
  },
  { part: 'refused', title: 'is refused where no server listens', seen: { code: 'ECONNREFUSED', syscall: 'connect' } },
  { part: 'destroyed', title: 'goes away in the midst of a command', seen: ['ready', 'close'] },
]

const keys = makeSshKeys()

async function run(host: string, client?: AnyNet, server?: AnyNet): Promise<Trace> {
  const { port, close } = await serveSsh({ host, ...keys }, server)
  const trace = await askSsh({ host, port, username: 'me', privateKey: keys.userKey }, client)
  close()
  return trace
}

const HOOK_MILLIS = 60_000

describe('a client and a server of ssh2 on two hosts of ours', () => {
  let node: Trace = {}
  let ours: Trace = {}
  beforeAll(async () => {
    node = await run('127.0.0.1')
    ours = await withLinkedHosts((client, server) => run(SERVER, client, server))
  }, HOOK_MILLIS)
  it.each(PARTS)('$title', ({ part, seen }) => {
    expect({ part: node[part] }).toMatchObject({ part: seen })
    expect(ours[part]).toEqual(node[part])
  })
})
