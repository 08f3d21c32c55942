"""Keys of transposed ABC music are those that sound."""

import pytest

from ostinato.readers.read import read


@pytest.mark.parametrize(
    ("lines", "fifths"),
    [
        ("K:C transpose=-2", [-2]),
        ("K:D t=3", [-1]),
        ("K:C\nV:1 transpose=2", [2]),
        ("K:C\nV:1 transpose=12", [0]),
        ("K:C clef=treble-8", [0]),
        ("%%MIDI transpose 5\nK:G", [0]),
        ("K:none transpose=2", [0]),
        ("K:G\nCDEF|\n%%MIDI transpose -2", [1, -1]),
        ("K:Am transpose=1\nCDEF|\nK:Em transpose=1", [-5, -4]),
    ],
)
def test_the_key_moves_with_the_notes(tmp_path, lines, fifths):
    path = tmp_path / "tune.abc"
    path.write_text(f"X:1\nL:1/4\nM:4/4\n{lines}\nCDEF|\n")
    assert [key.fifths for key in read(path).piece.keys] == fifths
