// A request that is being made: how far it is, and a button that cancels it.

export class Cancelled extends Error {}

async function* lines(answer) { // of JSON
  const reader = answer.body.getReader(), decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    rest += decoder.decode(value, { stream: !done });
    const whole = rest.split("\n"); rest = whole.pop();
    for (const line of whole) if (line) yield JSON.parse(line);
    if (done) return;
  }
}

function told({ take, takes, done, of }, word) { return [takes > 1 ? `take ${take} of ${takes}` : "", of ? `${word} ${done} of ${of}` : ""].filter(Boolean).join(", "); }

export class Making {
  #gone = null; #began = 0; #far = {};

  constructor(place, bar, text, button) { Object.assign(this, { place, bar, text, button }); button.onclick = () => this.cancel(); }

  get on() { return !this.#gone?.signal.aborted && this.#gone !== null; }

  cancel() { this.#gone?.abort(); }

  // ask(signal): the answer of the server. Returns the pieces
  async run(ask, word) {
    this.#gone = new AbortController(); this.#began = performance.now(); this.#far = {};
    const { signal } = this.#gone, before = document.activeElement, show = () => this.#show(word), clock = setInterval(show, 500);
    show(); this.place.hidden = false;
    try {
      for await (const line of lines(await ask(signal))) {
        if (line.detail) throw new Error(line.detail);
        if (line.made) return line.made;
        this.#far = line; show();
      }
      throw new Error("the studio's server does not answer; is it still running? Nothing on this page is lost");
    } catch (error) {
      if (signal.aborted) throw new Cancelled("cancelled; nothing is changed");
      throw error instanceof TypeError ? new Error("the studio's server does not answer; is it still running? Nothing on this page is lost") : error;
    } finally {
      clearInterval(clock); this.#gone = null;
      if (this.place.contains(document.activeElement)) before?.focus(); // a hidden button would lose the keyboard's place
      this.place.hidden = true;
    }
  }

  #show(word) {
    const { take = 1, takes = 1, done = 0, of = 0 } = this.#far, seconds = Math.floor((performance.now() - this.#began) / 1000);
    if (of || takes > 1) { this.bar.max = takes; this.bar.value = take - 1 + (of ? done / of : 0); } else this.bar.removeAttribute("value");
    this.text.textContent = [told(this.#far, word), `${seconds} s`].filter(Boolean).join(", ");
  }
}
