"""Time is counted as the representation counts it, all at once and event by event."""

from pathlib import Path

import pytest
import torch
import yaml

from ostinato.models.autoregressive.parts.musical_time import Clock
from ostinato.models.spec import ArraySpec, Timing
from ostinato.music.piece import VOICES, Meter, Piece, Tempo, Track, make_notes
from ostinato.representations.events.events import _vocabulary
from ostinato.representations.events.parts.clock import read_clock
from ostinato.representations.registry import build
from ostinato.representations.store import codec_of

FOLDER = Path(__file__).parents[2] / "conf" / "representation"
NAMES = ("remi", "midi_like", "band", "drums", "piano")
PIECE = Piece(  # 4/4, 3/4 from step 32 on, 6/8 from step 44; a bar of silence
    id="a",
    ticks_per_quarter=4,
    notes=make_notes(
        [
            (voice, onset, length, 60 - 5 * voice, 80)
            for voice in range(4)
            for onset, length in ((0, 4), (6, 3), (16, 40), (33, 2), (60, 1), (70, 9))[voice:]
        ]
    ),
    tracks=tuple(Track(role=voice) for voice in VOICES),
    meters=(Meter(0, 4, 4), Meter(32, 3, 4), Meter(44, 6, 8)),
    tempos=(Tempo(0, 90.0),),
)


def representation_of(name):
    options = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    meters = {"meters": sorted({*options.get("meters", []), "3/4", "4/4", "6/8"})}
    voices = {"voices": list(VOICES) if options["voices"] else [], "programs": []}
    return build(options | meters | voices)


def clock_of(representation):
    return Clock(ArraySpec.of(codec_of(representation)).timing)


def steps_of(clock, symbols_BT):
    now = clock.begin(len(symbols_BT))
    return torch.stack([clock.step(symbol_B, now) for symbol_B in symbols_BT.unbind(1)], dim=1)


@pytest.mark.parametrize("name", NAMES)
def test_the_clock_is_that_of_the_representation(name):
    representation = representation_of(name)
    tokens = representation.encode(PIECE)
    ends = range(1, len(tokens) + 1)
    expected = [read_clock(_vocabulary(representation), tokens[:end]).time for end in ends]
    assert max(expected) >= 70
    times = clock_of(representation)(torch.from_numpy(tokens[:, 0])[None].long())[0]
    assert (times - times[0]).tolist() == [time - expected[0] for time in expected]


@pytest.mark.parametrize("name", ["remi", "midi_like"])
def test_a_crop_keeps_differences_once_a_meter_was_told(name):
    representation = representation_of(name)
    tokens = torch.from_numpy(representation.encode(PIECE)[:, 0])[None].long()
    clock = clock_of(representation)
    whole = clock(tokens)
    for start in range(1, tokens.shape[1]):
        crop = clock(tokens[:, start:])
        assert (crop.diff() >= 0).all(), "time never goes back"
        told = clock.meter[tokens[0, start:]] > 0
        first = int(told.long().argmax()) if name == "remi" and told.any() else 0
        if name == "midi_like" or told.any():
            differences = crop[:, first:] - crop[:, first : first + 1]
            there = whole[:, start + first :] - whole[:, start + first : start + first + 1]
            assert torch.equal(differences, there)


def test_event_by_event_is_all_at_once_for_whatever_symbols():
    timing = Timing(
        shift=(0, 1, 3, 0, 0, 0, 0, 0),
        bar=(0, 0, 0, 1, 0, 0, 0, 0),
        meter=(0, 0, 0, 0, 4, 6, 0, 0),
        place=(-1, -1, -1, 0, -1, -1, 2, 5),
    )
    clock = Clock(timing)
    symbols = torch.randint(9, (5, 200), generator=torch.Generator().manual_seed(1))
    symbols[:, 0] = 8  # before the piece
    assert torch.equal(steps_of(clock, symbols), clock(symbols))
    by_hand, start, bar, place = [], 0, 6, 0
    for symbol in symbols[0].tolist():
        start += {1: 1, 2: 3, 3: bar}.get(symbol, 0)
        bar = {4: 4, 5: 6}.get(symbol, bar)
        place = {3: 0, 6: 2, 7: 5}.get(symbol, place)
        by_hand.append(start + place)
    assert clock(symbols)[0].tolist() == by_hand


def test_a_clock_goes_on_with_these_of_the_sequences():
    clock = clock_of(representation_of("remi"))
    symbols = torch.randint(40, (3, 30), generator=torch.Generator().manual_seed(2))
    now = clock.begin(3)
    for symbol_B in symbols[:, :20].unbind(1):
        clock.step(symbol_B, now)
    chosen = torch.tensor([2, 2, 0, 1])
    now.select(chosen)
    later = torch.stack([clock.step(one_B, now) for one_B in symbols[chosen, 20:].unbind(1)], dim=1)
    assert torch.equal(later, clock(symbols)[chosen, 20:])


def test_grids_tell_no_times_and_a_table_of_another_vocabulary_is_refused():
    grid = build(yaml.safe_load((FOLDER / "grid.yaml").read_text(encoding="utf-8")))
    assert "timing" not in codec_of(grid)
    assert ArraySpec.of(codec_of(grid)).timing is None
    codec = codec_of(representation_of("remi"))
    codec["vocabulary"] = codec["vocabulary"][:-1]
    with pytest.raises(ValueError, match="shift of 146 symbols, the vocabulary has 145"):
        ArraySpec.of(codec)
