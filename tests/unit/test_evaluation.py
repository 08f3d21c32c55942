"""Likelihoods count every token once, in the units they name; baselines are what a hand counts."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ostinato.corpus.store import Entry
from ostinato.evaluation import trivial
from ostinato.evaluation.baselines import ALPHA, score_baselines
from ostinato.evaluation.excerpts import EvaluationSettings
from ostinato.evaluation.measures.protocol import Figure, Result
from ostinato.evaluation.registry import scorer_of
from ostinato.evaluation.scored import pieces_of, score_and_predict, score_split, scored
from ostinato.evaluation.system import read_samples, run_measures
from ostinato.evaluation.written import distances, few, write_results
from ostinato.files import DamagedFile, MissingInput
from ostinato.generator import Generator
from ostinato.loading.tokens import Split, TokenSet, open_tokens
from ostinato.metrics.bootstrap import Interval
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.representations.grid.grid import Grid
from ostinato.representations.store import write_encoding
from ostinato.sampling.load import load_trained
from ostinato.sampling.request import Request
from ostinato.sampling.write import write_samples


def split_of(pieces, notes=1, quarters=1.0):
    arrays = [np.array(piece).reshape(len(piece), -1) for piece in pieces]
    length = np.array([len(array) for array in arrays])
    zero = np.zeros(len(arrays), int)
    return Split(
        tokens=np.concatenate(arrays),
        piece=np.array([f"p{n}" for n in range(len(arrays))]),
        offset=np.cumsum(length) - length,
        length=length,
        notes=np.full(len(arrays), notes),
        quarters=np.full(len(arrays), quarters),
        shift_low=zero,
        shift_high=zero,
        conditions=np.zeros((len(arrays), 0), np.int16),
        tempo=np.full(len(arrays), np.nan),
        bars=np.full(len(arrays), np.nan),
        density=np.full(len(arrays), np.nan),
    )


def token_set(train, test, vocabulary, **options):
    splits = {"train": split_of(train), "test": split_of(test, **options)}
    width = splits["train"].tokens.shape[1]
    codec = {"width": width, "vocabulary": [str(n) for n in range(vocabulary)], "shifts": {}}
    return TokenSet("tiny", "tiny", {}, codec, splits, "", "")


def cost(count, total, vocabulary):
    """Nats of a symbol that was seen `count` of `total` times in its context."""
    return -math.log((count + ALPHA) / (total + ALPHA * vocabulary))


@pytest.mark.parametrize("family", ["lstm", "gpt"])
def test_a_likelihood_is_the_sum_over_stepwise_logits(tokens, settings_of, family):
    torch.manual_seed(0)
    shape = ArraySpec(width=4, vocabulary=len(tokens.codec["vocabulary"]))
    model = build(family, settings_of(family).model, shape)
    model.eval()
    result = score_split(model, tokens, "test")
    for nats, piece in zip(result.nats, pieces_of(tokens, "test"), strict=True):
        total = 0.0
        with torch.inference_mode():
            state = model.start(1, len(piece))
            for row in piece:
                for column in model.order:
                    logits = model.next_logits(state).double()[0]
                    total -= float(torch.log_softmax(logits, 0)[row[column]])
                    model.push(state, torch.tensor([row[column]]))
        assert nats == pytest.approx(total, rel=1e-5)


def test_every_token_is_counted_once_and_none_is_padding(tokens, settings_of):
    for split in ("train", "valid", "test"):
        part = tokens.splits[split]
        found = list(pieces_of(tokens, split))
        assert sum(piece.size for piece in found) == part.tokens.size
        assert np.array_equal(np.concatenate(found), part.tokens)
        ones = {number: np.ones(piece.shape) for number, piece in enumerate(found)}
        found = scored(tokens, split, ones)
        nats = found.intervals(seed=1, resamples=10)["nats_per_token"]
        assert nats.value == 1
        assert (found.tokens.sum(), nats.count) == (part.tokens.size, len(part))


def test_likelihood_and_accuracy_take_one_pass(tokens, settings_of):
    shape = ArraySpec(width=4, vocabulary=len(tokens.codec["vocabulary"]))
    scorer = scorer_of(build("lstm", settings_of().model, shape).eval(), "lstm")
    passes = []

    class Counting:
        kind = "exact"

        def score(self, batch, given=None):
            passes.append("score")
            return scorer.score(batch, given)

        def predict(self, batch, given=None):
            passes.append("predict")
            return scorer.predict(batch, given)

    found, predicted = score_and_predict(Counting(), tokens, "test", seed=1, resamples=10)
    assert set(passes) == {"predict"}
    alone = score_split(scorer, tokens, "test")
    np.testing.assert_array_equal(found.nats, alone.nats)
    mean = alone.nats.sum() / alone.tokens.sum()
    assert predicted["perplexity"].value == pytest.approx(math.exp(mean), rel=1e-6)


def test_the_units_are_what_their_names_say(tokens):
    tiny = token_set([[0]], [[0, 1, 2], [1]], 3, notes=5, quarters=2.5)
    costs = {0: np.array([[1.0], [2.0], [3.0], [99.0]]), 1: np.array([[4.0]])}  # 99: padding
    result = scored(tiny, "test", costs)
    found = result.intervals(seed=1, resamples=10)
    assert found["nats_per_token"].value == pytest.approx(10 / 4)
    assert found["nats_per_note"].value == pytest.approx(10 / 10)
    assert found["bits_per_quarter"].value == pytest.approx(10 / math.log(2) / 5)
    assert found["nats_per_token"].low <= 10 / 4 <= found["nats_per_token"].high
    together = result.intervals(seed=1, resamples=10, groups=np.array(["a", "a"]))
    assert together["nats_per_token"].groups == 1
    grid = scored(tokens, "test", {})
    assert grid.quarters.tolist() == [16.0, 16.0]
    assert grid.tokens.tolist() == [256, 256]


def test_bar_lines_and_ends_are_counted_apart(tmp_path, chorale):
    representation = Grid(bars=True, end=True, meters=("4/4",))
    pieces = [chorale(seed) for seed in range(3)]
    splits = ("train", "valid", "test")
    entries = [Entry(p, split, p.id, p.id) for p, split in zip(pieces, splits, strict=True)]
    origin = {"licence": "none", "citation": "none", "url": "none"}
    write_encoding(tmp_path / "made", "made", entries, representation, origin)
    tokens = open_tokens(tmp_path / "made")
    piece = tokens.splits["test"].tokens_of(0)
    assert piece.shape == (65, 5)  # four bars of 4/4 and the row that ends them
    costs = np.arange(piece.size, dtype=float).reshape(piece.shape)
    result = scored(tokens, "test", {0: costs})
    assert result.voice_cells.tolist() == [64 * 4]
    assert result.voice_nats.tolist() == [costs[:64, 1:].sum()]
    units = result.intervals(seed=1, resamples=10)
    assert units["nats_per_voice_cell"].value == pytest.approx(costs[:64, 1:].mean())
    assert units["nats_per_voice_cell_with_bars"].value == pytest.approx(costs.sum() / 256)
    for name, baseline in score_baselines(tokens, "test").items():
        assert 0 < baseline.voice_nats[0] < baseline.nats[0], name


def test_a_likelihood_that_is_no_number_names_its_piece(tokens, settings_of):
    shape = ArraySpec(width=4, vocabulary=len(tokens.codec["vocabulary"]))
    model = build("lstm", settings_of().model, shape)
    with torch.no_grad():
        model.chain.bias_WV[:] = torch.nan
    with pytest.raises(ValueError, match=r"test piece chorale-9: the likelihood is nan"):
        score_split(model, tokens, "test")


def test_baselines_of_one_column_are_what_a_hand_counts():
    # after nothing: 0; after 0: 1, 1; after 1: 1, 2, 0; context 2 ends a piece
    tiny = token_set([[0, 1, 1, 2], [0, 1, 0]], [[1, 2, 2]], 3)
    results = score_baselines(tiny, "test")
    assert list(results) == ["uniform", "unigram", "bigram", "ngram", "copy"]
    assert results["uniform"].nats.tolist() == pytest.approx([3 * math.log(3)])
    unigram = cost(3, 7, 3) + 2 * cost(1, 7, 3)  # 0 three times, 1 three times, 2 once
    assert results["unigram"].nats.tolist() == pytest.approx([unigram])
    # 1 at the beginning (2 pieces, both 0), 2 after 1, 2 after 2 (a context never seen)
    bigram = cost(0, 2, 3) + cost(1, 3, 3) + math.log(3)
    assert results["bigram"].nats.tolist() == pytest.approx([bigram])


def test_columns_are_counted_apart_and_hold_knows_who_moved():
    train = [[[0, 1], [0, 1], [1, 0], [1, 0], [1, 0]]]
    test = [[[0, 1], [1, 1]]]
    results = score_baselines(token_set(train, test, 2), "test")
    assert list(results)[:4] == ["uniform", "unigram", "bigram", "bigram_in_beat"]
    left, right = 2 / 5, 2 / 5  # shares of 0 in the left column and of 1 in the right one
    expected = sum(
        -math.log((5 * share + ALPHA) / (5 + 2 * ALPHA)) for share in (left, right, 1 - left, right)
    )
    assert results["unigram"].nats.tolist() == pytest.approx([expected])
    bigram = 2 * cost(1, 1, 2) + cost(1, 2, 2) + cost(1, 2, 2)
    assert results["bigram"].nats.tolist() == pytest.approx([bigram])
    # at step 1 of the beat, after 0, train held 0; the right column then saw nobody move,
    # so "the left one moved" is a context of its own that was never seen
    hold = 2 * cost(1, 1, 2) + cost(0, 1, 2) + math.log(2)
    assert results["bigram_in_beat"].nats.tolist() == pytest.approx([hold])


@pytest.mark.parametrize("name", ["unigram", "bigram", "bigram_in_beat", "hold", "ngram", "copy"])
def test_the_probabilities_of_a_baseline_add_up_to_one(name):
    """Over all continuations by one symbol, whether their context was seen or not."""
    rng = np.random.default_rng(0)
    train = [rng.integers(0, 3, (20, 2)) for _ in range(3)]
    begin = rng.integers(0, 3, (6, 2))
    ends = [np.vstack([begin, [[a, b]]]) for a in range(3) for b in range(3)]
    nats = score_baselines(token_set(train, ends, 3), "test")[name].nats
    before = score_baselines(token_set(train, [begin], 3), "test")[name].nats[0]
    assert np.exp(before - nats).sum() == pytest.approx(1.0)


def test_better_contexts_help_on_music_that_goes_on(chorale):
    grid = Grid()
    pieces = [grid.encode(chorale(seed)) for seed in range(90)]
    results = score_baselines(token_set(pieces[:80], pieces[80:], len(grid.vocabulary)), "test")
    totals = {name: result.nats.sum() for name, result in results.items()}
    assert totals["bigram_in_beat"] < totals["bigram"] < totals["unigram"] < totals["uniform"]
    assert totals["ngram"] < totals["bigram"]
    assert totals["bigram"] < totals["hold"] < totals["unigram"]


@pytest.fixture(scope="module")
def evaluated(model_folder, tokens, reference_folder, tmp_path_factory):
    """Samples, one of them failed, and their evaluation."""
    folder = tmp_path_factory.mktemp("evaluated")
    generator = Generator.load(model_folder)
    samples = generator.generate(Request(bars=4, n=3))
    failed = replace(samples[2], piece=None, row=samples[2].row | {"failed": "why"})
    write_samples(folder / "samples" / "lstm", "lstm", [*samples[:2], failed])
    details = evaluate(
        folder / "evaluation", model_folder, tokens, reference_folder, folder / "samples" / "lstm"
    )
    return folder, details


SETTINGS = EvaluationSettings(resamples=20, seed=1)


def evaluate(out, model_folder, tokens, reference_folder, samples_folder):
    samples = read_samples(samples_folder)
    trained = load_trained(model_folder)
    scorer = scorer_of(trained.model, trained.card["family"])
    results, context = run_measures(
        samples,
        trained,
        scorer,
        tokens,
        model=model_folder,
        reference=reference_folder,
        settings=SETTINGS,
    )
    rows = [row for row, _ in samples]
    return write_results(out, results, context, rows, model_folder)


def test_the_metrics_of_a_system_are_whole_and_written_as_returned(evaluated, model_folder):
    folder, details = evaluated
    stored = json.loads((folder / "evaluation" / "details.json").read_text())
    assert stored == json.loads(json.dumps(details))
    counts = details["samples"]
    assert (counts["count"], counts["failed"], counts["quarters"]) == (3, 1, 8)
    assert counts["compared"] == 2
    card = json.loads((model_folder / "model.json").read_text())
    values = details["measures"]["likelihood"]["values"]
    assert values["valid/nats_per_token"]["value"] == pytest.approx(
        card["best_valid_loss"], abs=2e-6
    )
    for split in ("valid", "test"):
        for name in ("value", "low", "high"):
            perplexity = math.exp(values[f"{split}/nats_per_token"][name])
            assert values[f"{split}/perplexity"][name] == pytest.approx(perplexity, rel=1e-6)
        accuracy = values[f"{split}/accuracy"]
        assert 0 < accuracy["low"] <= accuracy["value"] <= accuracy["high"] < 1
    rows = list(csv.DictReader((model_folder / "history.csv").read_text().splitlines()))
    best = min(rows, key=lambda row: float(row["valid_loss"]))
    accuracy = values["valid/accuracy"]["value"]
    assert accuracy == pytest.approx(float(best["valid_accuracy"]), abs=1e-6)
    assert set(values["test/nats_per_token"]["beside"]) >= {"uniform", "unigram", "bigram"}


def test_values_of_single_pieces_give_the_figures_back(evaluated):
    folder, details = evaluated
    listed = (folder / "evaluation" / "pieces.csv").read_text().splitlines()
    rows = list(csv.DictReader(listed))
    for measure, kind, name, figure in (
        ("likelihood", "test", "nats_per_note", "test/nats_per_note"),
        ("features", "samples", "note_density", "note_density"),
        ("part_writing", "samples", "notes_per_bar", "notes_per_bar"),
        ("part_writing", "samples", "held", "held"),
        ("tracks", "samples", "empty_bars_bass", "empty_bars_bass"),
        ("form", "samples", "cadences", "cadences"),
    ):
        own = [r for r in rows if (r["measure"], r["set"], r["name"]) == (measure, kind, name)]
        values, weights = (np.array([float(r[key]) for r in own]) for key in ("value", "weight"))
        found = details["measures"][measure]["values"][figure]["value"]
        known = ~np.isnan(values)
        values, weights = values[known], weights[known]
        assert (values * weights).sum() / weights.sum() == pytest.approx(found, rel=1e-4)
    sets = [r["set"] for r in rows if (r["measure"], r["name"]) == ("features", "note_density")]
    counts = {name: sets.count(name) for name in ("samples", "held_out", "train")}
    assert counts == {"samples": 2, "held_out": 4, "train": 6}  # a training piece is shorter


def test_trivial_samples_stand_beside_the_headlines_of_their_measures(evaluated):
    measures = evaluated[1]["measures"]
    kinds = {
        (measure, name): set(figure.get("trivial", ()))
        for measure, result in measures.items()
        for name, figure in result["values"].items()
        if figure.get("is_headline")
    }
    assert kinds["originality", "copied_share"] == set(trivial.KINDS)
    assert kinds["two_sample", "features_accuracy"] == set(trivial.KINDS)
    assert not kinds["likelihood", "test/nats_per_token"]
    copies = measures["originality"]["values"]["copied_share"]["trivial"]["copied training pieces"]
    assert copies["value"] == 1.0
    rolled = measures["part_writing"]["values"]["triads"]
    assert rolled["trivial"]["random pitches"]["value"] < rolled["reference"]["value"]


def test_the_numbers_that_dvc_compares_are_few_and_those_of_the_details(evaluated, model_folder):
    folder, details = evaluated
    numbers = json.loads((folder / "evaluation" / "metrics.json").read_text())
    columns = {"failed", "nats", "features", "network", "fifths", "cadences", "copied"}
    assert {"failed", "nats"} <= set(numbers) <= columns
    assert numbers["failed"] == 1
    exact = details["measures"]["likelihood"]["values"]
    assert "test/nats_per_voice_cell" not in exact, "its columns are the voices alone"
    assert numbers["nats"] == pytest.approx(exact["test/nats_per_token"]["value"], rel=1e-3)
    assert (folder / "evaluation" / "curve.csv").read_bytes() == (
        model_folder / "history.csv"
    ).read_bytes()


def test_columns_and_distances_of_any_measure():
    floor = Interval(2.0, 1.0, 3.0)
    figures = {
        "near": Figure(3.0, direction="lower", floor=floor),
        "far": Figure(5.0, direction="lower", floor=floor, is_bound=True),
        "no better": Figure(7.0, floor=floor),
        "floor by 0": Figure(3.0, direction="lower", floor=Interval(0.01, -0.1, 0.2)),
        "unknown": Figure(math.nan, direction="lower", floor=floor),
    }
    columns = {"far": "far", "unknown": "not defined", "absent": "not measured"}
    results = {"any": Result(figures, columns=columns)}
    assert few(results, failed=0) == {"failed": 0, "far_bound": 5.0}
    assert distances(results) == [
        {"figure": "any/near", "distance": "1.5"},
        {"figure": "any/far", "distance": "2.5"},
    ]


def test_missing_and_damaged_samples_are_named(evaluated, tmp_path):
    import shutil

    with pytest.raises(MissingInput, match=r"samples\.json is missing.*dvc repro sample@lstm"):
        read_samples(tmp_path / "lstm")
    shutil.copytree(evaluated[0] / "samples" / "lstm", tmp_path / "lstm")
    path = tmp_path / "lstm" / "unconditional-1.mid"
    path.write_bytes(b"not music")
    with pytest.raises(DamagedFile, match=r"unconditional-1\.mid cannot be read"):
        read_samples(tmp_path / "lstm")
    path.unlink()
    with pytest.raises(MissingInput, match=r"unconditional-1\.mid is missing; make it with"):
        read_samples(tmp_path / "lstm")


@pytest.mark.long
def test_a_reference_of_other_tokens_is_refused(reference_folder, tokens):
    from ostinato.evaluation.reference import read_real_music

    with pytest.raises(DamagedFile, match=r"was made of other tokens.*dvc repro reference@"):
        read_real_music(reference_folder, replace(tokens, digest="other"), None)
    with pytest.raises(MissingInput, match="dvc repro reference@"):
        read_real_music(reference_folder / "none", tokens, None)
