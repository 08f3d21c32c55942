"""The sampler of masked families over events: an outline first, then its values in any order."""

# B batch, T tokens, V vocabulary, M hidden tokens

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from ostinato.models.masked_events.absorbing_events import Model
from ostinato.models.masked_events.parts.kinds import OUTSIDE, VOICE
from ostinato.models.spec import PAD, Given
from ostinato.representations.protocol import Representation, Tokens
from ostinato.sampling.grids.whole import Batch, Whole
from ostinato.sampling.masked_events.decoding import MISSING, TASKS, Decoding
from ostinato.sampling.masked_events.outlines import Random
from ostinato.sampling.masked_events.plan import Plan, plan_of
from ostinato.sampling.masked_events.score import HIDDEN
from ostinato.sampling.request import Capabilities, Fill, Request
from ostinato.sampling.sampler import Job

CHOIR = ("soprano", "alto", "tenor", "bass")


@dataclass(frozen=True, kw_only=True)
class Able(Capabilities):
    """What can be done over events: gaps are whole bars."""

    def check(self, request: Request, system: str) -> None:
        """As Capabilities, and no gap of single voices."""
        task = request.task
        if isinstance(task, Fill) and (task.free.roles or task.free.bars is None):
            raise ValueError(
                f"{system} fills whole bars of events, not voices ({', '.join(task.free.roles)}): "
                "when a voice's notes begin is said by all tokens before. Name infill.bars alone, "
                "or take a model on a grid (model=absorbing/small encoding=bach-grid)"
            )
        super().check(request, system)


class Sampler(Whole[Decoding]):
    """Keeps any bars and fills others; begins from nothing, or after a prompt."""

    tasks = TASKS
    missing = MISSING
    session_error = "masked families fill whole pieces, not bar by bar: sample them"
    decoding = Decoding
    batch = 8

    def __init__(self, model: Any, representation: Representation) -> None:
        voices = tuple(getattr(representation, "voices", ()))
        if not set(voices) <= set(CHOIR):
            raise ValueError(
                f"family absorbing_events fills events of a choir ({', '.join(CHOIR)}), one note "
                f"a voice at a time, and this encoding has {', '.join(voices)}"
            )
        super().__init__(model, representation)

    def capabilities(self) -> Capabilities:
        """All options, and the conditions of the model; no roles, as no voice is filled alone."""
        return Able(
            tasks=self.tasks,
            missing=self.missing,
            conditions=self.model.conditions,
            options=asdict(Decoding()),
        )

    def _plan(self, job: Job, random: Random) -> Plan:
        return plan_of(job, self.model, self.representation, random)

    def _draw(self, batch: Batch, decoding: Decoding) -> list[Tokens]:
        return fill(self.model, batch.plans, batch.randoms, decoding, self._given(batch.jobs))


@torch.inference_mode()
def fill(
    model: Model,
    plans: Sequence[Plan],
    randoms: Sequence[Random],
    decoding: Decoding,
    given: Given | None = None,
) -> list[Tokens]:
    """The tokens of every plan, (T, 1), with its hidden values filled; all others stay."""
    model.eval()
    painter = _Painter(model, plans, randoms, decoding.temperature, given)
    again = [random.spawn(1)[0] for random in randoms]  # a longer piece reveals for longer
    _reveal(painter, decoding)
    painter.randoms = again
    for number in range(decoding.gibbs):
        share = decoding.gibbs_share * (1 - number / decoding.gibbs)
        painter.draw(
            [
                np.flatnonzero(plan.free & (lots < share))
                for plan, lots in zip(plans, painter.lots(), strict=True)
            ]
        )
    painter.draw([np.array(_free_overlong(plan), dtype=np.int64) for plan in plans])
    return [plan.score.tokens.astype(np.int32)[:, None] for plan in plans]


def _free_overlong(plan: Plan) -> list[int]:
    return [place for place in plan.score.overlong() if plan.free[place]]


def _reveal(painter: "_Painter", decoding: Decoding) -> None:
    """Fill all hidden values in as many passes as asked for."""
    orders = painter.lots()
    counts = [int(plan.free.sum()) for plan in painter.plans]
    for number in range(1, max(_passes(decoding, count) for count in counts) + 1):
        chosen, wanted = [], [_wanted(decoding, count, number) for count in counts]
        for plan, order, count, least in zip(painter.plans, orders, counts, wanted, strict=True):
            hidden = np.flatnonzero(plan.score.tokens == HIDDEN)
            fewer = max(0, least - (count - len(hidden)))
            if decoding.order == "random":
                hidden = hidden[np.argsort(order[hidden], kind="stable")][:fewer]
            chosen.append(hidden)
        chances = painter.draw(chosen)
        if decoding.order == "confident":  # what was drawn is hidden again, but for the likeliest
            for plan, places, chance, count, least in zip(
                painter.plans, chosen, chances, counts, wanted, strict=True
            ):
                ranked = sorted(places.tolist(), key=lambda place: -chance[place])
                plan.score.tokens[ranked[max(0, least - (count - len(places))) :]] = HIDDEN


def _passes(decoding: Decoding, count: int) -> int:
    """How many passes reveal so many values."""
    return min(decoding.steps, count) if decoding.steps else count


def _wanted(decoding: Decoding, count: int, number: int) -> int:
    """How many of them are known after so many passes."""
    if not decoding.steps:
        return min(number, count)
    share = min(1.0, number / max(1, _passes(decoding, count)))
    return int(np.ceil(count * share**decoding.pace - 1e-9))


class _Painter:
    """Pieces that are being filled, with a stream of random numbers for each."""

    def __init__(
        self,
        model: Model,
        plans: Sequence[Plan],
        randoms: Sequence[Random],
        temperature: float,
        given: Given | None,
    ) -> None:
        self.model, self.plans, self.randoms = model, plans, randoms
        self._temperature, self._given = temperature, given
        self._length = max(len(plan.free) for plan in plans)

    def lots(self) -> list[np.ndarray]:
        """A number in [0, 1) for each token of each piece."""
        pairs = zip(self.randoms, self.plans, strict=True)
        return [random.random(len(plan.free)) for random, plan in pairs]

    def draw(self, chosen: Sequence[np.ndarray]) -> list[dict[int, float]]:
        """Draw the values at these places of every piece again, given all other known ones; their
        probabilities. Positions come first, as voices depend on them; a voice's position is drawn
        with it where it is hidden.
        """
        lots = self.lots()
        if not any(len(places) for places in chosen):
            return [{} for _ in chosen]
        for plan, places in zip(self.plans, chosen, strict=True):
            plan.score.tokens[places] = HIDDEN
        probs = self._probabilities()
        return [
            self._drawn(plan, places, probs[number], lots[number])
            for number, (plan, places) in enumerate(zip(self.plans, chosen, strict=True))
        ]

    def _drawn(
        self, plan: Plan, places: np.ndarray, probs: dict[int, np.ndarray], lots: np.ndarray
    ) -> dict[int, float]:
        score, kinds = plan.score, plan.score.token_kinds
        ordered = sorted(places.tolist(), key=lambda place: (kinds[place], place))
        chances: dict[int, float] = {}
        for place in ordered:
            needed = [place]
            if kinds[place] == VOICE and score.tokens[score.position_of(place)] == HIDDEN:
                needed = [score.position_of(place), place]
            for each in needed:
                low, high, among = score.allowed(each)
                tokens = np.array(among) if among is not None else np.arange(low, high + 1)
                weights = probs[each][tokens] + 1e-30
                total = weights.cumsum()
                found = np.searchsorted(total, lots[each] * total[-1], side="right")
                found = min(int(found), len(tokens) - 1)
                score.tokens[each] = tokens[found]
                chances[each] = float(weights[found] / total[-1])
        return chances

    def _probabilities(self) -> list[dict[int, np.ndarray]]:
        """Of every hidden token of every piece, by its place, (V,)."""
        device = self.model.kind_V.device
        shape = (len(self.plans), self._length)
        tokens, kinds = np.full(shape, PAD), np.full(shape, OUTSIDE)
        hidden = np.zeros(shape, dtype=bool)
        for number, plan in enumerate(self.plans):
            length = len(plan.free)
            kinds[number, :length] = plan.score.token_kinds
            hidden[number, :length] = plan.score.tokens == HIDDEN
            tokens[number, :length] = np.where(hidden[number, :length], 0, plan.score.tokens)
        tokens_BT, kinds_BT, hidden_BT = (
            torch.from_numpy(array).to(device) for array in (tokens, kinds, hidden)
        )
        seen = self.model.seen(tokens_BT, kinds_BT, hidden_BT)
        logits_MV = self.model.logits(seen, hidden_BT, self._given)
        probs_MV = torch.softmax(logits_MV.double().cpu() / self._temperature, dim=1).numpy()
        found: list[dict[int, np.ndarray]] = [{} for _ in self.plans]
        for row, (number, place) in enumerate(np.argwhere(hidden).tolist()):
            found[number][place] = probs_MV[row]
        return found
