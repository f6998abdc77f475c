"use strict";

// Between two attempts to connect: the first wait and the longest. Each is twice the
// one before, less up to half of it at random, so that the tabs of a server that has
// restarted do not all come back at the same moment.
const firstWait = 500;
const longestWait = 15000;

const messagesShown = 500; // older ones go

const state = document.getElementById("state");
const log = document.getElementById("log");
const nameField = document.getElementById("name");
const textField = document.getElementById("text");
const sendButton = document.getElementById("send");

// Tells our own messages from those of others when they come back.
const tab = Math.random().toString(36).slice(2);

let socket = null;
let attempts = 0; // that have failed since the last connection
let countdown = 0; // the timer that waits for the next one; 0: none

function show(name, words) {
  state.dataset.state = name;
  state.textContent = words;
  sendButton.disabled = name !== "connected";
}

function connect() {
  clearInterval(countdown);
  countdown = 0;
  show("connecting", "connecting");
  const url = new URL("broadcast", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url);
  socket.onopen = () => {
    attempts = 0;
    show("connected", "connected");
  };
  socket.onmessage = (event) => receive(event.data);
  socket.onclose = reconnectLater;
}

function reconnectLater() {
  const wait = Math.min(longestWait, firstWait * 2 ** attempts) * (1 - Math.random() / 2);
  attempts++;
  const due = performance.now() + wait;
  const tick = () => {
    const left = due - performance.now();
    if (left <= 0) {
      connect();
      return;
    }
    show("waiting", `reconnecting in ${Math.ceil(left / 1000)} s`);
  };
  countdown = setInterval(tick, 250);
  tick();
}

function receive(data) {
  if (typeof data !== "string") {
    append({ name: "someone", text: `(${data.size} bytes of binary data)` });
    return;
  }
  append(parse(data));
}

// parse reads what a tab has sent. Other clients may send any text.
function parse(data) {
  try {
    const message = JSON.parse(data);
    if (typeof message.text === "string" && typeof message.name === "string") {
      return message;
    }
  } catch {
    // not from this page
  }
  return { name: "someone", text: data };
}

// append shows a message. What it says comes from strangers: it is set as text, never
// as HTML.
function append(message) {
  document.getElementById("hint")?.remove();
  const author = document.createElement("b");
  author.textContent = message.name;
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const top = document.createElement("div");
  top.className = "top";
  top.append(author, time);
  const text = document.createElement("p");
  text.textContent = message.text;
  const item = document.createElement("article");
  item.className = message.tab === tab ? "message own" : "message";
  item.append(top, text);

  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(item);
  while (log.childElementCount > messagesShown) {
    log.firstElementChild.remove();
  }
  if (atEnd || message.tab === tab) {
    log.scrollTop = log.scrollHeight;
  }
}

document.getElementById("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) {
    return; // the text stays until there is a connection
  }
  socket.send(JSON.stringify({ tab, name: nameField.value, text: textField.value }));
  textField.value = "";
  textField.focus();
});

// A network that has come back is worth an attempt at once.
window.addEventListener("online", () => {
  if (countdown !== 0) {
    connect();
  }
});

nameField.value = `guest ${Math.floor(1000 + Math.random() * 9000)}`;
connect();
