"""A likelihood is reported of exact models alone: cheats fail the check, and the protocol's
arithmetic is what a hand computes.
"""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ostinato.evaluation.autoregressive import exact
from ostinato.evaluation.autoregressive.exact import (
    InexactLikelihood,
    check_exact,
    count_cells,
    extreme_pieces,
)
from ostinato.evaluation.scored import Scored, score_split
from ostinato.models.autoregressive import lstm
from ostinato.models.registry import build, families
from ostinato.models.spec import PAD, ArraySpec
from ostinato.reproduction.protocol import Protocol, check_units, figures
from ostinato.reproduction.published import Column, cell, csv_text, our_rows, published_rows

FOLDER = Path(__file__).parents[2] / "reproductions" / "jsb_chorales"
SETTINGS = {
    "width": 16,
    "voice_hidden": 8,
    "order": (0, 3, 1, 2),
    "periods": (16,),
    "held_steps": 4,
    "repetition_memory": 8,
}
# less than a piece, where a family reads in windows that move
CONTEXTS = {"gpt": {"context": 24}, "music_transformer": {"context": 24, "max_distance": 8}}


def script(name):
    """A module of the reproduction, which is no package."""
    spec = importlib.util.spec_from_file_location(f"jsb_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shape_of(tokens):
    return ArraySpec(width=4, vocabulary=len(tokens.codec["vocabulary"]))


@pytest.mark.long
@pytest.mark.parametrize("family", families("autoregressive"))
def test_every_family_is_exact(tokens, family):
    torch.set_num_threads(1)  # a step is too small to share
    torch.manual_seed(0)
    model = build(family, SETTINGS | CONTEXTS.get(family, {}), shape_of(tokens))
    for split, part in tokens.splits.items():
        nats = score_split(model.eval(), tokens, split).nats
        ends = (int(part.length.argmin()), int(part.length.argmax()))
        for number, piece_TW in zip(ends, extreme_pieces(tokens, split), strict=True):
            check_exact(model, piece_TW)
            steps = exact.stepwise_nats(model, piece_TW)
            assert nats[number] == pytest.approx(float(steps.sum()), rel=1e-4)


class SeesTheNextStep(lstm.Model):
    """Its trunk reads one position ahead, which is the very row that it predicts."""

    def trunk(self, x_BTD, rows_BTW):
        return super().trunk(torch.cat([x_BTD[:, 1:], x_BTD[:, -1:]], dim=1), rows_BTW)


class SeesTheWholePiece(lstm.Model):
    """A glance at the mean of all positions, the least a trunk can see of the future."""

    def trunk(self, x_BTD, rows_BTW):
        return super().trunk(x_BTD + 0.1 * x_BTD.mean(dim=1, keepdim=True), rows_BTW)


class SeesTheWholeRow(lstm.Model):
    """Its chain is given all voices of a step, the one it predicts among them."""

    def __init__(self, config, shape):
        super().__init__(config, shape)
        self.chain.sees_WW1.fill_(1.0)


class SeesItsNeighbour(lstm.Model):
    """What it is given beside a piece changes what the piece costs."""

    def trunk(self, x_BTD, rows_BTW):
        return super().trunk(x_BTD - x_BTD.mean(dim=0, keepdim=True), rows_BTW)


class CountsPadding(lstm.Model):
    """Lets the padding count, which is cheap to predict and lowers a mean."""

    def score(self, tokens_BTW):
        return super().score(tokens_BTW.where(tokens_BTW != PAD, 0))


class SkipsTheFirst(lstm.Model):
    """Takes a piece's first position for granted."""

    def score(self, tokens_BTW):
        nats = super().score(tokens_BTW)
        return F.pad(nats[:, 1:], (0, 0, 1, 0))


class SumsTheVoices(lstm.Model):
    """One number for each position, a quarter of what was asked for."""

    def score(self, tokens_BTW):
        return super().score(tokens_BTW).mean(dim=2, keepdim=True)


class IsNoDistribution(lstm.Model):
    """Its costs are too low by a tenth: no probabilities that sum to one."""

    def score(self, tokens_BTW):
        return 0.9 * super().score(tokens_BTW)


CHEATS = {
    SeesTheNextStep: "step by step",
    SeesTheWholePiece: "step by step",
    SeesTheWholeRow: "step by step",
    SeesItsNeighbour: "step by step",
    CountsPadding: "padding costs",
    SkipsTheFirst: "sub-token 0 of position 0 costs 0.0000",
    SumsTheVoices: "one number for each sub-token",
    IsNoDistribution: "step by step",
}


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.__name__)
def test_a_cheating_model_fails_the_check(tokens, cheat):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = cheat(lstm.Config(**SETTINGS), shape_of(tokens))
    with pytest.raises(InexactLikelihood, match=CHEATS[cheat]):
        check_exact(model, extreme_pieces(tokens, "valid")[0])


def test_cells_are_all_there_once(tokens, monkeypatch):
    for split, part in tokens.splits.items():
        assert count_cells(tokens, split) == part.tokens.size
    whole = exact.whole_pieces(tokens, "valid")
    numbers, batch = whole[0]
    other = batch.clone()
    other[0, 0, 0] += 1
    wrong = {"the batches hold 1": (numbers[:1], batch[:1]), "as it is encoded": (numbers, other)}
    for message, group in wrong.items():
        monkeypatch.setattr(exact, "whole_pieces", lambda *_, group=group: [group])
        with pytest.raises(InexactLikelihood, match=message):
            count_cells(tokens, "valid")


def test_another_split_than_the_official_one_is_refused(tokens):
    cells = {split: tokens.splits[split].tokens.size for split in ("valid", "test")}
    settings = {"cells": cells, "resamples": 20, "seed": 1}
    protocol_of = script("protocol").protocol_of
    check_units(tokens, protocol_of(settings, "jsb-grid"))
    wrong = protocol_of(settings | {"cells": cells | {"test": 75600}}, "jsb-grid")
    with pytest.raises(InexactLikelihood, match="75600: this is not the official split"):
        check_units(tokens, wrong)


def leaks(tmp_path, groups):
    """A corpus that knows what leaks, as normalize leaves it."""
    folder = tmp_path / "data/corpus/bach"
    folder.mkdir(parents=True)
    found = {"copy": {"groups": groups}, "melody": {"groups": [{"train": ["a"], "valid": ["b"]}]}}
    (folder / "summary.json").write_text(json.dumps({"format": 2, "leaks": found}))


def test_both_averages_with_and_without_what_leaks(tokens, tmp_path, monkeypatch):
    part = tokens.splits["valid"]
    first, second = (str(piece) for piece in part.piece)
    # copies of each other within held-out music are no leak
    groups = [{"train": ["x"], "valid": [second]}, {"valid": [first], "test": ["y"]}]
    leaks(tmp_path, groups)
    monkeypatch.chdir(tmp_path)
    cells = np.array([10, 30])
    scored = Scored(np.array([5.0, 60.0]), cells, part.notes, part.quarters)
    protocol = Protocol(unit="cell", units={}, resamples=20, seed=1)
    found = figures(scored, tokens, "valid", protocol)
    assert (found["cells"], found["pieces"], found["leaked"]) == (40, 2, [second])
    assert found["all"]["token_weighted"]["value"] == pytest.approx(65 / 40)
    assert found["all"]["piece_weighted"]["value"] == pytest.approx((0.5 + 2) / 2)
    assert found["without_leaks"]["token_weighted"]["value"] == pytest.approx(0.5)
    assert found["without_leaks"]["piece_weighted"]["count"] == 1


def test_a_leaked_piece_that_is_not_there_is_no_silent_zero(tokens, tmp_path, monkeypatch):
    leaks(tmp_path, [{"train": ["x"], "valid": ["of another name"]}])
    monkeypatch.chdir(tmp_path)
    part = tokens.splits["valid"]
    scored = Scored(np.ones(2), np.ones(2), part.notes, part.quarters)
    with pytest.raises(ValueError, match="of another name"):
        figures(scored, tokens, "valid", Protocol(unit="cell", units={}, resamples=20, seed=1))


def test_seeds_of_one_size_are_one_row_with_their_mean_and_spread(tmp_path, monkeypatch):
    columns = [Column("valid", "valid", "valid", "all", "token_weighted")]

    def figure(value):
        ends = {"value": value, "low": value - 0.1, "high": value + 0.1}
        return {"token_weighted": ends, "piece_weighted": ends}

    (tmp_path / "scores").mkdir()
    for seed, value in ((1, 0.4), (2, 0.5)):
        splits = {
            split: {"all": figure(value), "without_leaks": figure(value)}
            for split in ("valid", "test")
        }
        score = {"format": 1, "seed": seed, "parameters": 7} | splits
        (tmp_path / "scores" / f"lstm-{seed}.json").write_text(json.dumps(score))
    monkeypatch.chdir(tmp_path)
    item = {"family": "lstm", "size": "jsb", "encoding": "jsb-grid"}
    systems = {f"lstm-{seed}": item | {"seed": seed} for seed in (1, 2)}
    frozen = {"gpt-1": {"family": "gpt", "size": "large", "encoding": "jsb-grid", "seed": 1}}
    ours, not_run = our_rows(systems, frozen, columns)
    assert (ours["model"], ours["seeds"]) == ("lstm jsb", "1 2")
    assert ours["valid"] == pytest.approx(0.45)
    assert ours["valid_spread"] == pytest.approx(0.1 / math.sqrt(2))
    assert cell(ours, "valid") == "0.450 ±0.071 [0.350, 0.550]"
    assert cell(not_run, "valid") == "not run"
    assert csv_text([ours, not_run], columns).count("\n") == 3


def test_published_figures_say_how_they_are_known():
    rows = published_rows(FOLDER / "published.csv")
    known = {"paper", "derived", "not comparable", "counted", "logged"}
    assert {row["known"] for row in rows} == known
    assert {row["kind"] for row in rows if row["known"] == "logged"} == {"ours"}
    assert all(row["note"] for row in rows)
