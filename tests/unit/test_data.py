"""Training batches are a pure function of the step, and every crop is music that is there."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ostinato.files import DamagedFile, MissingInput, read_json
from ostinato.loading.batches import Crops, CropSettings, whole_pieces
from ostinato.loading.tokens import open_tokens
from ostinato.models.spec import PAD
from ostinato.training.autoregressive import Data
from ostinato.training.data import with_some_of_valid

CROP = 32
STEPS = 150


def crops(tokens, rank=0, world=1, **options):
    chosen = {"batch": 4, "crop": CROP, "transpose": (-3, 4), "seed": 7} | options
    return Crops(tokens, CropSettings(**chosen), rank=rank, world=world)


@pytest.fixture(scope="module")
def rows(tokens):
    """(inputs, targets, start) of many rows."""
    found = []
    data = crops(tokens)
    for step in range(STEPS):
        batch = data[step]
        parts = (batch[key].numpy() for key in ("inputs", "targets", "start"))
        found += list(zip(*parts, strict=True))
    return found


def equal(first, second):
    return all(torch.equal(first[key], second[key]) for key in first)


def test_a_batch_depends_on_the_step_and_the_seed_alone(tokens):
    forwards, backwards = crops(tokens), crops(tokens)
    later = [backwards[step] for step in reversed(range(20))][::-1]
    assert all(equal(forwards[step], later[step]) for step in range(20))
    assert not equal(forwards[0], forwards[1])
    assert not equal(forwards[0], crops(tokens, seed=8)[0])


def origins(tokens, start, targets):
    """Every (piece, shift) of the training set whose window this is."""
    part, length = tokens.splits["train"], int((targets[:, 0] != PAD).sum())
    found = []
    for number in range(len(part)):
        window = part.tokens_of(number)[start : start + CROP]
        low, high = max(-3, int(part.shift_low[number])), min(4, int(part.shift_high[number]))
        found += [
            (number, shift)
            for shift in range(low, high + 1)
            if len(window) == length
            and np.array_equal(tokens.shifts[shift][window], targets[:length])
        ]
    return found


@pytest.mark.long
def test_every_crop_is_a_window_of_a_transposed_piece(tokens, rows):
    part = tokens.splits["train"]
    seen = set()
    for inputs, targets, start in rows:
        (origin,) = origins(tokens, int(start), targets)
        seen.add(origin)
        number, shift = origin
        piece = tokens.shifts[shift][part.tokens_of(number)]
        length = min(CROP, len(piece))
        assert (targets[length:] == PAD).all()
        assert (inputs[length:] == PAD).all()
        assert np.array_equal(inputs[1:length], targets[: length - 1])
        first = piece[start - 1] if start else np.full(4, PAD)
        assert np.array_equal(inputs[0], first), "only a piece's true beginning looks like one"
    assert {number for number, _ in seen} == set(range(len(part)))
    assert {shift for _, shift in seen} == set(range(-3, 5))


def test_nothing_leaves_the_vocabulary(tokens):
    size = len(tokens.codec["vocabulary"])
    data = crops(tokens, transpose=(-11, 11))
    for step in range(60):
        targets = data[step]["targets"].numpy()
        cells = targets[targets[..., 0] != PAD]
        assert cells.min() >= 0
        assert cells.max() < size


def test_beginnings_and_ends_are_seen_as_often_as_middles(tokens, rows):
    """Every position of a piece is in nearly the same number of crops."""
    part = tokens.splits["train"]
    counts = np.zeros(64)
    for _, targets, start in rows:
        if (targets[:, 0] != PAD).all():
            counts[start : start + CROP] += 1
    assert len(part.tokens_of(1)) == len(counts)
    assert counts[0] > counts.mean() / 2
    assert counts[-1] > counts.mean() / 2


@pytest.mark.parametrize("world", [2, 4])
def test_the_rows_of_all_ranks_are_the_global_batch(tokens, world):
    whole = crops(tokens)
    ranks = [crops(tokens, rank=rank, world=world) for rank in range(world)]
    for step in range(10):
        parts = [data[step] for data in ranks]
        for key in ("inputs", "targets", "start"):
            joined = torch.stack([part[key] for part in parts], dim=1).flatten(0, 1)
            assert torch.equal(joined, whole[step][key])
        assert {int(part["count"]) for part in parts} == {
            int((whole[step]["targets"] != PAD).sum())
        }


def test_what_cannot_be_shared_or_trained_on_is_refused(tokens):
    with pytest.raises(ValueError, match=r"batch=4 cannot be divided among 3 devices"):
        crops(tokens, world=3)
    with pytest.raises(ValueError, match=r"batch=0 .* crop=32"):
        crops(tokens, batch=0)
    with pytest.raises(ValueError, match=r"transpose=\[1, 2\] must be a range around 0"):
        crops(tokens, transpose=(1, 2))
    with pytest.raises(ValueError, match=r"transpose=\[-12, 0\]"):
        crops(tokens, transpose=(-12, 0))
    empty = tokens.splits | {"train": cut_split(tokens.splits["train"], 0)}
    with pytest.raises(ValueError, match="encoding bach-grid has no piece to train on"):
        crops(type(tokens)(**{**vars(tokens), "splits": empty}))


def cut_split(part, count):
    return type(part)(**{k: v if k == "tokens" else v[:count] for k, v in vars(part).items()})


@pytest.mark.parametrize("positions", [1, 100, 128, 10_000])
@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_whole_pieces_hold_each_piece_once(tokens, split, positions):
    part = tokens.splits[split]
    batches = whole_pieces(tokens, split, positions=positions)
    assert sorted(n for numbers, _ in batches for n in numbers) == list(range(len(part)))
    for numbers, batch in batches:
        assert len(numbers) == 1 or batch.shape[0] * batch.shape[1] <= positions
        for number, row in zip(numbers, batch.numpy(), strict=True):
            piece = part.tokens_of(number)
            assert np.array_equal(row[: len(piece)], piece)
            assert (row[len(piece) :] == PAD).all()


@pytest.mark.parametrize("name", ["train/tokens.npy", "valid/index.npz", "codec.json"])
def test_a_damaged_encoding_is_refused_by_name(tokens_folder, tmp_path, flip_byte, name):
    folder = tmp_path / "bach-grid"
    with pytest.raises(MissingInput, match=r"summary\.json is missing.*dvc repro encode@bach-grid"):
        open_tokens(folder)
    shutil.copytree(tokens_folder, folder)
    open_tokens(folder)
    flip_byte(folder / name)
    with pytest.raises(DamagedFile, match=rf"{name} is damaged.*dvc repro encode@bach-grid"):
        open_tokens(folder)
    (folder / name).unlink()
    with pytest.raises(MissingInput, match=rf"{name} is missing.*dvc repro encode@bach-grid"):
        open_tokens(folder)


def test_the_digest_is_of_the_contents_and_not_of_the_place(tokens_folder, tokens, tmp_path):
    shutil.copytree(tokens_folder, tmp_path / "bach-grid")
    again = open_tokens(tmp_path / "bach-grid")
    assert (again.digest, again.codec_digest) == (tokens.digest, tokens.codec_digest)
    summary = read_json(tokens_folder / "summary.json", expect_format=2, made_by="")
    assert {split: len(part) for split, part in again.splits.items()} == summary["pieces"]


def test_validation_takes_a_bounded_part_of_valid_whatever_the_order(tokens):
    part = tokens.splits["valid"]
    assert with_some_of_valid(tokens) is tokens
    for most in range(1, len(part)):
        some = with_some_of_valid(tokens, most)
        kept = some.splits["valid"]
        assert len(kept) == most
        for number, name in enumerate(kept.piece.tolist()):
            whole = part.tokens_of(part.piece.tolist().index(name))
            assert np.array_equal(kept.tokens_of(number), whole)
        assert some.splits["train"] is tokens.splits["train"]


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_every_batch_of_valid_is_counted_once_and_all_devices_have_as_many(
    world, tokens, settings_of
):
    counted, lengths = [], set()
    for rank in range(world):
        data = Data(tokens, settings_of("lstm"))
        data.validation_set = lambda: list("abcd")
        data.trainer = SimpleNamespace(global_rank=rank, world_size=world)
        batches = list(data.val_dataloader())
        lengths.add(len(batches))
        counted += [batch for number, batch in enumerate(batches) if data.counts(number)]
    assert (sorted(counted), len(lengths)) == (list("abcd"), 1)
