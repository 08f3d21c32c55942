"""Reads published MIDI files with our reader and with MusPy's, and compares their notes.

    python tests/fuzz/against_muspy.py --most 50 <folder or .zip> ...

Compared are onset, duration, pitch and velocity of all notes, in each file's own ticks. Prints how
many files are equal, how many MusPy or we refuse, and what is known of the others; ends with 1 if a
file differs for no known reason.
"""

import argparse
import sys
from collections import Counter
from io import BytesIO
from pathlib import Path

import mido
import muspy
import numpy as np
from published import midi_files

from ostinato.execution.commands import run_command
from ostinato.files import DamagedFile
from ostinato.readers.midi_check import music_notes, raw_notes
from ostinato.readers.midi_events import read_events
from ostinato.readers.midi_notes import pair_notes

SILENCES = (120, 123, 124, 125, 126, 127)  # All Sound Off, All Notes Off and what implies it
EQUAL, DIFFERENT = "equal", "different, no reason known"


def main() -> int:
    """Read, print the counts, and say by the exit status whether all is explained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="+", type=Path, help="folders or zip archives")
    parser.add_argument("--most", type=int, help="files of one place, evenly spread")
    args = parser.parse_args()
    counts, strange = Counter(), []
    for name, data in midi_files(args.places, args.most):
        found = verdict(data)
        counts[found] += 1
        if found == DIFFERENT:
            strange.append(name)
    for found, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        sys.stdout.write(f"{count:8d}  {found}\n")
    sys.stdout.write(f"{counts.total():8d}  files\n")
    sys.stdout.writelines(f"{name}: {DIFFERENT}\n" for name in strange)
    return int(bool(strange))


def verdict(data: bytes) -> str:
    """How the two readers' notes compare, with what is known of the file where they do not."""
    try:
        events = read_events(data)
    except DamagedFile as error:
        return f"refused by us: {error}"
    try:
        read = mido.MidiFile(file=BytesIO(data))
        theirs = music_notes(muspy.from_mido(read))
    except Exception as error:  # whatever MusPy stumbles over
        return f"refused by MusPy: {type(error).__name__}"
    if np.array_equal(raw_notes(pair_notes(events)), theirs):
        return EQUAL
    if any(m.type == "control_change" and m.control in SILENCES for t in read.tracks for m in t):
        return "different, a message silences a channel, which MusPy does not hear"
    known = "; ".join(events.warnings)
    return f"different, our reader says: {known}" if known else DIFFERENT


if __name__ == "__main__":
    run_command(main)
