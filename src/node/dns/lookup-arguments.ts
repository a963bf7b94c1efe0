// What dns.lookup() and its promise take as options: checked and refused as Node does.

import type { Family } from '../../wire/address.ts'
import * as errors from '../node-errors.ts'
import { ADDRCONFIG, ALL, type ResultOrder, V4MAPPED } from './lookup.ts'

export interface LookupOptions {
  family: Family | 0
  hints: number
  all: boolean
  order: ResultOrder
}

export const RESULT_ORDERS: readonly ResultOrder[] = ['verbatim', 'ipv4first', 'ipv6first']
const FAMILIES = [0, 4, 6]

/** An object of options, or a family. `names`: 'IPv4' and 'IPv6' count as families. */
export function readOptions(given: unknown, defaultOrder: ResultOrder, names: boolean): LookupOptions {
  const read: LookupOptions = { family: 0, hints: 0, all: false, order: defaultOrder }
  if (typeof given === 'number') {
    errors.validateOneOf(given, 'family', FAMILIES)
    read.family = given as Family
    return read
  }
  const options = (given ?? {}) as Readonly<Record<string, unknown>>
  const { hints, family, all, verbatim, order } = options
  if (hints !== undefined && hints !== null) {
    errors.validateNumber(hints, 'options.hints')
    read.hints = hints >>> 0
    if ((read.hints & ~(ADDRCONFIG | ALL | V4MAPPED)) !== 0) throw errors.invalidArgValue('hints', read.hints)
  }
  if (family !== undefined && family !== null) {
    const number = names && family === 'IPv4' ? 4 : names && family === 'IPv6' ? 6 : family
    errors.validateOneOf(number, 'options.family', FAMILIES)
    read.family = number as Family
  }
  if (all !== undefined && all !== null) {
    errors.validateBoolean(all, 'options.all')
    read.all = all
  }
  if (verbatim !== undefined && verbatim !== null) {
    errors.validateBoolean(verbatim, 'options.verbatim')
    read.order = verbatim ? 'verbatim' : 'ipv4first'
  }
  if (order !== undefined && order !== null) {
    errors.validateOneOf(order, 'options.order', RESULT_ORDERS)
    read.order = order as ResultOrder
  }
  return read
}

let warned = false

/** No name at all: answered with nothing, and warned of once. */
export function warnOfNoName(hostname: unknown): void {
  if (warned) return
  warned = true
  const message = `The provided hostname "${hostname}" is not a valid hostname, and is supported in the dns module solely for compatibility.`
  process.emitWarning(message, 'DeprecationWarning', 'DEP0118')
}
