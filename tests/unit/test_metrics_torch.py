"""Means over tokens and pieces that processes can add up."""

import math
import sys

import pytest
import torch

from ostinato.metrics.feature_metrics import FeatureMean, feature_metrics
from ostinato.metrics.features import FEATURES, measure
from ostinato.metrics.likelihood_metrics import NatsPerToken, likelihood_metrics
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


def test_all_features_are_one_collection():
    pieces = [piece_of(60, 64, 67, *range(60, 92)), piece_of(*[60] * 40)]
    metrics = feature_metrics()
    metrics.update(pieces)
    found = metrics.compute()
    assert list(found) == sorted(FEATURES)
    for name, values in measure(pieces).items():
        assert found[name].item() == pytest.approx(values.mean(), rel=1e-6)


def batches_of(seed, vocabulary=7):
    """Batches of (logits, targets) whose lengths differ, with padding."""
    generator = torch.Generator().manual_seed(seed)
    for length in (9, 1, 4, 13):
        logits = torch.randn(2, length, 3, vocabulary, generator=generator)
        targets = torch.randint(-1, vocabulary, (2, length, 3), generator=generator)
        yield logits, targets


def add(metrics, logits, targets):
    nats = torch.nn.functional.cross_entropy(
        logits.flatten(0, -2), targets.flatten(), ignore_index=-1, reduction="none"
    )
    metrics.update(nats=nats.view_as(targets), preds=logits.argmax(dim=-1), target=targets)


def test_the_collection_ignores_padding_and_counts_what_a_loop_counts():
    metrics, nats, hits, count = likelihood_metrics(7), 0.0, 0, 0
    for logits, targets in batches_of(0):
        add(metrics, logits, targets)
        for row, target in zip(logits.reshape(-1, 7), targets.flatten().tolist(), strict=True):
            if target >= 0:
                nats -= row.double().log_softmax(0)[target].item()
                hits, count = hits + (row.argmax().item() == target), count + 1
    found = {name: value.item() for name, value in metrics.compute().items()}
    assert found["nats_per_token"] == pytest.approx(nats / count, rel=1e-6)
    assert found["perplexity"] == math.exp(found["nats_per_token"])
    assert found["accuracy"] == pytest.approx(hits / count, rel=1e-6)
    assert list(likelihood_metrics()) == ["nats_per_token", "perplexity"]


def test_the_sum_has_the_bits_of_a_plain_sum_in_64_bits():
    metric, plain = NatsPerToken(), torch.zeros((), dtype=torch.float64)
    for seed in range(5):
        nats = torch.rand(64, 97, 4, generator=torch.Generator().manual_seed(seed))
        nats[:, 80:] = 0.0  # what models give for padding
        metric.update(nats, torch.where(nats > 0, 1, -1))
        plain += nats.sum(dtype=torch.float64)
    assert metric.nats.item() == plain.item()


def test_merged_states_are_the_state_of_all():
    whole, first, second = NatsPerToken(), NatsPerToken(), NatsPerToken()
    nats, scored = torch.arange(9.0), torch.arange(9) - 1
    whole.update(nats, scored)
    first.update(nats[:2], scored[:2])
    second.update(nats[2:], scored[2:])
    first.merge_state(second)
    assert first.compute() == whole.compute()


@pytest.mark.slow
def test_two_processes_get_the_mean_of_all(forked, tmp_path):
    processes = [forked(__file__, rank, tmp_path) for rank in range(2)]
    ends = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends


def one_of_two(rank, folder):
    """Unequal shares, one of them empty: every process computes what one process finds."""
    alone, batches = likelihood_metrics(7), list(batches_of(0))
    for batch in batches:
        add(alone, *batch)
    expected = alone.compute()
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    for shares in (((0, 3), (1, 2)), ((2,), (0, 1, 3)), ((), (0, 1, 2, 3))):
        metrics = likelihood_metrics(7)
        for number in shares[rank]:
            add(metrics, *batches[number])
        # sums of 24-bit numbers are exact in 64 bits, so no order of adding shows
        assert metrics.compute() == expected, shares
    mean = FeatureMean("pitch_range")
    mean.update([piece_of(60, 70)] if rank == 0 else [piece_of(60, 64), piece_of(60, 61)])
    assert mean.compute().item() == 5.0
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    one_of_two(int(sys.argv[1]), sys.argv[2])
