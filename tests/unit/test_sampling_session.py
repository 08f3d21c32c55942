"""Sessions: bar by bar, the tokens are those of the batch, whatever the bars and the neighbours."""

import numpy as np
import pytest
import torch

from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.music.piece import cut
from ostinato.representations.registry import build as build_representation
from ostinato.representations.store import codec_of
from ostinato.sampling.autoregressive.sampler import Sampler
from ostinato.sampling.request import Continue, Fill, Region, Request
from ostinato.sampling.sampler import Job

BARS = 3
REPRESENTATIONS = {
    "grid": {"kind": "grid"},
    "held": {"kind": "grid", "hold": True},
    "bars": {"kind": "grid", "bars": True, "end": True, "meters": ["4/4", "3/4"]},
    "flat": {"kind": "grid_flat"},
    "roll": {"kind": "roll", "lowest": 40, "keys": 37},
    "remi": {"kind": "events", "scheme": "remi"},
    "midi_like": {"kind": "events", "scheme": "midi_like"},
}
FAMILIES = ("lstm", "gpt", "gpt2", "music_transformer")


def sampler_of(settings_of, name, family="lstm"):
    representation = build_representation(REPRESENTATIONS[name])
    torch.manual_seed(0)
    spec = ArraySpec.of(codec_of(representation))
    settings = settings_of(family).model
    if spec.width == 1:
        settings = {k: v for k, v in settings.items() if k not in ("pitch_range", "periods")}
    if "context" in settings:
        settings = settings | {"context": 128}  # a prompt of a bar has up to 64 positions
    if name == "roll":
        settings = {k: v for k, v in settings.items() if k not in ("pitch_range", "held_steps")}
    return Sampler(build(family, settings, spec), representation)


def jobs_of(chorale, count=3):
    """A piece from nothing, one with a prompt, and others beside them."""
    options = {"top_p": 0.9}
    alone = Request(bars=BARS, options=options, n=count - 1)
    prompted = Request(task=Continue(chorale(1), 1), bars=BARS, options=options)
    jobs = [Job(alone, number, seed) for number, seed in enumerate(range(5, 4 + count))]
    return [*jobs, Job(prompted, 0, 3)]


# every form with one family, and with each other one those whose extent ends in another way
STREAMS = [("lstm", name) for name in REPRESENTATIONS if name != "roll"] + [("gpt", "roll")]
STREAMS += [(family, name) for family in FAMILIES[1:] for name in ("bars", "flat", "remi")]


@pytest.mark.long
@pytest.mark.parametrize(("family", "name"), STREAMS)
def test_a_stream_gives_the_tokens_of_the_batch(settings_of, chorale, name, family):
    sampler = sampler_of(settings_of, name, family)
    jobs = jobs_of(chorale)
    for job, whole, bars in zip(jobs, sampler.sample(jobs), (1, 3, 2), strict=True):
        session, before = sampler.session(job), 0
        for _ in range(0, BARS, bars):
            made = session.advance(bars)
            assert len(made.tokens) >= before
            assert np.array_equal(made.tokens, whole.tokens[: len(made.tokens)])
            assert made.nats == pytest.approx(whole.nats[: len(made.nats)], abs=1e-4)
            assert made.failed is None
            before = len(made.tokens)
        assert np.array_equal(session.advance(BARS).tokens, whole.tokens)


@pytest.mark.parametrize("name", ["grid", "flat"])
def test_an_advance_ends_at_its_bar_line(settings_of, chorale, name):
    sampler = sampler_of(settings_of, name)
    session = sampler.session(jobs_of(chorale)[0])
    for bars in (1, 2):
        piece = sampler.representation.decode(session.advance(1).tokens)
        assert 4 * (bars - 1) < piece.quarters <= 4 * bars


@pytest.mark.parametrize("name", ["grid", "held", "flat", "roll", "remi"])
def test_a_players_bars_are_kept_and_change_what_follows(settings_of, chorale, name):
    sampler = sampler_of(settings_of, name)
    job = jobs_of(chorale)[0]
    session, other = sampler.session(job), sampler.session(job)
    for one, piece in ((session, chorale(2)), (other, chorale(3))):
        played = cut(piece, 0, 4 * 480)
        before = one.advance(1).tokens
        one.hear(played)
        heard = one.advance(1).tokens
        assert np.array_equal(heard[: len(before)], before)
        made = sampler.representation.decode(heard)
        again = cut(made, made.ticks_per_quarter * 4, made.ticks_per_quarter * 8)
        expected = sampler.representation.quantize(played).piece
        assert again.notes["pitch"].tolist() == expected.notes["pitch"].tolist()
    assert not np.array_equal(session.advance(1).tokens, other.advance(1).tokens)
    with pytest.raises(ValueError, match="no room left"):
        session.hear(chorale(4))


def test_a_players_bar_begins_with_a_bar_line_that_fits(settings_of, chorale):
    """The meter is named only where it is another one than before."""
    sampler = sampler_of(settings_of, "bars")
    grid, played = sampler.representation, cut(chorale(2), 0, 4 * 480)
    rows = grid.encode(played)[:-1]
    for seed in range(4):
        session = sampler.session(Job(Request(bars=BARS, min_bars=BARS), 0, seed))
        before = session.advance(1).tokens
        session.hear(played)
        heard = session.advance(1).tokens[len(before) : len(before) + len(rows)]
        assert np.array_equal(heard[:, 1:], rows[:, 1:])
        meters = {meter.numerator for meter in grid.decode(before).meters}
        expected = "bar" if meters == {4} else "bar_4/4"
        assert meters == {3, 4} or grid.vocabulary[heard[0, 0]] == expected
        assert np.array_equal(heard[1:, 0], rows[1:, 0])


def test_a_session_says_what_it_cannot_do(settings_of, chorale):
    sampler = sampler_of(settings_of, "grid")
    gap = Request(task=Fill(chorale(1), Region(bars=(1, 2))), bars=BARS)
    with pytest.raises(ValueError, match="cannot be filled bar by bar"):
        sampler.session(Job(gap, 0, 1))
    session = sampler.session(jobs_of(chorale)[0])
    with pytest.raises(ValueError, match="bars=0 must be at least 1"):
        session.advance(0)
    with pytest.raises(ValueError, match="no bar lines"):
        sampler_of(settings_of, "midi_like").session(jobs_of(chorale)[0]).hear(chorale(1))
