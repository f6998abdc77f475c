"use strict";

const shown = 500; // messages; older ones go

const messages = document.getElementById("messages");
const state = document.getElementById("state");
const text = document.getElementById("text");
const author = document.getElementById("name");

function show(name, words) {
  state.dataset.state = name;
  state.textContent = words;
}

// What a message says comes from strangers: it is set as text, never as HTML.
function append(message) {
  const from = document.createElement("b");
  from.textContent = message?.from;
  const item = document.createElement("li");
  item.append(from, ` ${message?.text}`);
  messages.append(item);
  while (messages.childElementCount > shown) {
    messages.firstElementChild.remove();
  }
  item.scrollIntoView({ block: "end" });
}

new Ambiorix()
  .receive("chat", append)
  .onOpen(() => show("connected", "connected"))
  .onClose(() => show("waiting", "connection lost, trying again"))
  .start();

document.getElementById("say").addEventListener("submit", (event) => {
  event.preventDefault();
  Ambiorix.send("chat", { from: author.value, text: text.value });
  text.value = "";
  text.focus();
});
