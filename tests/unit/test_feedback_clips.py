"""Clips that cannot be used are counted; with the corpus as referee, rates of many clips decide."""

from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ostinato.feedback.clips import LEAST, PLAIN, draw_clips
from ostinato.feedback.rates import Rates, rates_of
from ostinato.feedback.reward import padded
from ostinato.feedback.settings import ClipSettings
from ostinato.feedback.statistics import counts_of
from ostinato.models.policy.parts.expected import expected_of, parallel_choices
from ostinato.models.registry import build
from ostinato.models.spec import PAD, ArraySpec
from ostinato.representations.registry import build as build_representation
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.registry import sampler_of
from ostinato.sampling.request import EncodedPiece
from ostinato.sampling.sampler import Made


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


def test_the_choices_that_make_parallels_are_those_that_are_counted(chorale, tokens):
    representation = build_representation(tokens.codec["representation"])
    arrays = [representation.encode(chorale(n)) for n in range(8)]
    rows, spec = padded(arrays), ArraySpec.of(tokens.codec)
    order = (0, *reversed(range(1, spec.width))) if spec.width == 5 else range(spec.width)
    mask = parallel_choices(rows, spec.voices, order, spec.vocabulary)
    made = mask.gather(-1, rows.clamp(min=0)[..., None])[..., 0] & (rows != PAD)
    counts = counts_of([representation.decode(array) for array in arrays], ["parallels"])
    assert counts[..., 0].sum() > 0
    # a voice that is parallel to two others at once is counted twice there
    assert made.sum(dim=(1, 2)).numpy() == pytest.approx(counts[:, 0, 0], abs=1)
    assert not (made.sum(dim=(1, 2)).numpy() > counts[:, 0, 0]).any()


def test_what_is_expected_of_a_model_moves_with_its_weights(tokens, chorale):
    spec = ArraySpec.of(tokens.codec)
    torch.manual_seed(1)
    settings = {"width": 16, "voice_hidden": 16, "layers": 1, "dropout": 0.0}
    settings |= {"pair_tables": True}
    model, base = (build("lstm", settings, spec) for _ in range(2))
    base.load_state_dict(model.state_dict())
    representation = build_representation(tokens.codec["representation"])
    plain = asdict(Decoding()) | {"particles": 64}
    able = sampler_of(model, representation, "lstm").capabilities()
    assert plain | able.options | PLAIN == plain, "clips are drawn from the model as it is"
    rows = padded([representation.encode(chorale(n)) for n in range(4)])
    found = expected_of(model, base, rows)
    assert found.kl.tolist() == pytest.approx([0.0] * 4, abs=1e-5)
    assert (found.parallels > 0).all()
    found.parallels.sum().backward()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.grad is not None:
                weight -= 0.05 * weight.grad.sign()
    after = expected_of(model, base, rows)
    assert after.parallels.sum() < 0.9 * found.parallels.sum()
    assert (after.kl > 0).all()
