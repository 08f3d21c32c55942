"""Adversarial families train with two optimizers, resume to the bit, and make pieces."""

import csv
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from ostinato.corpus.store import Entry
from ostinato.evaluation.registry import scorer_of
from ostinato.files import checksums
from ostinato.models.adversarial.gan import Config
from ostinato.models.adversarial.parts.critic import Critic
from ostinato.models.adversarial.parts.generator import Strip
from ostinato.models.adversarial.parts.strips import frame_all, strips
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.representations.grid.grid import Grid
from ostinato.representations.store import write_encoding
from ostinato.sampling.adversarial.canvas import Canvas
from ostinato.sampling.adversarial.decoding import Decoding
from ostinato.sampling.adversarial.sampler import Sampler, fill
from ostinato.sampling.request import Continue, Fill, Region, Request
from ostinato.sampling.sampler import Job
from ostinato.training.settings import OptimizerSettings, Settings, TrainingSettings

BARS = Grid(lowest=36, highest=81, bars=True, end=True, meters=("3/2", "3/4", "4/4"))
HOLD = replace(BARS, hold=True)
TINY = {"width": 12, "critic_width": 12, "latent": 4, "critic_steps": 2}


def spec_of(grid):
    codec = {"width": grid.width, "vocabulary": grid.vocabulary, "structure": grid.structure()}
    return ArraySpec.of(codec)


def tiny(grid=BARS, **changes):
    torch.manual_seed(0)
    return build("gan", TINY | changes, spec_of(grid)).eval()


def rows(piece, grid=BARS):
    return torch.from_numpy(grid.encode(piece).astype(np.int64))


def strip_of(model, piece, grid=BARS, bars=2):
    framed, _ = frame_all([rows(piece, grid)], model.form, bars)
    batch = strips(framed, [(0, 0), (0, 1)], bars)
    return Strip(batch["steps"], batch["edges"], batch["shift"]), batch


@pytest.fixture(scope="module")
def folder(tmp_path_factory, chorale):
    """Seven pieces to learn and two to validate on."""
    folder = tmp_path_factory.mktemp("tokens") / "bach-grid"
    splits = ("train",) * 7 + ("valid",) * 2 + ("test",)
    pieces = [chorale(seed) for seed in range(len(splits))]
    entries = [Entry(p, split, p.id, p.id) for p, split in zip(pieces, splits, strict=True)]
    origin = {"licence": "none", "citation": "none", "url": "none"}
    write_encoding(folder, "bach", entries, BARS, origin)
    return folder


def settings(model=None, **training):
    chosen = {"steps": 6, "batch": 2, "crop": 32, "validate_every": 2, "ema_decay": 0.5}
    return Settings(
        system="gan",
        family="gan",
        size="tiny",
        encoding="bach-grid",
        seed=1,
        model=TINY | (model or {}),
        optimizer=OptimizerSettings(lr=0.01, weight_decay=0.0, betas=(0.0, 0.9), warmup=2),
        training=TrainingSettings(**(chosen | {"threads": 1} | training)),
    )


class Breaking:
    """A record that raises when it is given its `at`-th row."""

    def __init__(self, at):
        self.left = at

    def log(self, metrics, step):
        self.left -= 1
        if not self.left:
            raise RuntimeError("no power")

    def flush(self):
        """Nothing is kept."""

    def finish_weights(self, sha256):
        """Nothing is kept."""

    @contextmanager
    def track(self, mark):
        yield self


def fitted(chosen, folder, out, at=0, **options):
    from ostinato.loading.tokens import open_tokens
    from ostinato.training.fit import fit

    return fit(
        chosen,
        open_tokens(folder),
        out,
        trainer_options={"accelerator": "cpu", "devices": 1} | options,
        resume_root=out.parent / "resume",
        track=Breaking(at).track,
    )


@pytest.mark.starts
def test_a_training_that_broke_goes_on_to_the_very_same_model(folder, tmp_path):
    chosen = settings()
    fitted(chosen, folder, tmp_path / "whole" / "gan")
    for at in (1, 2):
        with pytest.raises(RuntimeError, match="no power"):
            fitted(chosen, folder, tmp_path / "broken" / "gan", at=at)
    card = fitted(chosen, folder, tmp_path / "broken" / "gan")
    assert checksums(tmp_path / "whole" / "gan") == checksums(tmp_path / "broken" / "gan")
    with (tmp_path / "whole" / "gan" / "history.csv").open(newline="") as file:
        history = list(csv.DictReader(file))
    assert [row["step"] for row in history] == ["2", "4", "6"]
    assert {"valid_critic_gap", "valid_loss"} <= history[0].keys()
    assert "divergence" in card["loss_unit"]


@pytest.mark.long
def test_the_critic_takes_more_steps_than_the_generator_and_a_state_keeps_both(
    folder, tmp_path, monkeypatch
):
    from ostinato.training.adversarial import Module

    counts = {}

    def spy(self, *arguments):
        names = ("generator", "critic")
        for name, optimizer in zip(names, self.trainer.optimizers, strict=True):
            counts[name] = {int(state["step"]) for state in optimizer.state.values()}
        counts["step"] = self.global_step

    monkeypatch.setattr(Module, "on_train_end", spy)
    with pytest.raises(RuntimeError, match="no power"):
        fitted(settings(), folder, tmp_path / "gan", at=2)
    fitted(settings(), folder, tmp_path / "gan")
    assert counts == {"generator": {6}, "critic": {12}, "step": 6}


def test_several_devices_parts_and_crops_of_half_bars_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="one device and a whole batch"):
        fitted(settings(), folder, tmp_path / "gan", micro_batch=1)
    with pytest.raises(ValueError, match=r"training.crop=40 must be a multiple of .*bar_steps=16"):
        fitted(settings(crop=40), folder, tmp_path / "gan")
    with pytest.raises(ValueError, match=r"no piece .* is left: lower training.crop=80"):
        fitted(settings(crop=80), folder, tmp_path / "gan")


def test_kept_cells_are_kept_and_the_rest_is_made(chorale):
    for grid in (BARS, HOLD):
        sampler, piece = Sampler(tiny(grid), grid), chorale(2, bars=3)
        whole = grid.encode(piece)[:-1]
        for region in (Region(bars=(2, 3)), Region(roles=("alto",)), Region((1, 2), ("bass",))):
            request = Request(task=Fill(piece, region), bars=3)
            (made,) = sampler.sample([Job(request, 0, 5)])
            free = grid.cells(whole, region.bars, region.roles or grid.voices)
            assert np.array_equal(made.tokens[~free], whole[~free])
            assert not np.array_equal(made.tokens[free], whole[free])
            assert np.array_equal(grid.encode(grid.decode(made.tokens))[: len(whole)], made.tokens)


def test_a_kept_hold_always_has_a_note_to_hold(chorale):
    sampler, piece = Sampler(tiny(HOLD), HOLD), chorale(2, bars=3)
    with torch.no_grad():  # nothing but rests
        sampler.model.generator.to_pitches.bias.view(4, -1)[:, -1] += 1e3
    whole = HOLD.encode(piece)[:-1]
    free = np.flatnonzero((whole[1:, 1:] == HOLD.vocabulary.index("hold")).any(axis=1))
    assert len(free)
    rows_kept = whole.copy()
    mask = np.zeros(whole.shape, dtype=bool)
    mask[free[3] : free[3] + 1, 1:] = True
    made = fill(sampler.model, Canvas(rows_kept, mask, True, whole[:0]), Decoding(), 1)
    assert np.array_equal(made[~mask], whole[~mask])
    held = whole[free[3] + 1, 1:] == HOLD.vocabulary.index("hold")
    assert (made[free[3], 1:][held] != 0).all()
    assert (made[free[3], 1:][~held] == 0).all()


@pytest.mark.long
def test_a_prompt_goes_on_and_pieces_depend_on_their_seeds_alone(chorale):
    sampler, piece = Sampler(tiny(), BARS), chorale(2, bars=3)
    request = Request(task=Continue(piece, 2), bars=4, min_bars=4)
    made = sampler.sample([Job(request, number, number) for number in range(2)])
    assert all(np.array_equal(one.tokens[:32], BARS.encode(piece)[:32]) for one in made)
    assert not np.array_equal(made[0].tokens, made[1].tokens)
    alone = Request(bars=3)
    pair = sampler.sample([Job(alone, number, number) for number in (3, 4)])
    (again,) = sampler.sample([Job(alone, 4, 4)])
    assert np.array_equal(pair[1].tokens, again.tokens)
    for seed in range(20):  # no bar is longer than those that were learned
        (one,) = sampler.sample([Job(Request(bars=2), seed, seed)])
        assert BARS.structure()["meters"]["3/2"] not in one.tokens[:, 0]
        BARS.decode(one.tokens)


def test_what_cannot_be_done_is_refused_with_a_reason(chorale):
    sampler = Sampler(tiny(), BARS)
    able = sampler.capabilities()
    assert able.tasks == ("unconditional", "continue", "fill")
    assert "latent" in able.missing["vary"]
    assert "latent" in able.missing["interpolate"]
    with pytest.raises(ValueError, match="whole pieces, not bar by bar"):
        sampler.session(Job(Request(), 0, 1))
    long = replace(chorale(1), meters=(replace(chorale(1).meters[0], numerator=3, denominator=2),))
    with pytest.raises(ValueError, match="a bar has more than 16 steps"):
        sampler.sample([Job(Request(task=Fill(long, Region(roles=("alto",))), bars=2), 0, 1)])
    for bad in ({"candidates": 0}, {"truncation": 0.0}):
        with pytest.raises(ValueError, match="must be"):
            Decoding(**bad)


def test_settings_and_encodings_that_do_not_fit_are_refused():
    for change, words in (
        ({"neurons": "some"}, "deterministic, stochastic, none"),
        ({"width": 10}, "multiples of 6"),
        ({"bar_steps": 6}, "multiple of 4"),
        ({"critic_steps": 0}, "at least 1"),
        ({"known": 1.5}, r"\[0, 1\]"),
        ({"critic_lr": 0.0}, "above 0"),
    ):
        with pytest.raises(ValueError, match=words):
            Config(**change)
    with pytest.raises(ValueError, match="bars: true"):
        tiny(Grid())


def test_no_likelihood_is_claimed():
    assert scorer_of(tiny(), "gan") is None
    assert isinstance(tiny().critic, Critic)
