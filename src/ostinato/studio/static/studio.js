// The studio's page: what is shown, what is asked of the server, what can be undone.
import { COLORS, Roll, small } from "/static/roll.js";
import { sound, warm } from "/static/sound.js";
import { Recorder } from "/static/record.js";
import { score } from "/static/score.js";
import { lanes, paint, refill, walk } from "/static/lanes.js";
import { chordItems, chordLine } from "/static/chords.js";
import { Cancelled, Making } from "/static/making.js";

const find = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
const roll = new Roll(find("roll"));
const making = new Making(find("working"), find("bar"), find("far"), find("cancel"));
let anchor = null; // the cell from which Shift chooses a rectangle
const state = { sound, about: null, piece: null, free: new Set(), request: null, takes: [], past: [], future: [] };
window.studio = state; // for tests and the curious

// ---- the server

async function ask(path, body, raw, signal) {
  const options = body === undefined ? {} : { method: "POST", body: raw ? body : JSON.stringify(body), headers: raw ? {} : { "Content-Type": "application/json" }, signal };
  const answer = await fetch(path, options).catch(() => { throw new Error("the studio's server does not answer; is it still running? Nothing on this page is lost"); });
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({ detail: answer.statusText }));
  throw new Error(typeof said.detail === "string" ? said.detail : said.detail.map((one) => `${one.loc.slice(1).join(".")}: ${one.msg}`).join("; "));
}

function counted(number, what) { return `${number} ${what}${number === 1 ? "" : "s"}`; }

function say(text, wrong = false) { find("said").textContent = text; find("said").classList.toggle("wrong", wrong); }

async function guarded(button, work) { // one at a time, and errors are shown
  const off = (value) => button?.setAttribute("aria-disabled", value); // a disabled button would lose the keyboard's place
  if (button?.getAttribute("aria-disabled") === "true") return;
  off(true);
  try { await work(); } catch (error) { say(error.message, !(error instanceof Cancelled)); } finally { off(false); }
}

// ---- time

function secondsAt(tick) {
  const { piece } = state, tempos = piece.tempos[0]?.[0] === 0 ? piece.tempos : [[0, 120], ...piece.tempos]; // 120 as in MIDI
  let seconds = 0, from = 0, qpm = tempos[0][1];
  for (const [onset, next] of tempos) {
    if (onset >= tick) break;
    seconds += ((onset - from) / piece.ticks) * (60 / qpm); from = onset; qpm = next;
  }
  return seconds + ((tick - from) / piece.ticks) * (60 / qpm);
}

function tickAt(seconds) { // of pieces with one tempo exactly, else by search
  let low = 0, high = state.piece.length * 2 + 1;
  for (let turn = 0; turn < 40; turn += 1) { const middle = (low + high) / 2; if (secondsAt(middle) < seconds) low = middle; else high = middle; }
  return low;
}

function ends() { // of the last bar
  const { piece } = state, last = piece.bars.at(-1), meter = piece.meters.at(-1) ?? [0, 4, 4];
  const bar = (4 * meter[1] / meter[2]) * piece.ticks;
  return Math.max(piece.length, last ? last[0] + bar : bar);
}

function widths() { // ticks of every bar number; parts of a split bar are one
  const found = new Map(), { piece } = state;
  piece.bars.forEach(([onset, number], index) => {
    const end = index + 1 < piece.bars.length ? piece.bars[index + 1][0] : ends();
    found.set(number, (found.get(number) ?? 0) + end - onset);
  });
  return found;
}

// ---- what is shown

function show() {
  const { piece } = state;
  find("undo").setAttribute("aria-disabled", !state.past.length); find("redo").setAttribute("aria-disabled", !state.future.length);
  if (!piece) return;
  roll.draw(piece, ends(), css);
  const bars = [...widths()].map(([bar, ticks]) => [bar, roll.x(piece, ticks)]);
  refill(find("locks"), lanes(piece.tracks, bars, state.free, {
    sound,
    color: (number) => COLORS[number % COLORS.length],
    changed() { if (sound.playing) sound.level(); show(); },
    remove: (number) => remember(() => put(without(number), null)),
    toggle(keys, key, event) {
      const all = (some) => some.every((one) => state.free.has(one)), ranged = event.shiftKey && anchor;
      const range = ranged ? paint(anchor.key, key, piece.tracks, bars) : keys, free = ranged ? all(anchor.keys) : !all(keys);
      if (!ranged) anchor = { key, keys };
      remember(() => { for (const one of range) if (free) state.free.add(one); else state.free.delete(one); });
    },
  }));
  find("chords").replaceChildren(...chordItems(piece, ends(), (ticks) => roll.x(piece, ticks))); find("chords").hidden = !find("chords").children.length;
  const chosen = find("role").value;
  find("role").replaceChildren(...piece.tracks.map((track) => new Option(track.role, track.role, false, track.role === chosen)));
  refill(find("takes"), state.takes.map((take, index) => {
    const item = document.createElement("li"), picture = document.createElement("canvas"), button = document.createElement("button"), text = document.createElement("span");
    item.className = take.piece === piece ? "now" : ""; text.textContent = `${index + 1}: ${take.label}`; button.textContent = "Take this one";
    button.setAttribute("aria-label", `Take this one, number ${index + 1}: ${take.label}`); if (take.piece === piece) button.setAttribute("aria-current", "true");
    button.onclick = () => remember(() => { put(take.piece, take.request); });
    const harmony = document.createElement("span"); harmony.className = "harmony"; harmony.textContent = harmony.title = chordLine(take.piece);
    picture.setAttribute("role", "img"); picture.setAttribute("aria-label", "Its piano roll"); small(picture, take.piece);
    item.append(text, picture, ...(harmony.textContent ? [harmony] : []), button); return item;
  }));
  guarded(null, drawScore);
}

function put(piece, request) { // cells that are free stay so where the piece has them, but not in a new piece
  state.piece = piece; state.request = request;
  const cells = new Set(piece.tracks.flatMap((track) => [...widths().keys()].map((bar) => `${track.role}|${bar}`)));
  state.free = new Set(request?.task === "generate" ? [] : [...state.free].filter((key) => cells.has(key)));
  tempo(); roll.fit(piece);
}

function beats(piece) { const [[onset, qpm]] = [...piece.tempos, [0, 120]]; return Math.min(400, Math.max(20, Number((onset ? 120 : qpm).toFixed(2)))); } // quarters a minute at the start

function tempo() { if (state.piece) find("qpm").value = beats(state.piece); } // new music has the tempo of the piece that is shown

function snapshot() { return { piece: state.piece, free: new Set(state.free), request: state.request }; }

function remember(change) { // a change that can be undone
  state.past.push(snapshot()); state.future = []; change(); show();
}

function step(from, to) {
  if (!from.length) return;
  to.push(snapshot()); Object.assign(state, from.pop());
  if (state.piece) { tempo(); roll.fit(state.piece); }
  show();
}

// ---- what is asked

// options that musicians ask for first, with what may be said
const FIRST = { roles: "such as piano,bass", chords: "such as Dm7 G7 | Cmaj7", key: "such as D or F#m", meter: "such as 3/4", temperature: "" };

const FEW = 3; // conditions that are shown at once

function option(name, value) {
  const label = document.createElement("label"), input = document.createElement("input");
  label.textContent = name; input.name = name; input.value = value ?? ""; input.dataset.usual = input.value; input.placeholder = FIRST[name] ?? "";
  if (name === "roles" && state.about.roles.length) input.title = `of ${state.about.roles.join(", ")}; empty: the model chooses`;
  if (typeof value === "number") { input.type = "number"; input.step = "any"; }
  label.append(input); return label;
}

async function choose() {
  const about = await (await ask(`/api/models/${encodeURIComponent(find("model").value)}`)).json();
  state.about = about;
  find("about").textContent = `${about.system}, weights ${about.weights}, roles ${about.roles.join(", ") || "its own"}`;
  const fields = Object.entries(about.options).map(([name, value]) => [name, option(name, value)]);
  const conditions = about.conditions.map(({ name, values }) => {
    const label = document.createElement("label"), choice = document.createElement("select");
    label.textContent = name; choice.name = name; choice.append(new Option("any", ""), ...values.map((value) => new Option(value, value)));
    label.append(choice); return [name, label];
  });
  const near = ([name]) => conditions.length <= FEW || name === "style", shown = (rows, wanted) => rows.filter(wanted).map(([, label]) => label);
  find("conditions").replaceChildren(...shown(fields, ([name]) => name in FIRST), ...shown(conditions, near));
  find("options").replaceChildren(...shown(fields, ([name]) => !(name in FIRST)), ...shown(conditions, (row) => !near(row)));
  task();
}

const NAMES = { generate: "unconditional", continue: "continue", fill: "fill", vary: "vary" };

function task() {
  const chosen = find("task").value, { about } = state;
  document.querySelector(".for-bars").hidden = !["generate", "continue"].includes(chosen);
  document.querySelector(".for-strength").hidden = chosen !== "vary";
  const can = !about || about.tasks.includes(NAMES[chosen]);
  find("cannot").hidden = can;
  if (!can) find("cannot").textContent = `${about.system} cannot do this${about.missing[NAMES[chosen]] ? `: ${about.missing[NAMES[chosen]]}` : ""}. Its tasks: ${about.tasks.join(", ")}.`;
}

function typed({ type, value }) { if (value === "true" || value === "false") return value === "true"; return type === "number" ? Number(value) : value; }

function request() {
  const chosen = find("task").value, options = {}, conditions = {};
  for (const input of document.querySelectorAll("#options input, #conditions input")) if (input.value !== input.dataset.usual) options[input.name] = typed(input);
  for (const choice of document.querySelectorAll("#options select, #conditions select")) if (choice.value) conditions[choice.name] = choice.value;
  const asked = { model: find("model").value, task: chosen, bars: Number(find("bars").value), seed: Number(find("seed").value), n: Number(find("count").value), qpm: Number(find("qpm").value), options, conditions };
  if (chosen === "vary") asked.strength = Number(find("strength").value);
  if (chosen !== "generate") {
    if (!state.piece) throw new Error("this changes a piece: make, draw, record or open one first");
    asked.piece = state.piece;
    if (asked.qpm === beats(state.piece) && state.piece.tempos.length) delete asked.qpm; // it keeps its tempo, and the changes of it
  }
  if (chosen === "fill") {
    const music = new Set(state.piece.bars.filter(([onset]) => onset < state.piece.length).map(([, number]) => number)); // bars behind the last note are not there yet
    asked.free = [...state.free].map((key) => { const cut = key.lastIndexOf("|"); return [key.slice(0, cut), Number(key.slice(cut + 1))]; }).filter(([, bar]) => music.has(bar));
  }
  return asked;
}

async function make(asked) {
  say("composing …");
  const begun = performance.now(), word = asked.task === "fill" ? "part" : "bar";
  const made = await making.run((signal) => ask("/api/make/lines", asked, false, signal), word);
  const one = made.map(({ piece, index }) => ({ piece, request: { ...asked, n: 1, weights: state.about.weights, index }, label: `${asked.model}, ${asked.task}, seed ${asked.seed}${made.length > 1 ? `, ${index + 1} of ${made.length}` : ""}` }));
  state.takes.push(...one);
  remember(() => put(one[0].piece, one[0].request));
  say([`made in ${((performance.now() - begun) / 1000).toFixed(1)} s`, ...made[0].remarks].join(". "));
}

// ---- links

function encode(asked) { return btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(asked)))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", ""); }
function decode(text) { return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0)))); }

async function followLink() {
  if (!location.hash.startsWith("#make=")) return;
  let read;
  try { read = decode(location.hash.slice(6)); } catch { throw new Error("this link is damaged: copy the whole of it again"); }
  const { index = 0, ...asked } = read, names = [...find("model").options].map(({ value }) => value);
  if (!names.includes(asked.model)) throw new Error(`the link is for model ${asked.model}, which this server does not have; it has ${names.join(", ")}`);
  asked.n = index + 1;
  find("model").value = asked.model; find("task").value = asked.task; find("seed").value = asked.seed; find("bars").value = asked.bars; find("qpm").value = asked.qpm ?? 84;
  await choose();
  for (const [kind, values] of [["input", asked.options], ["select", asked.conditions]]) for (const field of document.querySelectorAll(`#options ${kind}, #conditions ${kind}`)) if (field.name in (values ?? {})) field.value = values[field.name];
  await make(asked);
  if (index) remember(() => put(state.takes.at(-1).piece, state.takes.at(-1).request));
}

// ---- drawing

function edit(tick, pitch) {
  const { piece } = state, grid = Number(find("length").value) * piece.ticks, sixteenth = piece.ticks / 4;
  const number = Math.max(0, piece.tracks.findIndex((track) => track.role === find("role").value)), track = piece.tracks[number];
  const hit = track.notes.find(([onset, duration, key]) => key === pitch && onset <= tick && tick < onset + duration);
  const onset = Math.floor(tick / sixteenth) * sixteenth;
  let notes = track.notes.filter((note) => note !== hit);
  if (!hit) { notes = [...notes, [onset, grid, pitch, 80]].sort((a, b) => a[0] - b[0]); sound.strike(track, pitch).catch(() => {}); }
  const tracks = piece.tracks.map((one, index) => (index === number ? { ...one, notes } : one));
  const length = Math.max(0, ...tracks.flatMap((one) => one.notes.map((note) => note[0] + note[1])));
  remember(() => { state.piece = { ...piece, tracks, length }; state.request = null; });
}

function without(number) { // the piece without one track
  const tracks = state.piece.tracks.filter((_, index) => index !== number);
  return { ...state.piece, tracks, length: Math.max(0, ...tracks.flatMap((one) => one.notes.map((note) => note[0] + note[1]))) };
}

function blank(bars = Number(find("bars").value) || 8) {
  const ticks = 480, roles = state.about.roles.length ? state.about.roles : ["melody"];
  const tracks = roles.map((role) => ({ role, name: role, program: 0, drum: false, notes: [] }));
  return { ticks, length: bars * 4 * ticks, tracks, tempos: [[0, Number(find("qpm").value)]], meters: [[0, 4, 4]], keys: [], lines: [], bars: Array.from({ length: bars }, (_, bar) => [bar * 4 * ticks, bar + 1]) };
}

// ---- playing

function sounding(piece) { // notes in seconds, in the order of their onsets
  const notes = piece.tracks.flatMap(({ notes }, voice) => notes.map(([onset, duration, pitch, velocity]) => ({ onset: secondsAt(onset), end: secondsAt(onset + duration), pitch, velocity, voice })));
  return notes.sort((a, b) => a.onset - b.onset);
}

function follow() {
  if (!sound.playing) { roll.at = null; find("play").textContent = "Play"; show(); return; }
  roll.at = tickAt(sound.position); roll.draw(state.piece, ends(), css);
  requestAnimationFrame(follow);
}

async function play() {
  if (sound.playing) { sound.stop(); return; }
  if (!state.piece?.length) throw new Error("there is nothing to play yet");
  find("play").textContent = "Stop";
  const from = roll.cursor ? secondsAt(roll.cursor[0]) : 0;
  sound.load(sounding(state.piece), state.piece.tracks.map(({ role, program, drum }) => ({ name: role, program, drum })), secondsAt(state.piece.length));
  try { if (await sound.play(from)) requestAnimationFrame(follow); } catch (error) { find("play").textContent = "Play"; throw error; }
}

// ---- the score

async function drawScore() {
  if (find("score").hidden || !state.piece?.length || state.scored === state.piece) return;
  const piece = state.piece, written = await (await ask("/api/export/musicxml", piece)).text();
  state.scored = piece;
  await score(find("score"), written);
}

// ---- events

find("ask").onsubmit = (event) => { event.preventDefault(); guarded(find("make"), () => make(request())); };
find("model").onchange = () => guarded(null, choose);
find("task").onchange = task;
find("dice").onclick = () => { find("seed").value = crypto.getRandomValues(new Uint32Array(1))[0] >>> 1; };
find("play").onclick = () => guarded(null, play);
find("undo").onclick = () => step(state.past, state.future);
find("redo").onclick = () => step(state.future, state.past);
find("lock-all").onclick = () => remember(() => state.free.clear());
find("reroll").onclick = () => guarded(find("make"), () => {
  if (!state.piece) throw new Error("there is no piece yet: make one first");
  if (state.free.size) { find("task").value = "fill"; task(); }
  find("seed").value = (Number(find("seed").value) + 1) % 2 ** 31;
  return make(request());
});
find("free-all").onclick = () => { if (state.piece) remember(() => { for (const track of state.piece.tracks) for (const [bar] of widths()) state.free.add(`${track.role}|${bar}`); }); };
find("score-view").onclick = () => guarded(null, async () => {
  find("score").hidden = !find("score").hidden; find("score-view").setAttribute("aria-pressed", !find("score").hidden);
  await drawScore();
});
find("zoom").oninput = () => { roll.scale = Number(find("zoom").value); show(); };
find("blank").onclick = () => { remember(() => put(blank(), null)); say("click in the roll to draw; free the cells that the model is to compose"); };
find("upload").onchange = (event) => guarded(null, async () => {
  const [file] = event.target.files;
  if (!file) return;
  const emptied = () => { event.target.value = ""; }; // so that the same file can be opened again
  if (file.size > 4e6) throw new Error(`${file.name} has ${file.size.toLocaleString("en")} bytes; at most 4,000,000 can be opened`); // the answer would be lost while it is sent
  const { remarks, ...piece } = await (await ask(`/api/upload?name=${encodeURIComponent(file.name)}`, file, true).finally(emptied)).json();
  state.takes.push({ piece, request: null, label: file.name });
  remember(() => put(piece, null)); say([`${file.name}: ${counted(piece.tracks.length, "track")}, ${counted(piece.bars.length, "bar")}`, ...remarks].join(". "));
});
find("fit").onclick = () => guarded(find("fit"), async () => {
  if (!state.piece) throw new Error("there is no piece to fit: open, draw or record one first");
  const { piece, remarks } = await (await ask(`/api/fit/${encodeURIComponent(find("model").value)}`, state.piece)).json();
  remember(() => put(piece, null)); say(remarks.length ? remarks.join(". ") : "every note has its place");
});
for (const button of document.querySelectorAll("[data-export]")) button.onclick = () => guarded(button, async () => {
  if (!state.piece) throw new Error("there is nothing to export yet");
  const kind = button.dataset.export, answer = await ask(`/api/export/${kind}`, state.piece), link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob()); link.download = `ostinato.${kind}`; link.click(); URL.revokeObjectURL(link.href);
});
find("link").onclick = () => guarded(null, async () => {
  if (!state.piece) throw new Error("there is no piece yet: make one first");
  if (!state.request) throw new Error("this piece was drawn, recorded or opened; a link can make pieces of a model only");
  history.replaceState(null, "", `#make=${encode(state.request)}`); // no hashchange: the piece is there already
  try { await navigator.clipboard.writeText(location.href); say("the link is copied; it makes this piece again with the same weights"); } catch { say("the link is in the address bar"); }
});
const recorder = new Recorder((pitch) => sound.strike({ program: 0, drum: false }, pitch).catch(() => {}));
find("record").onclick = () => guarded(null, async () => {
  if (!recorder.on) { await recorder.start(find("click").checked && Number(find("qpm").value), (first) => sound.strike({ program: 115, drum: false }, first ? 84 : 77, 0.05).catch(() => {})); find("record").setAttribute("aria-pressed", "true"); say(`recording: play a MIDI keyboard or the keys A to K; press the button again to stop${recorder.midi ? "" : " (no MIDI keyboard found)"}`); return; }
  const notes = recorder.stop(Number(find("qpm").value));
  find("record").setAttribute("aria-pressed", "false");
  if (!notes.length) { say("nothing was played"); return; }
  const last = Math.max(...notes.map((note) => note[0] + note[1])), piece = blank(Math.ceil(last / (4 * 480)));
  piece.tracks[0].notes = notes; piece.length = last;
  remember(() => put(piece, null)); say(`${notes.length === 1 ? "1 note" : `${notes.length} notes`} recorded into ${piece.tracks[0].role}`);
});
find("locks").onkeydown = walk;
find("roll").onclick = (event) => { // not pointerdown: a finger that scrolls sets no note
  if (!state.piece) return;
  const box = find("roll").getBoundingClientRect(), tick = roll.tick(state.piece, event.clientX - box.left), pitch = roll.pitch(event.clientY - box.top);
  if (event.shiftKey) cursorTo(Math.floor(tick / (state.piece.ticks / 4)) * (state.piece.ticks / 4), pitch); else edit(tick, pitch);
};
function cursorTo(tick, pitch) { // playing begins there
  const sixteenth = state.piece.ticks / 4;
  roll.cursor = [Math.max(0, Math.min(ends() - sixteenth, tick)), Math.min(roll.high, Math.max(roll.low, pitch))];
  roll.draw(state.piece, ends(), css);
  const bar = state.piece.bars.findLast(([onset]) => onset <= roll.cursor[0]), [onset, number] = bar ?? [0, 1];
  say(`${roll.name(roll.cursor[1])}, bar ${number}, quarter ${((roll.cursor[0] - onset) / state.piece.ticks + 1).toFixed(2)}`);
  const left = roll.x(state.piece, roll.cursor[0]), seen = find("scroll"), shown = seen.clientWidth - find("roll").offsetLeft;
  if (left < seen.scrollLeft || left > seen.scrollLeft + shown - 20) seen.scrollLeft = left - shown / 2;
}
find("roll").onkeydown = (event) => {
  if (!state.piece) return;
  const sixteenth = state.piece.ticks / 4, [tick, pitch] = roll.cursor ?? [0, 67];
  const beat = event.shiftKey ? state.piece.ticks : sixteenth, far = event.shiftKey ? 12 : 1;
  const moves = { ArrowRight: [beat, 0], ArrowLeft: [-beat, 0], ArrowUp: [0, far], ArrowDown: [0, -far], PageUp: [0, 12], PageDown: [0, -12], Home: [-tick, 0], End: [ends(), 0] };
  if (event.key === "Escape") { roll.cursor = null; roll.draw(state.piece, ends(), css); say("no cursor: playing begins at the start"); }
  if (event.key === "Enter") { edit(tick, pitch); event.preventDefault(); }
  if (!moves[event.key]) return;
  event.preventDefault();
  cursorTo(tick + moves[event.key][0], pitch + moves[event.key][1]);
};
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "Escape" && making.on) { event.preventDefault(); making.cancel(); return; }
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") { event.preventDefault(); guarded(find("make"), () => make(request())); return; }
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !typing) { event.preventDefault(); event.shiftKey ? step(state.future, state.past) : step(state.past, state.future); }
  else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "y" && !typing) { event.preventDefault(); step(state.future, state.past); }
  else if (recorder.on || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  else if (event.key === " " && !event.target.closest("button, summary")) { event.preventDefault(); guarded(null, play); }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
window.addEventListener("hashchange", () => guarded(null, followLink));

guarded(null, async () => {
  const models = await (await ask("/api/models")).json();
  find("model").replaceChildren(...models.map(({ name, family }) => new Option(`${name} (${family})`, name)));
  await choose();
  await guarded(null, followLink); // a link that fails leaves a page that works
  document.body.dataset.ready = "1";
  warm();
});
