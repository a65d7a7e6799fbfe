// The interop server on npm ws; README.md says what it answers.
//
// usage: node server_ws.js [--deflate]
'use strict';
const { WebSocketServer } = require('ws');

let live = 0;
let outcome = ''; // of the connection that ended last

function tellOutcome(ws) {
  if (live) setTimeout(tellOutcome, 10, ws);
  else ws.send(outcome);
}

function sendFragments(ws, data, binary, size) {
  if (data.length === 0) ws.send(data, { binary });
  for (let at = 0; at < data.length; at += size) {
    ws.send(data.subarray(at, at + size), { binary, fin: at + size >= data.length });
  }
}

const commands = {
  echo(ws) {
    ws.on('message', (data, binary) => ws.send(data, { binary }));
  },
  fragments(ws, size) {
    ws.on('message', (data, binary) => sendFragments(ws, data, binary, Number(size)));
  },
  ping(ws, payload) {
    ws.on('pong', (data) => ws.send('ponged ' + data));
    ws.ping(payload);
  },
  close(ws, argument) {
    const [, code, reason] = /^(\d+) ?(.*)$/.exec(argument);
    ws.close(Number(code), reason);
  },
  outcome: tellOutcome,
};

const options = {
  host: '127.0.0.1',
  port: 0,
  maxPayload: 0,
  perMessageDeflate: process.argv[2] === '--deflate' && { threshold: 0 },
  handleProtocols: (protocols) => protocols.has('chat') && 'chat',
};
const server = new WebSocketServer(options, () => console.log('listening', server.address().port));
server.on('connection', (ws) => {
  ws.on('error', (error) => console.error(String(error)));
  ws.once('message', (first) => {
    const [, command, argument] = /^(\w+) ?(.*)$/.exec(first);
    if (command !== 'outcome') {
      live += 1;
      ws.on('close', (code, reason) => {
        live -= 1;
        outcome = `${code} ${reason}`;
      });
    }
    commands[command](ws, argument);
  });
});
