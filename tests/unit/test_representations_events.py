"""Events of every kind of music: bands, drums, silent roles, wild pieces; MidiTok as reference."""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostinato.music.piece import VOICES, Annotation, Meter, Piece, Track, make_notes, same_music
from ostinato.representations.events.events import Events, _vocabulary
from ostinato.representations.events.parts.miditok import score_of, tokenizer
from ostinato.representations.protocol import REASONS, Extent, Unencodable
from ostinato.representations.registry import build

FOLDER = Path(__file__).parents[2] / "conf" / "representation"
NEW = ("band", "drums", "lead", "piano", "pop", "score", "tracks", "trio")
FILES = {name: yaml.safe_load((FOLDER / f"{name}.yaml").read_text()) for name in NEW}
ALL = {name: build(options) for name, options in FILES.items()}
ALL |= {
    "midi_like_band": build(FILES["band"] | {"scheme": "midi_like", "max_quarters": 2}),
    "midi_like_drums": build(FILES["drums"] | {"scheme": "midi_like"}),
    "all_needed": build({"kind": "events", "voices": ["drums", "bass"], "highest": 90}),
}
ROLES = ("melody", "bridge", "piano", "chords", "bass", "drums", "guitar", "")
METERS = [(4, 4), (3, 4), (1, 4), (6, 8), (7, 8), (5, 4), (4, 2), (3, 8)]
few = settings(
    max_examples=min(25, settings.default.max_examples),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
each = pytest.mark.parametrize("name", ALL)


@st.composite
def wild_pieces(draw):
    """Any number of tracks, roles twice, drums, silence, any pitch, far onsets, odd meters."""
    tpq = draw(st.sampled_from([1, 24, 220, 480]))
    roles = draw(st.lists(st.sampled_from(ROLES), max_size=20))
    tracks = [Track(role=role, is_drum=role == "drums") for role in roles]
    far = st.just(2**31 - 2000) if draw(st.integers(0, 9)) == 0 else st.nothing()
    note = st.tuples(
        st.integers(0, max(0, len(tracks) - 1)),
        st.integers(0, 12 * tpq) | far,
        st.integers(0, 3 * tpq) | st.just(40 * tpq),
        st.integers(36, 39) | st.integers(30, 80) | st.integers(0, 127),
        st.integers(1, 127),
    )
    fewest = draw(st.sampled_from([0, 6, 6]))
    notes = draw(st.lists(note, min_size=fewest, max_size=25)) if tracks else []
    odd = [(13, 16)] if draw(st.integers(0, 9)) == 0 else []
    meter = st.tuples(st.integers(0, 20 * tpq), st.sampled_from(METERS + odd))
    changes = dict(draw(st.lists(meter, max_size=3)))
    return Piece(
        id="wild",
        ticks_per_quarter=tpq,
        notes=make_notes(notes),
        tracks=tuple(tracks),
        meters=tuple(Meter(onset, *changes[onset]) for onset in sorted(changes)),
        annotations=tuple(Annotation(tpq * n, "bar") for n in draw(st.sampled_from([(), (1, 5)]))),
    )


def refusal(representation, piece):
    """Why a piece must be refused, found another way than the representation does."""
    roles = [track.role for track in piece.tracks]
    voices = representation.voices
    if voices and representation.needed == "all" and not set(voices) <= set(roles):
        return "voice missing"
    inside = [
        note
        for note in piece.notes
        if (roles[note["track"]] in voices if voices else not piece.tracks[note["track"]].is_drum)
    ]
    if not voices and not representation.merged and len({n["track"] for n in inside}) > 16:
        return "too many tracks"
    if not inside:
        return "no notes"
    if not all(representation.lowest <= n["pitch"] <= representation.highest for n in inside):
        return "pitch out of range"
    if any(int(n["onset"]) + int(n["duration"]) > 65536 * piece.ticks_per_quarter for n in inside):
        return "too long"
    return None


@each
@few
@given(piece=wild_pieces())
def test_any_piece_comes_back_as_it_was_quantized_or_is_refused_with_a_reason(name, piece):
    representation = ALL[name]
    try:
        found = representation.quantize(piece)
    except Unencodable as error:
        assert error.reason in REASONS
        allowed = {refusal(representation, piece), "meter not in the vocabulary"}
        assert error.reason in allowed
        return
    assert refusal(representation, piece) is None
    tokens = representation.encode(piece)
    decoded = representation.decode(tokens)
    assert same_music(decoded, found.piece)
    assert decoded.tracks == found.piece.tracks
    assert np.array_equal(representation.write(found.piece), tokens)
    again = representation.quantize(decoded)
    assert same_music(again.piece, decoded)
    assert again.dropped == {}
    counted = sum(n for reason, n in found.dropped.items() if "cut at" not in reason)
    assert len(found.piece.notes) + counted == len(piece.notes)


def by_miditok(representation, quantized):
    """MidiTok's own names for a quantized piece."""
    vocabulary = _vocabulary(representation)
    number = {meter: i for i, meter in enumerate(vocabulary.meters)}
    meters = [(m.onset, number[m.numerator, m.denominator]) for m in quantized.meters]
    miditok = tokenizer(
        representation.scheme,
        len(vocabulary.drums),
        (representation.lowest, representation.highest),
        representation.max_quarters * representation.steps_per_quarter,
        vocabulary.bar_steps,
    )
    score = score_of(vocabulary, quantized.notes, meters)
    return miditok.encode(score, no_preprocess_score=True).tokens


@each
@few
@given(piece=wild_pieces())
def test_tokens_are_those_that_miditok_writes(name, piece):
    representation = ALL[name]
    try:
        quantized = representation.quantize(piece).piece
    except Unencodable:
        return
    vocabulary = _vocabulary(representation)
    tokens = representation.write(quantized)[:, 0].tolist()
    assert tokens[-1] == 0
    assert " ".join(vocabulary.foreign[t] for t in tokens).split() == by_miditok(
        representation, quantized
    )


@each
@few
@given(piece=wild_pieces())
def test_the_meter_in_every_bar_is_that_of_the_piece(name, piece):
    """MidiTok's names tell meters apart only by the length of their bars."""
    representation = ALL[name]
    try:
        quantized = representation.quantize(piece).piece
    except Unencodable:
        return
    said = [representation.vocabulary[t] for t in representation.write(quantized)[:, 0]]
    meters = [token for token in said if token.startswith("meter_")]
    named = [f"meter_{m.numerator}/{m.denominator}" for m in quantized.meters]
    if representation.scheme == "remi":
        assert len(meters) == said.count("bar")
        meters = [m for i, m in enumerate(meters) if i == 0 or m != meters[i - 1]]
    assert meters == named


def played(*parts):
    """A piece of tracks, each a role and its (onset, duration, pitch) rows, in quarters."""
    tracks = tuple(Track(role=role, is_drum=role == "drums") for role, _ in parts)
    rows = [(i, *row, 80) for i, (_, notes) in enumerate(parts) for row in notes]
    return Piece(id="made", ticks_per_quarter=1, notes=make_notes(rows), tracks=tracks)


def words(name, piece):
    return " ".join(ALL[name].vocabulary[token] for token in ALL[name].encode(piece)[:, 0])


def test_drums_are_a_voice_with_pitches_of_their_own():
    piece = played(("bass", [(0, 1, 36)]), ("drums", [(0, 1, 36)]))
    assert words("trio", piece) == (
        "bar meter_4/4 position_0 voice_bass pitch_36 duration_4 voice_drums drum_36 duration_4 end"
    )
    assert words("midi_like_band", piece) == (
        "meter_4/4 voice_bass note_on_36 voice_drums drum_on_36 "
        "time_shift_12 voice_bass note_off_36 voice_drums drum_off_36 end"
    )
    tokens = ALL["trio"].shift(5)[ALL["trio"].encode(piece)]
    assert ALL["trio"].decode(tokens).notes["pitch"].tolist() == [41, 36]
    tracks = ALL["trio"].decode(tokens).tracks
    assert [track.is_drum for track in tracks] == [False, False, False, True]
    assert [track.program for track in tracks] == [80, 0, 33, 0]


def test_decoded_drums_are_written_to_the_channel_of_drums(tmp_path):
    import symusic

    from ostinato.music.write import write_midi

    piece = played(("melody", [(0, 1, 60)]), ("drums", [(0, 1, 38)]))
    write_midi(tmp_path / "made.mid", ALL["trio"].decode(ALL["trio"].encode(piece)))
    found = {track.is_drum: track for track in symusic.Score(tmp_path / "made.mid").tracks}
    assert [note.pitch for note in found[True].notes] == [38]
    assert [note.pitch for note in found[False].notes] == [60]
    assert found[False].program == 80


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("drums", "position_0 drum_36 duration_24 end"),
        ("midi_like_drums", "drum_on_36 time_shift_24 drum_off_36 end"),
        ("piano", "note_on_40 note_on_60 time_shift_48 note_off_40 note_off_60 end"),
        ("score", "position_0 pitch_40 duration_24 pitch_60 duration_24 end"),
    ],
)
def test_a_voice_that_is_alone_is_not_named(name, expected):
    parts = [("piano", [(0, 2, 60)]), ("bass", [(0, 2, 40), (0, 1, 60)]), ("drums", [(0, 1, 36)])]
    assert words(name, played(*parts)).endswith(expected)


def test_tracks_of_one_role_are_one_voice_and_what_they_share_is_counted():
    chord = [(0, 2, 50), (0, 2, 55)]
    guitars = [("guitar", chord), ("guitar", [(0, 4, 50), (1, 1, 57)]), ("guitar", [(2, 1, 55)])]
    found = ALL["band"].quantize(played(*guitars, ("", [(0, 1, 60)])))
    assert found.dropped == {"struck twice at once in its voice": 1, "in none of the voices": 1}
    notes = found.piece.notes[["onset", "duration", "pitch"]].tolist()
    assert notes == [(0, 48, 50), (0, 24, 55), (12, 12, 57), (24, 12, 55)]
    assert {found.piece.tracks[i].role for i in found.piece.notes["track"]} == {"guitar"}


def test_a_piece_needs_all_voices_or_any():
    lonely = played(("bass", [(0, 1, 40)]), ("flute", [(0, 1, 60)]))
    found = ALL["trio"].quantize(lonely)
    assert found.dropped == {"in none of the voices": 1}
    assert [track.role for track in found.piece.tracks] == FILES["trio"]["voices"]
    with pytest.raises(Unencodable, match="no drums; roles in the piece: bass, flute"):
        ALL["all_needed"].quantize(lonely)
    with pytest.raises(Unencodable, match="no notes in melody, piano, bass, drums"):
        ALL["trio"].quantize(played(("flute", [(0, 1, 60)]), ("bass", [])))


def test_silent_tracks_give_way_where_there_are_more_than_sixteen():
    parts = [("", [(0, 1, 60 + i)] if i % 2 else []) for i in range(30)]
    assert ALL["tracks"].quantize(played(*parts)).piece.notes["track"].tolist() == list(range(15))
    assert ALL["tracks"].quantize(played(*parts[:4])).piece.notes["track"].tolist() == [1, 3]
    with pytest.raises(Unencodable, match="17 tracks, more than 16"):
        ALL["tracks"].quantize(played(*[("", [(0, 1, 60)])] * 17))


def test_options_that_came_later_leave_old_codecs_as_they_were():
    assert not {"needed", "merged", "programs"} & set(Events().codec())
    said = Events(needed="any", programs=(1, 2, 3, 4)).codec()
    assert build(json.loads(json.dumps(said))) == Events(needed="any", programs=(1, 2, 3, 4))


def test_a_prompt_of_drums_goes_on():
    piece = played(("drums", [(n, 1, 36 + n % 3) for n in range(12)]))
    for name in ("drums", "midi_like_drums"):
        prompt = ALL[name].prefix(piece, 6)
        grammar = ALL[name].grammar(Extent(3, 3), [prompt])
        for token in ALL[name].encode(piece)[len(prompt) :, 0]:
            assert grammar.allowed()[0, token], ALL[name].vocabulary[token]
            grammar.advance(np.array([token]), np.array([True]))
        assert grammar.finished().all()


@pytest.mark.parametrize("name", ["band", "midi_like_band", "piano", "grid"])
def test_a_hundred_thousand_notes_take_seconds(name):
    """Of the processor, so that other programs do not matter; squared, they would take an hour."""
    rng = np.random.default_rng(1)
    rows = np.stack(
        [
            rng.integers(0, 4, 100_000),
            np.sort(rng.integers(0, 480 * 20_000, 100_000)),
            rng.integers(1, 960, 100_000),
            rng.integers(40, 80, 100_000),
            np.full(100_000, 80),
        ],
        axis=1,
    )
    roles = VOICES if name == "grid" else ("melody", "guitar", "bass", "drums")
    tracks = tuple(Track(role=role, is_drum=role == "drums") for role in roles)
    piece = Piece(
        id="long", ticks_per_quarter=480, notes=make_notes(list(map(tuple, rows))), tracks=tracks
    )
    representation = ALL[name] if name in ALL else build({"kind": "grid"})
    start = time.process_time()
    tokens = representation.encode(replace(piece))
    assert time.process_time() - start < 60
    assert len(tokens) > 50_000
