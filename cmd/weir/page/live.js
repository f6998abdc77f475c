"use strict";

const shortestWait = 500; // ms before connecting again; up to twice that
const presenceInterval = 5000;
const messagesShown = 500; // older ones go

const state = document.getElementById("state");
const presence = document.getElementById("presence");
const log = document.getElementById("log");
const topicField = document.getElementById("topic");
const tokenField = document.getElementById("token");
const textField = document.getElementById("text");
const answer = document.getElementById("answer");

let socket = null;
let topic = "";
let epoch = ""; // with offset: how far we have come in the topic
let offset = 0;

function show(name, words) {
  state.dataset.state = name;
  state.textContent = words;
}

function connect() {
  show("connecting", "connecting");
  const url = new URL("feed", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  if (tokenField.value !== "") {
    url.searchParams.set("token", tokenField.value);
  }
  const opened = new WebSocket(url);
  socket = opened;
  opened.onopen = resume;
  opened.onmessage = (event) => receive(JSON.parse(event.data));
  opened.onclose = () => {
    if (socket === opened) {
      show("waiting", "reconnecting");
      setTimeout(() => {
        if (socket === opened) {
          connect();
        }
      }, shortestWait * (1 + Math.random()));
    }
  };
}

function ask(request) {
  if (socket?.readyState === WebSocket.OPEN) {
    socket.send(JSON.stringify({ topic, ...request }));
  }
}

// resume asks for what has been missed; at first that is all there is.
function resume() {
  ask({ op: "resume", epoch, offset });
}

function receive(message) {
  switch (message.type) {
    case "subscribed":
      epoch = message.epoch;
      show("connected", "connected");
      ask({ op: "presence" });
      break;
    case "more":
      epoch = message.epoch;
      resume();
      break;
    case "gap":
      epoch = message.epoch;
      offset = message.to ?? 0;
      append("note", message.reason === "epoch"
        ? "The server has started anew; what was published in between is not known."
        : `${message.from} to ${message.to} are gone.`);
      break;
    case "message":
      offset = message.offset;
      append("value", message.text ?? (message.base64 ? "(binary data)" : JSON.stringify(message.data)), message.offset);
      break;
    case "presence":
      presence.textContent = message.subscribers === 1 ? "1 is here." : `${message.subscribers} are here.`;
      break;
    case "error":
      append("note", message.text);
      break;
  }
}

// append shows a line. What it says comes from strangers: it is set as text, never as
// HTML.
function append(kind, text, number) {
  const line = document.createElement("p");
  line.className = kind;
  if (number !== undefined) {
    const label = document.createElement("span");
    label.className = "offset";
    label.textContent = number;
    line.append(label);
  }
  const body = document.createElement("span");
  body.className = "body";
  body.textContent = text;
  line.append(body);
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(line);
  while (log.childElementCount > messagesShown) {
    log.firstElementChild.remove();
  }
  if (atEnd) {
    log.scrollTop = log.scrollHeight;
  }
}

function follow() {
  topic = topicField.value;
  epoch = "";
  offset = 0;
  log.replaceChildren();
  presence.textContent = "";
  const old = socket;
  connect();
  old?.close();
}

document.getElementById("follow").addEventListener("submit", (event) => {
  event.preventDefault();
  follow();
});

document.getElementById("composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = textField.value;
  let type = "text/plain";
  try {
    JSON.parse(text);
    type = "application/json";
  } catch {
    // text it is
  }
  const headers = { "Content-Type": type };
  if (tokenField.value !== "") {
    headers.Authorization = `Bearer ${tokenField.value}`;
  }
  try {
    const response = await fetch(`publish/${topic}`, { method: "POST", headers, body: text });
    answer.textContent = await response.text();
    if (response.ok) {
      textField.value = "";
    }
  } catch {
    answer.textContent = "The server cannot be reached.";
  }
  textField.focus();
});

setInterval(() => ask({ op: "presence" }), presenceInterval);

// The token may stand behind # in the address, which is not sent to the server.
const given = new URLSearchParams(location.hash.slice(1));
tokenField.value = given.get("token") ?? "";
topicField.value = given.get("topic") ?? topicField.value;
follow();
