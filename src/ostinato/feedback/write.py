"""Makes a study from a base model: clips, choices, reward models and what guards a training."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.execution.code_deps import code_checksums
from ostinato.feedback.card import FORMAT
from ostinato.feedback.clips import Clips, draw_clips, prompt_pieces
from ostinato.feedback.folder import clip_arrays
from ostinato.feedback.guards import vendi_score
from ostinato.feedback.heard import heard_clips
from ostinato.feedback.preferences import (
    Pairs,
    as_csv,
    nearest_pairs,
    pairs_of,
    simulated_answers,
)
from ostinato.feedback.rates import Rates
from ostinato.feedback.reward import (
    Ensemble,
    Features,
    features_of,
    fit_ensemble,
    report_of,
    trivial_rewards,
)
from ostinato.feedback.settings import GUARDED, StudySettings
from ostinato.feedback.split import split_pairs
from ostinato.feedback.statistics import Utility
from ostinato.files import atomic_folder, checksums, write_json, write_npz, write_text
from ostinato.loading.tokens import TokenSet
from ostinato.metrics.bootstrap import mean_interval
from ostinato.metrics.passages import index_arrays
from ostinato.models.registry import paradigm_of
from ostinato.music.piece import Piece
from ostinato.representations.bars import first_bars
from ostinato.sampling.load import Trained
from ostinato.sampling.registry import sampler_of
from ostinato.sampling.sampler import Sampler
from ostinato.seeds import seed_of

OF_BASE = ("system", "family", "model", "codec", "weights_sha256", "tokens_digest")
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """What a study asks its rewards from. rows: answers, as exported. aside: answers set aside."""

    clips: Clips
    pairs: Pairs
    rows: Sequence[Mapping[str, object]]
    aside: Mapping[str, int]
    utility: Utility | Rates | None


def write_study(
    out: Path,
    trained: Trained,
    tokens: TokenSet,
    settings: StudySettings,
) -> dict[str, Any]:
    """Write data/feedback/<study>; returns its study.json, which also has the checksums of all code
    that made it: what learns from a study thereby knows of changes.
    """
    from safetensors.torch import save_file

    family, representation = trained.card["family"], trained.representation
    sampler = sampler_of(trained.model, trained.representation, family)
    bars = settings.clips.prompt_bars + settings.clips.bars
    train = [representation.decode(_part(tokens, n)) for n in range(len(tokens.splits["train"]))]
    # as long as clips are: ranges and cadences depend on it
    corpus = [representation.decode(first_bars(representation, piece, bars)) for piece in train]
    judged = _judged(out.name, trained, sampler, tokens, settings, corpus)
    guard_prompts = prompt_pieces(tokens, "valid", settings.clips.guard, bars)
    guard = draw_clips(
        sampler, representation, guard_prompts, settings.clips, each=GUARDED, seed=settings.seed
    )
    features = features_of(trained.model, judged.clips)
    found, reward = _rewards(features, judged, settings, corpus)
    utility = judged.utility if settings.kind == "simulated" else None
    card = {
        "format": FORMAT,
        "study": out.name,
        "kind": settings.kind,
        "simulated": any(str(row["simulated"]) == "1" for row in judged.rows),
        "settings": asdict(settings),
        "base": {key: trained.card[key] for key in OF_BASE},
        "encoding": tokens.name,
        "clips": len(judged.clips),
        "pairs": len(judged.pairs),
        "listeners": len(np.unique(judged.pairs.listener)) if judged.rows else 0,
        "aside": dict(judged.aside),
        "clips_aside": {"judged": dict(judged.clips.aside), "guard": dict(guard.aside)},
        "reward": reward,
        "utility": asdict(utility) if utility else None,
        "best_of": _best_of(found["first"], features, judged, settings.seed) if utility else None,
        "base_vendi": vendi_score(features_of(trained.model, guard).trunk),
        "code": code_checksums(Path(__file__), {family: paradigm_of(family)}),
    }
    arrays = {
        "clips": clip_arrays(judged.clips),
        "guard": clip_arrays(guard),
        "pairs": vars(judged.pairs),
        "passages": index_arrays(train),
    }
    with atomic_folder(out) as folder:
        write_text(folder / "answers.csv", as_csv(judged.rows))
        for name, one in arrays.items():
            write_npz(folder / f"{name}.npz", one)
        save_file(trained.model.state_dict(), folder / "base.safetensors")
        if reward["learned"]:
            weights = {f"{n}.{k}": v for n, m in found.items() for k, v in m.state_dict().items()}
            save_file(weights, folder / "rewards.safetensors")
        write_json(folder / "study.json", card | {"checksums": checksums(folder)})
    return card


def _part(tokens: TokenSet, number: int) -> npt.NDArray[np.int32]:
    return np.asarray(tokens.splits["train"].tokens_of(number), dtype=np.int32)


def _judged(
    name: str,
    trained: Trained,
    sampler: Sampler,
    tokens: TokenSet,
    settings: StudySettings,
    corpus: Sequence[Piece],
) -> Judged:
    """Clips and the choices between them. corpus: its pieces, as long as clips are."""
    if settings.kind == "answers":
        rows = _read_rows(Path(settings.answers))
        clips, names = heard_clips(rows, trained, settings)
        pairs, aside = pairs_of(rows, names, settings.answers)
        return Judged(clips, pairs, rows, aside, None)
    plan = settings.clips
    bars = plan.prompt_bars + plan.bars
    prompts = prompt_pieces(tokens, "train", plan.prompts, bars)
    clips = draw_clips(
        sampler, trained.representation, prompts, plan, each=plan.each, seed=settings.seed
    )
    if settings.kind == "corpus":
        rates = Rates.fitted(settings.weights, clips.pieces, corpus)
        return Judged(clips, nearest_pairs(clips.prompts, rates.of(clips.pieces)), [], {}, rates)
    utility = Utility.fitted(settings.weights, clips.pieces)
    names = [f"{trained.card['system']}/clip-{number}/plain" for number in range(len(clips))]
    rows = simulated_answers(
        name,
        names,
        clips.prompts,
        utility.parts(clips.pieces),
        list(utility.weights.values()),
        settings.listeners,
        seed_of(settings.seed, "answers"),
    )
    pairs, aside = pairs_of(rows, names, "answers.csv")
    return Judged(clips, pairs, rows, aside, utility)


def _rewards(
    features: Features, judged: Judged, settings: StudySettings, corpus: Sequence[Piece]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both rewards by name, and what study.json says of them."""
    if settings.kind != "corpus":
        return _learned(features, judged, settings)
    second = Utility.fitted(dict.fromkeys(settings.second, 1.0), judged.clips.pieces, corpus)
    assert isinstance(judged.utility, Rates)
    card = {"first": {"rates": asdict(judged.utility)}, "second": {"utility": asdict(second)}}
    return {"first": judged.utility, "second": second}, card | {"learned": False}


def _learned(
    features: Features, judged: Judged, settings: StudySettings
) -> tuple[dict[str, Ensemble], dict[str, Any]]:
    """The two ensembles, and how well they predict choices of unseen listeners about unseen
    prompts.
    """
    split = split_pairs(judged.pairs, settings.reward.held_out, settings.seed)
    found, card = {}, {}
    for name, part in (("first", split.first), ("second", split.second)):
        model = fit_ensemble(features, part, settings.reward, seed_of(settings.seed, name))
        report = report_of(model(features).mean(dim=0).double().numpy(), split.test, settings.seed)
        found[name] = model
        card[name] = {
            "features": features.all().shape[1],
            "members": settings.reward.members,
            "pairs": len(part),
            "held_out": report,
        }
    clips = judged.clips
    notes = np.array([float(len(piece.notes)) for piece in clips.pieces])
    length = np.array([float(len(tokens)) for tokens in clips.tokens])
    trivial = {"length": length, "notes": notes, "density": notes / length}
    return found, card | {
        "learned": True,
        "held_out_pairs": len(split.test),
        "unused_pairs": split.aside,
        "trivial": trivial_rewards(trivial, split.first, split.test, settings.seed),
    }


def _best_of(
    reward: Ensemble, features: Features, judged: Judged, seed: int
) -> dict[str, Any] | None:
    """What choosing the best of a prompt's clips by the reward would gain in true utility."""
    assert judged.utility
    scores, truth = reward.reward(features).numpy(), judged.utility.of(judged.clips.pieces)
    prompts = np.array(judged.clips.prompts)
    gains = []
    for name in np.unique(prompts):
        own = np.flatnonzero(prompts == name)
        gains.append(truth[own[np.argmax(scores[own])]] - truth[own].mean())
    count = int(np.bincount(np.unique(prompts, return_inverse=True)[1]).max())
    return {"of": count, "gain": mean_interval(gains, seed=seed).plain()}


def _read_rows(path: Path) -> list[Mapping[str, object]]:
    if not path.is_file() or path.suffix != ".csv":
        raise ValueError(
            f"feedback.answers={path} is not a CSV file that is there; a store is exported with: "
            "python pipelines/listen.py mode=export listening=<test>"
        )
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
