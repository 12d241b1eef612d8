// The ethereumjs side of the interoperability tests.
//
// It runs the RLPx server of @ethereumjs/devp2p with one small protocol, foo/42, and speaks the same JSON lines as
// the Go peer beside it: one event a line on standard output, one command a line on standard input. The end of
// standard input ends the program, so a peer never outlives the harness that started it.
//
// The library keeps to itself what the harness must see (pongs, how a socket that never became a peer ended), and
// pings only every 15 s; for those it reaches into members that the library names with an underscore. That is safe
// because the version is pinned.

import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

import { Common, Mainnet } from '@ethereumjs/common'
import { DISCONNECT_REASON, Peer, RLPx } from '@ethereumjs/devp2p'
import { RLP } from '@ethereumjs/rlp'
import { keccak256 } from 'ethereum-cryptography/keccak.js'
import { secp256k1 } from 'ethereum-cryptography/secp256k1.js'
import * as snappy from 'snappyjs'

const CODE_DATA = 0
const CODE_ECHO = 1
const FOO_LENGTH = 2
// One message of 1 MiB, whatever the load, is far below this.
const ECHO_TIMEOUT = 20_000

const { values: options } = parseArgs({
  options: {
    key: { type: 'string' },
    'hello-key': { type: 'string' },
    listen: { type: 'string' },
    dial: { type: 'string', multiple: true, default: [] },
    name: { type: 'string', default: 'interop-js' },
    'max-peers': { type: 'string', default: '10' },
    echo: { type: 'boolean', default: false },
    send: { type: 'string', default: '' },
    'no-protocol': { type: 'boolean', default: false },
  },
})

/** foo/42: code 0 carries a byte string, code 1 carries the same byte string back. */
class Foo {
  constructor(version, peer, send) {
    this.peer = peer
    this.write = send
    this.waiting = null
  }

  /** Called by the library with the payload already decompressed. */
  _handleMessage(code, payload) {
    const content = RLP.decode(payload)
    emit('message', {
      id: idOf(this.peer),
      code,
      size: content.length,
      hash: createHash('sha256').update(content).digest('hex'),
      ok: Buffer.compare(content, pattern(content.length)) === 0,
    })
    if (code === CODE_ECHO) this.waiting?.(content)
    if (code === CODE_DATA && options.echo) this.send(CODE_ECHO, content)
  }

  /** The library leaves compression to the protocol. */
  send(code, content) {
    const payload = RLP.encode(content)
    this.write(code, this.peer._hello.protocolVersion >= 5 ? snappy.compress(payload) : payload)
  }

  /** Sends the sizes one after the other, each after the echo of the one before. */
  async sendAll(sizes) {
    for (const size of sizes) {
      const content = pattern(size)
      const start = Date.now()
      const back = await new Promise((resolve) => {
        this.waiting = resolve
        setTimeout(() => resolve(null), ECHO_TIMEOUT).unref()
        this.send(CODE_DATA, content)
      })
      if (back === null) return emit('echoed', { id: idOf(this.peer), size, ok: false, error: 'no echo' })
      emit('echoed', { id: idOf(this.peer), size, ok: Buffer.compare(back, content) === 0, ms: Date.now() - start })
    }
  }
}

/**
 * The content of a message of the given size, the same in every peer of the harness: blocks of 1 KiB, in turn
 * pseudo-random (xorshift32 seeded with the size) and zero, so compression has something and nothing to do.
 */
function pattern(size) {
  const content = new Uint8Array(size)
  let state = (size | 1) >>> 0
  for (let i = 0; i < size; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    if (Math.floor(i / 1024) % 2 === 0) content[i] = state & 0xff
  }
  return content
}

function emit(event, fields = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`)
}

const hex = (bytes) => Buffer.from(bytes).toString('hex')
const idOf = (peer) => hex(keccak256(peer.getId()))
const publicKey = (secret) => secp256k1.getPublicKey(secret, false).subarray(1)

function secretKey(text) {
  return text === undefined ? secp256k1.utils.randomPrivateKey() : Uint8Array.from(Buffer.from(text, 'hex'))
}

function parseEnode(url) {
  const { protocol, username, hostname, port } = new URL(url)
  if (protocol !== 'enode:' || username.length !== 128) throw new Error(`not an enode URL: ${url}`)
  return { id: Uint8Array.from(Buffer.from(username, 'hex')), address: hostname, tcpPort: Number(port) }
}

const reasonName = (reason) => Object.keys(DISCONNECT_REASON).find((name) => DISCONNECT_REASON[name] === reason)

/** Lets the harness see what the library does not report, and its Hello claim another key when told to. */
function openTheLibrary() {
  const handlePong = Peer.prototype._handlePong
  Peer.prototype._handlePong = function () {
    emit('pong', { ms: Date.now() - (this.pinged ?? Date.now()) })
    handlePong.call(this)
  }
  const handlePing = Peer.prototype._handlePing
  Peer.prototype._handlePing = function () {
    emit('ping')
    handlePing.call(this)
  }
  const handleDisconnect = Peer.prototype._handleDisconnect
  Peer.prototype._handleDisconnect = function (payload) {
    handleDisconnect.call(this, payload)
    emit('disconnect', {
      reason: this._disconnectReason,
      error: reasonName(this._disconnectReason) ?? 'unknown',
      form: payload instanceof Uint8Array ? 'bare' : 'list',
    })
  }
  const sendHello = Peer.prototype._sendHello
  Peer.prototype._sendHello = function () {
    if (options['hello-key'] !== undefined) this.id = publicKey(secretKey(options['hello-key']))
    sendHello.call(this)
  }
  const onSocketClose = Peer.prototype._onSocketClose
  Peer.prototype._onSocketClose = function () {
    if (!this._connected) emit('refused', { stage: `closed before Hello, in state ${this._state}` })
    onSocketClose.call(this)
  }
}

function start() {
  const key = secretKey(options.key)
  const capabilities = [{ name: 'foo', version: 42, length: FOO_LENGTH, constructor: Foo }]
  const rlpx = new RLPx(key, {
    clientId: Buffer.from(options.name),
    capabilities: options['no-protocol'] ? [] : capabilities,
    common: new Common({ chain: Mainnet }),
    maxPeers: Number(options['max-peers']),
    timeout: 10_000,
  })
  rlpx.events.on('peer:added', (peer) => {
    const { clientId: name, capabilities: caps } = peer.getHelloMessage()
    emit('peer', {
      id: idOf(peer),
      key: hex(peer.getId()),
      name,
      caps: caps.map((cap) => `${cap.name}/${cap.version}`),
      port: peer.getHelloMessage().port,
    })
    foo(peer)?.sendAll(sizes(options.send))
  })
  rlpx.events.on('peer:removed', (peer, reason, byUs) => {
    emit('drop', { id: idOf(peer), reason: reason ?? null, error: reasonName(reason) ?? 'unknown', local: byUs === true })
  })
  rlpx.events.on('peer:error', (_, error) => emit('error', { error: error.message }))
  rlpx.events.on('error', (error) => fail(error))
  return rlpx
}

const foo = (peer) => peer.getProtocols().find((protocol) => protocol instanceof Foo)
const sizes = (csv) => csv.split(',').filter((field) => field !== '').map(Number)

function dial(rlpx, url) {
  rlpx.connect(parseEnode(url)).catch((error) => emit('refused', { stage: 'Dial error', error: error.message }))
}

function listen(rlpx) {
  const listening = {
    implementation: '@ethereumjs/devp2p',
    version: createRequire(import.meta.url)('./package-lock.json').packages['node_modules/@ethereumjs/devp2p'].version,
    runtime: `node ${process.version}`,
  }
  const [host, port] = (options.listen ?? '127.0.0.1:0').split(':')
  rlpx.events.on('listening', () => {
    rlpx._listenPort = rlpx._server.address().port // the Hello tells it; only now is it known
    emit('listening', { ...listening, enode: `enode://${hex(rlpx.id)}@${host}:${rlpx._listenPort}` })
    for (const url of options.dial) dial(rlpx, url)
  })
  rlpx.listen(Number(port), host)
}

function obey(rlpx, command) {
  const peers = rlpx.getPeers()
  switch (command.cmd) {
    case 'dial':
      return dial(rlpx, command.enode)
    case 'disconnect':
      return peers.forEach((peer) => peer.disconnect(command.reason ?? 0))
    case 'ping':
      return peers.forEach((peer) => {
        peer.pinged = Date.now()
        peer._sendPing()
      })
    case 'send':
      return peers.forEach((peer) => foo(peer)?.sendAll(command.sizes))
    case 'peers':
      return emit('peers', { ids: peers.map(idOf) })
    case 'quit':
      return quit()
  }
  emit('bad-command', { error: `no command ${command.cmd}` })
}

function quit() {
  emit('stopped')
  process.exit(0)
}

function fail(error) {
  emit('failed', { error: error.message })
  process.exit(1)
}

openTheLibrary()
const rlpx = start()
listen(rlpx)
const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => {
  try {
    obey(rlpx, JSON.parse(line))
  } catch (error) {
    emit('bad-command', { error: error.message, line })
  }
})
lines.on('close', quit)
