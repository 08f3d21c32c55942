// What the players of the report, of corpus pages and of the studio share: notes in time on an instrument, mute and
// solo of voices, an instrument of recorded notes, a picture of a roll. Uses no network.
//
// An instrument has: now (seconds), open(voices), note(note, start, end), level(voice, gain), release(); perhaps
// begin(origin, from), where one sound holds all notes, and tick(until), called before notes that begin by then. A note: { onset, end } in seconds, pitch, velocity, voice (an index). A voice: { name, program, drum }.

const LATENCY = 0.08; // seconds between the start and the first sound
const LOOP = { start: 1.0, end: 2.2, fade: 0.12 }; // of a recorded note, for instruments that sustain
const RELEASE = 0.06;
const DRUMS = "drums";

export class Transport {
  #timer = null; #next = 0; #from = 0; #origin = 0; #ended = () => {}; #turn = 0;
  muted = new Set(); solo = new Set(); notes = []; voices = []; length = 0; // muted, solo: names of voices

  // ahead: seconds of notes that are given to the instrument early; timers of a hidden page run once a second
  constructor(instrument, ahead = 1.5) { this.instrument = instrument; this.ahead = ahead; }

  load(notes, voices, length) { this.notes = notes; this.voices = voices; this.length = length; }

  get playing() { return this.#timer !== null; }
  get position() { return this.playing ? Math.max(this.#from, this.instrument.now - this.#origin) : this.#from; }
  heard(voice) { const { name } = this.voices[voice]; return this.solo.size ? this.solo.has(name) : !this.muted.has(name); }
  level() { this.voices.forEach((_, voice) => this.instrument.level(voice, this.heard(voice) ? 1 : 0)); } // after a change of muted or solo

  // ended: called once, when the music ends or is stopped; returns false where it was stopped before it began
  async play(from = 0, ended = () => {}) {
    this.stop();
    const turn = ++this.#turn;
    await this.instrument.open(this.voices);
    if (turn !== this.#turn) return false;
    this.level();
    this.#from = from; this.#next = 0; this.#ended = ended;
    this.#origin = this.instrument.now + LATENCY - from;
    this.instrument.begin?.(this.#origin, from);
    this.#timer = setInterval(() => this.#feed(), Math.min(200, this.ahead * 250));
    this.#feed();
    return true;
  }

  #feed() {
    const at = this.instrument.now - this.#origin;
    this.instrument.tick?.(this.#origin + at + this.ahead);
    while (this.#next < this.notes.length && this.notes[this.#next].onset < at + this.ahead) {
      const note = this.notes[this.#next++];
      if (note.end > this.#from) this.instrument.note(note, this.#origin + Math.max(note.onset, this.#from), this.#origin + note.end);
    }
    if (at > this.length + 0.4) this.stop();
  }

  async strike(voice, pitch, seconds = 0.25) { // one note, where nothing plays
    if (this.playing) return;
    await this.instrument.open([voice]);
    this.instrument.note({ pitch, velocity: 90, voice: 0 }, this.instrument.now, this.instrument.now + seconds);
    this.instrument.tick?.(Infinity);
  }

  stop() {
    this.#turn += 1;
    if (!this.playing) return;
    this.#from = Math.min(this.position, this.length);
    clearInterval(this.#timer); this.#timer = null;
    this.instrument.release();
    this.#ended();
  }
}

export class Output { // one context for all players of a page
  context = null;

  async open() { // must run inside the handler of a click: browsers require a user action
    if (!this.context) {
      this.context = new AudioContext();
      const limiter = this.context.createDynamicsCompressor();
      this.output = this.context.createGain();
      this.output.connect(limiter).connect(this.context.destination);
    }
    await this.context.resume();
  }

  decode(base64) { return this.context.decodeAudioData(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer); }
}

// start of the sound: encoders add silence before it
export const attack = (buffer) => Math.max(0, buffer.getChannelData(0).findIndex((x) => Math.abs(x) > 0.01)) / buffer.sampleRate;

export class RecordedNotes { // plays the nearest recorded note of a voice's program, faster or slower
  #banks = new Map(); #voices = []; #gains = []; #sounding = new Set();

  // load(name): promise of { loop, notes: { pitch: MP3 in base64 } } of a program or "drums"
  constructor(audio, load) { this.audio = audio; this.load = load; }

  get now() { return this.audio.context.currentTime; }

  async open(voices) {
    await this.audio.open();
    this.audio.output.gain.value = 0.22;
    const names = voices.map(({ program, drum }) => (drum ? DRUMS : String(program)));
    for (const name of names) if (!this.#banks.has(name)) this.#banks.set(name, this.load(name).then((found) => this.#decoded(found)));
    const banks = await Promise.all(names.map((name) => this.#banks.get(name)));
    this.#voices = banks;
    this.#gains = voices.map(() => { const gain = this.audio.context.createGain(); gain.connect(this.audio.output); return gain; });
  }

  async #decoded({ loop, notes }) {
    const found = await Promise.all(Object.entries(notes).map(async ([pitch, base64]) => {
      const buffer = await this.audio.decode(base64);
      if (loop) blend(buffer);
      return { pitch: Number(pitch), buffer, offset: attack(buffer) };
    }));
    return { loop, notes: found };
  }

  note({ pitch, velocity = 90, voice }, start, end) {
    const { loop, notes } = this.#voices[voice], { context } = this.audio;
    if (!notes.length) return;
    const near = notes.reduce((a, b) => (Math.abs(b.pitch - pitch) < Math.abs(a.pitch - pitch) ? b : a));
    const source = context.createBufferSource(), gain = context.createGain(), loud = velocity / 90;
    source.buffer = near.buffer;
    source.playbackRate.value = 2 ** ((pitch - near.pitch) / 12);
    if (loop) { source.loop = true; source.loopStart = LOOP.start; source.loopEnd = LOOP.end; }
    gain.gain.setValueAtTime(0, start);
    gain.gain.linearRampToValueAtTime(loud, start + (loop ? 0.012 : 0.003));
    gain.gain.setTargetAtTime(0, Math.max(end - 0.02, start + 0.012), RELEASE);
    source.connect(gain).connect(this.#gains[voice]);
    source.start(start, near.offset);
    source.stop(end + 6 * RELEASE);
    const kept = { source, gain };
    this.#sounding.add(kept);
    source.onended = () => this.#sounding.delete(kept);
  }

  level(voice, gain) { this.#gains[voice]?.gain.setTargetAtTime(gain, this.now, 0.01); }

  release() {
    for (const { source, gain } of this.#sounding) {
      gain.gain.cancelScheduledValues(this.now);
      gain.gain.setTargetAtTime(0, this.now, 0.03);
      source.stop(this.now + 0.2);
    }
    this.#sounding.clear();
  }
}

// Blend the end of the loop into what precedes its start, so that it repeats without a click
function blend(buffer) {
  const wave = buffer.getChannelData(0), rate = buffer.sampleRate;
  const [start, end, fade] = [LOOP.start, LOOP.end, LOOP.fade].map((s) => Math.round(s * rate));
  for (let i = 0; i < fade; i++) {
    const angle = (i / fade) * (Math.PI / 2), at = end - fade + i;
    wave[at] = wave[at] * Math.cos(angle) + wave[start - fade + i] * Math.sin(angle);
  }
}

// Draw notes into a canvas of width × height CSS pixels. color(voice); lines: seconds of bar lines; shade: seconds at the start that
// are given; lanes: number of voices, each drawn by itself, 0: all in one; faint(voice): drawn pale
export function picture(canvas, width, height, { notes, length, color, lines = [], shade = 0, line = "#ccc", lanes = 0, faint = () => false }) {
  const density = Math.min(window.devicePixelRatio || 1, 3);
  canvas.width = width * density; canvas.height = height * density;
  if (!notes.length) return;
  const pen = canvas.getContext("2d"), x = (seconds) => (seconds / length) * width;
  pen.scale(density, density);
  pen.fillStyle = line;
  if (shade) pen.fillRect(0, 0, x(shade), height);
  lines.forEach((bar) => pen.fillRect(Math.round(x(bar)), 0, 1, height));
  const parts = lanes ? Array.from({ length: lanes }, (_, lane) => notes.filter(({ voice }) => voice === lane)) : [notes];
  const tall = height / parts.length;
  parts.forEach((part, lane) => {
    const pitches = part.map((note) => note.pitch), top = lane * tall;
    const low = Math.min(...pitches) - 2, high = Math.max(...pitches) + 3, row = tall / (high - low);
    const thick = Math.min(Math.max(row * 0.9, 2.5), tall / 6);
    pen.fillStyle = line;
    if (lane) pen.fillRect(0, Math.round(top), width, 1);
    for (const { onset, end, pitch, voice } of part) {
      const long = x(end - onset), gap = Math.min(1, long / 4);
      pen.fillStyle = color(voice);
      pen.globalAlpha = faint(voice) ? 0.25 : 1;
      pen.fillRect(x(onset), top + tall - (pitch - low + 0.5) * row - thick / 2, Math.max(long - gap, 1.5), thick);
    }
    pen.globalAlpha = 1;
  });
}
