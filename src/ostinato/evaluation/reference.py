"""What measures compute of an encoding's real music, once for all of its systems.

Stage reference@ writes `excerpts.npz` (which pieces are compared, how long, of which groups), one
`<measure>.npz` for each measure that has a function `reference`, and `trivial.json`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ostinato.evaluation.excerpts import (
    HELD_OUT,
    EvaluationSettings,
    common_quarters,
    cut_to,
    decoded,
    drawn,
    groups_of,
    whole_excerpts,
)
from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Excerpts, Result
from ostinato.evaluation.measures.registry import found, unfit
from ostinato.evaluation.trivial import FILE as TRIVIAL
from ostinato.evaluation.trivial import write_trivial
from ostinato.files import DamagedFile, atomic_folder, require, write_npz
from ostinato.loading.tokens import TokenSet
from ostinato.models.spec import ArraySpec
from ostinato.representations.protocol import Representation
from ostinato.representations.registry import build

EXCERPTS = "excerpts.npz"


@dataclass(frozen=True)
class RealMusic:
    """What is compared with samples: as in Context, and the groups of all pieces by split."""

    held_out: Excerpts
    train: Excerpts
    held_out_whole: Excerpts
    train_whole: Excerpts
    quarters: int
    groups: Mapping[str, Array]


def write_reference(
    out: Path, corpus: Path, tokens: TokenSet, settings: EvaluationSettings, *, bars: int
) -> RealMusic:
    """Choose the real music and let every measure compute what it keeps of it.

    bars: of the samples. Training pieces are decoded one at a time, whenever a measure asks.
    """
    representation = build(tokens.codec["representation"])
    groups = groups_of(corpus, tokens)
    chosen = {
        **drawn(tokens, HELD_OUT, settings.compared, settings.seed),
        **drawn(tokens, ("train",), settings.compared, settings.seed),
    }
    music = _music(tokens, chosen, groups, bars, representation)
    part = tokens.splits["train"]
    given = Corpus(
        **vars(music),
        all_train=lambda: decoded(tokens, "train", range(len(part)), representation),
        tokens=tokens,
        seed=settings.seed,
        resamples=settings.resamples,
    )
    with atomic_folder(out) as folder:
        arrays = {f"numbers_{split}": numbers for split, numbers in chosen.items()}
        arrays |= {f"groups_{split}": names for split, names in groups.items()}
        digest = np.array(tokens.digest, dtype=np.str_)
        write_npz(
            folder / EXCERPTS, arrays | {"quarters": np.array(music.quarters), "tokens": digest}
        )
        for name, module in found().items():
            if hasattr(module, "reference") and not unfit(name, ArraySpec.of(tokens.codec).kind):
                write_npz(folder / f"{name}.npz", module.reference(given))
        write_trivial(
            folder / TRIVIAL, _measures_of_trivial(folder, given), music.train, given.seed
        )
    return music


def _measures_of_trivial(folder: Path, corpus: Corpus) -> dict[str, Callable[[Excerpts], Result]]:
    """The measures with ALSO_TRIVIAL, as functions of excerpts; there is no model and no floor."""
    kind = ArraySpec.of(corpus.tokens.codec).kind
    nothing = corpus.train.only(np.zeros(len(corpus.train), dtype=bool))
    real = {key: value for key, value in vars(corpus).items() if key != "all_train"}

    def run(name: str, samples: Excerpts) -> Result:
        context = Context(
            **real | {"train": nothing},
            samples=samples,
            samples_whole=samples,
            reference=read_reference(folder, name, corpus.tokens.name),
            scorer=None,
            card={},
            history=(),
        )
        return found()[name].measure(context)

    return {
        name: partial(run, name)
        for name, module in found().items()
        if getattr(module, "ALSO_TRIVIAL", False) and not unfit(name, kind)
    }


def read_real_music(folder: Path, tokens: TokenSet, representation: Representation) -> RealMusic:
    """The real music that `write_reference` chose.

    Raises:
        MissingInput: reference@ was not run.
        DamagedFile: it was run on other tokens.
    """
    made_by = f"dvc repro reference@{tokens.name}"
    stored = _arrays(require(folder / EXCERPTS, made_by), made_by)
    if str(stored["tokens"]) != tokens.digest:
        raise DamagedFile(f"{folder} was made of other tokens; make it again with: {made_by}")
    chosen = {s: stored[f"numbers_{s}"] for s in (*HELD_OUT, "train")}
    groups = {split: stored[f"groups_{split}"] for split in tokens.splits}
    return _music(tokens, chosen, groups, None, representation, int(stored["quarters"]))


def read_reference(folder: Path, measure: str, encoding: str) -> dict[str, Array]:
    """What a measure stored; nothing where it has no function `reference`.

    Raises:
        MissingInput: the measure was added after reference@ ran.
    """
    if not hasattr(found()[measure], "reference"):
        return {}
    made_by = (
        f"python -m ostinato.execution.code_deps --write && dvc repro reference@{encoding} "
        "(a new measure computes its reference once an encoding)"
    )
    return _arrays(require(folder / f"{measure}.npz", made_by), made_by)


def _arrays(path: Path, made_by: str) -> dict[str, Array]:
    try:
        return dict(np.load(path))
    except (OSError, ValueError) as error:
        raise DamagedFile(f"{path} cannot be read ({error}); make it with: {made_by}") from error


def _music(
    tokens: TokenSet,
    chosen: Mapping[str, Array],
    groups: Mapping[str, Array],
    bars: int | None,
    representation: Representation,
    quarters: int = 0,
) -> RealMusic:
    """Decode the chosen pieces and cut them; `bars` is None where `quarters` is known."""
    held, train = (
        whole_excerpts(tokens, {s: chosen[s] for s in splits}, groups, representation)
        for splits in (HELD_OUT, ("train",))
    )
    if bars is not None:
        quarters = common_quarters(held if len(held) else train, bars)
    return RealMusic(cut_to(held, quarters), cut_to(train, quarters), held, train, quarters, groups)
