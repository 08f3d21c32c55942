"""Compares our reading of ABC tunes with that of abc2midi (Debian package abcmidi), repeats played.

    python tests/fuzz/abc_referee.py --most 50 <folder> ...

Compared are onset and pitch of all notes. What abc2midi plays that is not written is kept from it:
chord symbols, grace notes, fermatas, trills and rolls, and the swing of hornpipes. Prints how many
tunes are equal, and the first note that differs in the others. abc2midi follows no jumps (D.C.).
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import mido

from ostinato.execution.commands import run_command
from ostinato.files import DamagedFile
from ostinato.readers.abc_lines import tunes_of
from ostinato.readers.read import ReadOptions, read

TICKS = 24
OPTIONS = ("-quiet", "-silent", "-NGUI", "-NGRA", "-NFER", "-OCC")
Note = tuple[int, int]  # onset in ticks, pitch


def main() -> int:
    """Print a line for each tune that differs, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="+", type=Path, help="folders with .abc files")
    parser.add_argument("--most", type=int, default=1000, help="tunes of one place, evenly spread")
    args = parser.parse_args()
    counts: Counter[str] = Counter()
    for place in args.places:
        tunes = [(path, key) for path in sorted(place.rglob("*.abc")) for key in tunes_of(path)]
        for path, key in tunes[:: max(1, len(tunes) // args.most)]:
            verdict = compare(path, key)
            counts[verdict.partition(":")[0]] += 1
            if verdict != "equal":
                sys.stdout.write(f"{path.name} {key}: {verdict}\n")
    for verdict, count in counts.most_common():
        sys.stdout.write(f"{count:8d}  {verdict}\n")
    return 0


def compare(path: Path, key: str) -> str:
    """`equal`, or how the two readings differ."""
    try:
        options = ReadOptions(ticks_per_quarter=TICKS, expand_repeats=True)
        piece = read(path, key, options).piece
    except DamagedFile as error:
        return f"refused by us: {error}"
    theirs = sorted(set(_abc2midi(tunes_of(path)[key])))
    ours = sorted({(row["onset"], row["pitch"]) for row in piece.notes[["onset", "pitch"]].copy()})
    ours = [(int(onset), int(pitch)) for onset, pitch in ours]
    if ours == theirs:
        return "equal"
    both = zip(ours, theirs, strict=False)
    place = next((n for n, (a, b) in enumerate(both) if a != b), min(len(ours), len(theirs)))
    return f"different: {len(ours)} and {len(theirs)} notes, first at {_show(ours, place)} and " + (
        _show(theirs, place)
    )


def _show(notes: list[Note], place: int) -> str:
    return f"{notes[place][0] / TICKS:g}/{notes[place][1]}" if place < len(notes) else "the end"


def _abc2midi(lines: list[str]) -> Iterator[Note]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "tune.abc"), Path(folder, "tune.mid")
        plain = (line if line[1:2] == ":" or line[:1] == "%"
                 else re.sub(r"[~MPT]|!(?:trill|roll|turn)!", "", line)
                 for line in lines if not line.startswith("R:"))  # fmt: skip
        text = "\n".join(["X:1", *plain, ""])
        source.write_text(text, encoding="latin-1", errors="replace")
        subprocess.run(
            ["abc2midi", source, "-o", target, *OPTIONS],
            check=False,
            capture_output=True,
            timeout=60,
        )
        if not target.exists():
            return
        midi = mido.MidiFile(target)
    for track in midi.tracks:
        time = 0
        for event in track:
            time += event.time
            if event.type == "note_on" and event.velocity:  # abc2midi's notes begin a tick late
                yield round((time - 1) * TICKS / midi.ticks_per_beat), event.note


if __name__ == "__main__":
    run_command(main)
