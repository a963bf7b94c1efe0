// The settings of a program's own host, from its environment and a file: what cannot be meant is one sentence that says
// what, why, and how to mend it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { UsageError } from '../../src/errors.ts'
import { openHostOf } from '../../src/node/process-host.ts'
import {
  hostOptionsOf,
  readSettings,
  type Settings,
  systemPrefixes,
  toEnvironment,
  variableOf,
} from '../../src/node/register/settings.ts'

const folder = mkdtempSync(join(tmpdir(), 'hourglass-settings-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

/** The variables of settings that are given as text. */
const variables = (settings: Partial<Record<keyof Settings, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(settings).map(([name, text]) => [variableOf(name as keyof Settings), text]))

/** Reads the environment and opens the host, as register does. */
async function open(environment: Record<string, string>): Promise<void> {
  const settings = readSettings(environment)
  if (settings === null) return
  systemPrefixes(settings)
  const host = await openHostOf(settings)
  await host.close()
}

const GOOD = { link: 'mem', address: '10.0.0.1/24' }

describe('settings of a program’s host', () => {
  it('come from the environment, and from a file with the names of the options', () => {
    const environment = variables({
      ...GOOD,
      address: '10.0.0.1/24, fd00::1/64',
      offload: 'no',
      host: 'db=10.0.0.9',
      mtu: '1400',
    })
    const settings = readSettings(environment)!
    expect(settings).toEqual({
      link: 'mem',
      address: ['10.0.0.1/24', 'fd00::1/64'],
      offload: false,
      host: ['db=10.0.0.9'],
      mtu: 1_400,
    })
    expect(readSettings(toEnvironment(settings))).toEqual(settings)
    const HOURGLASS_CONFIG = file('good.json', JSON.stringify({ ...settings, address: '10.0.0.5/24' }))
    expect(readSettings({ HOURGLASS_CONFIG, HOURGLASS_MTU: '1500' })).toEqual({
      ...settings,
      address: ['10.0.0.5/24'],
      mtu: 1_500,
    })
    expect(hostOptionsOf(settings)).toMatchObject({ offload: false, mtu: 1_400, hosts: '10.0.0.9 db' })
    expect(readSettings({})).toBeNull()
    const dns = ['10.0.0.53', '10.0.0.53:5353', 'fd00::53', '[fd00::53]', '[fd00::53]:5353']
    expect(hostOptionsOf({ ...settings, dns })).toMatchObject({ nameServers: dns })
  })

  it.each<[settings: Partial<Record<keyof Settings, string>>, says: string]>([
    [
      { address: '10.0.0.1/24' },
      `the program's host has no link: give one with HOURGLASS_LINK, like HOURGLASS_LINK=tap:tap0`,
    ],
    [
      { link: 'mem' },
      `the program's host has no address: give one with HOURGLASS_ADDRESS, like HOURGLASS_ADDRESS=10.77.0.2/24`,
    ],
    [{ ...GOOD, link: 'wire:1' }, `'wire:1' is not a link: write `],
    [{ ...GOOD, address: '10.0.0.1' }, `'10.0.0.1' has no prefix length: write it like 10.0.0.2/24 or fd00::2/64`],
    [{ ...GOOD, address: '10.0.0.999/24' }, `'10.0.0.999`],
    [{ ...GOOD, gateway: 'router' }, `'router' is not an IP address: write it like`],
    [{ ...GOOD, mtu: 'big' }, 'HOURGLASS_MTU=big: give a whole number'],
    [{ ...GOOD, mtu: '10' }, '10'],
    [{ ...GOOD, offload: 'maybe' }, 'HOURGLASS_OFFLOAD=maybe: give 1 or 0'],
    [{ ...GOOD, host: 'db' }, `the host 'db': write NAME=ADDRESS, like db=10.77.0.9`],
    [{ ...GOOD, host: 'db=10.0' }, `'10.0' is not an IP address: write it like`],
    [
      { ...GOOD, dns: '10.0.0.53,dns.test' },
      `the name server 'dns.test': write an address, or one with a port, like 10.0.0.53:5353`,
    ],
    [{ ...GOOD, dns: '10.0.0.53:99999' }, `the name server '10.0.0.53:99999': write an address, or one with a port`],
    [{ ...GOOD, dns: '[fd00::53]:0' }, `the name server '[fd00::53]:0': write an address, or one with a port`],
    [{ ...GOOD, capture: '-' }, 'the capture cannot go to standard output, which is the program’s: name a file'],
    [{ ...GOOD, system: '127.0.0.1' }, `'127.0.0.1' has no prefix length`],
    [{ ...GOOD, mac: 'x' }, `'x'`],
  ])('%o are refused', async (settings, says) => {
    const error = (await open(variables(settings)).catch((reason: unknown) => reason)) as Error
    expect(error).toBeInstanceOf(UsageError)
    expect(error.message).toContain(says)
    expect(error.message).not.toMatch('\n')
  })

  it.each([
    ['nowhere.json', null, 'nowhere.json of HOURGLASS_CONFIG cannot be read'],
    ['bad.json', '{', 'bad.json of HOURGLASS_CONFIG is no JSON'],
    ['list.json', '[]', `holds no object: write one like {"link": "tap:tap0", "address": ["10.77.0.2/24"]}`],
    ['key.json', '{"lnik": "mem"}', `has the key 'lnik': the keys are link, address, `],
    ['type.json', '{"link": 1}', 'link in the file '],
    ['list-of-numbers.json', '{"address": [1]}', 'is no text and no list of texts: give'],
  ])('the file %s is refused', (name, text, says) => {
    const path = text === null ? join(folder, name) : file(name, text)
    expect(() => readSettings({ HOURGLASS_CONFIG: path })).toThrow(says)
    expect(() => readSettings({ HOURGLASS_CONFIG: path })).toThrow(UsageError)
  })

  it('a file that has no end is refused, and so is a folder', () => {
    expect(() => readSettings({ HOURGLASS_CONFIG: '/dev/zero' })).toThrow(
      /longer than 1048576 bytes\): write an object/,
    )
    expect(() => readSettings({ HOURGLASS_CONFIG: folder })).toThrow(/EISDIR.*: write an object/)
  })
})
