// Serves the benchmark's paths on ws, the way its README does.
//
//	npm install && node server.js PORT [DELAY]	on 127.0.0.1:PORT until killed
//
// With a DELAY, in milliseconds, every echo goes out that much later.

import { WebSocketServer, WebSocket } from 'ws';

const port = Number(process.argv[2]);
const delay = Number(process.argv[3] ?? 0);
if (!(port > 0) || !(delay >= 0)) {
  console.error('usage: node server.js PORT [DELAY]');
  process.exit(2);
}

const server = new WebSocketServer({ host: '127.0.0.1', port });

server.on('connection', (socket, request) => {
  socket.on('error', console.error);
  socket.path = request.url;
  socket.on('message', request.url === '/broadcast' ? broadcast : echo);
});

function echo(data, isBinary) {
  if (delay === 0) {
    this.send(data, { binary: isBinary });
    return;
  }
  setTimeout(() => this.send(data, { binary: isBinary }), delay);
}

function broadcast(data, isBinary) {
  for (const client of server.clients) {
    if (client.path === '/broadcast' && client.readyState === WebSocket.OPEN) {
      client.send(data, { binary: isBinary });
    }
  }
}
