// The cells above the roll: a row for each role, a cell for each bar; selected cells are free, the others are locked.

const made = (tag, attributes, text = "") => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
};

function cells(name, keys, bars, free, toggle) { // keys(bar): those that a click changes, first the cell's own
  return bars.map(([bar, width]) => {
    const own = keys(bar), is = own.every((key) => free.has(key)), key = `${name}|${bar}`;
    const cell = made("button", { class: "cell", role: "gridcell", "data-key": key, "aria-selected": is, "aria-label": `${name}, bar ${bar}, ${is ? "free" : "locked"}` }, is ? "free" : bar);
    cell.style.width = `${width}px`;
    cell.onclick = (event) => toggle(own, key, event);
    return cell;
  });
}

// bars: [number, width in pixels]. act: sound, color(track), changed(), remove(track), toggle(keys, key, event)
export function lanes(tracks, bars, free, act) {
  const every = made("div", { class: "lane", role: "row" });
  every.append(made("div", { class: "who", role: "rowheader" }, "every role"));
  every.append(...cells("every role", (bar) => tracks.map(({ role }) => `${role}|${bar}`), bars, free, act.toggle));
  return [every, ...tracks.map(({ role }, number) => {
    const lane = made("div", { class: "lane", role: "row" }), who = made("div", { class: "who", role: "rowheader" }), dot = made("i", {});
    dot.style.background = act.color(number);
    const all = made("button", { class: "all", "aria-label": `${role}, all bars`, title: "Free or lock all bars" }, role);
    all.onclick = (event) => act.toggle(bars.map(([bar]) => `${role}|${bar}`), `${role}|${bars[0][0]}`, event);
    who.append(dot, all);
    for (const [letter, set, long] of [["M", act.sound.muted, "Mute"], ["S", act.sound.solo, "Solo"]]) {
      const button = made("button", { "aria-label": `${long} ${role}`, "aria-pressed": set.has(role), title: long }, letter);
      button.onclick = () => { if (!set.delete(role)) set.add(role); act.changed(); };
      who.append(button);
    }
    const gone = made("button", { "aria-label": `Remove ${role}`, "aria-disabled": tracks.length < 2, title: "Remove" }, "×");
    gone.onclick = () => { if (tracks.length > 1) act.remove(number); };
    who.append(gone);
    lane.append(who, ...cells(role, (bar) => [`${role}|${bar}`], bars, free, act.toggle));
    return lane;
  })];
}

export function paint(from, to, tracks, bars) { // the cells of a rectangle between two
  const place = (key) => { const cut = key.lastIndexOf("|"); return [tracks.findIndex(({ role }) => role === key.slice(0, cut)), bars.findIndex(([bar]) => bar === Number(key.slice(cut + 1)))]; };
  const [[top, left], [bottom, right]] = [place(from), place(to)], within = (at, one, other) => at >= Math.min(one, other) && at <= Math.max(one, other);
  return tracks.flatMap(({ role }, row) => (within(row, top, bottom) ? bars.filter((_, column) => within(column, left, right)).map(([bar]) => `${role}|${bar}`) : []));
}

export function refill(holder, items) { // new contents; the keyboard stays where it was
  const before = [...holder.querySelectorAll("button")], place = before.indexOf(document.activeElement), stop = before.findIndex(({ tabIndex }) => tabIndex === 0);
  holder.replaceChildren(...items);
  const buttons = [...holder.querySelectorAll("button")];
  if (holder.getAttribute("role") === "grid") buttons.forEach((button, index) => { button.tabIndex = index === Math.max(0, Math.min(place < 0 ? stop : place, buttons.length - 1)) ? 0 : -1; }); // Tab stops once
  if (place >= 0) (buttons[place] ?? buttons.at(-1))?.focus({ preventScroll: true });
}

export function walk(event) { // arrow keys in the cells
  const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -Infinity], End: [0, Infinity] }, move = moves[event.key];
  if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const rows = [...event.currentTarget.children].map((lane) => [...lane.querySelectorAll("button")]);
  const row = rows.findIndex((buttons) => buttons.includes(event.target)), last = rows.at(-1).length;
  const column = rows[row].indexOf(event.target) + last - rows[row].length; // the row of all roles has cells only
  const next = rows[Math.max(0, Math.min(rows.length - 1, row + move[0]))], at = Math.max(0, Math.min(last - 1, column + move[1]));
  const button = next[Math.max(0, at + next.length - last)];
  for (const one of rows.flat()) one.tabIndex = -1;
  button.tabIndex = 0; button.focus();
}
