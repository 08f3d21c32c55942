"""Means over tokens and pieces that processes can add up."""

import math
import subprocess
import sys

import pytest
import torch

from ostinato.metrics.features import FEATURES, measure
from ostinato.metrics.torch_metrics import FeatureMean, NatsPerToken
from ostinato.music.piece import Piece, Track, make_notes


def piece_of(*pitches):
    rows = [(0, i, 1, pitch, 80) for i, pitch in enumerate(pitches)]
    return Piece("p", 4, make_notes(rows), (Track(),))


def test_padding_is_not_scored_whatever_it_holds():
    metric = NatsPerToken()
    nats = torch.tensor([[1.0, 2.0, math.nan], [6.0, math.inf, 50.0]])
    targets = torch.tensor([[4, 0, -1], [7, -1, -1]])
    metric.update(nats, targets)
    assert metric.compute().item() == 3.0
    by_mask = NatsPerToken()
    by_mask.update(nats, targets != -1)
    assert by_mask.compute() == metric.compute()
    other_pad = NatsPerToken()
    other_pad.update(nats, targets + 1, pad=0)
    assert other_pad.compute() == metric.compute()


def test_a_scored_nan_is_not_hidden():
    metric = NatsPerToken()
    metric.update(torch.tensor([1.0, math.nan]), torch.tensor([1, 1]))
    assert metric.compute().isnan()


def test_the_mean_is_over_tokens_and_not_over_batches():
    metric = NatsPerToken()
    metric.update(torch.full((1, 10), 1.0), torch.ones(1, 10, dtype=torch.bool))
    metric.update(torch.full((1, 2), 4.0), torch.ones(1, 2, dtype=torch.bool))
    assert metric.compute().item() == 1.5
    metric.reset()
    metric.update(torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    assert metric.compute().isnan()


def test_hundreds_of_millions_of_tokens_are_added_exactly():
    metric = NatsPerToken()
    metric.update(torch.tensor([1e9]), torch.tensor([0]))  # where 32 bits add in steps of 64
    for _ in range(100):
        metric.update(torch.tensor([1.0]), torch.tensor([0]))
    assert metric.nats.item() == 1e9 + 100


def test_it_is_the_logarithm_of_torchmetrics_perplexity():
    from torchmetrics.text import Perplexity

    logits = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(15).reshape(3, 5) % 8 - 1
    nats = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="none"
    )
    ours, theirs = NatsPerToken(), Perplexity(ignore_index=-1)
    ours.update(nats.reshape(3, 5), targets)
    theirs.update(logits, targets)
    assert ours.compute().item() == pytest.approx(theirs.compute().log().item(), rel=1e-5)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shape"):
        NatsPerToken().update(torch.zeros(2, 3), torch.zeros(6, dtype=torch.int64))


@pytest.mark.parametrize("name", list(FEATURES))
def test_a_feature_is_averaged_over_the_pieces_that_define_it(name):
    pieces = [piece_of(60, 64, 67, *range(60, 92)), piece_of(), piece_of(*[60] * 40)]
    metric = FeatureMean(name)
    metric.update(pieces[:1])
    metric.update(pieces[1:])
    values = measure(pieces)[name]
    assert metric.compute().item() == pytest.approx(values[[0, 2]].mean(), rel=1e-6)


def test_no_piece_and_no_such_feature():
    metric = FeatureMean("groove")
    metric.update([])
    metric.update([piece_of()])
    assert metric.compute().isnan()
    with pytest.raises(ValueError, match="known: pitch_class_entropy, scale_consistency"):
        FeatureMean("groovy")


def test_merged_states_are_the_state_of_all():
    whole, first, second = NatsPerToken(), NatsPerToken(), NatsPerToken()
    nats, scored = torch.arange(9.0), torch.arange(9) - 1
    whole.update(nats, scored)
    first.update(nats[:2], scored[:2])
    second.update(nats[2:], scored[2:])
    first.merge_state(second)
    assert first.compute() == whole.compute()


@pytest.mark.slow
def test_two_processes_get_the_mean_of_all(tmp_path):
    # this file as a program: a spawned function would need the tests on the import path
    commands = [[sys.executable, __file__, str(rank), str(tmp_path)] for rank in range(2)]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]


def one_of_two(rank, folder):
    """Unequal shares, as the last batch gives them; every process computes the mean of all."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    nats, mean = NatsPerToken(), FeatureMean("pitch_range")
    share = torch.arange(6.0)[:2] if rank == 0 else torch.arange(6.0)[2:]
    nats.update(share, torch.ones_like(share, dtype=torch.bool))
    mean.update([piece_of(60, 70)] if rank == 0 else [piece_of(60, 64), piece_of(60, 61)])
    assert nats.compute().item() == 2.5
    assert mean.compute().item() == 5.0
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    one_of_two(int(sys.argv[1]), sys.argv[2])
