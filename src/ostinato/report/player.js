// Plays note lists with one sampled instrument, or recordings of them, and draws their piano rolls.
// Uses no network.
(() => {
  "use strict";
  const SCHEDULE_AHEAD = 1.5; // seconds; timers of a hidden page run once a second
  const LOOP = { start: 1.0, end: 2.2, fade: 0.12 };
  const LATENCY = 0.08;
  const RELEASE = 0.06;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

  let context, output, bank, current = null;
  let decoded = {}; // the last recording that was played; all of them would need too much memory on a phone

  function openAudio() {
    if (!context) {
      context = new AudioContext();
      const limiter = context.createDynamicsCompressor();
      output = context.createGain();
      output.gain.value = 0.22;
      output.connect(limiter).connect(context.destination);
    }
    // must run inside the click handler: browsers require a user action
    return context.resume();
  }

  const decode = (base64) =>
    context.decodeAudioData(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer);

  // start of the sound: encoders add silence before it
  const attack = (buffer) =>
    Math.max(0, buffer.getChannelData(0).findIndex((x) => Math.abs(x) > 0.01)) / buffer.sampleRate;

  async function loadBank() {
    const recorded = JSON.parse(document.getElementById("instrument").textContent);
    const notes = await Promise.all(Object.entries(recorded).map(async ([pitch, base64]) => {
      const buffer = await decode(base64);
      return { pitch: Number(pitch), buffer, offset: prepare(buffer) };
    }));
    return notes.sort((a, b) => a.pitch - b.pitch);
  }

  // Blend the end of the loop into what precedes its start, so that it repeats without a click;
  // return the start of the sound.
  function prepare(buffer) {
    const wave = buffer.getChannelData(0), rate = buffer.sampleRate;
    const [start, end, fade] = [LOOP.start, LOOP.end, LOOP.fade].map((s) => Math.round(s * rate));
    for (let i = 0; i < fade; i++) {
      const angle = (i / fade) * (Math.PI / 2), at = end - fade + i;
      wave[at] = wave[at] * Math.cos(angle) + wave[start - fade + i] * Math.sin(angle);
    }
    return attack(buffer);
  }

  class Player {
    constructor(card, data) {
      this.card = card;
      this.roll = card.querySelector(".roll");
      this.canvas = card.querySelector("canvas");
      this.head = card.querySelector(".playhead");
      this.time = card.querySelector(".time");
      this.button = card.querySelector(".play");
      this.position = 0;
      this.voices = new Set();
      this.read(data);
      this.listen();
      this.show();
    }

    read(data) {
      this.notes = [];
      for (let i = 0; i < data.notes.length; i += 4) {
        const [onset, duration, pitch, voice] = data.notes.slice(i, i + 4);
        this.notes.push({ onset: onset / 1000, end: (onset + duration) / 1000, pitch, voice });
      }
      this.bars = data.bars.map((bar) => bar / 1000);
      this.length = data.length / 1000;
      this.prompt = data.prompt / 1000;
      this.drums = new Set(data.drums);
      this.roll.setAttribute("aria-valuemax", this.length.toFixed(1));
    }

    listen() {
      this.button.addEventListener("click", () => this.toggle());
      const seek = (event) => {
        const box = this.roll.getBoundingClientRect();
        this.seek(((event.clientX - box.left) / box.width) * this.length);
      };
      this.roll.addEventListener("click", seek);
      this.roll.addEventListener("keydown", (event) => {
        const moves = { ArrowLeft: -2, ArrowRight: 2, ArrowDown: -2, ArrowUp: 2, PageDown: -10, PageUp: 10,
          Home: -Infinity, End: Infinity };
        if (event.key === " " || event.key === "Enter") this.toggle();
        else if (event.key in moves) this.seek(this.position + moves[event.key]);
        else return;
        event.preventDefault();
      });
    }

    toggle() {
      if (current === this) this.pause();
      else if (!this.button.disabled) this.play();
    }

    async play() {
      if (current) current.pause();
      current = this;
      if (this.position >= this.length) this.position = 0;
      this.card.classList.add("playing", "loading", "touched");
      this.button.setAttribute("aria-pressed", "true");
      try {
        await Promise.all([openAudio(), this.load()]);
      } catch (error) {
        this.pause();
        this.time.textContent = "no sound here";
        throw error;
      }
      if (current !== this || this.timer) return; // another player was started meanwhile
      this.card.classList.remove("loading");
      this.begin();
    }

    async load() {
      bank ??= loadBank();
      this.bank = await bank;
    }

    begin() {
      this.from = this.position;
      this.origin = context.currentTime + LATENCY - this.from;
      this.next = 0;
      this.timer = setInterval(() => this.schedule(), 200);
      this.schedule();
      this.follow();
    }

    schedule() {
      const horizon = context.currentTime - this.origin + SCHEDULE_AHEAD;
      while (this.next < this.notes.length && this.notes[this.next].onset < horizon) {
        const note = this.notes[this.next++];
        if (note.end > this.from && !this.drums.has(note.voice)) this.sound(note);
      }
    }

    sound(note) {
      const near = this.bank.reduce((a, b) =>
        Math.abs(b.pitch - note.pitch) < Math.abs(a.pitch - note.pitch) ? b : a);
      const source = context.createBufferSource(), gain = context.createGain();
      const start = this.origin + Math.max(note.onset, this.from), end = this.origin + note.end;
      source.buffer = near.buffer;
      source.loop = true;
      source.loopStart = LOOP.start;
      source.loopEnd = LOOP.end;
      source.playbackRate.value = 2 ** ((note.pitch - near.pitch) / 12);
      gain.gain.setValueAtTime(0, start);
      gain.gain.linearRampToValueAtTime(1, start + 0.012);
      gain.gain.setTargetAtTime(0, Math.max(end - 0.02, start + 0.012), RELEASE);
      source.connect(gain).connect(output);
      source.start(start, near.offset);
      source.stop(end + 6 * RELEASE);
      this.keep(source, gain);
    }

    keep(source, gain) {
      const voice = { source, gain };
      this.voices.add(voice);
      source.onended = () => this.voices.delete(voice);
    }

    follow() {
      if (current !== this || !this.timer) return;
      this.position = Math.max(this.from, context.currentTime - this.origin);
      if (this.position >= this.length) {
        if (this.position < this.length + 0.4) this.show(this.length);
        else { this.pause(); this.position = 0; this.show(); return; }
      } else this.show();
      requestAnimationFrame(() => this.follow());
    }

    pause() {
      clearInterval(this.timer);
      this.timer = null;
      if (current === this) current = null;
      this.card.classList.remove("playing", "loading");
      this.button.setAttribute("aria-pressed", "false");
      for (const { source, gain } of this.voices) {
        gain.gain.cancelScheduledValues(context.currentTime);
        gain.gain.setTargetAtTime(0, context.currentTime, 0.03);
        source.stop(context.currentTime + 0.2);
      }
      this.voices.clear();
    }

    seek(seconds) {
      const sounding = current === this;
      if (sounding) this.pause();
      this.position = Math.min(Math.max(seconds, 0), this.length);
      this.card.classList.add("touched");
      this.show();
      if (sounding) this.play();
    }

    show(position = this.position) {
      this.head.style.left = `calc(${(100 * position) / this.length}% - 1px)`;
      const text = `${clock(position)} / ${clock(this.length)}`;
      if (text === this.time.textContent) return;
      this.time.textContent = text;
      this.roll.setAttribute("aria-valuenow", position.toFixed(1));
      this.roll.setAttribute("aria-valuetext", text);
    }

    draw() {
      const width = this.roll.clientWidth, height = this.roll.clientHeight;
      const density = Math.min(window.devicePixelRatio || 1, 3);
      this.canvas.width = width * density;
      this.canvas.height = height * density;
      const pen = this.canvas.getContext("2d");
      pen.scale(density, density);
      const pitches = this.notes.map((note) => note.pitch);
      const low = Math.min(...pitches) - 2, high = Math.max(...pitches) + 3;
      const x = (seconds) => (seconds / this.length) * width;
      const row = height / (high - low);
      pen.fillStyle = css("--line");
      if (this.prompt) pen.fillRect(0, 0, x(this.prompt), height);
      this.bars.slice(1).forEach((bar) => pen.fillRect(Math.round(x(bar)), 0, 1, height));
      for (const note of this.notes) {
        pen.fillStyle = css(`--v${note.voice}`);
        const long = x(note.end - note.onset), gap = Math.min(1, long / 4);
        const thickness = Math.max(row * 0.9, 2.5);
        pen.fillRect(x(note.onset), height - (note.pitch - low + 0.5) * row - thickness / 2,
          Math.max(long - gap, 1.5), thickness);
      }
    }

    erase() { this.canvas.width = this.canvas.height = 0; }
  }

  // A player of a recording that comes with its notes: { sound: MP3 in base64, attack: its first audible millisecond }
  class RecordingPlayer extends Player {
    read(data) {
      super.read(data);
      this.recording = data.sound;
      this.attack = data.attack / 1000;
    }

    async load() {
      if (decoded.player !== this) {
        const buffer = await decode(this.recording);
        decoded = { player: this, buffer, lead: attack(buffer) - this.attack };
      }
      this.decoded = decoded;
    }

    schedule() {
      if (this.next++) return; // one sound for all notes
      const source = context.createBufferSource(), gain = context.createGain();
      source.buffer = this.decoded.buffer;
      source.connect(gain).connect(context.destination);
      source.start(this.origin + this.from, Math.max(0, this.from + this.decoded.lead));
      this.keep(source, gain);
    }

    pause() {
      super.pause();
      this.decoded = null;
    }
  }

  const players = new Map();
  const cards = [...document.querySelectorAll(".sample")].filter((card) => card.querySelector(".roll"));
  for (const card of cards) {
    const data = JSON.parse(card.querySelector("script").textContent);
    players.set(card, new (data.sound ? RecordingPlayer : Player)(card, data));
  }
  const visible = new Set();
  // rolls are drawn only near the screen: a phone has no memory for hundreds of canvases
  const observer = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
    visible[isIntersecting ? "add" : "delete"](target);
    players.get(target)[isIntersecting ? "draw" : "erase"]();
  }), { rootMargin: "300px" });
  cards.forEach((card) => observer.observe(card));
  const redraw = () => visible.forEach((card) => players.get(card).draw());
  window.addEventListener("resize", redraw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
})();
