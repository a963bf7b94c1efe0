// A server of ssh2 that runs commands, forwards ports and serves files, for ssh2's own client and for OpenSSH's. On Node's
// net as it is; on a net of ours by injectSocket().

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type FileHandle, open, stat, unlink } from 'node:fs/promises'
import system, { type AddressInfo } from 'node:net'
import ssh2, { type Attributes, type Connection, type ServerChannel, type Session, type SFTPWrapper } from 'ssh2'
import type { AnyNet, AnyServer } from '../support/net-host.ts'

const { STATUS_CODE, flagsToString } = ssh2.utils.sftp

export interface SshKeys {
  /** OpenSSH's format, private ones. */
  readonly hostKey: string
  readonly userKey: string
}

export interface SshSettings extends SshKeys {
  readonly host: string
  /** Default: one that is free. */
  readonly port?: number
}

export interface SshServer {
  readonly port: number
  close(): void
}

/** A fresh pair of keys for the server and for its only user. */
export const makeSshKeys = (): SshKeys => ({
  hostKey: ssh2.utils.generateKeyPairSync('ed25519').private,
  userKey: ssh2.utils.generateKeyPairSync('ed25519').private,
})

/** The public half of a private key, as in authorized_keys. */
export function publicKeyOf(privateKey: string): string {
  const key = parseKey(privateKey)
  return `${key.type} ${key.getPublicSSH().toString('base64')}`
}

export async function serveSsh({ host, port = 0, ...keys }: SshSettings, net?: AnyNet): Promise<SshServer> {
  const connections = new Set<Connection>()
  const { createServer, connect } = net ?? system
  const served = new ssh2.Server({ hostKeys: [keys.hostKey] }, (connection) => {
    connections.add(connection)
    connection.on('close', () => connections.delete(connection))
    // A client that goes away abruptly is no failure of the server.
    connection.on('error', () => {})
    serveConnection(connection, keys, { createServer, connect } as AnyNet)
  })
  const listener = net === undefined ? served : net.createServer((socket) => served.injectSocket(socket))
  listener.listen(port, host)
  await once(listener, 'listening')
  return {
    port: (listener.address() as AddressInfo).port,
    close: () => {
      listener.close()
      for (const connection of connections) connection.end()
    },
  }
}

function serveConnection(connection: Connection, { userKey }: SshKeys, net: AnyNet): void {
  const user = parseKey(userKey)
  const forwards = new Map<number, AnyServer>()
  connection.on('authentication', (context) => {
    if (context.method !== 'publickey' || !context.key.data.equals(user.getPublicSSH())) return context.reject()
    const { signature, blob, hashAlgo } = context
    if (signature === undefined || user.verify(blob!, signature, hashAlgo) === true) context.accept()
    else context.reject()
  })
  connection.on('session', (accept) => serveSession(accept()))
  connection.on('tcpip', (accept, reject, { destIP, destPort }) => {
    const socket = net.connect({ port: destPort, host: destIP, allowHalfOpen: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      const channel = accept()
      socket.on('error', () => channel.destroy())
      channel.pipe(socket).pipe(channel)
    })
  })
  connection.on('request', (accept, reject, name, info) => {
    if (name !== 'tcpip-forward' || !('bindAddr' in info)) return reject?.()
    const listener = net.createServer({ allowHalfOpen: true }, (socket) => {
      const { remoteAddress = '', remotePort = 0 } = socket
      connection.forwardOut(info.bindAddr, port(), remoteAddress, remotePort, (error, channel) => {
        if (error === undefined) socket.pipe(channel).pipe(socket)
        else socket.destroy()
      })
    })
    const port = (): number => (listener.address() as AddressInfo).port
    listener.listen(info.bindPort, info.bindAddr, () => {
      forwards.set(port(), listener)
      accept?.(port())
    })
  })
  connection.on('close', () => {
    for (const listener of forwards.values()) listener.close()
  })
}

function parseKey(text: string): ssh2.ParsedKey {
  const key = ssh2.utils.parseKey(text)
  if (key instanceof Error) throw key
  return key
}

function serveSession(session: Session): void {
  session.on('exec', (accept, _reject, { command }) => run(accept(), command))
  session.on('sftp', (accept) => serveFiles(accept()))
}

function run(channel: ServerChannel, command: string): void {
  const child = spawn('sh', ['-c', command])
  channel.pipe(child.stdin)
  child.stdin.on('error', () => {})
  child.stdout.pipe(channel, { end: false })
  child.stderr.pipe(channel.stderr, { end: false })
  child.once('close', (code) => {
    channel.exit(code ?? 1)
    channel.end()
  })
}

/** As much of SFTP as it takes to put a file and to get it back. */
function serveFiles(files: SFTPWrapper): void {
  const handles = new Map<number, FileHandle>()
  const handleOf = (name: Buffer): FileHandle => handles.get(name.readUInt32BE())!
  /** What fails is told to the client. */
  const answer = (id: number, work: () => Promise<void>): void => {
    work().catch((error: NodeJS.ErrnoException) => {
      files.status(id, error.code === 'ENOENT' ? STATUS_CODE.NO_SUCH_FILE : STATUS_CODE.FAILURE)
    })
  }
  const done = (id: number): void => files.status(id, STATUS_CODE.OK)
  files.on('OPEN', (id, path, flags) =>
    answer(id, async () => {
      const name = Buffer.alloc(4)
      name.writeUInt32BE(handles.size)
      handles.set(handles.size, await open(path, flagsToString(flags)!))
      files.handle(id, name)
    }),
  )
  files.on('READ', (id, name, offset, length) =>
    answer(id, async () => {
      const { bytesRead, buffer } = await handleOf(name).read(Buffer.alloc(length), 0, length, offset)
      if (bytesRead === 0) files.status(id, STATUS_CODE.EOF)
      else files.data(id, buffer.subarray(0, bytesRead))
    }),
  )
  files.on('WRITE', (id, name, offset, data) =>
    answer(id, async () => {
      await handleOf(name).write(data, 0, data.length, offset)
      done(id)
    }),
  )
  files.on('CLOSE', (id, name) =>
    answer(id, async () => {
      await handleOf(name).close()
      done(id)
    }),
  )
  const attributes = (id: number, path: string): void =>
    answer(id, async () => {
      const { mode, uid, gid, size, atimeMs, mtimeMs } = await stat(path)
      files.attrs(id, { mode, uid, gid, size, atime: seconds(atimeMs), mtime: seconds(mtimeMs) })
    })
  files.on('STAT', attributes)
  files.on('LSTAT', attributes)
  files.on('FSTAT', (id, name) =>
    answer(id, async () => {
      const { mode, uid, gid, size, atimeMs, mtimeMs } = await handleOf(name).stat()
      files.attrs(id, { mode, uid, gid, size, atime: seconds(atimeMs), mtime: seconds(mtimeMs) })
    }),
  )
  // OpenSSH's client ends its half of the channel and waits for ours.
  files.on('end', () => files.end())
  files.on('SETSTAT', done)
  files.on('FSETSTAT', done)
  files.on('REMOVE', (id, path) =>
    answer(id, async () => {
      await unlink(path)
      done(id)
    }),
  )
  files.on('REALPATH', (id, path) => {
    files.name(id, [{ filename: path, longname: path, attrs: {} as Attributes }])
  })
}

const seconds = (millis: number): number => Math.floor(millis / 1_000)
