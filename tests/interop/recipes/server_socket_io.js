// The Socket.IO server on npm socket.io; server_socket_io.py is the same on python-socketio.
'use strict';
const { createServer } = require('http');
const { Server } = require('socket.io');

const http = createServer();
const io = new Server(http, { transports: ['websocket'], pingInterval: 300, pingTimeout: 1500 });
const ends = [];

io.use((socket, next) => next(socket.handshake.auth.token === 'pa55' ? undefined : new Error('not you')));
io.on('connection', (socket) => {
  socket.on('join', (room, acknowledge) => {
    socket.join(room);
    io.to(room).emit('joined', room, 'ü');
    acknowledge?.({ room });
  });
  socket.on('ask', async (question) => {
    socket.emit('answered', await socket.timeout(5000).emitWithAck('question', question));
  });
  socket.on('send_bytes', () => socket.emit('bytes', Buffer.from([0x00, 0xff])));
  socket.on('leave', () => socket.disconnect());
  socket.on('disconnect', (reason) => ends.push(reason));
  socket.on('tell_ends', (acknowledge) => acknowledge(ends));
});
http.listen(0, '127.0.0.1', () => console.log(`listening ws://127.0.0.1:${http.address().port}/`));
