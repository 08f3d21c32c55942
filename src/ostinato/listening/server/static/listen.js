// Plays the sounds of a page in sync, notes what was heard, and saves the answer.
"use strict";

const main = document.getElementById("main");
const settings = JSON.parse(main.dataset.settings);
const find = (id) => document.getElementById(id);
const play = find("play"), seek = find("seek"), time = find("time"), status = find("status");
const switches = [...document.querySelectorAll(".switch")];
const form = find("answer");
const FADE = 0.015; // seconds of a crossfade between two sounds
const LOGGED = 2000;
const SILENT = 4000; // milliseconds
const opened = performance.now();

let context = null, out = null, buffers = [], nodes = [], gains = [];
let current = 0, playing = false, offset = 0, started = 0, sending = false;
const heard = new Map(), log = [];

function note(action) {
  if (log.length < LOGGED) {
    log.push([Math.round(performance.now() - opened), action, settings.sounds[current][1], Math.round(position() * 1000)]);
  }
}

// ---- sound -------------------------------------------------------------------------------------

const duration = () => (buffers.length ? buffers[0].duration : 0);

function position() {
  return playing ? Math.max(0, Math.min(offset + context.currentTime - started, duration())) : offset;
}

async function load() {
  find("failed").hidden = true;
  status.hidden = false;
  try {
    const Context = window.AudioContext || window.webkitAudioContext; // Safari before 14.1
    context = context || new Context();
    const contents = await Promise.all(settings.sounds.map(async ([key]) => {
      const response = await fetch("/sound/" + key);
      if (!response.ok) throw new Error(String(response.status));
      return response.arrayBuffer();
    }));
    buffers = await Promise.all(contents.map((content) => new Promise((done, failed) => context.decodeAudioData(content, done, failed))));
  } catch (error) {
    status.hidden = true;
    find("failed").hidden = false;
    return;
  }
  out = context.createGain();
  out.connect(context.destination);
  setVolume(storedVolume());
  status.hidden = true;
  for (const button of [play, seek, ...switches]) button.disabled = false;
  draw();
}

function start() {
  context.resume(); // browsers wait for a gesture
  if (offset >= duration() - 0.01) offset = 0;
  started = context.currentTime + 0.03;
  nodes = buffers.map((buffer, index) => {
    const node = context.createBufferSource(), gain = context.createGain();
    node.buffer = buffer;
    gain.gain.value = index === current ? 1 : 0;
    node.connect(gain).connect(out);
    node.start(started, offset); // all at once: switching only changes which one is heard
    gains[index] = gain;
    return node;
  });
  nodes[0].onended = ended;
  playing = true;
  counted = started;
  note("play");
  setTimeout(check, SILENT, started);
  tick();
}

// without a sound device the clock of the sound card stands still
function check(since) {
  if (!playing || started !== since || context.currentTime >= since) return;
  status.textContent = status.dataset.silent;
  status.hidden = false;
}

function silence() {
  if (nodes.length) nodes[0].onended = null;
  for (const node of nodes) {
    try { node.stop(); } catch (error) { /* it has ended already */ }
  }
  nodes = [];
}

function pause() {
  count();
  offset = position();
  playing = false;
  silence();
  note("pause");
  draw();
}

function ended() {
  if (!playing) return;
  count();
  offset = 0;
  playing = false;
  nodes = [];
  note("end");
  draw();
}

function toggle() {
  if (!buffers.length) return;
  if (playing) pause(); else start();
  draw();
}

function choose(index) {
  if (index === current || !buffers.length) return;
  if (playing) {
    count();
    const now = context.currentTime;
    gains.forEach((gain, number) => {
      gain.gain.cancelScheduledValues(now);
      gain.gain.setValueAtTime(gain.gain.value, now);
      gain.gain.linearRampToValueAtTime(number === index ? 1 : 0, now + FADE);
    });
  }
  current = index;
  note("switch");
  draw();
}

function move(seconds) {
  if (!buffers.length) return;
  const was = playing;
  if (was) count();
  offset = Math.max(0, Math.min(seconds, duration()));
  if (was) { silence(); playing = false; }
  note("seek");
  if (was) start();
  draw();
}

// ---- what the page shows -----------------------------------------------------------------------

const clock = (seconds) => Math.floor(seconds / 60) + ":" + String(Math.floor(seconds % 60)).padStart(2, "0");
let counted = 0;

function tick() {
  if (!playing) return;
  count();
  draw();
  setTimeout(tick, 60);
}

// adds what was played since the last call, by the clock of the sound card, to the sound that is heard
function count() {
  const now = Math.min(context.currentTime, started + duration() - offset), role = settings.sounds[current][1];
  if (now > counted) heard.set(role, (heard.get(role) || 0) + now - counted);
  counted = now;
}

function draw() {
  main.classList.toggle("playing", playing);
  play.setAttribute("aria-label", playing ? play.dataset.pause : play.dataset.play);
  const at = position();
  if (duration()) seek.value = Math.round((1000 * at) / duration());
  const text = clock(at) + " / " + clock(duration());
  if (time.textContent !== text) {
    time.textContent = text;
    seek.setAttribute("aria-valuetext", text);
  }
  switches.forEach((button, index) => {
    button.setAttribute("aria-pressed", String(index === current));
    button.classList.toggle("heard", isHeard(button.dataset.role));
  });
  if (form) find("send").disabled = sending || !isReady();
}

const isHeard = (role) => (heard.get(role) || 0) >= Math.min(settings.hear, duration() - 0.5);

function isReady() {
  if (!buffers.length || !settings.sounds.every(([, role]) => isHeard(role))) return false;
  find("hint").hidden = true;
  return Boolean(answer());
}

function answer() {
  const found = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "radio") {
      found[field.name] = found[field.name] ?? null;
      if (field.checked) found[field.name] = /^\d+$/.test(field.value) ? Number(field.value) : field.value;
    } else if (field.type === "range") {
      found[field.name] = field.dataset.untouched ? null : Number(field.value);
    }
  }
  return Object.values(found).includes(null) ? null : found;
}

// ---- saving: the same answer may be sent often, the server stores it once -------------------------

async function save(event) {
  event.preventDefault();
  const given = answer();
  if (sending || !given || !isReady()) return;
  sending = true;
  if (playing) pause();
  draw();
  const body = JSON.stringify({
    trial: settings.trial, csrf: settings.csrf, answer: given, log,
    milliseconds: Math.round(performance.now() - opened),
  });
  keep("answer", body);
  await send(body);
}

async function send(body) {
  const saving = find("saving");
  sending = true;
  saving.textContent = saving.dataset.saving;
  for (let wait = 1000; ; wait = Math.min(2 * wait, 15000)) {
    try {
      const response = await fetch("/answer", { method: "POST", headers: { "Content-Type": "application/json" }, body });
      if (response.ok) {
        keep("answer", null);
        location.replace("/go");
        return;
      }
      if (response.status < 500 && response.status !== 429) {
        keep("answer", null);
        saving.textContent = saving.dataset.refused;
        return;
      }
    } catch (error) { /* no connection: try again */ }
    saving.textContent = saving.dataset.offline;
    await new Promise((done) => setTimeout(done, wait));
  }
}

function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(name); else localStorage.setItem(name, value);
  } catch (error) { /* storage may be switched off */ }
}

function kept(name) {
  try { return localStorage.getItem(name); } catch (error) { return null; }
}

// ---- volume ------------------------------------------------------------------------------------

const storedVolume = () => Number(kept("volume") ?? 100);

function setVolume(percent) {
  if (out) out.gain.value = (percent / 100) ** 2;
}

// ---- events ------------------------------------------------------------------------------------

play.addEventListener("click", toggle);
seek.addEventListener("input", () => move((seek.value / 1000) * duration()));
switches.forEach((button, index) => button.addEventListener("click", () => choose(index)));
find("retry").addEventListener("click", load);

const volume = find("volume");
if (volume) {
  volume.value = storedVolume();
  volume.addEventListener("input", () => { keep("volume", volume.value); setVolume(Number(volume.value)); });
}

if (form) {
  form.addEventListener("submit", save);
  const touch = (event) => {
    const field = event.target;
    if (field.type === "range") {
      delete field.dataset.untouched;
      field.nextElementSibling.textContent = field.value;
    }
    draw();
  };
  form.addEventListener("input", touch);
  form.addEventListener("pointerup", touch); // a slider may be left where it is
}

const keyOf = (role) => (role === "ref" ? "r" : role[0] === "s" ? String(Number(role.slice(1)) + 1) : role);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const kind = event.target.type || "", tag = event.target.tagName;
  const takesSpace = tag === "BUTTON" || tag === "A" || kind === "radio" || kind === "checkbox";
  if (event.key === " " && !takesSpace) {
    event.preventDefault();
    toggle();
  } else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && kind !== "radio" && kind !== "range") {
    event.preventDefault();
    move(position() + (event.key === "ArrowLeft" ? -1 : 1));
  } else if (event.key.length === 1 && kind !== "password") {
    const index = switches.findIndex((button) => keyOf(button.dataset.role) === event.key.toLowerCase());
    if (index >= 0) choose(index);
  }
});

// a page that the back button takes from memory may show a trial that is answered already
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

const unsent = kept("answer");
if (form && unsent) {
  if (JSON.parse(unsent).trial === settings.trial) send(unsent); else keep("answer", null);
}
load();
