// In milliseconds. The first wait before another attempt to connect, and the longest:
// each is twice the one before, less up to half of it at random, so that the pages of
// a server that has restarted do not all come back at the same moment. After a
// connection that was open for steadyTime the first wait is the next again.
const firstWait = 500;
const longestWait = 15000;
const steadyTime = 10000;

// Messages that wait for a connection. One more is an error.
const queuedAtMost = 1000;

const socketOpen = 1; // WebSocket.OPEN

// A Connection is what the instances with one URL share.
class Connection {
  constructor(url) {
    this.url = url;
    this.socket = null; // null also between two attempts
    this.timer = 0; // for the next attempt; 0: none
    this.attempts = 0; // that did not lead to a steady connection
    this.openedAt = 0; // 0: not yet
    this.queue = []; // of texts
    this.starts = 0; // of listeners
    this.listeners = new Map(); // of the instances that have started, to the number of their start
  }

  // open sees to it that there is a connection, or will be.
  open() {
    if (this.socket === null && this.timer === 0) {
      this.connect();
    }
  }

  connect() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.openedAt = 0;
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => {
      this.openedAt = Date.now();
      this.tell("open");
      // A hook may have closed it, or sent what goes first.
      while (socket.readyState === socketOpen && this.queue.length > 0) {
        socket.send(this.queue.shift());
      }
    };
    socket.onmessage = (event) => this.dispatch(event.data);
    socket.onerror = (event) => this.tell("error", event);
    socket.onclose = (event) => {
      this.socket = null;
      this.reconnectLater();
      this.tell("close", event);
    };
  }

  reconnectLater() {
    if (this.openedAt !== 0 && Date.now() - this.openedAt >= steadyTime) {
      this.attempts = 0;
    }
    const wait = Math.min(longestWait, firstWait * 2 ** this.attempts) * (1 - Math.random() / 2);
    this.attempts++;
    this.timer = setTimeout(() => this.connect(), wait);
  }

  // retryNow makes the next attempt at once, if one is waited for.
  retryNow() {
    if (this.timer !== 0) {
      this.connect();
    }
  }

  send(name, message) {
    const text = JSON.stringify({ name, message, isAmbiorix: true });
    if (this.socket !== null && this.socket.readyState === socketOpen) {
      this.socket.send(text);
      return;
    }
    if (this.queue.length >= queuedAtMost) {
      throw new Error(`Ambiorix: ${queuedAtMost} messages are waiting for a connection already`);
    }
    this.open(); // throws if the URL is bad
    this.queue.push(text);
  }

  start(listener) {
    if (this.listeners.has(listener)) {
      return;
    }
    this.open();
    const start = ++this.starts;
    this.listeners.set(listener, start);
    if (this.socket !== null && this.socket.readyState === socketOpen) {
      queueMicrotask(() => {
        if (this.listeners.get(listener) === start) {
          call(listener.hooks.open);
        }
      });
    }
  }

  // stop closes the connection with its last listener.
  stop(listener) {
    if (!this.listeners.delete(listener) || this.listeners.size > 0) {
      return;
    }
    clearTimeout(this.timer);
    this.timer = 0;
    this.attempts = 0;
    this.queue.length = 0;
    if (this.socket !== null) {
      this.socket.onopen = this.socket.onmessage = this.socket.onerror = this.socket.onclose = null;
      this.socket.close();
      this.socket = null;
    }
  }

  // dispatch gives a message to every listener with a receiver for it. What is not a
  // named message is ignored.
  dispatch(data) {
    if (typeof data !== "string") {
      return;
    }
    let message;
    try {
      message = JSON.parse(data);
    } catch (error) {
      this.tell("error", error);
      return;
    }
    if (message === null || message.isAmbiorix !== true) {
      return;
    }
    this.each((listener) => call(listener.receivers.get(message.name), message.message));
  }

  // tell calls a hook of every listener.
  tell(hook, event) {
    this.each((listener) => call(listener.hooks[hook], event));
  }

  // each calls f for the listeners that there are now, but for those that stop meanwhile,
  // even if they start again.
  each(f) {
    for (const [listener, start] of [...this.listeners]) {
      if (this.listeners.get(listener) === start) {
        f(listener);
      }
    }
  }
}

// call keeps what a function of the page throws from the other ones. The page finds it
// where uncaught errors go.
function call(f, argument) {
  if (f === undefined) {
    return;
  }
  try {
    f(argument);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

const connections = new Map(); // by URL

function connectionTo(url) {
  const { href } = resolve(url);
  let connection = connections.get(href);
  if (connection === undefined) {
    connection = new Connection(href);
    connections.set(href, connection);
  }
  return connection;
}

// resolve makes a WebSocket URL of one that may be relative to the page, and http or
// https. Without one it is the server of the page, whatever the path of that.
function resolve(url) {
  const page = globalThis.location;
  const resolved = new URL(url ?? "/", page?.href);
  if (resolved.protocol === "http:") {
    resolved.protocol = "ws:";
  } else if (resolved.protocol === "https:") {
    resolved.protocol = "wss:";
  }
  resolved.hash = "";
  return resolved;
}

// A network that has come back is worth an attempt at once.
globalThis.addEventListener?.("online", () => {
  for (const connection of connections.values()) {
    connection.retryNow();
  }
});

class Ambiorix {
  #connection;
  #listener = { receivers: new Map(), hooks: {} };

  // Without url: the server of the page. Instances with the same URL share a connection.
  constructor(url) {
    this.#connection = connectionTo(url);
  }

  // send sends a message to the server of the page. Before the connection is open, and
  // between two, messages wait; it throws if 1000 do already. What was sent right
  // before a connection broke may be lost.
  static send(name, message) {
    connectionTo().send(name, message);
  }

  // send sends a message to the server of this instance.
  send(name, message) {
    this.#connection.send(name, message);
  }

  // receive has f called with every message of this name; it replaces an earlier f.
  receive(name, f) {
    this.#listener.receivers.set(name, f);
    return this;
  }

  // onOpen has f called whenever a connection is open, also if it is when the instance
  // starts. What f sends goes ahead of what waits.
  onOpen(f) {
    this.#listener.hooks.open = f;
    return this;
  }

  // onClose has f called with the CloseEvent of every connection, and of every failed
  // attempt. Another attempt follows.
  onClose(f) {
    this.#listener.hooks.close = f;
    return this;
  }

  // onError has f called with the error event of a connection, or with the SyntaxError
  // of a message that is not JSON.
  onError(f) {
    this.#listener.hooks.error = f;
    return this;
  }

  // start begins to receive. Without it neither receivers nor hooks are called.
  start() {
    this.#connection.start(this.#listener);
    return this;
  }

  // stop ends what start has begun: neither receivers nor hooks are called any more, for
  // what is being told to the instances right now either. The connection closes with the
  // last instance that uses it, and messages that wait are dropped; start and send open it
  // again.
  stop() {
    this.#connection.stop(this.#listener);
    return this;
  }
}
