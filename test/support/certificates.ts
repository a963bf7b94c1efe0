// Certificates for tests of TLS (X.509, RFC 5280), made where they are needed: no key lies in the repository, and no
// program has to be installed. Each has a key of its own on P-256 and is signed by ECDSA with SHA-256.

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'
import { IpAddress } from '../../src/wire/address.ts'

/** What tls takes: both in PEM. */
export interface Certified {
  readonly cert: string
  readonly key: string
}

export interface Subject {
  readonly name: string
  /** Names and addresses that it is for; default: its name. */
  readonly for?: readonly string[]
  /** Days from now. */
  readonly validFrom?: number
  readonly validUntil?: number
}

/** Somebody who signs: what it issues is good for whoever trusts `cert`. */
export interface Authority extends Certified {
  issue(subject: Subject): Certified
}

interface Signer {
  readonly name: string
  readonly key: KeyObject
}

const DAY_MILLIS = 86_400_000
const ECDSA_WITH_SHA256 = '06082a8648ce3d040302'
const COMMON_NAME = '0603550403'
const BASIC_CONSTRAINTS = '0603551d13'
const SUBJECT_ALT_NAME = '0603551d11'
const SEQUENCE = 0x30
const SET = 0x31

const hex = (text: string): Buffer => Buffer.from(text, 'hex')

/** A value of ASN.1 in DER: its tag, its length, its content. */
function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content)
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body])
  return Buffer.concat([Buffer.of(tag, 0x82, body.length >> 8, body.length & 0xff), body])
}

const nameOf = (text: string): Buffer =>
  der(SEQUENCE, der(SET, der(SEQUENCE, hex(COMMON_NAME), der(0x0c, Buffer.from(text)))))

/** RFC 5280 §4.1.2.5.2. */
function timeOf(days: number): Buffer {
  const text = new Date(Date.now() + days * DAY_MILLIS).toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return der(0x18, Buffer.from(text))
}

function extension(identifier: string, value: Buffer): Buffer {
  return der(SEQUENCE, hex(identifier), der(0x04, value))
}

/** RFC 5280 §4.2.1.6: dNSName, or iPAddress of 4 or 16 octets. */
function alternative(text: string): Buffer {
  if (isIP(text) === 0) return der(0x82, Buffer.from(text))
  const address = IpAddress.from(text)
  const octets = new Uint8Array(address.family === 4 ? 4 : 16)
  address.writeTo(new DataView(octets.buffer), 0)
  return der(0x87, octets)
}

function certify(subject: Subject, publicKey: KeyObject, signer: Signer, isAuthority: boolean): string {
  const algorithm = der(SEQUENCE, hex(ECDSA_WITH_SHA256))
  const extensions = [
    extension(BASIC_CONSTRAINTS, der(SEQUENCE, ...(isAuthority ? [hex('0101ff')] : []))),
    ...(isAuthority
      ? []
      : [extension(SUBJECT_ALT_NAME, der(SEQUENCE, ...(subject.for ?? [subject.name]).map(alternative)))]),
  ]
  const body = der(
    SEQUENCE,
    der(0xa0, hex('020102')),
    // A serial number is positive.
    der(0x02, Buffer.of(1), randomBytes(8)),
    algorithm,
    nameOf(signer.name),
    der(SEQUENCE, timeOf(subject.validFrom ?? -1), timeOf(subject.validUntil ?? 1)),
    nameOf(subject.name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(SEQUENCE, ...extensions)),
  )
  const signature = der(0x03, Buffer.of(0), sign('sha256', body, signer.key))
  const lines = der(SEQUENCE, body, algorithm, signature)
    .toString('base64')
    .match(/.{1,64}/g)!
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string

/** One that nobody else vouches for: who trusts its `cert` trusts that server alone. */
export function makeSelfSigned(subject: Subject): Certified {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signer = { name: subject.name, key: privateKey }
  return { cert: certify(subject, publicKey, signer, false), key: pemOf(privateKey) }
}

/** One that signed itself. */
export function makeAuthority(name: string): Authority {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signer = { name, key: own.privateKey }
  return {
    cert: certify({ name }, own.publicKey, signer, true),
    key: pemOf(own.privateKey),
    issue: (subject) => {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      return { cert: certify(subject, publicKey, signer, false), key: pemOf(privateKey) }
    },
  }
}
