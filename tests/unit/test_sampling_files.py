"""Files of generate.py: where they may be written, and in which tempo."""

from dataclasses import replace

import pytest

from ostinato.music.piece import Meter, Tempo
from ostinato.music.signatures import with_pickup
from ostinato.representations.events.events import Events
from ostinato.representations.grid.grid import Grid
from ostinato.sampling.by_hand import free_names, voiced
from ostinato.sampling.in_time import in_tempo_of

BARS = Grid(bars=True, end=True, meters=("1/4", "3/4", "4/4"))


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file is a file; give another out="):
        free_names(tmp_path / "file" / "new", 1, ["mid"])
    assert free_names(tmp_path / "new" / "newer", 1, ["mid"]) == ["000"]
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(ValueError, match=r"cannot be written; give another out="):
        free_names(tmp_path / "new" / "newer", 1, ["mid"])


def test_changes_of_tempo_come_later_where_a_pickup_is_filled_up(chorale):
    meters, tempos = (Meter(0, 1, 4), Meter(480, 4, 4)), (Tempo(0, 60.0), Tempo(480, 90.0))
    piece = with_pickup(replace(chorale(2), meters=meters, tempos=tempos))
    for encoding, second in ((BARS, 1), (Events(), 4)):
        made = in_tempo_of(piece, encoding.quantize(voiced(piece, encoding)).piece)
        quarters = [(tempo.onset / made.ticks_per_quarter, tempo.qpm) for tempo in made.tempos]
        assert quarters == [(0, 60.0), (second, 90.0)]
