"""How near the sound of samples is to that of held-out music, on features that need no download.

Samples are measured as they are heard: from their sound files. Between the floor, as many training
pieces, and the ceiling, noise of the same loudness, stand training pieces whose frames are shuffled
and those that went through the inversion to sound, as all samples did.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Figure, Result
from ostinato.metrics.bootstrap import Interval, mean_interval, percentiles
from ostinato.metrics.frechet import Distance, corrected_frechet, standardized
from ostinato.metrics.sound import cepstra, contrast, level, nearest, onsets, random_rows
from ostinato.music.recording import Recording
from ostinato.representations.mel.mel import Mel
from ostinato.representations.registry import build
from ostinato.seeds import seed_of

KINDS = ("mel",)
UNIT = "squared deviations"
CONTROLS = 24  # recordings of each
DRAWS = 50  # of training pieces, for the floor
ROWS: dict[str, tuple[Callable[[Recording], Array], str]] = {
    "frechet": (cepstra, "Fréchet distance of cepstra"),
    "frechet_random": (random_rows, "Fréchet distance of random features"),
}
VALUES: dict[str, tuple[Callable[[Recording], float], str, str]] = {
    "level": (level, "dB", "Loudness"),
    "contrast": (contrast, "dB", "Contrast between bands"),
    "onsets": (onsets, "a second", "Onsets"),
}
NEAREST = ("dB", "Distance from the nearest passages of the training set")


def reference(corpus: Corpus) -> dict[str, Array]:
    """Rows of real music and of the controls, each with the number of its recording; values of held
    out music.
    """
    held_out, train = _recordings(corpus.held_out), _recordings(corpus.train)
    sets = {"held_out": held_out, "train": train, **_controls(corpus, held_out, train)}
    found: dict[str, Array] = {}
    for name, recordings in sets.items():
        for kind, (rows_of, _) in ROWS.items():
            found[f"{name}.{kind}"], found[f"{name}.owner"] = _rows(recordings, rows_of)
    for name, (value_of, _, _) in VALUES.items():
        found[name] = np.array([value_of(recording) for recording in held_out])
    found["nearest"] = nearest(held_out, _recordings(corpus.train_whole))
    return found


def measure(context: Context) -> Result:
    """Corrected Fréchet distances, loudness, contrast, onsets, nearness to the training set."""
    samples, real = _recordings(context.samples), context.reference
    chance = {"seed": context.seed, "resamples": context.resamples}
    values: dict[str, Figure] = {}
    for kind, (rows_of, label) in ROWS.items():
        rows, owner = _rows(samples, rows_of)
        own = context.samples.groups[owner]
        values |= _distances(kind, label, rows, own, context)
    per_piece: dict[str, Array] = {}
    near = nearest(samples, _recordings(context.train_whole))
    columns = {
        name: (np.array([value_of(r) for r in samples]), unit, label)
        for name, (value_of, unit, label) in VALUES.items()
    }
    for name, (ours, unit, label) in (columns | {"nearest": (near, *NEAREST)}).items():
        values[name] = Figure.of(
            mean_interval(ours, groups=context.samples.groups, **chance),
            unit=unit,
            label=label,
            reference=mean_interval(real[name], groups=context.held_out.groups, **chance),
            is_headline=name == "nearest",
        )
        per_piece |= {f"samples/{name}": ours, f"held_out/{name}": real[name]}
    return Result(
        values,
        view="table",
        per_piece=per_piece,
        title="Sound",
        note="Samples are measured as they are heard. Inverted: training music that went through "
        "the inversion from frames to sound, as all samples do. Noise has the loudness of held-out "
        "music. A distance from the nearest passages well below that of held-out music would mean "
        "copying.",
        order=16,
        columns={"frechet": "frechet", "nearest": "nearest"},
    )


def _distances(
    kind: str, label: str, rows: Array, names: Array, context: Context
) -> dict[str, Figure]:
    """The distance of samples with its floor and its ceilings, and that of inverted music."""
    real = context.reference
    by = real[f"train.{kind}"]
    theirs, _ = standardized(real[f"held_out.{kind}"], by)
    groups = context.held_out.groups[real["held_out.owner"]]

    def far(mine: Array, own: Array) -> Distance:
        return corrected_frechet(standardized(mine, by)[0], theirs, own, groups)

    found = far(rows, names)
    beside = {
        words: _interval(far(real[f"{name}.{kind}"], real[f"{name}.owner"]))
        for words, name in (("shuffled frames", "shuffled"), ("noise", "noise"))
    }
    inverted = far(real[f"inverted.{kind}"], real["inverted.owner"])
    floor = _floor(by, context.train.groups[real["train.owner"]], real["train.owner"], far,
                   count=len(context.samples), seed=context.seed)  # fmt: skip
    shared: dict[str, Any] = {"unit": UNIT, "direction": "lower", "floor": floor}
    return {
        kind: Figure.of(_interval(found), label=label, beside=beside, is_headline=True, **shared),
        f"{kind}_plain": Figure(found.plain, unit=UNIT, direction="lower",
                                label=f"{label}, uncorrected"),
        f"{kind}_inverted": Figure.of(
            _interval(inverted), label=f"{label}, inverted training music", **shared
        ),
    }  # fmt: skip


def _floor(
    rows: Array,
    names: Array,
    owner: Array,
    far: Callable[[Array, Array], Distance],
    *,
    count: int,
    seed: int,
) -> Interval:
    """Draws of `count` training recordings: mean and central 95 %."""
    pieces = int(owner.max(initial=-1)) + 1
    if not 3 <= count <= pieces:
        return Interval(count=count)
    generator = np.random.default_rng(seed_of(seed, "sound"))
    found = []
    for _ in range(DRAWS):
        drawn = np.isin(owner, generator.choice(pieces, count, replace=False))
        found.append(far(rows[drawn], names[drawn]).value)
    return Interval(float(np.mean(found)), *percentiles(np.array(found), 0.95), count)


def _interval(distance: Distance) -> Interval:
    return Interval(distance.value, *distance.interval)


def _rows(
    recordings: Sequence[Recording], rows_of: Callable[[Recording], Array]
) -> tuple[Array, Array]:
    """The rows of recordings, and the number of the one that each is of."""
    parts = [rows_of(recording) for recording in recordings]
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return np.concatenate([np.empty((0, *parts[0].shape[1:])), *parts]), owner


def _controls(
    corpus: Corpus, held_out: Sequence[Recording], train: Sequence[Recording]
) -> dict[str, list[Recording]]:
    """Noise, shuffled frames, and training music that was made sound and heard again."""
    mel = cast(Mel, build(corpus.tokens.codec["representation"]))
    random = np.random.default_rng(seed_of(corpus.seed, "sound controls"))
    wanted = float(np.mean([level(recording) for recording in held_out]))
    noise = []
    for recording in held_out[:CONTROLS]:
        sound = random.standard_normal(mel.spectrum.samples_of(len(recording.frames)))
        louder = 10 ** ((wanted - level(mel.recording(sound))) / 20)
        noise.append(mel.recording(louder * sound))
    shown = [train[number] for number in random.permutation(len(train))[:CONTROLS]]
    shuffled = [replace(one, frames=random.permutation(one.frames)) for one in shown]
    inverted = [mel.recording(one.sound) for one in shown]
    return {"noise": noise, "shuffled": shuffled, "inverted": inverted}


def _recordings(excerpts: Iterable[Any]) -> list[Recording]:
    """The recordings of an encoding of sound."""
    return list(excerpts)
