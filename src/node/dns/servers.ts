// Name servers as node:dns writes them: `10.0.0.53`, `10.0.0.53:5353`, `fd00::53`, `[fd00::53]:5353`.

import { isIP } from 'node:net'
import type { Stack } from '../../stack.ts'
import { codedError, validateString } from '../node-errors.ts'
import { parseZoned } from '../zoned-address.ts'
import type { DnsServer } from './exchange.ts'

const DNS_PORT = 53

/** Those that the texts name, each once. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_IP_ADDRESS. */
export function parseServers(texts: readonly unknown[], stack: Stack): DnsServer[] {
  const servers: DnsServer[] = []
  for (const [index, text] of texts.entries()) {
    validateString(text, `servers[${index}]`)
    const server = parseServer(text, stack)
    if (!servers.some((other) => other.port === server.port && other.address.equals(server.address)))
      servers.push(server)
  }
  return servers
}

function parseServer(text: string, stack: Stack): DnsServer {
  const bracketed = /^\[([^[\]]*)\](?::(\d+))?/.exec(text)
  const plain = /^(.+?)(?::(\d+))?$/.exec(text)
  const candidates = [[text, ''], bracketed?.slice(1) ?? [], plain?.slice(1) ?? []]
  for (const [host = '', port] of candidates) {
    const zoned = isIP(host) === 0 ? null : parseZoned(host, stack)
    if (zoned !== null) return { ...zoned, port: (Number(port) || DNS_PORT) & 0xffff }
  }
  throw codedError(TypeError, 'ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${text}`)
}

/** The port is named where it is not the usual one. */
export function serverText({ address, port }: DnsServer): string {
  if (port === DNS_PORT) return String(address)
  return address.family === 6 ? `[${address}]:${port}` : `${address}:${port}`
}
