// Draws a piece as a piano roll, and says where a pointer is in it.
import { picture } from "/sounding.js";

export const COLORS = ["#0b6fa4", "#c4511a", "#2e7d4f", "#7b4fa3", "#a3264f", "#6b6b12", "#00767a", "#8a5a2b"];
const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const ROW = 9; // pixels of a key
const WIDEST = 32000; // pixels of a canvas; browsers draw nothing on wider ones

export class Roll {
  constructor(canvas) { this.canvas = canvas; this.scale = this.shown = 22; this.low = 48; this.high = 72; this.cursor = null; this.at = null; }

  fit(piece) {
    const pitches = piece.tracks.flatMap((track) => track.notes.map((note) => note[2]));
    this.low = Math.max(0, Math.min(48, ...pitches) - 3); this.high = Math.min(127, Math.max(79, ...pitches) + 3);
  }

  x(piece, tick) { return (tick / piece.ticks) * this.shown; }
  y(pitch) { return (this.high - pitch) * ROW; }
  tick(piece, x) { return (x / this.shown) * piece.ticks; }
  pitch(y) { return this.high - Math.floor(y / ROW); }

  draw(piece, ends, css) {
    this.shown = Math.min(this.scale, (WIDEST - 2) / (ends / piece.ticks)); // pixels of a quarter, fewer in a long piece
    const width = Math.max(300, this.x(piece, ends) + 2), height = (this.high - this.low + 1) * ROW;
    const ratio = Math.min(window.devicePixelRatio || 1, WIDEST / width), canvas = this.canvas;
    canvas.width = width * ratio; canvas.height = height * ratio;
    canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d"); pen.scale(ratio, ratio);
    for (let pitch = this.low; pitch <= this.high; pitch += 1) {
      pen.fillStyle = [1, 3, 6, 8, 10].includes(pitch % 12) ? css("--black") : css("--white");
      pen.fillRect(0, this.y(pitch), width, ROW);
      if (pitch % 12 === 0) { pen.fillStyle = css("--soft"); pen.font = "9px system-ui"; pen.fillText(`${NAMES[0]}${pitch / 12 - 1}`, 2, this.y(pitch) + ROW - 1); }
    }
    pen.strokeStyle = css("--line");
    for (const [onset] of piece.bars) { pen.beginPath(); pen.moveTo(this.x(piece, onset) + .5, 0); pen.lineTo(this.x(piece, onset) + .5, height); pen.stroke(); }
    piece.tracks.forEach((track, number) => {
      pen.fillStyle = COLORS[number % COLORS.length];
      for (const [onset, duration, pitch] of track.notes) pen.fillRect(this.x(piece, onset), this.y(pitch), Math.max(2, this.x(piece, duration) - 1), ROW - 1);
    });
    if (this.cursor) { pen.strokeStyle = css("--accent"); pen.lineWidth = 2; pen.strokeRect(this.x(piece, this.cursor[0]), this.y(this.cursor[1]), Math.max(4, this.shown / 4), ROW); pen.lineWidth = 1; }
    if (this.at !== null) { pen.fillStyle = css("--accent"); pen.fillRect(this.x(piece, this.at), 0, 2, height); }
  }

  name(pitch) { return `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`; }
}

export function small(canvas, piece) { // a picture of a take
  const notes = piece.tracks.flatMap(({ notes }, voice) => notes.map(([onset, duration, pitch]) => ({ onset, end: onset + duration, pitch, voice })));
  picture(canvas, 240, 48, { notes, length: piece.length, color: (voice) => COLORS[voice % COLORS.length] });
}
