"""Frame-level likelihoods: the first frame is told, all others count once, and cheats are found."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ostinato.corpus.store import Entry
from ostinato.evaluation.autoregressive.exact import InexactLikelihood
from ostinato.evaluation.baselines import ALPHA, score_baselines
from ostinato.evaluation.scored import score_split
from ostinato.loading.tokens import open_tokens
from ostinato.models.autoregressive import lstm
from ostinato.models.spec import PAD, ArraySpec
from ostinato.representations.roll.roll import Roll
from ostinato.representations.store import write_encoding
from ostinato.reproduction.protocol import Protocol, check_units
from ostinato.reproduction.published import published_rows
from ostinato.reproduction.score_stage import score_model

FOLDER = Path(__file__).parents[2] / "reproductions" / "poly_music"
KEYS = 24
SPLITS = ("train",) * 3 + ("valid",) * 2 + ("test",) * 2
SETTINGS = {"width": 12, "voice_hidden": 6}


def script(name):
    """A module of the reproduction, which is no package."""
    spec = importlib.util.spec_from_file_location(f"poly_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rolls(chorale, tmp_path_factory):
    """Seven chorales of 12 or 16 frames, with all keys but those of two octaves left out."""
    folder = tmp_path_factory.mktemp("tokens") / "tiny-roll"
    representation = Roll(lowest=50, keys=KEYS, steps_per_quarter=1)
    entries = []
    for seed, split in enumerate(SPLITS):
        piece = chorale(seed, bars=3 + seed % 2)
        inside = (piece.notes["pitch"] >= 50) & (piece.notes["pitch"] < 50 + KEYS)
        object.__setattr__(piece, "notes", piece.notes[inside])
        entries.append(Entry(piece, split, piece.id, piece.id))
    write_encoding(folder, "tiny", entries, representation, {})
    return open_tokens(folder)


def protocol_for(rolls, **changes):
    frames = {split: len(rolls.splits[split].tokens) for split in ("train", "valid", "test")}
    options = {"unit": "frame", "units": frames, "of": KEYS, "given": 1, "checked": 6}
    return Protocol(**(options | {"resamples": 20, "seed": 1} | changes))


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A corpus without copies, found from the reproduction's folder."""
    folder = tmp_path / "data/corpus/tiny"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps({"format": 2, "leaks": {}}))
    monkeypatch.chdir(tmp_path)


def made(kind=lstm.Model):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = kind(lstm.Config(**SETTINGS), ArraySpec(width=KEYS, vocabulary=2))
    return model.eval()


def test_the_figure_is_total_nats_over_the_frames_after_the_first(rolls, corpus):
    model = made()
    found = score_model(model, rolls, protocol_for(rolls))["test"]
    part, nats, frames = rolls.splits["test"], 0.0, 0
    with torch.inference_mode():
        for number in range(len(part)):
            piece = torch.from_numpy(part.tokens_of(number).astype(np.int64))
            nats += float(model.score(piece[None])[0, 1:].sum())
            frames += len(piece) - 1
    assert found["frames"] == frames == len(part.tokens) - len(part)
    assert found["all"]["token_weighted"]["value"] == pytest.approx(nats / frames, rel=1e-5)


def test_what_is_given_is_told_but_costs_nothing(rolls):
    model = made()
    with torch.no_grad():  # a first frame that is expensive must not show
        model.step_input.before_D += 3.0
    whole, rest = (score_split(model, rolls, "valid", given=given) for given in (0, 1))
    assert (whole.nats > rest.nats).all()
    assert (whole.tokens - rest.tokens == KEYS).all()
    shortest = int(rolls.splits["valid"].length.min())
    with pytest.raises(ValueError, match=f"given={shortest} of them are not scored"):
        score_split(model, rolls, "valid", given=shortest)


class SeesTheNextFrame(lstm.Model):
    """Its trunk reads one frame ahead, which is the very one that it predicts."""

    def trunk(self, x_BTD, rows_BTW):
        return super().trunk(torch.cat([x_BTD[:, 1:], x_BTD[:, -1:]], dim=1), rows_BTW)


class SeesHowManyKeysSound(lstm.Model):
    """Its chain is told the number of keys of the frame before it has guessed them."""

    def __init__(self, config, shape):
        super().__init__(config, shape)
        forward = self.chain.forward

        def told(context_BTD, previous_BTW, targets_BTW):
            count_BT1 = targets_BTW.sum(dim=2, keepdim=True)
            return forward(context_BTD + 0.1 * count_BT1, previous_BTW, targets_BTW)

        self.chain.forward = told


class SeesTheWholeFrame(lstm.Model):
    """Its chain is given all keys of the frame, the one that it predicts among them."""

    def __init__(self, config, shape):
        super().__init__(config, shape)
        seen = self.chain._seen

        def all_of_them(on_NW):
            known = seen(on_NW)
            return known[:, -1:].expand_as(known)

        self.chain._seen = all_of_them


class CountsPadding(lstm.Model):
    """Lets the padding count, silent frames that are cheap to predict and lower a mean."""

    def score(self, tokens_BTW):
        return super().score(tokens_BTW.where(tokens_BTW != PAD, 0))


class LeavesOffOut(lstm.Model):
    """Charges for keys that sound alone, as if silence were free."""

    def score(self, tokens_BTW):
        return super().score(tokens_BTW) * (tokens_BTW == 1)


class SkipsTheLast(lstm.Model):
    """Drops the last frame with the first."""

    def score(self, tokens_BTW):
        return F.pad(super().score(tokens_BTW)[:, :-1], (0, 0, 0, 1))


CHEATS = {
    SeesTheNextFrame: "step by step",
    SeesHowManyKeysSound: "step by step",
    SeesTheWholeFrame: "step by step",
    CountsPadding: "padding costs",
    LeavesOffOut: "costs 0.0000",
    SkipsTheLast: "costs 0.0000",
}


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.__name__)
def test_a_cheating_model_is_given_no_figure(rolls, corpus, cheat):
    # the whole piece: a cheat in its last frame must show
    with pytest.raises(InexactLikelihood, match=CHEATS[cheat]):
        score_model(made(cheat), rolls, protocol_for(rolls, checked=0))


def test_another_split_or_another_width_is_refused(rolls):
    right = protocol_for(rolls)
    check_units(rolls, right)
    fewer = dict(right.units) | {"train": right.units["train"] - 1}
    with pytest.raises(InexactLikelihood, match=r"train of tiny-roll has \d+ frames, the"):
        check_units(rolls, protocol_for(rolls, units=fewer))
    with pytest.raises(InexactLikelihood, match="given=1 cannot be applied"):
        check_units(rolls, protocol_for(rolls, of=KEYS // 2))


def test_the_unigram_is_the_marginal_of_every_key(rolls):
    train = np.asarray(rolls.splits["train"].tokens)
    share_W = (train.sum(axis=0) + ALPHA) / (len(train) + 2 * ALPHA)
    found = score_baselines(rolls, "test", given=1)["unigram"]
    part = rolls.splits["test"]
    for number, nats in enumerate(found.nats):
        piece = part.tokens_of(number)[1:]
        costs = np.where(piece == 1, -np.log(share_W), -np.log1p(-share_W))
        assert nats == pytest.approx(costs.sum())
    uniform = score_baselines(rolls, "test", given=1)["uniform"]
    assert uniform.nats / uniform.tokens == pytest.approx(math.log(2))


def test_the_reproduction_names_its_sets_everywhere():
    import yaml

    params = yaml.safe_load((FOLDER / "params.yaml").read_text())
    sets = set(params["encodings"])
    assert sets == set(params["protocol"]["frames"]) == set(script("table").TITLES)
    assert all(item["dataset"] == name for name, item in params["encodings"].items())
    rows = published_rows(FOLDER / "published.csv")
    assert {row["set"] for row in rows} == sets
    assert {row["known"] for row in rows} == {"paper", "quoted", "memory", "counted"}
    assert all(row["note"] for row in rows)
    protocol_of = script("protocol").protocol_of
    found = protocol_of(params["protocol"], "poly_jsb")
    assert (found.of, found.given, found.units["test"]) == (88, 1, 4725)
    with pytest.raises(ValueError, match=r"no 'bach'; it has: poly_jsb"):
        protocol_of(params["protocol"], "bach")
