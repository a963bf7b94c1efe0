// What a program's own host is to be, from the environment and a small JSON file: `hourglass run` writes the
// environment, `--import hourglass/register` reads it. The file and the variables have the names of the options.

import { UsageError } from '../../errors.ts'
import { parseLinkName } from '../../link/link-name.ts'
import { IpAddress, IpPrefix } from '../../wire/address.ts'
import { MacAddress } from '../../wire/ethernet.ts'
import { type HostOptions, nameServerOf } from '../host-options.ts'
import { readText } from '../read-text.ts'

const CONFIG_BYTES = 1_024 * 1_024

/** Each is an option of `hourglass run`, a key of the file, and HOURGLASS_… in the environment; lists have commas there. */
export interface Settings {
  link?: string
  address?: readonly string[]
  gateway?: readonly string[]
  osAddress?: readonly string[]
  /** Bytes. */
  mtu?: number
  capture?: string
  offload?: boolean
  autoconf?: boolean
  mac?: string
  /** Name servers, as dns.setServers takes them. */
  dns?: readonly string[]
  /** `NAME=ADDRESS`, like lines of /etc/hosts. */
  host?: readonly string[]
  /** Destinations that stay the system's: `A/LEN`. */
  system?: readonly string[]
  /** The path of the control socket; `off`: none. */
  control?: string
}

type Kind = 'text' | 'list' | 'number' | 'switch'

const KINDS: Readonly<Record<keyof Settings, Kind>> = {
  link: 'text',
  address: 'list',
  gateway: 'list',
  osAddress: 'list',
  mtu: 'number',
  capture: 'text',
  offload: 'switch',
  autoconf: 'switch',
  mac: 'text',
  dns: 'list',
  host: 'list',
  system: 'list',
  control: 'text',
}
const NAMES = Object.keys(KINDS) as (keyof Settings)[]
const ON = new Set(['1', 'true', 'yes', 'on'])
const OFF = new Set(['0', 'false', 'no', 'off'])

/** The variable of a setting: osAddress is HOURGLASS_OS_ADDRESS. */
export const variableOf = (name: keyof Settings): string =>
  `HOURGLASS_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
/** Names a file of settings. */
export const CONFIG_VARIABLE = 'HOURGLASS_CONFIG'
/** Set in the environment of children by a process that is a host: they are not to be the same one again. */
export const TAKEN_VARIABLE = 'HOURGLASS_HOST_PID'

type Environment = Readonly<Record<string, string | undefined>>

/** Null where nothing is said. Throws UsageError for what cannot be meant. */
export function readSettings(environment: Environment): Settings | null {
  const path = environment[CONFIG_VARIABLE]
  const settings: Record<string, unknown> = path === undefined || path === '' ? {} : readFile(path)
  for (const name of NAMES) {
    const text = environment[variableOf(name)]
    if (text !== undefined && text !== '') settings[name] = fromText(variableOf(name), KINDS[name], text)
  }
  return Object.keys(settings).length === 0 ? null : (settings as Settings)
}

/** Variables that look like settings and are none. */
export function strayVariables(environment: Environment): string[] {
  const known = new Set([...NAMES.map(variableOf), CONFIG_VARIABLE, TAKEN_VARIABLE])
  return Object.keys(environment).filter((name) => name.startsWith('HOURGLASS_') && !known.has(name))
}

/** The settings as variables, for a child. */
export function toEnvironment(settings: Settings): Record<string, string> {
  const variables: Record<string, string> = {}
  for (const name of NAMES) {
    const value = settings[name]
    if (value !== undefined) variables[variableOf(name)] = Array.isArray(value) ? value.join(',') : String(value)
  }
  return variables
}

function readFile(path: string): Record<string, unknown> {
  const file = `the file ${path} of ${CONFIG_VARIABLE}`
  let value: unknown
  try {
    value = JSON.parse(readText(path, CONFIG_BYTES))
  } catch (error) {
    const why = error instanceof SyntaxError ? `is no JSON (${error.message})` : `cannot be read (${String(error)})`
    throw new UsageError(`${file} ${why}: write an object like {"link": "tap:tap0", "address": ["10.77.0.2/24"]}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError(`${file} holds no object: write one like {"link": "tap:tap0", "address": ["10.77.0.2/24"]}`)
  }
  const settings: Record<string, unknown> = {}
  for (const [name, given] of Object.entries(value)) {
    const known = NAMES.find((one) => one === name)
    if (known === undefined) throw new UsageError(`${file} has the key '${name}': the keys are ${NAMES.join(', ')}`)
    settings[name] = fromJson(`${name} in ${file}`, KINDS[known], given)
  }
  return settings
}

function fromJson(what: string, kind: Kind, value: unknown): unknown {
  if (kind === 'list') {
    const list: unknown[] = Array.isArray(value) ? value : [value]
    if (list.every((one) => typeof one === 'string')) return list
    throw new UsageError(`${what} is no text and no list of texts: give one like "10.77.0.2/24"`)
  }
  const wanted = kind === 'switch' ? 'boolean' : kind === 'number' ? 'number' : 'string'
  if (typeof value !== wanted) throw new UsageError(`${what} is a ${typeof value}: give a ${wanted}`)
  return value
}

function fromText(variable: string, kind: Kind, text: string): unknown {
  switch (kind) {
    case 'text':
      return text
    case 'list':
      return text
        .split(',')
        .map((one) => one.trim())
        .filter((one) => one !== '')
    case 'number':
      if (/^\d{1,9}$/.test(text)) return Number(text)
      throw new UsageError(`${variable}=${text}: give a whole number`)
    case 'switch':
      if (ON.has(text.toLowerCase())) return true
      if (OFF.has(text.toLowerCase())) return false
      throw new UsageError(`${variable}=${text}: give 1 or 0`)
  }
}

/** What Host.open takes. Throws UsageError. */
export function hostOptionsOf(settings: Settings): HostOptions {
  const { link } = settings
  if (link === undefined) {
    throw new UsageError(
      `the program's host has no link: give one with ${variableOf('link')}, like ${variableOf('link')}=tap:tap0`,
    )
  }
  parseLinkName(link)
  if (settings.capture === '-') {
    throw new UsageError('the capture cannot go to standard output, which is the program’s: name a file')
  }
  const addresses = (settings.address ?? []).map((text) => IpPrefix.of(text))
  if (addresses.length === 0 && settings.autoconf !== true) {
    throw new UsageError(
      `the program's host has no address: give one with ${variableOf('address')}, like ${variableOf('address')}=10.77.0.2/24`,
    )
  }
  return {
    link,
    addresses,
    gateways: (settings.gateway ?? []).map((text) => IpAddress.from(text)),
    osAddresses: (settings.osAddress ?? []).map((text) => IpPrefix.of(text)),
    offload: settings.offload ?? true,
    acceptRouters: settings.autoconf ?? false,
    ...(settings.mtu === undefined ? {} : { mtu: settings.mtu }),
    ...(settings.capture === undefined ? {} : { capture: settings.capture }),
    ...(settings.mac === undefined ? {} : { mac: MacAddress.from(settings.mac) }),
    nameServers: (settings.dns ?? []).map(nameServerOf),
    hosts: hostsTableOf(settings),
  }
}

/** The lines `NAME=ADDRESS` in the format of /etc/hosts. Throws UsageError. */
export function hostsTableOf(settings: Settings): string {
  const lines = (settings.host ?? []).map((line) => {
    const [name = '', address = '', ...rest] = line.split('=')
    if (!/^[^\s#]+$/.test(name) || address === '' || rest.length > 0) {
      throw new UsageError(`the host '${line}': write NAME=ADDRESS, like db=10.77.0.9`)
    }
    return `${IpAddress.from(address)} ${name}`
  })
  return lines.join('\n')
}

/** Which destinations stay the system's. Throws UsageError. */
export function systemPrefixes(settings: Settings): IpPrefix[] {
  return (settings.system ?? []).map((text) => IpPrefix.of(text))
}
