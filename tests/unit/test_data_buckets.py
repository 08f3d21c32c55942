"""Batches of pieces of like length: no padding to speak of, no leak, every piece by its length."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from ostinato.loading.batches import LIKE, Crops, CropSettings, buckets
from ostinato.models.spec import PAD

CROP, BATCH, STEPS = 64, 8, 1500
RNG = np.random.default_rng(5)
LENGTHS = np.concatenate([RNG.integers(6, 40, 60), RNG.integers(100, 200, 6)])


@pytest.fixture(scope="module")
def short(tokens):
    """A corpus of short pieces and a few long ones, whose every symbol is the piece's number."""
    part = tokens.splits["train"]
    offset = np.cumsum(LENGTHS) - LENGTHS
    numbers = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    many = replace(
        part,
        tokens=np.repeat(numbers[:, None], 4, axis=1),
        piece=np.array([f"p{n}" for n in range(len(LENGTHS))]),
        offset=offset,
        length=LENGTHS,
        conditions=np.zeros((len(LENGTHS), 0), np.int16),
        notes=LENGTHS,
        quarters=LENGTHS,
        shift_low=np.zeros(len(LENGTHS), int),
        shift_high=np.zeros(len(LENGTHS), int),
    )
    shifts = {str(k): list(range(len(LENGTHS))) for k in range(-11, 12)}
    codec = tokens.codec | {"shifts": shifts}
    return replace(tokens, splits=tokens.splits | {"train": many}, codec=codec)


def crops(tokens, by_length, **options):
    chosen = CropSettings(batch=BATCH, crop=CROP, bucket_by_length=by_length, seed=3)
    return Crops(tokens, chosen, **options)


def padding(data, steps):
    """Share of positions that hold no music."""
    targets = [data[step]["targets"][..., 0] for step in range(steps)]
    return 1 - sum(int((t != PAD).sum()) for t in targets) / sum(t.numel() for t in targets)


def test_padding_all_but_disappears(short):
    loose, tight = (padding(crops(short, by_length), 300) for by_length in (False, True))
    assert loose > 0.3
    assert tight < 0.15


def test_no_row_sees_another_piece(short):
    data = crops(short, True)
    for step in range(200):
        batch = data[step]
        for inputs, targets, start in zip(
            *(batch[key].numpy() for key in ("inputs", "targets", "start")), strict=True
        ):
            (number,) = set(targets[targets != PAD].tolist())
            seen = set(inputs[inputs != PAD].tolist())
            assert seen <= {number}
            length = int((targets[:, 0] != PAD).sum())
            assert length == min(CROP, LENGTHS[number] - start)
            assert (targets[length:] == PAD).all()
            assert (inputs[length:] == PAD).all()
            assert (inputs[0] == (number if start else PAD)).all()


def test_every_piece_is_seen_in_proportion_to_its_length(short):
    """Counts stay within five standard deviations; rows of a batch are drawn together."""
    counts = np.zeros(len(LENGTHS))
    data = crops(short, True)
    for step in range(STEPS):
        counts += np.bincount(data[step]["targets"][:, 0, 0].numpy(), minlength=len(LENGTHS))
    expected = STEPS * BATCH * LENGTHS / LENGTHS.sum()
    assert counts.sum() == STEPS * BATCH
    assert (abs(counts - expected) < 5 * np.sqrt(2 * expected) + 3).all()
    long = LENGTHS >= 100
    assert counts[long].sum() == pytest.approx(expected[long].sum(), rel=0.15)


def test_a_batch_is_a_function_of_the_step_and_its_rows_are_shared(short):
    whole, again = crops(short, True), crops(short, True)
    shares = [crops(short, True, rank=rank, world=2, parts=2) for rank in range(2)]
    for step in reversed(range(20)):
        batch = whole[step]
        assert all(torch.equal(value, again[step][key]) for key, value in batch.items())
        rows = torch.zeros_like(batch["targets"]) + PAD
        for part in range(2):
            for rank in range(2):
                share = shares[rank][2 * step + part]
                assert int(share["count"]) == int((batch["targets"] != PAD).sum())
                held = share["targets"]
                rows[part * 2 + rank :: 4, : held.shape[1]] = held
        assert torch.equal(rows, batch["targets"])
    assert not all(torch.equal(whole[0][k], whole[1][k]) for k in ("start", "count"))


@pytest.mark.parametrize("seed", range(40))
def test_buckets_hold_every_piece_once_and_lengths_alike(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, rng.integers(2, 90), rng.integers(1, 80))
    crop, batch = int(rng.integers(2, 60)), int(rng.integers(1, 9))
    found = buckets(lengths, crop, batch)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))
    sizes = [np.minimum(lengths[pieces], crop) for pieces in found]
    assert all(len(pieces) >= batch for pieces in found) or len(found) == 1
    for ours, theirs in pairwise(sizes):
        assert ours.max() <= theirs.min()
    for size in sizes[:-1]:
        # what makes a bucket wide is that it would have been too small
        near = size[size <= LIKE * size.min()]
        assert len(near) == len(size) or len(near) < batch


def test_a_training_in_buckets_learns(settings_of, train, tmp_path):
    card = train(settings_of(steps=40, bucket_by_length=True), tmp_path / "m", tmp_path / "r")
    assert card["best_valid_loss"] < 3.2
    assert card["training"]["bucket_by_length"] is True
