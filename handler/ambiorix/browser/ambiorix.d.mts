/** Named messages over a WebSocket that comes back when it breaks. */
export class Ambiorix {
  /**
   * Without `url`: the server of the page, `wss` if the page came over `https`. It may
   * be relative to the page. Instances with the same URL share a connection.
   */
  constructor(url?: string | URL);

  /**
   * Sends a message to the server of the page. Before the connection is open, and
   * between two, messages wait; it throws if 1000 do already.
   */
  static send(name: string, message?: unknown): void;

  /** Sends a message to the server of this instance, as the static `send` does. */
  send(name: string, message?: unknown): void;

  /** Has `f` called with every message of this name; it replaces an earlier `f`. */
  receive<T = any>(name: string, f: (message: T) => void): this;

  /**
   * Has `f` called whenever a connection is open, also if it is when the instance
   * starts. What `f` sends goes ahead of what waits.
   */
  onOpen(f: () => void): this;

  /**
   * Has `f` called with the event of every connection that closes, and of every failed
   * attempt. Another attempt follows.
   */
  onClose(f: (event: CloseEvent) => void): this;

  /**
   * Has `f` called with the error event of a connection, or with the `SyntaxError` of
   * a message that is not JSON.
   */
  onError(f: (error: Event | SyntaxError) => void): this;

  /** Begins to receive. Without it neither receivers nor hooks are called. */
  start(): this;

  /**
   * Ends what `start` has begun: neither receivers nor hooks are called any more, for what
   * is being told to the instances right now either. The connection closes with the last
   * instance that uses it, and messages that wait are dropped; `start` and `send` open it
   * again.
   */
  stop(): this;
}

export default Ambiorix;
