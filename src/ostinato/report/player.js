// The cards of samples: each has a button, a roll to seek in, and the notes or a recording of them. Follows sounding.js in
// one script.
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
const audio = new Output();
let current = null; // the card that sounds
let decoded = {}; // the last recording that was played; all of them would need too much memory on a phone

const recorded = async (name) => JSON.parse(document.getElementById("instruments").textContent)[name];
const instrument = new RecordedNotes(audio, recorded);

// A recording that comes with its notes: { sound: MP3 in base64, attack: its first audible millisecond }
class Recording {
  #sounding = null;
  constructor(data) { this.data = data; }

  get now() { return audio.context.currentTime; }

  async open() {
    await audio.open();
    if (decoded.recording !== this) {
      const buffer = await audio.decode(this.data.sound);
      decoded = { recording: this, buffer, lead: attack(buffer) - this.data.attack / 1000 };
    }
  }

  begin(origin, from) {
    const source = audio.context.createBufferSource(), gain = audio.context.createGain();
    source.buffer = decoded.buffer;
    source.connect(gain).connect(audio.context.destination);
    source.start(origin + from, Math.max(0, from + decoded.lead));
    this.#sounding = { source, gain };
  }

  note() {} // the recording holds them
  level() {}

  release() {
    const { source, gain } = this.#sounding;
    gain.gain.setTargetAtTime(0, this.now, 0.03);
    source.stop(this.now + 0.2);
  }
}

class Card {
  constructor(card) {
    const data = JSON.parse(card.querySelector("script").textContent);
    this.card = card;
    this.roll = card.querySelector(".roll");
    this.canvas = card.querySelector("canvas");
    this.head = card.querySelector(".playhead");
    this.time = card.querySelector(".time");
    this.button = card.querySelector(".play");
    this.position = 0;
    this.bars = data.bars.map((bar) => bar / 1000);
    this.prompt = data.prompt / 1000;
    this.length = data.length / 1000;
    this.voices = data.voices;
    this.notes = [];
    for (let i = 0; i < data.notes.length; i += 4) {
      const [onset, duration, pitch, voice] = data.notes.slice(i, i + 4);
      this.notes.push({ onset: onset / 1000, end: (onset + duration) / 1000, pitch, voice });
    }
    this.transport = new Transport(data.sound ? new Recording(data) : instrument);
    // names tell the transport which voice is muted, and two voices may share one
    this.transport.load(this.notes, this.voices.map((voice, number) => ({ ...voice, name: String(number) })), this.length);
    this.lanes = data.lanes || card.hasAttribute("data-lanes");
    if (this.voices.length > 1) this.roll.after(this.mixer(Boolean(data.sound)));
    this.roll.setAttribute("aria-valuemax", this.length.toFixed(1));
    this.listen();
    this.show();
  }

  listen() {
    this.button.addEventListener("click", () => this.toggle());
    this.roll.addEventListener("click", (event) => {
      const box = this.roll.getBoundingClientRect();
      this.seek(((event.clientX - box.left) / box.width) * this.length);
    });
    this.roll.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: -2, ArrowRight: 2, ArrowDown: -2, ArrowUp: 2, PageDown: -10, PageUp: 10,
        Home: -Infinity, End: Infinity };
      if (event.key === " " || event.key === "Enter") this.toggle();
      else if (event.key in moves) this.seek(this.position + moves[event.key]);
      else return;
      event.preventDefault();
    });
  }

  // Mute and solo of every voice, unless one recording holds them all; and whether each has a lane of its own
  mixer(recorded) {
    const row = document.createElement("div");
    row.className = "mixer";
    if (!recorded) for (const [number, { name, color }] of this.voices.entries()) {
      const voice = row.appendChild(document.createElement("span")), { muted, solo } = this.transport;
      voice.style.setProperty("--c", `var(--v${color})`);
      voice.append(this.choice(name, `Mute ${name}`, muted, number), this.choice("S", `Solo ${name}`, solo, number));
    }
    const lanes = this.choice("Lanes", "A lane for each voice", null, 0);
    lanes.addEventListener("click", () => { this.lanes = !this.lanes; this.shape(lanes); });
    row.append(lanes);
    this.shape(lanes);
    return row;
  }

  // A button that puts a voice into a set of the transport, or takes it out
  choice(text, label, set, number) {
    const button = document.createElement("button"), name = String(number);
    Object.assign(button, { type: "button", textContent: text, title: label });
    button.setAttribute("aria-label", label);
    button.setAttribute("aria-pressed", "false");
    if (set) button.addEventListener("click", () => {
      if (!set.delete(name)) set.add(name);
      button.setAttribute("aria-pressed", String(set.has(name)));
      if (this.transport.playing) this.transport.level();
      this.draw();
    });
    return button;
  }

  shape(button) {
    button.setAttribute("aria-pressed", String(this.lanes));
    this.roll.style.height = this.lanes ? `${Math.max(150, 44 * this.voices.length)}px` : "";
    if (visible.has(this.card)) this.draw();
  }

  toggle() {
    if (current === this) this.pause();
    else if (!this.button.disabled) this.play();
  }

  async play() {
    current?.pause();
    current = this;
    if (this.position >= this.length) this.position = 0;
    this.card.classList.add("playing", "loading", "touched");
    this.button.setAttribute("aria-pressed", "true");
    try {
      if (await this.transport.play(this.position)) {
        this.card.classList.remove("loading");
        this.follow();
      }
    } catch (error) {
      this.pause();
      this.time.textContent = "no sound here";
      throw error;
    }
  }

  follow() {
    if (!this.transport.playing) { this.pause(); this.position = 0; this.show(); return; } // played to its end
    this.position = Math.min(this.transport.position, this.length);
    this.show();
    this.frame = requestAnimationFrame(() => this.follow());
  }

  pause() {
    if (current === this) current = null;
    cancelAnimationFrame(this.frame);
    this.transport.stop();
    this.card.classList.remove("playing", "loading");
    this.button.setAttribute("aria-pressed", "false");
  }

  seek(seconds) {
    const sounding = current === this;
    if (sounding) this.pause();
    this.position = Math.min(Math.max(seconds, 0), this.length);
    this.card.classList.add("touched");
    this.show();
    if (sounding) this.play();
  }

  show() {
    this.head.style.left = `calc(${(100 * this.position) / this.length}% - 1px)`;
    const text = `${clock(this.position)} / ${clock(this.length)}`;
    if (text === this.time.textContent) return;
    this.time.textContent = text;
    this.roll.setAttribute("aria-valuenow", this.position.toFixed(1));
    this.roll.setAttribute("aria-valuetext", text);
  }

  draw() {
    const { notes, length, bars, prompt, voices } = this, color = (voice) => css(`--v${voices[voice].color}`);
    const about = { notes, length, color, lines: bars.slice(1), shade: prompt, line: css("--line") };
    Object.assign(about, { lanes: this.lanes ? voices.length : 0, faint: (voice) => !this.transport.heard(voice) });
    picture(this.canvas, this.roll.clientWidth, this.roll.clientHeight, about);
  }

  erase() { this.canvas.width = this.canvas.height = 0; }
}

const visible = new Set(), cards = new Map();
for (const card of document.querySelectorAll(".sample")) if (card.querySelector(".roll")) cards.set(card, new Card(card));
// rolls are drawn only near the screen: a phone has no memory for hundreds of canvases
const observer = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
  visible[isIntersecting ? "add" : "delete"](target);
  cards.get(target)[isIntersecting ? "draw" : "erase"]();
}), { rootMargin: "300px" });
[...cards.keys()].forEach((card) => observer.observe(card));
const redraw = () => visible.forEach((card) => cards.get(card).draw());
window.addEventListener("resize", redraw);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
