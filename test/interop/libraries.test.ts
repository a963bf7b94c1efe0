// Servers and clients of Node's libraries in two processes under `--import hourglass/register`, over udp:, unchanged. What
// the client sees is what it sees on Node's own net.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askGrpc, type GrpcServer, OFFICE_NAME, serveGrpc } from '../programs/grpc.ts'
import { askMqtt, type MqttServer, serveMqtt } from '../programs/mqtt.ts'
import { askSsh } from '../programs/ssh.ts'
import { makeSshKeys, type SshServer, serveSsh } from '../programs/ssh-server.ts'
import type { Trace } from '../programs/trace.ts'
import { type Certified, makeSelfSigned } from '../support/certificates.ts'
import { type Namespace, needRoot, withNamespace } from '../support/namespace.ts'

const folder = mkdtempSync(join(tmpdir(), 'hourglass-libraries-'))
afterAll(() => rmSync(folder, { recursive: true }))
const REGISTER = pathToFileURL(resolve('dist/src/node/register/register.js')).href
const NODE = [process.execPath, '--import', REGISTER, '--import', 'tsx', 'test/programs/main.ts']
const PROGRAM_MILLIS = 60_000
const OURS = ['10.0.0.1', '10.0.0.2'] as const
const PORTS = [5_000, 5_001] as const

/** Programs on host 0 or 1 of a link between two processes. */
function start(namespace: Namespace, index: 0 | 1, programs: object): ReturnType<Namespace['spawn']> {
  const [own, peer] = index === 0 ? PORTS : [PORTS[1], PORTS[0]]
  return namespace.spawn([...NODE, JSON.stringify(programs)], {
    XDG_RUNTIME_DIR: folder,
    HOURGLASS_LINK: `udp:127.0.0.1:${own}-127.0.0.1:${peer}`,
    HOURGLASS_ADDRESS: `${OURS[index]}/24`,
  })
}

const keys = makeSshKeys()
const user = { username: 'me', privateKey: keys.userKey }

/** What the clients see of their servers, in this process. */
async function onNode(tls: Certified): Promise<Record<string, Trace>> {
  const host = '127.0.0.1'
  const servers = {
    grpc: await serveGrpc({ host, ...tls }),
    ssh: await serveSsh({ host, ...keys }),
    mqtt: await serveMqtt({ host }),
  }
  const { grpc, ssh, mqtt } = servers
  const traces = {
    grpc: await askGrpc({ host, cert: tls.cert, port: grpc.port, securePort: grpc.securePort }),
    ssh: await askSsh({ host, port: ssh.port, ...user }),
    mqtt: await askMqtt({ host, port: mqtt.port }),
  }
  for (const server of Object.values(servers)) server.close()
  return traces
}

interface Ready {
  readonly 'grpc-server': Pick<GrpcServer, 'port' | 'securePort'>
  readonly 'ssh-server': Pick<SshServer, 'port'>
  readonly 'mqtt-server': Pick<MqttServer, 'port'>
}

/** What the clients see of their servers, all clients on one host and all servers on another. */
async function between(namespace: Namespace, tls: Certified): Promise<Record<string, Trace>> {
  const host = OURS[1]
  const settings = { 'grpc-server': { host, ...tls }, 'ssh-server': { host, ...keys }, 'mqtt-server': { host } }
  const serving = start(namespace, 1, settings)
  const [line, json] = await serving.printed(/^READY (.*)$/m)
  const ready = JSON.parse(json!) as Ready
  const places = {
    grpc: { host, cert: tls.cert, ...ready['grpc-server'] },
    ssh: { host, ...user, ...ready['ssh-server'] },
    mqtt: { host, ...ready['mqtt-server'] },
  }
  const asking = start(namespace, 0, places)
  const [, seen] = await asking.printed(/^TRACE (.*)$/m, PROGRAM_MILLIS)
  expect(await asking.finished).toMatchObject({ code: 0, stderr: '' })
  expect(serving.output()).toBe(`${line}\n`)
  return JSON.parse(seen!) as Record<string, Trace>
}

describe.skipIf(!needRoot())('under --import hourglass/register, over udp:', () => {
  let node: Record<string, Trace> = {}
  let ours: Record<string, Trace> = {}
  beforeAll(async () => {
    const tls = makeSelfSigned({ name: OFFICE_NAME })
    ours = await withNamespace((namespace) => between(namespace, tls))
    node = await onNode(tls)
  })

  it.each([
    ['grpc', '@grpc/grpc-js calls its server'],
    ['ssh', 'ssh2 logs in to its server'],
    ['mqtt', 'mqtt speaks with a broker of aedes'],
  ])('%s: %s', (name) => {
    expect(Object.values(node[name]!)).not.toContainEqual(expect.objectContaining({ failed: expect.anything() }))
    expect(ours[name]).toEqual(node[name])
  })
})
