// Words of the command line to values: every mistake is a UsageError of one sentence.

import type { Command } from 'commander'
import { UsageError } from '../errors.ts'
import { parseLinkName } from '../link/link-name.ts'
import type { IsnChoice } from '../node/epoch-file.ts'
import { IpAddress, IpPrefix } from '../wire/address.ts'

export function integer(option: string, text: string, least: number, most: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most)) {
    throw new UsageError(`${option} ${text}: give a whole number from ${least} to ${most}`)
  }
  return value
}

export function decimal(option: string, text: string, least: number, most: number): number {
  const value = /^(\d{1,12}(\.\d{0,9})?|\.\d{1,9})$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most))
    throw new UsageError(`${option} ${text}: give a number from ${least} to ${most}`)
  return value
}

/** An option that may be given more than once. */
export const collect =
  <T>(parse: (text: string) => T) =>
  (text: string, before: T[] | undefined): T[] => [...(before ?? []), parse(text)]

/** Options that may be given more than once. */
const REPEATABLE = ['address', 'gateway', 'os-address', 'define', 'dns', 'host', 'system']

/** A value is given once: commander would take the last one without a word. */
export function refuseRepeats(command: Command): void {
  for (const inner of command.commands) refuseRepeats(inner)
  for (const option of command.options) {
    if ((!option.required && !option.optional) || REPEATABLE.includes(option.name())) continue
    let isGiven = false
    command.on(`option:${option.name()}`, () => {
      if (isGiven) throw new UsageError(`${option.long} is given twice: give it once`)
      isGiven = true
    })
  }
}

export const prefix = (text: string): IpPrefix => IpPrefix.of(text)

export const address = (text: string): IpAddress => IpAddress.from(text)

/** The bytes that hexadecimal digits stand for; a digit alone at the end is a byte of its own, as ping(8) has it. */
export function hexadecimal(option: string, text: string, most: number): Uint8Array {
  if (!/^[0-9a-f]+$/i.test(text) || text.length > 2 * most) {
    throw new UsageError(`${option} ${text}: give up to ${most} bytes as hexadecimal digits`)
  }
  return Uint8Array.from(text.match(/..?/g) ?? [], (digits) => Number.parseInt(digits, 16))
}

/** The text itself, once it is known to name a link. */
export const link = (text: string): string => {
  parseLinkName(text)
  return text
}

export const mtu = (text: string): number => integer('--mtu', text, 68, 65_535)

export const httpPort = (text: string): number => integer('--http', text, 1, 65_535)

export function isn(text: string): IsnChoice {
  if (text === 'hashed' || text === 'random') return text
  if (/^epoch:./.test(text)) return { epochFile: text.slice('epoch:'.length) }
  throw new UsageError(`--isn ${text}: give hashed, random or epoch:FILE`)
}
