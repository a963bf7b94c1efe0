// The command where it needs no network: what it prints, where to, and how it ends.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { command, hourglass } from '../support/hourglass.ts'
import { needDevice } from '../support/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'hourglass-cli-'))
const inFolder = (name: string): string => join(folder, name)
const GOLDEN = 'captures/ping4.pcapng'
const MEM = '--link mem --address 10.0.0.1/24'
const VERBS = ['demo', 'up', 'ping', 'trace', 'nc', 'run', 'ss', 'ip', 'nstat', 'dump', 'drill', 'doctor']
const version = (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version
afterAll(() => rmSync(folder, { recursive: true }))

const sh = (line: string): { code: number | null; stdout: string; stderr: string } => {
  const { status, stdout, stderr } = spawnSync('bash', ['-c', `set -o pipefail; ${line}`], { encoding: 'utf8' })
  return { code: status, stdout, stderr }
}
const quoted = (words: string): string => command(words).join(' ')

describe('a mistake on the command line is one sentence and ends with 2', () => {
  const long = `/${'x'.repeat(200)}`
  const MISTAKES: readonly (readonly [words: string, message: RegExp])[] = [
    [`up --link wire:x ${'--address 10.0.0.1/24'}`, /'wire:x' is not a link: write tap:NAME, tun:NAME/],
    [`nc ${MEM}`, /nc takes HOST and PORT, like nc 10\.77\.0\.1 5000/],
    [`nc ${MEM} -l`, /nc -l takes a PORT alone, like nc -l 5000/],
    [`nc ${MEM} -l -p 5000 5001`, /nc -l takes a PORT alone/],
    ['up --link tap: --address 10.0.0.1/24', /'tap:' is not a link: an interface name has 1 to 15 characters/],
    ['up --link tap:a/b --address 10.0.0.1/24', /'a\/b' is not an interface name/],
    ['up --link tap:0123456789abcdef --address 10.0.0.1/24', /1 to 15 characters/],
    ['up --link fd:x --address 10.0.0.1/24', /a descriptor is a number from 0 to 65535, not 'x'/],
    ['up --link mem:x --address 10.0.0.1/24', /mem takes nothing after it/],
    ['up --link udp:127.0.0.1:5000 --address 10.0.0.1/24', /write LOCAL:PORT-REMOTE:PORT/],
    [
      'up --link udp:127.0.0.1:99999-127.0.0.1:1 --address 10.0.0.1/24',
      /a port is a number from 0 to 65535, not '99999'/,
    ],
    ['up --link udp:127.0.0.1:1-[::1]:1 --address 10.0.0.1/24', /both addresses must be of one family/],
    ['up --link udp:localhost:1-127.0.0.1:1 --address 10.0.0.1/24', /'localhost' is not an IP address/],
    ['up --link vxlan:16777216,127.0.0.1:1,127.0.0.1:2 --address 10.0.0.1/24', /a VNI is a number from 0 to 16777215/],
    ['up --link raw:0,127.0.0.1 --address 10.0.0.1/24', /a protocol is a number from 1 to 254/],
    ['up --link raw:253,192.0.2.1 --address fd00::1/64', /give addresses of its family/],
    [`up --link passt:${long} --address 10.0.0.1/24`, /at most 107 bytes/],
    ['up --address 10.0.0.1/24', /required option '--link <LINK>' not specified/],
    ['up --link', /argument missing/],
    ['up --link mem', /the host has no address: give one with --address A\/LEN, or --autoconf/],
    ['up --link mem --address 10.0.0.1', /'10\.0\.0\.1' has no prefix length: write it like 10\.0\.0\.2\/24/],
    ['up --link mem --address 10.0.0.256/24', /10\.0\.0\.256/],
    ['up --link mem --address 10.0.0.1/33', /10\.0\.0\.1\/33/],
    ['up --link mem --address fd00::1/129', /fd00::1\/129/],
    ['up --link mem --address fd00:::1/64', /fd00:::1/],
    [`up ${MEM} --address 10.0.0.1/16`, /--address 10\.0\.0\.1 is given twice/],
    [`up ${MEM} --os-address 10.0.0.1/24`, /10\.0\.0\.1 cannot be both --address and --os-address/],
    [
      'up --link udp:127.0.0.1:1-127.0.0.1:2 --address 10.0.0.1/24 --os-address 10.0.0.2/24',
      /--os-address goes with tap:/,
    ],
    [`up ${MEM} --gateway 192.0.2.1`, /the gateway 192\.0\.2\.1 is on no network of this host/],
    [`up ${MEM} --gateway x`, /'?x'?/],
    [`up ${MEM} --mtu 67`, /--mtu 67: give a whole number from 68 to 65535/],
    [`up ${MEM} --mtu 1e3`, /--mtu 1e3: give a whole number/],
    [`up ${MEM} --mac 00:11:22`, /00:11:22/],
    [`up ${MEM} --serve echo,ssh`, /'ssh' is not a service: choose from echo, discard, daytime, chargen/],
    [`up ${MEM} --serve echo,echo`, /the service 'echo' is given twice/],
    [`up ${MEM} --http 0`, /--http 0: give a whole number from 1 to 65535/],
    [`up ${MEM} --http 65536`, /--http 65536: give a whole number from 1 to 65535/],
    [`up ${MEM} --http web`, /--http web: give a whole number from 1 to 65535/],
    [`up ${MEM} --http 80 --http 81`, /--http is given twice/],
    [`up ${MEM} --serve echo --http 7`, /--http 7: the service echo has this port: give another/],
    [`up ${MEM} --duration -1`, /--duration -1: give a number/],
    [`up ${MEM} --duration soon`, /--duration soon: give a number from 0/],
    [`up ${MEM} --colour`, /unknown option '--colour'/],
    [`up ${MEM} and more`, /too many arguments/],
    ['up --link mem --address 224.0.0.1/24', /224\.0\.0\.1 is no address that a host can have/],
    ['up --link mem --address 10.0.0.255/24', /10\.0\.0\.255 is no address that a host can have/],
    [`ping ${MEM}`, /missing required argument 'DESTINATION'/],
    [`ping ${MEM} example.org`, /example\.org/],
    [`ping ${MEM} 192.0.2.1`, /192\.0\.2\.1 is on no network of ours/],
    [`ping ${MEM} -c 0 10.0.0.2`, /-c 0: give a whole number from 1/],
    [`ping ${MEM} -s 65508 10.0.0.2`, /-s 65508: give a whole number from 0 to 65507/],
    [`ping ${MEM} -t 256 10.0.0.2`, /-t 256: give a whole number from 1 to 255/],
    [`ping ${MEM} -M maybe 10.0.0.2`, /-M maybe: give do, want or dont/],
    [`ping ${MEM} -i x 10.0.0.2`, /-i x: give a number/],
    [`ping ${MEM} -I 10.0.0.9 -c 1 10.0.0.2`, /10\.0\.0\.9 is no address of this host/],
    [`ping ${MEM} -I fd00::1 -c 1 10.0.0.2`, /fd00::1 is no address of this host/],
    [`trace ${MEM} -q 11 10.0.0.2`, /-q 11: give a whole number from 1 to 10/],
    [`trace ${MEM} -f 3 -m 2 10.0.0.2`, /-f 3 is beyond -m 2/],
    ['dump', /missing required argument 'FILE'/],
    [`dump ${GOLDEN} -c 0`, /--count 0: give a whole number from 1/],
    [`dump ${GOLDEN} --json --ndjson`, /--json and --ndjson/],
    ['demo --seed x', /--seed x: give a whole number/],
    ['destroy', /unknown command 'destroy'/],
    [`up ${MEM} --link mem`, /--link is given twice/],
    [`up ${MEM} --serve echo --serve daytime`, /--serve is given twice/],
    [`up ${MEM} --mtu 1400 --mtu 1500`, /--mtu is given twice: give it once/],
    ['ip addr --control a --control b', /--control is given twice: give it once/],
    [`up ${MEM} --control ${long}`, /the control socket's path has 201 bytes: give one of 1 to 107/],
    [`up ${MEM} --mac 01:00:00:00:00:01`, /01:00:00:00:00:01 is no MAC address that a host can have/],
    [`up ${MEM} --mac ff:ff:ff:ff:ff:ff`, /is no MAC address that a host can have/],
    [`up ${MEM} --mac 00:00:00:00:00:00`, /is no MAC address that a host can have/],
    ['up --link mem --address 127.0.0.1/8', /127\.0\.0\.1 is no address that a host can have/],
    ['up --link mem --address ::1/64', /::1 is no address that a host can have/],
    ['up --link mem --address 0.1.2.3/8', /0\.1\.2\.3 is no address that a host can have/],
    ['up --link mem --address 240.0.0.1/8', /240\.0\.0\.1 is no address that a host can have/],
    ['up --link mem --address 10.0.0.0/24', /10\.0\.0\.0 is no address that a host can have/],
    [`up ${MEM} --gateway 10.0.0.1`, /the gateway 10\.0\.0\.1 is this host itself/],
    [`up ${MEM} --gateway 10.0.0.255`, /the gateway 10\.0\.0\.255 is no host's address/],
    [`up ${MEM} --gateway 10.0.0.0`, /the gateway 10\.0\.0\.0 is no host's address/],
    [`up ${MEM} --gateway 10.0.0.2 --gateway 10.0.0.3`, /the gateway 10\.0\.0\.3 is the second one of IPv4/],
    [`up ${MEM} --mtu 1000 --gateway fe80::1`, /the gateway fe80::1 is on no network of this host/],
    [`up ${MEM} --mtu 1000 --address fd00::1/64`, /--mtu 1000 and fd00::1 do not go together: IPv6 needs 1280/],
    [`up ${MEM} --mtu 1279 --os-address fd00::2/64`, /--mtu 1279 and fd00::2 do not go together/],
    [`up ${MEM} --mtu 1279 --autoconf`, /--mtu 1279 and --autoconf do not go together/],
    ['up --link tun:x --address 10.0.0.1/24 --mac 02:00:00:00:00:01', /--mac goes with Ethernet/],
    ['up --link tun:x --autoconf', /--autoconf goes with Ethernet/],
    ['up --link udp:127.0.0.1:5000-127.0.0.1:5000 --address 10.0.0.1/24', /it leads to itself/],
    ['up --link vxlan:1,127.0.0.1:5,127.0.0.1:5 --address 10.0.0.1/24', /it leads to itself/],
    ['up --link udp:127.0.0.1:5000-0.0.0.0:5001 --address 10.0.0.1/24', /0\.0\.0\.0 is not the address of one other/],
    ['up --link raw:253,224.0.0.1 --address 10.0.0.1/24', /224\.0\.0\.1 is not the address of one other host/],
    ['up --link qemu:255.255.255.255:5 --address 10.0.0.1/24', /255\.255\.255\.255 is not the address of one/],
    [`ping ${MEM} -6 10.0.0.2`, /-6: 10\.0\.0\.2 is an address of IPv4/],
    [`ping ${MEM} -4 fd00::2`, /-4: fd00::2 is an address of IPv6/],
    [`ping ${MEM} -4 -6 10.0.0.2`, /-4 and -6: give one of them/],
    [`ping ${MEM} -p xyz 10.0.0.2`, /-p xyz: give up to 16 bytes as hexadecimal digits/],
    [`up ${MEM} --capture /no/such/folder/x.pcapng`, /there is no such directory: make the directory first/],
    [`up ${MEM} --capture /tmp`, /it is a directory: give the path of a file/],
    ['demo --capture /dev/null/x.pcapng', /a part of the path is not a directory: give another path/],
    ['dump /no/such/file.pcapng', /'\/no\/such\/file\.pcapng': there is no such file: give the path of/],
    ['dump /tmp', /'\/tmp': it is a directory: give the path of/],
    ['dump /dev/null/x', /a part of the path is not a directory/],
  ]

  it.each(MISTAKES)('hourglass %s', (words, message) => {
    const { code, stdout, stderr } = hourglass(words)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
    // One sentence, and where commander speaks the way to the help.
    expect(stderr.replace(/\n*\(hourglass .*--help shows how it is used\)\n/, '\n').replace(/\n+$/, '')).not.toContain(
      '\n',
    )
    expect(stderr).not.toMatch(/\bat .*:\d+:\d+|Error:/)
  })
})

describe('what the surroundings lack is told with its mend and ends with 3', () => {
  it('a capture into a pipe that nobody reads', () => {
    const path = inFolder('unread')
    spawnSync('mkfifo', [path])
    const { code, stdout, stderr } = hourglass(`up ${MEM} --duration 9 --capture ${path}`)
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
    expect(stderr).toMatch(/^hourglass: [^\n]+: it is a pipe or a socket that nobody reads\. To mend it: [^\n]+\n$/)
  })

  it.each([
    `up ${MEM} --duration 9`,
    `ping ${MEM} -c 2 10.0.0.2`,
    'demo --capture /dev/null',
    `dump ${GOLDEN}`,
    '--help',
  ])('standard output on a full disk: hourglass %s', (words) => {
    const { code, stderr } = sh(`${quoted(words)} > /dev/full`)
    expect(code).toBe(3)
    expect(stderr).toMatch(/^hourglass: standard output: no space is left\. To mend it: [^\n]+\n$/)
  })

  const emptyDevices = ['/dev/null', '/dev/zero', '/dev/full', '/dev/ptmx', '/dev/net/tun'].filter(needDevice)
  it.each(emptyDevices)('an inherited descriptor of %s that carries no frames', (path) => {
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    const [program, ...words] = command('up --link fd:3 --address 10.0.0.1/24 --duration 1') as [string, ...string[]]
    const { status, stderr } = spawnSync(program, words, { stdio: ['ignore', 'pipe', 'pipe', fd], encoding: 'utf8' })
    closeSync(fd)
    expect({ status, stderr }).toEqual({
      status: 3,
      stderr: expect.stringMatching(/descriptor 3: it is (no TAP or TUN device|\/dev\/net\/tun, but attached)/),
    })
  })

  it('a socket file that was left behind', () => {
    const path = inFolder('stale')
    const bind = `import socket; socket.socket(socket.AF_UNIX).bind('${path}')`
    expect(spawnSync('python3', ['-c', bind]).status).toBe(0)
    const { code, stderr } = hourglass(`up --link qemu:unix:${path} --address 10.0.0.1/24`)
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining(`To mend it: rm ${path}\n`) })
  })

  it.each(['package.json', '/dev/null'])('%s is no capture: dump says so and ends with 1', (path) => {
    for (const form of ['', '--json', '--ndjson']) {
      const { code, stdout, stderr } = hourglass(`dump ${form} ${path}`)
      expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
      expect(stdout).toMatch(/\[malformed\] at byte 0: (neither a pcapng nor a pcap capture|too short for a capture)/)
    }
  })

  it('a capture that is cut short is printed as far as it goes, then the fault, and the end is 1', () => {
    const path = inFolder('short.pcapng')
    const whole = hourglass(`dump -t ${GOLDEN}`).stdout.split('\n')
    const bytes = readFileSync(GOLDEN)
    writeFileSync(path, bytes.subarray(0, bytes.length - 150))
    const { code, stdout, stderr } = hourglass(`dump -t ${path}`)
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    const lines = stdout.trimEnd().split('\n')
    expect(lines.length).toBeGreaterThan(3)
    expect(lines.slice(0, -1)).toEqual(whole.slice(0, lines.length - 1))
    expect(lines.at(-1)).toMatch(/^\[malformed\] at byte \d+: /)
  })
})

describe('the end of a run', () => {
  const waiting = (path: string): string => `up --link qemu:unix:${path} --address 10.0.0.1/24`

  it('--duration and ping -w count from before a link that nobody connects to, and it is said who is awaited', () => {
    const path = inFolder('nobody')
    const stderr = `hourglass: waiting for QEMU at ${path}: qemu-system-x86_64 … -netdev stream,id=n0,addr.type=unix,addr.path=${path} -device virtio-net-pci,netdev=n0\n`
    expect(hourglass(`${waiting(path)} --duration 0.5`)).toEqual({ code: 0, stdout: '', stderr })
    const ping = hourglass(`ping --link qemu:unix:${path} --address 10.0.0.1/24 -w 0.5 10.0.0.2`)
    expect(ping).toEqual({ code: 1, stdout: '', stderr })
    expect(existsSync(path)).toBe(false)
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s ends a link that waits, and its socket goes',
    async (signal) => {
      const path = inFolder(signal)
      const watcher = watch(folder)
      const [program, ...words] = command(waiting(path)) as [string, ...string[]]
      const child = spawn(program, words, { stdio: 'ignore' })
      const ended = once(child, 'exit')
      while (!existsSync(path)) await once(watcher, 'change')
      watcher.close()
      child.kill(signal)
      expect(await ended).toEqual([130, null])
      expect(existsSync(path)).toBe(false)
    },
  )

  it('a run with a time limit ends though nobody reads what it prints', () => {
    const path = inFolder('stuck')
    spawnSync('mkfifo', [path])
    // Open for reading and writing, so that it fills up.
    const words = quoted(`ping ${MEM} --os-address 10.0.0.3/24 -O -i 0 -w 1 10.0.0.2`)
    const { code } = sh(`exec 9<> ${path}; timeout 20 ${words} > ${path}`)
    expect(code).toBe(1)
  })
})

describe('ping on the link mem', () => {
  it('our own address answers; the broadcast address is nobody', () => {
    expect(hourglass(`ping ${MEM} -c 1 10.0.0.1`)).toMatchObject({ code: 0, stderr: '' })
    expect(hourglass(`ping ${MEM} -c 1 -W 0.1 10.0.0.255`)).toMatchObject({ code: 1, stderr: '' })
  })

  it("takes ping's and traceroute's other options", () => {
    const path = inFolder('pattern.pcapng')
    const ping = hourglass(`ping ${MEM} -n -v -4 -a -p c0ffee -s 6 -c 1 --capture ${path} 10.0.0.2`)
    expect(ping).toMatchObject({ code: 0, stderr: '' })
    expect(ping.stdout).toContain(String.fromCharCode(7))
    expect(readFileSync(path).includes(Buffer.from('c0ffeec0ffee', 'hex'))).toBe(true)
    const silent = hourglass(`ping ${MEM} --os-address 10.0.0.3/24 -O -c 2 -i 0.1 -W 0.1 10.0.0.2`)
    expect(silent.stdout).toContain('\nno answer yet for icmp_seq=1\n')
    expect(hourglass(`trace ${MEM} -n -N 16 -z 0.01 10.0.0.2`)).toMatchObject({ code: 0, stderr: '' })
  })

  it('an IPv4 host on a link too narrow for IPv6 has no link-local address (RFC 8200 §5)', () => {
    const path = inFolder('narrow.pcapng')
    expect(hourglass(`ping ${MEM} --mtu 1000 -c 1 --capture ${path} 10.0.0.2`).code).toBe(0)
    expect(hourglass(`dump ${path}`).stdout).not.toContain('IP6')
  })
})

describe('help and version', () => {
  it('hourglass --help opens with examples and names every command', () => {
    const { code, stdout, stderr } = hourglass('--help')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Examples:\n {2}hourglass demo/)
    for (const verb of VERBS) expect(stdout).toMatch(new RegExp(`^ {2}${verb}\\b`, 'm'))
    for (const [path] of stdout.matchAll(/\btest\/[\w./-]+/g))
      expect({ path, exists: existsSync(path) }).toEqual({ path, exists: true })
  })

  it.each(VERBS)('hourglass %s --help opens with examples', (verb) => {
    const { code, stdout, stderr } = hourglass(`${verb} --help`)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(new RegExp(`^Examples[^\\n]*:\\n {2}hourglass ${verb}`))
    expect(stdout).toContain(`Usage: hourglass ${verb}`)
  })

  it('hourglass alone shows the help and ends with 2', () => {
    const { code, stdout, stderr } = hourglass('')
    expect(code).toBe(2)
    expect(stdout + stderr).toContain('Usage: hourglass')
  })

  it.each(['-V', '--version'])('%s prints the version of the package', (option) => {
    expect(hourglass(option)).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })
})

describe('data', () => {
  it('the demo is the same for a seed, and its capture is readable', () => {
    const [one, two] = [inFolder('one.pcapng'), inFolder('two.pcapng')]
    const first = hourglass(`demo --seed 5 --capture ${one}`)
    const second = hourglass(`demo --seed 5 --capture ${two}`)
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout.replaceAll(one, two)).toBe(second.stdout)
    expect(readFileSync(one).equals(readFileSync(two))).toBe(true)
    expect(first.stdout).toMatch(/TCP +1 MB/)
    const dump = hourglass(`dump ${one}`).stdout
    expect(dump).toContain('dropped: faultLoss')
    expect(dump).toContain('sent again: ')
  })

  it('a dump as --json is one array, as --ndjson an object a line, with the same packets as the text', () => {
    const text = hourglass(`dump ${GOLDEN}`).stdout.trimEnd().split('\n')
    const array = JSON.parse(hourglass(`dump --json ${GOLDEN}`).stdout) as unknown[]
    const lines = hourglass(`dump --ndjson ${GOLDEN}`).stdout.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(array)
    expect(array).toHaveLength(text.length)
    expect(hourglass(`dump -c 2 ${GOLDEN}`).stdout.split('\n')).toHaveLength(3)
  })

  it('nc -z connects and ends, or says in a sentence why it could not', () => {
    const refused = { code: 1, stdout: '', stderr: 'nc: ECONNREFUSED: connect 10.0.0.2 port 9\n' }
    expect(hourglass(`nc ${MEM} --os-address 10.0.0.2/24 -z 10.0.0.2 9`)).toEqual(refused)
    const nowhere = 'nc: ENETUNREACH: connect 192.0.2.1 port 9: no route leads there\n'
    expect(hourglass(`nc ${MEM} -z 192.0.2.1 9`)).toMatchObject({ code: 1, stderr: nowhere })
    const silent = 'nc: connect 10.0.0.9 port 9: no answer in 0.3 s\n'
    expect(hourglass(`nc ${MEM} -z -w 0.3 10.0.0.9 9`)).toMatchObject({ code: 1, stderr: silent })
  })

  it('ping, trace, up and doctor print JSON that parses', () => {
    const ping = hourglass(`ping ${MEM} -c 3 -i 0 --json 10.0.0.2`)
    expect(ping).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(ping.stdout)).toMatchObject({
      transmitted: 3,
      received: 3,
      loss: 0,
      rtt: { min: expect.any(Number) },
    })
    const lost = hourglass(`ping ${MEM} --os-address 10.0.0.3/24 -c 1 -W 0.2 --json 10.0.0.2`)
    expect(lost.code).toBe(1)
    expect(JSON.parse(lost.stdout)).toMatchObject({ transmitted: 1, received: 0, loss: 100, rtt: null })
    const trace = hourglass(`trace ${MEM} --json 10.0.0.2`)
    expect(trace.code).toBe(0)
    expect(JSON.parse(trace.stdout)).toMatchObject({ arrived: true, hops: [{ hop: 1 }] })
    const up = hourglass(`up ${MEM} --ndjson --duration 0.1 --serve echo`)
    expect(up).toMatchObject({ code: 0, stderr: '' })
    const events = up.stdout.trimEnd().split('\n')
    expect(events.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual(['ready', 'end'])
    const doctor = hourglass('doctor --json')
    expect([0, 1]).toContain(doctor.code)
    expect(Array.isArray(JSON.parse(doctor.stdout))).toBe(true)
  })

  it('a capture on standard output is all that is there', () => {
    const path = inFolder('piped.pcapng')
    const { code, stderr } = sh(`${quoted(`ping ${MEM} -c 2 -i 0 --capture - 10.0.0.2`)} > ${path}`)
    expect(code).toBe(0)
    expect(stderr).toContain('2 packets transmitted, 2 received')
    expect(hourglass(`dump ${path}`).stdout).toContain('ICMP echo request')
  })

  it('a demo whose capture is standard output prints to standard error', () => {
    const path = inFolder('demo-piped.pcapng')
    expect(sh(`${quoted('demo --capture -')} > ${path}`)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('alice'),
    })
    expect(hourglass(`dump ${path}`)).toMatchObject({ code: 0, stderr: '' })
  })

  it('a reader that has seen enough ends the command without a word', () => {
    const path = inFolder('many.pcapng')
    expect(hourglass(`demo --capture ${path}`).code).toBe(0)
    for (const words of [`dump ${path}`, `dump --json ${path}`, `ping ${MEM} -f -c 2000 10.0.0.2`]) {
      const { stdout, stderr } = sh(`${quoted(words)} | head -n 1`)
      expect({ lines: stdout.split('\n').length, stderr }).toEqual({ lines: 2, stderr: '' })
    }
  })

  it('there is no colour where nobody looks, and with NO_COLOR none where somebody does', () => {
    const colour = String.fromCharCode(27)
    expect(hourglass(`demo --capture ${inFolder('c.pcapng')}`).stdout).not.toContain(colour)
    if (!existsSync('/usr/bin/script')) return
    const line = quoted(`demo --capture ${inFolder('c.pcapng')}`)
    expect(sh(`TERM=xterm script -qec '${line}' /dev/null`).stdout).toContain(colour)
    expect(sh(`TERM=xterm NO_COLOR=1 script -qec '${line}' /dev/null`).stdout).not.toContain(colour)
  })
})
