// Records notes from MIDI keyboards and from the computer's keys, and puts them on sixteenths.

const BEATS = 4; // of a bar
const KEYS = "awsedftgyhujk"; // a piano's octave from C

export class Recorder {
  constructor(heard) { this.heard = heard; this.on = false; this.midi = 0; }

  async start(qpm, click) { // qpm: beats a minute of a click that is heard, or false; click(first): sounds, at first beats of bars otherwise
    this.notes = []; this.held = new Map(); this.on = true; this.midi = 0; this.begun = null;
    if (qpm) {
      let beat = 0;
      await click(true); // the sounds may have to be loaded
      this.begun = performance.now();
      const next = () => { beat += 1; this.timer = setTimeout(() => { click(beat % BEATS === 0); next(); }, this.begun + (beat * 60000) / qpm - performance.now()); };
      next();
    }
    this.down = (event) => { const key = KEYS.indexOf(event.key.toLowerCase()); if (key >= 0 && !event.repeat && !event.ctrlKey) { event.preventDefault(); this.press(60 + key, 90); } };
    this.up = (event) => { const key = KEYS.indexOf(event.key.toLowerCase()); if (key >= 0) this.lift(60 + key); };
    document.addEventListener("keydown", this.down); document.addEventListener("keyup", this.up);
    if (!navigator.requestMIDIAccess) return;
    try {
      const access = await navigator.requestMIDIAccess();
      for (const input of access.inputs.values()) {
        this.midi += 1;
        input.onmidimessage = ({ data: [status, pitch, velocity] }) => {
          if (!this.on) return;
          if ((status & 0xf0) === 0x90 && velocity) this.press(pitch, velocity);
          else if ((status & 0xe0) === 0x80) this.lift(pitch);
        };
      }
    } catch { /* not allowed: the computer's keys remain */ }
  }

  press(pitch, velocity) { if (this.held.has(pitch)) this.lift(pitch); this.held.set(pitch, [performance.now(), velocity]); this.heard(pitch); }
  lift(pitch) {
    const held = this.held.get(pitch);
    if (held) { this.notes.push([held[0], performance.now(), pitch, held[1]]); this.held.delete(pitch); }
  }

  stop(qpm) { // notes as [onset, duration, pitch, velocity] in ticks of 480 a quarter
    for (const pitch of [...this.held.keys()]) this.lift(pitch);
    this.on = false; clearTimeout(this.timer);
    document.removeEventListener("keydown", this.down); document.removeEventListener("keyup", this.up);
    const first = Math.min(...this.notes.map((note) => note[0])), sixteenth = 60000 / qpm / 4, bar = BEATS * 4 * sixteenth;
    const begun = this.begun === null ? first : this.begun + Math.floor((first - this.begun + sixteenth / 2) / bar) * bar;
    return this.notes.map(([at, off, pitch, velocity]) => {
      const onset = Math.round((at - begun) / sixteenth), end = Math.max(onset + 1, Math.round((off - begun) / sixteenth));
      return [onset * 120, (end - onset) * 120, pitch, velocity];
    }).sort((a, b) => a[0] - b[0]);
  }
}
