// The interop client on npm ws, for our server role; README.md says what it asks.
//
// usage: node client_ws.js URL [--deflate]
'use strict';
const assert = require('assert');
const { randomBytes } = require('crypto');
const { once } = require('events');
const WebSocket = require('ws');

const MIB = 1 << 20;
const TEXT = 'κόσμε, 日本, 🎈; ';
const SIZES = [1, 125, 126, 127, 65535, 65536, 100_000];
const url = process.argv[2];

// A WebSocket whose messages can be awaited one by one.
class Peer extends WebSocket {
  static async open(command, perMessageDeflate = false) {
    const ws = new Peer(url, { maxPayload: 0, perMessageDeflate });
    ws.messages = [];
    ws.on('message', (data, binary) => {
      ws.messages.push(binary ? data : data.toString());
      ws.emit('queued');
    });
    ws.closed = once(ws, 'close').then(([code, reason]) => [code, reason.toString()]);
    await once(ws, 'open');
    ws.send(command);
    return ws;
  }

  async receive() {
    while (this.messages.length === 0) await once(this, 'queued');
    return this.messages.shift();
  }

  async end() {
    this.close(1000);
    await this.closed;
  }

  async same(...messages) {
    for (const message of messages) {
      this.send(message);
      const answer = await this.receive();
      assert.strictEqual(typeof answer, typeof message);
      assert(Buffer.from(answer).equals(Buffer.from(message)), `${message.length} sent, ${answer.length} received`);
    }
  }
}

// How the connection before this one ended, as the server saw it.
async function outcome() {
  const ws = await Peer.open('outcome');
  const text = await ws.receive();
  await ws.end();
  return text;
}

const tests = {
  async 'echo of text and binary'() {
    const ws = await Peer.open('echo');
    await ws.same('', Buffer.alloc(0), TEXT, Buffer.from(TEXT));
    await ws.same(...SIZES.map((size) => 'x'.repeat(size)), ...SIZES.map((size) => Buffer.alloc(size, 0xff)));
    await ws.end();
  },

  async 'echo of 16 MiB'() {
    const ws = await Peer.open('echo');
    await ws.same(Buffer.alloc(16 * MIB, 'interop'), 'ü'.repeat(8 * MIB));
    await ws.end();
  },

  // Cuts code points too, which Python websockets cannot.
  async 'fragments to the server'() {
    const ws = await Peer.open('echo');
    const bytes = Buffer.from(TEXT);
    for (const size of [1, 2, 5, bytes.length]) {
      for (let at = 0; at < bytes.length; at += size) {
        ws.send(bytes.subarray(at, at + size), { binary: false, fin: false });
        ws.ping('between');
      }
      ws.send('', { fin: true });
      assert.strictEqual(await ws.receive(), TEXT);
    }
    await ws.end();
  },

  async 'fragments from the server'() {
    for (const size of [1, 7, 1000]) {
      const ws = await Peer.open(`fragments ${size}`);
      await ws.same(TEXT.repeat(50), Buffer.from(TEXT.repeat(50)), '', Buffer.alloc(0));
      await ws.end();
    }
  },

  async 'pings to the server'() {
    const ws = await Peer.open('echo');
    for (const payload of [Buffer.alloc(0), Buffer.from('are you there'), Buffer.alloc(125, 0xff)]) {
      const pong = once(ws, 'pong');
      ws.ping(payload);
      assert((await pong)[0].equals(payload));
    }
    await ws.same('still here');
    await ws.end();
  },

  async 'pings from the server'() {
    const ws = await Peer.open('ping are you there');
    assert.strictEqual(await ws.receive(), 'ponged are you there');
    await ws.end();
  },

  async 'close from the client'() {
    for (const [code, reason] of [[1000, ''], [1001, 'bye'], [4001, 'so long, ☃'], [3000, 'r'.repeat(123)]]) {
      const ws = await Peer.open('echo');
      await ws.same('before');
      ws.close(code, reason);
      assert.strictEqual((await ws.closed)[0], code);
      assert.strictEqual(await outcome(), `${code} ${reason}`);
    }
  },

  async 'close without a code'() {
    const ws = await Peer.open('echo');
    ws.close();
    await ws.closed;
    assert.strictEqual(await outcome(), '1005 ');
  },

  async 'close from the server'() {
    for (const [code, reason] of [[1000, ''], [1011, 'broken'], [4002, 'enough, ☃'], [3000, 'r'.repeat(123)]]) {
      const ws = await Peer.open(`close ${code} ${reason}`);
      assert.deepStrictEqual(await ws.closed, [code, reason]);
      assert((await outcome()).startsWith(`${code} `));
    }
  },

  async 'both ways at once'() {
    const ws = await Peer.open('echo');
    for (let number = 0; number < 1000; number++) ws.send(String(number).repeat(100));
    for (let number = 0; number < 1000; number++) {
      assert.strictEqual(await ws.receive(), String(number).repeat(100));
    }
    await ws.end();
  },
};

// 200 messages over a connection for each pair of sizes of the windows.
async function compressed(serverNoContextTakeover, clientNoContextTakeover) {
  const sizes = [0, 1, 20, 300, 300, 300, 4000, 20000];
  const ticks = (n) => Array.from({ length: 700 }, (_, tick) => `{"price":${n * 7 + tick},"size":${tick % 13}},`).join('');
  const messages = Array.from({ length: 200 }, (_, n) =>
    n % 4 < 3 ? ticks(n).slice(0, sizes[n % 8]) : randomBytes(sizes[n % 8]));
  for (let serverMaxWindowBits = 9; serverMaxWindowBits < 16; serverMaxWindowBits++) {
    for (let clientMaxWindowBits = 9; clientMaxWindowBits < 16; clientMaxWindowBits++) {
      const windows = { serverMaxWindowBits, clientMaxWindowBits, serverNoContextTakeover, clientNoContextTakeover };
      const ws = await Peer.open('echo', { ...windows, threshold: 0 });
      assert(ws.extensions.startsWith('permessage-deflate'), 'compression is not agreed upon');
      await ws.same(...messages);
      await ws.end();
    }
  }
}

async function main() {
  if (process.argv[3] === '--deflate') {
    for (const alone of [[false, false], [true, false], [false, true], [true, true]]) {
      await compressed(...alone);
      console.log('ok compressed, server and client alone:', ...alone);
    }
    console.log('4 passed');
    return;
  }
  for (const [name, test] of Object.entries(tests)) {
    await test();
    console.log('ok', name);
  }
  console.log(Object.keys(tests).length, 'passed');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
