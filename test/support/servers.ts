// Servers of the system's packages in a network namespace, each with a folder of its own. As root. What is started here ends
// by its `stop`; the namespace kills what was left.

import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeSelfSigned } from './certificates.ts'
import type { Namespace } from './namespace.ts'
import { runTool } from './tools.ts'

export interface Server {
  readonly port: number
  stop(): Promise<void>
}

export interface PostgresServer extends Server {
  /** PEM. */
  readonly certificate: string
}

const POSTGRES = '/usr/lib/postgresql'
const POSTGRES_PORT = 5_432
/** PostgreSQL refuses to run as root. */
const AS_POSTGRES = ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups']
/** Nothing is to outlive the test, so nothing is synced; and nobody connects but by TCP. */
const POSTGRES_SETTINGS = [
  `port=${POSTGRES_PORT}`,
  'listen_addresses=*',
  'unix_socket_directories=',
  'fsync=off',
  'full_page_writes=off',
  'autovacuum=off',
  'ssl=on',
]

/** The newest PostgreSQL that is installed; '' where there is none. */
function postgresPrograms(): string {
  if (!existsSync(POSTGRES)) return ''
  const versions = readdirSync(POSTGRES).sort((a, b) => Number(b) - Number(a))
  return versions.map((version) => join(POSTGRES, version, 'bin')).find((path) => existsSync(`${path}/initdb`)) ?? ''
}

/** True where PostgreSQL's server is installed, which is in nobody's PATH. Throws under CI where it is not. */
export function needPostgres(): boolean {
  if (postgresPrograms() !== '') return true
  const line = `MISSING TOOL: no ${POSTGRES}/*/bin/initdb, the tests that need PostgreSQL do not run`
  if (process.env.CI === 'true') throw new Error(line)
  console.error(`\n*** ${line} ***\n`)
  return false
}

/** PostgreSQL with a fresh database and TLS, for the user postgres from anywhere, without a password. */
export async function startPostgres(namespace: Namespace, addresses: readonly string[]): Promise<PostgresServer> {
  const programs = postgresPrograms()
  const folder = mkdtempSync(join(tmpdir(), 'hourglass-postgres-'))
  const data = join(folder, 'data')
  const { uid, gid } = userOf('postgres')
  const pair = makeSelfSigned({ name: 'server', for: addresses })
  const [key, certificate] = [join(folder, 'server.key'), join(folder, 'server.crt')]
  writeFileSync(key, pair.key, { mode: 0o600 })
  writeFileSync(certificate, pair.cert)
  for (const path of [folder, key, certificate]) chownSync(path, uid, gid)
  const options = '--auth=trust --username=postgres --no-sync --no-instructions --locale=C --encoding=UTF8'.split(' ')
  await namespace.must([...AS_POSTGRES, `${programs}/initdb`, `--pgdata=${data}`, ...options])
  const settings = [...POSTGRES_SETTINGS, `ssl_cert_file=${certificate}`, `ssl_key_file=${key}`]
  // Only our namespace reaches it.
  appendFileSync(join(data, 'pg_hba.conf'), 'host all all all trust\n')
  const words = [`${programs}/postgres`, '-D', data, ...settings.flatMap((setting) => ['-c', setting])]
  const running = namespace.spawn([...AS_POSTGRES, ...words])
  await running.printed(/database system is ready to accept connections/)
  return {
    port: POSTGRES_PORT,
    certificate: pair.cert,
    stop: async () => {
      // The fast shutdown: it waits for nobody.
      running.child.kill('SIGINT')
      await running.finished
      rmSync(folder, { recursive: true })
    },
  }
}

const REDIS_PORT = 6_379

/** Redis, in memory only, open to whoever reaches it. */
export async function startRedis(namespace: Namespace): Promise<Server> {
  const words = `redis-server --port ${REDIS_PORT} --protected-mode no --appendonly no --save`.split(' ')
  const running = namespace.spawn([...words, ''])
  await running.printed(/Ready to accept connections/)
  return {
    port: REDIS_PORT,
    stop: async () => {
      running.child.kill('SIGTERM')
      await running.finished
    },
  }
}

const SSHD_PORT = 22
/** Debian's sshd asks for it, and makes it when it starts as a service. */
const SSHD_RUN = '/run/sshd'

/** OpenSSH's server for root with one key. Both keys are in OpenSSH's format: a private one, and a public one. */
export async function startSshd(namespace: Namespace, hostKey: string, authorized: string): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'hourglass-sshd-'))
  const [key, users, configuration] = ['host_key', 'authorized_keys', 'sshd_config'].map((name) =>
    join(folder, name),
  ) as [string, string, string]
  const lines = [
    `Port ${SSHD_PORT}`,
    `HostKey ${key}`,
    `AuthorizedKeysFile ${users}`,
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'StrictModes no',
    'UsePAM no',
    'PidFile none',
    'Subsystem sftp internal-sftp',
  ]
  writeFileSync(key, hostKey, { mode: 0o600 })
  writeFileSync(users, `${authorized}\n`)
  writeFileSync(configuration, `${lines.join('\n')}\n`)
  mkdirSync(SSHD_RUN, { recursive: true, mode: 0o755 })
  const running = namespace.spawn(['/usr/sbin/sshd', '-D', '-e', '-f', configuration])
  await running.printed(/Server listening on 0\.0\.0\.0/)
  return {
    port: SSHD_PORT,
    stop: async () => {
      running.child.kill('SIGTERM')
      await running.finished
      rmSync(folder, { recursive: true })
    },
  }
}

function userOf(name: string): { uid: number; gid: number } {
  const id = (flag: string): number => Number(runTool('id', [flag, name]))
  return { uid: id('-u'), gid: id('-g') }
}
