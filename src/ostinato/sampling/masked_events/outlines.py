"""Writes outlines from left to right: how many bars, onsets and notes there are, and the meters."""

# T tokens, C choices, V vocabulary

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ostinato.models.masked_events.absorbing_events import Model
from ostinato.models.masked_events.parts.kinds import (
    BAR,
    DURATION,
    END,
    METER,
    PITCH,
    POSITION,
    VOICE,
)
from ostinato.models.masked_events.parts.outline import CHOICES, counts_of
from ostinato.sampling.masked_events.score import HIDDEN

Random = np.random.Generator
NOTE = (VOICE, PITCH, DURATION)


@dataclass
class Writer:
    """Tokens so far, HIDDEN where a value is to be filled, and the kind of each."""

    model: Model
    random: Random
    tokens: list[int] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)

    def keep(self, tokens: Sequence[int], kinds: Sequence[int]) -> None:
        """Go on with known tokens."""
        self.tokens += tokens
        self.kinds += kinds

    def bars(self) -> int:
        """How many have begun."""
        return self.kinds.count(BAR)

    def bar(self) -> None:
        """Begin a bar, in a meter that is drawn."""
        self.keep([self.model.kinds.first_K[BAR]], [BAR])
        self.meter()

    def meter(self) -> None:
        """Draw the meter of a bar that has begun."""
        first = self.model.kinds.first_K[METER]
        named = [t for t, kind in zip(self.tokens, self.kinds, strict=True) if kind == METER]
        before = named[-1] - first + 1 if named else 0
        logits = self.model.outline.meters[before].detach().double().cpu().numpy()
        self.keep([first + self._drawn(logits, np.ones(len(logits), bool))], [METER])

    def fill_bar(self, ringing: Sequence[int], may: Sequence[int]) -> int:
        """Write the onsets and notes of the bar that has begun, up to one of the choices `may`,
        which is not written: which one.

        ringing: see Score.
        """
        earliest = sorted(ringing)
        steps = int(self.model.bar_steps_V[self._latest(METER)])
        place, notes = self._begun(steps)
        while True:
            allowed = {END: END in may and PITCH in self.kinds, BAR: BAR in may}
            more = notes < len(earliest) and max(place, earliest[notes]) < steps
            allowed[VOICE] = notes > 0 and more
            allowed[POSITION] = max(place + 1, earliest[0]) < steps
            chosen = self._choice([allowed[choice] for choice in CHOICES])
            if chosen in (END, BAR):
                return chosen
            if chosen == POSITION:
                self.keep([HIDDEN], [POSITION])
                place, notes = max(place + 1, earliest[0]), 0
            self.keep([HIDDEN] * len(NOTE), NOTE)
            place, notes = max(place, earliest[notes]), notes + 1

    def note_after_position(self) -> None:
        """The first note of an onset whose position is known."""
        self.keep([HIDDEN] * len(NOTE), NOTE)

    def _begun(self, steps: int) -> tuple[int, int]:
        """The first step at which the last onset of this bar may lie, -1 without one, and how many
        notes it has.
        """
        place, notes = -1, 0
        for token, kind in zip(reversed(self.tokens), reversed(self.kinds), strict=True):
            if kind == BAR:
                return -1, 0
            notes += kind == PITCH
            if kind == POSITION:
                assert token != HIDDEN, "what a prompt says is known"
                place = token - self.model.kinds.first_K[POSITION]
                break
        return min(place, steps - 1), notes

    def _latest(self, kind: int) -> int:
        return self.tokens[len(self.kinds) - 1 - self.kinds[::-1].index(kind)]

    @torch.inference_mode()
    def _choice(self, allowed: Sequence[bool]) -> int:
        outline, device = self.model.outline, self.model.kind_V.device
        kinds_1T = torch.tensor([self.kinds], device=device)
        tokens_1T = torch.tensor([self.tokens], device=device)
        counts = counts_of(kinds_1T)
        last = type(counts)(*(values[:, -1:] for values in counts))
        meter = outline.meter_codes(tokens_1T, kinds_1T)[:, -1:]
        places = torch.full_like(meter, len(self.kinds) - 1)
        logits = outline.logits(last, meter, places)[0, 0].double().cpu().numpy()
        return CHOICES[self._drawn(logits, np.array(allowed))]

    def _drawn(self, logits: np.ndarray, allowed: np.ndarray) -> int:
        weights = np.exp(logits - logits[allowed].max()) * allowed
        total = weights.cumsum()
        found = np.searchsorted(total, self.random.random() * total[-1], side="right")
        return int(min(found, np.flatnonzero(allowed)[-1]))
