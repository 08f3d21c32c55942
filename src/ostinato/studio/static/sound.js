// Plays pieces with the SoundFont of the server, in an AudioWorklet (SpessaSynth).
import { WorkletSynthesizer } from "/static/vendor/spessasynth.min.js";

const AHEAD = 0.25; // seconds of notes that are given to the synthesizer at once
const DRUMS = 9;

export class Sound {
  #context = null; #synth = null; #timer = 0; #events = []; #next = 0; #start = 0; #end = 0; #stopped = () => {};
  muted = new Set(); solo = new Set();

  async ready() {
    if (this.#context) { await this.#context.resume(); return; }
    const context = new AudioContext();
    const [bank] = await Promise.all([
      fetch("/api/soundfont").then((answer) => answer.arrayBuffer()),
      context.audioWorklet.addModule("/static/vendor/spessasynth_processor.min.js"),
    ]);
    this.#synth = new WorkletSynthesizer(context);
    this.#synth.connect(context.destination);
    await this.#synth.soundBankManager.addSoundBank(bank, "main");
    await this.#synth.isReady;
    this.#context = context;
    await context.resume();
  }

  get playing() { return this.#timer !== 0; }
  get seconds() { return this.playing ? Math.max(0, this.#context.currentTime - this.#start) : 0; }

  channel(tracks, number) {
    if (tracks[number].drum) return DRUMS;
    const before = tracks.slice(0, number).filter((track) => !track.drum).length;
    return before + (before >= DRUMS ? 1 : 0);
  }

  // stopped: called when the piece ends or is stopped
  async play(piece, secondsAt, from, stopped) {
    await this.ready();
    this.stop();
    this.#events = [];
    piece.tracks.forEach((track, number) => {
      const channel = this.channel(piece.tracks, number);
      if (channel !== DRUMS) this.#synth.programChange(channel, track.program);
      for (const [onset, duration, pitch, velocity] of track.notes) {
        const at = secondsAt(onset), off = secondsAt(onset + duration);
        if (at >= from - 1e-6) this.#events.push([at, 1, channel, pitch, velocity, track.role], [off, 0, channel, pitch, 0, track.role]);
      }
    });
    this.#events.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    this.#start = this.#context.currentTime + 0.06 - from;
    this.#end = secondsAt(piece.length); this.#next = 0; this.#stopped = stopped;
    this.#timer = setInterval(() => this.#feed(), 60);
    this.#feed();
  }

  #heard(role) { return this.solo.size ? this.solo.has(role) : !this.muted.has(role); }

  #feed() {
    const now = this.#context.currentTime;
    while (this.#next < this.#events.length) {
      const [at, on, channel, pitch, velocity, role] = this.#events[this.#next];
      const time = this.#start + at;
      if (time > now + AHEAD) break;
      if (on && this.#heard(role)) this.#synth.noteOn(channel, pitch, velocity, { time });
      else if (!on) this.#synth.noteOff(channel, pitch, { time });
      this.#next += 1;
    }
    if (now - this.#start > this.#end + 0.3) this.stop();
  }

  stop() {
    if (!this.#timer) return;
    clearInterval(this.#timer); this.#timer = 0;
    this.#synth.stopAll(true);
    this.#stopped();
  }

  async strike(program, drum, pitch) { // one note, for drawing and recording
    await this.ready();
    const channel = drum ? DRUMS : 15;
    if (!drum) this.#synth.programChange(channel, program);
    const time = this.#context.currentTime;
    this.#synth.noteOn(channel, pitch, 90, { time }); this.#synth.noteOff(channel, pitch, { time: time + 0.25 });
  }
}
