// The instrument of the studio: the server's SoundFont in an AudioWorklet (SpessaSynth), or recorded notes where the browser
// gives no AudioWorklet, as for pages of another machine without HTTPS.
import { Output, RecordedNotes, Transport } from "/sounding.js";

const PATIENCE = 4000; // milliseconds until a browser that does not begin to play has no sound
const SILENT = "the browser plays no sound: connect headphones or loudspeakers, close other programs that use them, and reload the page";
const DRUMS = 9, CHANNELS = 16, ALL_NOTES_OFF = 123;

class SoundFont {
  #context = null; #synth = null; #loaded = null; #voices = []; #gains = []; #ends = [];

  warm() { return (this.#loaded ??= this.#load()); } // also before the first click, so that it sounds at once

  async #load() {
    const { WorkletSynthesizer } = await import("/static/vendor/spessasynth.min.js");
    this.#context = new AudioContext({ latencyHint: "interactive" });
    const [bank] = await Promise.all([
      fetch("/api/soundfont").then((answer) => answer.arrayBuffer()),
      this.#context.audioWorklet.addModule("/static/vendor/spessasynth_processor.min.js"),
    ]);
    this.#synth = new WorkletSynthesizer(this.#context);
    this.#synth.connect(this.#context.destination);
    await this.#synth.soundBankManager.addSoundBank(bank, "main");
    await this.#synth.isReady;
  }

  get now() { return this.#context.currentTime; }

  async open(voices) {
    await this.warm();
    await Promise.race([this.#context.resume(), new Promise((_, fail) => { setTimeout(() => fail(new Error(SILENT)), PATIENCE); })]);
    let melodic = 0;
    this.#voices = voices.map(({ drum }) => (drum ? DRUMS : [...Array(CHANNELS).keys()].filter((one) => one !== DRUMS)[melodic++ % (CHANNELS - 1)]));
    this.#gains = voices.map(() => 1);
    voices.forEach(({ program, drum }, voice) => { if (!drum) this.#synth.programChange(this.#voices[voice], program); });
  }

  note({ pitch, velocity, voice }, start, end) {
    if (!this.#gains[voice]) return;
    this.#synth.noteOn(this.#voices[voice], pitch, velocity, { time: start });
    this.#ends.push([end, this.#voices[voice], pitch]);
  }

  tick(until) { // ends are told late, so that those of a piece that was stopped do not cut the next one
    for (const [time, channel, pitch] of this.#ends) if (time < until) this.#synth.noteOff(channel, pitch, { time });
    this.#ends = this.#ends.filter(([time]) => time >= until);
  }

  level(voice, gain) {
    if (this.#gains[voice] && !gain) this.#synth.controllerChange(this.#voices[voice], ALL_NOTES_OFF, 0);
    this.#gains[voice] = gain;
  }

  release() { this.#ends = []; this.#synth.stopAll(true); }
}

const recorded = async (name) => (await fetch(`/api/recorded/${name}`)).json();
const worklets = window.isSecureContext && "audioWorklet" in AudioContext.prototype;
const instrument = worklets ? new SoundFont() : new RecordedNotes(new Output(), recorded);

export const sound = new Transport(instrument, worklets ? 0.25 : 1.5);
export const warm = () => instrument.warm?.().catch(() => {}); // the first click tells what is wrong
