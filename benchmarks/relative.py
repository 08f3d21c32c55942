"""Relative attention beside plain: music_transformer beside gpt, of the same shape, on rows of four
voices and on events; a training step, and sampling.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import yaml

from benchmarks.measure import OURS, Case, Race, in_turn
from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.representations.registry import build as build_representation
from ostinato.representations.store import codec_of

SHAPE = ArraySpec(width=4, vocabulary=48)
PEER, AIM = "plain attention", {"plain attention": 1 / 1.3}
CONF = Path(__file__).parents[1] / "conf/model"
BATCH, LENGTHS, STEPS = 8, (128, 512, 2048), 256
# a switch for each kind of relation, so that each has its price
KINDS = {"distances, bars and intervals": {}, "distances and bars": {"pitch_range": ()}}
OF_EVENTS = {
    "distances, times and intervals": {},
    "distances and times": {"pitch_range": ()},
    "distances": {"pitch_range": (), "max_time_distance": 0},
}


def cases() -> list[Case]:
    """Training at each length and with each kind of relation, then sampling."""
    return [
        *[
            Case(
                f"relative, training, {kind}, length {length}",
                lambda rounds, case=(kind, length): training(rounds, *case),
            )
            for length in LENGTHS
            for kind in KINDS
        ],
        *[
            Case(
                f"relative, training, events, {kind}",
                lambda rounds, kind=kind: training_on_events(rounds, kind),
            )
            for kind in OF_EVENTS
        ],
        Case("relative, sampling", sampling),
    ]


def models(
    context: int, size: str = "small", shape: ArraySpec = SHAPE, **changes: object
) -> dict[str, Autoregressive]:
    """Both families with the settings of one size, but for the context."""
    made = {}
    for who, family in ((OURS, "music_transformer"), (PEER, "gpt")):
        text = (CONF / family / f"{size}.yaml").read_text(encoding="utf-8")
        settings = yaml.safe_load(text)["model"] | {"context": context, "dropout": 0.0}
        settings |= {k: v for k, v in changes.items() if family != "gpt" or k in settings}
        torch.manual_seed(0)
        made[who] = build(family, settings, shape)
    return made


def training(rounds: int, kind: str, length: int) -> Race:
    """Rows of four voices."""
    contestants = models(length, **KINDS[kind])
    batch = max(1, BATCH * 128 // length)
    return _training(rounds, contestants, f"training, {kind}", batch, length)


def training_on_events(rounds: int, kind: str) -> Race:
    """REMI, with the batch and the length of the size `events`."""
    remi = yaml.safe_load((CONF.parent / "representation/remi.yaml").read_text(encoding="utf-8"))
    shape = ArraySpec.of(codec_of(build_representation(remi)))
    contestants = models(384, "events", shape, **OF_EVENTS[kind])
    return _training(rounds, contestants, f"training on events, {kind}", 6, 384)


def _training(
    rounds: int, contestants: Mapping[str, Autoregressive], what: str, batch: int, length: int
) -> Race:
    return Race(
        question=f"relative attention, {what}, length {length}",
        unit="positions",
        amount=batch * length,
        seconds=in_turn(
            {who: _step(model, batch, length) for who, model in contestants.items()}, rounds
        ),
        aims=AIM,
    )


def _step(model: Autoregressive, batch: int, length: int) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    shape = model.shape
    rows_BTW = torch.randint(shape.vocabulary, (batch, length, shape.width), generator=generator)

    def run() -> None:
        model.score(rows_BTW).mean().backward()
        model.zero_grad(set_to_none=True)

    return run


def sampling(rounds: int) -> Race:
    """One sequence."""
    contestants = models(128)
    return Race(
        question=f"relative attention, sampling {STEPS} positions, batch 1",
        unit="positions",
        amount=STEPS,
        seconds=in_turn({who: _sampler(model) for who, model in contestants.items()}, rounds),
        aims=AIM,
    )


def _sampler(model: Autoregressive) -> Callable[[], None]:
    model.eval()

    @torch.inference_mode()
    def run() -> None:
        state = model.start(1, STEPS)
        for _ in range(STEPS * SHAPE.width):
            model.push(state, model.next_logits(state).argmax(dim=1))

    return run
