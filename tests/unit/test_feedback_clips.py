"""Clips that cannot be used are counted; with the corpus as referee, rates of many clips decide."""

from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ostinato.evaluation.measures import learning
from ostinato.evaluation.measures import tuning as tuning_measure
from ostinato.feedback.clips import LEAST, PLAIN, draw_clips
from ostinato.feedback.rates import Rates, rates_of
from ostinato.feedback.reward import padded
from ostinato.feedback.settings import ClipSettings
from ostinato.feedback.statistics import beats_of, counts_of
from ostinato.models.policy.parts.expected import EXPECTED, Expectations
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.representations.registry import build as build_representation
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.registry import sampler_of
from ostinato.sampling.request import EncodedPiece
from ostinato.sampling.sampler import Made
from ostinato.training.policy import chords, leave_one_out

SMALL = {"width": 16, "voice_hidden": 16, "layers": 1, "dropout": 0.0, "pair_tables": True}


def test_clips_that_cannot_be_used_are_counted_by_their_reason(tokens):
    array = np.asarray(tokens.splits["train"].tokens_of(1), dtype=np.int32)
    representation = build_representation(tokens.codec["representation"])
    whole = Made(array, nats=np.ones(array.shape))
    faulty = [replace(whole, failed="too long"), replace(whole, tokens=array[:LEAST]), whole]
    sampler = SimpleNamespace(
        capabilities=lambda: SimpleNamespace(options={}), sample=lambda jobs: faulty[: len(jobs)]
    )
    prompts = [EncodedPiece("p", array, tokens.codec)]
    settings = ClipSettings(prompt_bars=1, bars=1)
    drawn = draw_clips(sampler, representation, prompts, settings, each=3, seed=1)
    reasons = {"fewer than 2 positions after the prompt": 1, "too long": 1}
    assert (len(drawn), drawn.aside) == (1, reasons)
    with pytest.raises(ValueError, match="no clip of 2 can be used: 1 clips: too long"):
        draw_clips(sampler, representation, prompts, settings, each=2, seed=1)


def test_the_referee_wants_the_rates_of_the_corpus_and_fewer_moves_are_no_remedy(chorale):
    clips, corpus = [chorale(n) for n in range(6)], [chorale(n) for n in range(6, 12)]
    referee = Rates.fitted({"parallels": 1.0, "range": 0.5}, clips, corpus)
    assert referee.of(clips).mean() == pytest.approx(0, abs=1e-9)
    assert referee.of(clips).std() == pytest.approx(1)
    counts = counts_of(clips, ["parallels", "range"])
    near = referee._parts(counts, np.array(referee.corpus))
    assert near == pytest.approx(np.zeros_like(near))
    now, few = rates_of(counts), counts.copy()
    few[:, 0] *= 0.5  # half of the moves, with half of the parallels
    assert referee._parts(few, now)[:, 0].sum() == pytest.approx(0, abs=1e-9)
    high, mended = now + np.array([0.01, 0.0]), counts.copy()
    mended[:, 0, 0] = 0.0
    gain = (referee._parts(mended, high) - referee._parts(counts, high))[:, 0]
    assert (gain >= 0).all()
    assert gain.sum() > 0, "some of these pieces have parallels"


def test_what_is_expected_of_the_music_itself_is_what_is_counted(chorale, tokens):
    representation = build_representation(tokens.codec["representation"])
    arrays = [representation.encode(chorale(n)) for n in range(8)]
    pieces = [representation.decode(array) for array in arrays]
    rows, beats = padded(arrays), torch.from_numpy(beats_of(pieces, max(map(len, arrays))))
    model = build("lstm", SMALL, ArraySpec.of(tokens.codec))
    expectations = Expectations(model, EXPECTED, chords())
    expectations.fit(rows, beats)
    voices = slice(expectations.voices.first, expectations.voices.end)
    certain = torch.nn.functional.one_hot(rows.clamp(min=0), expectations.symbols)
    certain = certain.float()[..., voices, :]
    found = expectations.counts(certain, rows, beats)
    counts = counts_of(pieces, list(EXPECTED)).sum(axis=0)
    for name, count in zip(EXPECTED, counts.tolist(), strict=True):
        assert found[name].tolist() == pytest.approx(count), name
        assert count[1] > 0, name


def test_what_is_expected_of_a_model_moves_with_its_weights(tokens, chorale):
    spec = ArraySpec.of(tokens.codec)
    torch.manual_seed(1)
    model, base = (build("lstm", SMALL, spec) for _ in range(2))
    base.load_state_dict(model.state_dict())
    representation = build_representation(tokens.codec["representation"])
    plain = asdict(Decoding()) | {"particles": 64}
    able = sampler_of(model, representation, "lstm").capabilities()
    assert plain | able.options | PLAIN == plain, "clips are drawn from the model as it is"
    arrays = [representation.encode(chorale(n)) for n in range(4)]
    rows = padded(arrays)
    pieces = [representation.decode(array) for array in arrays]
    beats = torch.from_numpy(beats_of(pieces, rows.shape[1]))
    expectations = Expectations(model, EXPECTED, chords())
    expectations.fit(rows, beats)
    found = expectations.of(model, base, rows, beats)
    assert found.kl.tolist() == pytest.approx([0.0] * 4, abs=1e-5)
    for name, wanted in (("parallels", 0.97), ("turns", 0.99), ("triads", 1.03)):
        model.load_state_dict(base.state_dict())
        model.zero_grad()
        before = rate(expectations.of(model, base, rows, beats), name)
        (before if wanted < 1 else -before).backward()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.grad is not None:
                    weight -= 0.01 * weight.grad.sign()
        now = expectations.of(model, base, rows, beats)
        after = rate(now, name) / before
        assert (after < wanted) if wanted < 1 else (after > wanted), name
        assert (now.kl > 0).all()


def rate(found, name):
    above, below = found.counts[name]
    return above / below


def test_the_measure_is_of_the_kept_weights_and_says_what_is_simulated():
    history = [
        {"step": "20", "valid_kl": "1.0", "valid_second": "0.2", "valid_nats_per_token": "0.3"},
        {"step": "40", "valid_kl": "2.0", "valid_second": "0.4", "valid_second_low": "0.1"},
    ]
    card = {"best_step": 40, "model": {"base": {"simulated": True}}}
    found = tuning_measure.measure(SimpleNamespace(card=card, history=history)).values
    assert (found["kl"].value, found["second"].value, found["second"].low) == (2.0, 0.4, 0.1)
    assert all("simulated preferences" in figure.label for figure in found.values())
    shown = learning.measure(SimpleNamespace(card=card, history=history[:1])).series
    assert shown["validation"].tolist() == [[20.0, 0.3]]
    untuned = SimpleNamespace(card={"best_step": 40}, history=[{"step": "40"}])
    assert not tuning_measure.measure(untuned).values


def test_a_sample_is_compared_with_the_others_of_its_prompt():
    class Of:
        prompts = ("p", "q", "p", "p", "r")

    found = leave_one_out(np.array([1.0, 5.0, 2.0, 6.0, 9.0]), Of)
    assert found.tolist()[0] == pytest.approx(1 - 4)
    assert found.tolist()[2:4] == pytest.approx([2 - 3.5, 6 - 1.5])
    assert found[[1, 4]].tolist() == [0.0, 0.0]  # nothing to compare with
