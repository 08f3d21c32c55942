// The chord symbols of a piece: above its roll, and in one line.

export function chordsOf(piece) { // [onset, symbol]
  return (piece.signs ?? []).filter(([, kind]) => kind === "chord").map(([onset, , symbol]) => [onset, symbol]);
}

function barAt(piece, tick) { return piece.bars.findLast(([onset]) => onset <= tick) ?? [0, 1]; }

// Items as wide as their chords last. width(ticks): pixels; end: where the last one ends
export function chordItems(piece, end, width) {
  const chords = chordsOf(piece);
  return chords.map(([onset, symbol], index) => {
    const item = document.createElement("li"), [begin, bar] = barAt(piece, onset);
    item.textContent = item.title = symbol;
    item.setAttribute("aria-label", `bar ${bar}, quarter ${+((onset - begin) / piece.ticks + 1).toFixed(2)}: ${symbol}`);
    item.style.width = `${width((chords[index + 1]?.[0] ?? end) - onset)}px`;
    if (index === 0) item.style.marginLeft = `${width(onset)}px`;
    return item;
  });
}

export function chordLine(piece) { // as `Dm7 G7 | Cmaj7`; a bar without a symbol has the last one
  const chords = chordsOf(piece), bars = new Map(piece.bars.map(([, bar]) => [bar, []]));
  for (const [onset, symbol] of chords) bars.get(barAt(piece, onset)[1])?.push(symbol);
  let last = "N.C.";
  const line = [...bars.values()].map((symbols) => { const written = symbols.length ? symbols : [last]; last = written.at(-1); return written.join(" "); });
  return chords.length ? line.join(" | ") : "";
}
