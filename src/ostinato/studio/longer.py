"""Continues pieces that are longer than what a model hears: it hears their last bars."""

from bisect import bisect_left
from dataclasses import replace
from typing import Any

import numpy as np

from ostinato.live.composer import Composer
from ostinato.music.piece import Annotation, Piece, Tempo, cut, sort_notes
from ostinato.music.timing import DEFAULT_QPM, bar_onsets, numbered_bars
from ostinato.music.write import in_ticks
from ostinato.representations.protocol import NO_LIMIT
from ostinato.sampling.by_hand import voiced
from ostinato.sampling.prompts import prompt_of
from ostinato.studio.music import BAR

HEARD = 1024  # positions, for models without a limit of their own


def heard_from(composer: Composer, piece: Piece) -> int:
    """The tick of the bar line from which a piece fits into the model's context; 0 where all of it
    does.

    Raises:
        ValueError: what the model's encoding cannot hold.
    """
    context, known = composer.context or HEARD, composer.representation
    if not len(piece.notes):
        return 0
    whole = voiced(piece, known)
    begins = [0, *(onset for onset, _ in numbered_bars(whole)[1:])]

    def fits(begin: int) -> bool:
        rest = cut(whole, begin, whole.length)
        return not len(rest.notes) or len(prompt_of(known, rest, NO_LIMIT)) <= context

    return begins[min(bisect_left(begins, True, key=fits), len(begins) - 1)]


def joined(before: Piece, start: int, after: Piece) -> Piece:
    """A piece up to a tick, and what was made of its rest, which begins there. Tracks of one role
    are one.
    """
    ticks = int(np.lcm(before.ticks_per_quarter, after.ticks_per_quarter))
    start *= ticks // before.ticks_per_quarter
    whole, second = in_ticks(before, ticks), in_ticks(after, ticks)
    first = cut(whole, 0, start)
    tracks = list(second.tracks)
    roles = [track.role for track in tracks]
    for track in first.tracks:
        if track.role not in roles:
            tracks.append(track)
            roles.append(track.role)
    early, late = whole.notes[whole.notes["onset"] < start], second.notes.copy()  # ties stay
    places = np.array(
        [roles.index(track.role) for track in first.tracks], dtype=early["track"].dtype
    )
    early["track"] = places[early["track"]]
    late["onset"] += start
    if second.tempos and not first.tempos:  # as it sounded before
        first = replace(first, tempos=(Tempo(0, DEFAULT_QPM),))
    changes: dict[str, Any] = {
        name: _changes(getattr(first, name), getattr(second, name), start)
        for name in ("tempos", "meters", "keys")
    }
    changes["annotations"] = _signs(whole, second, start)
    notes = sort_notes(np.concatenate([early, late]))
    return replace(second, notes=notes, tracks=tuple(tracks), **changes)


def _signs(whole: Piece, second: Piece, start: int) -> tuple[Annotation, ...]:
    """The annotations of a piece up to a tick and of its rest. If one has bar lines, the other gets
    its own too; else these would count as all bars of the piece.
    """
    early = [sign for sign in whole.annotations if sign.onset < start]
    late = [replace(sign, onset=sign.onset + start) for sign in second.annotations]
    signs = [*early, *late]
    if any(sign.kind == BAR for sign in signs):
        lines = [onset for onset in bar_onsets(whole) if onset < start]
        lines += [onset + start for onset in bar_onsets(second)]
        bars = [Annotation(onset, BAR) for onset in lines]
        signs = [*bars, *(sign for sign in signs if sign.kind != BAR)]
    return tuple(sorted(signs, key=lambda sign: sign.onset))


def _changes(early: tuple[Any, ...], late: tuple[Any, ...], start: int) -> tuple[Any, ...]:
    """Those of both, without one at the seam that changes nothing."""
    if early and late and late[0] == replace(early[-1], onset=0):
        late = late[1:]
    return (*early, *(replace(change, onset=change.onset + start) for change in late))
