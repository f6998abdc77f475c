// What `weir bench echo` does, in k6, to compare the two.
//
//	k6 run --env URL=ws://127.0.0.1:7681/echo --env CONNECTIONS=50 echo.js			closed loop, 1 in flight
//	k6 run --env URL=ws://127.0.0.1:7681/echo --env CONNECTIONS=50 --env RATE=1000 echo.js	messages per second
//
// Each virtual user holds one connection. Latency counts from when a message was sent, in
// whole milliseconds: k6 has no finer clock.

import { WebSocket } from 'k6/websockets';
import { Counter, Trend } from 'k6/metrics';

const connections = Number(__ENV.CONNECTIONS || 50);
const seconds = Number(__ENV.DURATION || 5);
const warmUp = 1; // seconds
const interval = __ENV.RATE ? (connections * 1000) / Number(__ENV.RATE) : 0; // milliseconds, of one connection
const payload = 'x'.repeat(Number(__ENV.PAYLOAD || 128));

const echoes = new Counter('echoes');
const wrong = new Counter('echoes_wrong');
const latency = new Trend('echo_latency', true);

export const options = {
  scenarios: { echo: { executor: 'per-vu-iterations', vus: connections, iterations: 1 } },
  summaryTrendStats: ['avg', 'med', 'p(99)', 'max'],
};

export default function () {
  const socket = new WebSocket(__ENV.URL);
  const sent = []; // when, of what has not come back
  let begin, end;

  const send = () => {
    sent.push(Date.now());
    socket.send(payload);
  };
  socket.addEventListener('open', () => {
    begin = Date.now() + warmUp * 1000;
    end = begin + seconds * 1000;
    if (interval === 0) {
      send();
      return;
    }
    const timer = setInterval(() => {
      if (Date.now() >= end) {
        clearInterval(timer);
        setTimeout(() => socket.close(), 100);
        return;
      }
      send();
    }, interval);
  });
  socket.addEventListener('message', (event) => {
    const took = Date.now() - sent.shift();
    const now = Date.now();
    if (now >= begin && now < end) {
      echoes.add(1);
      wrong.add(event.data === payload ? 0 : 1);
      latency.add(took);
    }
    if (interval !== 0) {
      return;
    }
    if (now < end) {
      send();
    } else {
      socket.close();
    }
  });
}
