"""Peak memory of normalize on 1, 4 and 16 copies of a corpus: bounded by a shard.

`python -m benchmarks.memory` runs each size in a process of its own and writes the table beside
the other results.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.corpora import ORIGIN, random_piece
from ostinato.execution.commands import run_command

COPIES = (1, 4, 16)
FILES = 1000  # of one copy: a shard
NOTES = 60  # of each of four tracks
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Parse the command line; without arguments measure all sizes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--one", metavar="FOLDER", help="normalize this folder and print figures")
    parser.add_argument("--files", type=int, default=FILES, help="files of one copy")
    parser.add_argument("--name", default="memory", help="of the results")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(Path(arguments.one))))
        return
    from ostinato.files import write_text
    from ostinato.music.write import write_midi

    lines = [
        "| copies | files | peak memory of the run, MB | of its reading process, MB | seconds |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as home:
        originals = Path(home) / "originals"
        for number in range(arguments.files):
            write_midi(originals / f"{number:05}.mid", random_piece(number, NOTES))
        for copies in COPIES:
            folder = Path(home) / f"times-{copies}"
            for copy in range(copies):
                (folder / f"{copy:02}").mkdir(parents=True)
                for path in sorted(originals.iterdir()):
                    (folder / f"{copy:02}" / path.name).hardlink_to(path)
            command = [sys.executable, "-m", "benchmarks.memory", "--one", str(folder)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            lines.append(
                f"| {copies} | {found['files']:,} | {found['run']:,.0f} | {found['reader']:,.0f} "
                f"| {found['seconds']:.0f} |"
            )
            print(lines[-1], flush=True)
    write_text(RESULTS / f"{arguments.name}.md", "\n".join(lines) + "\n")


def measure(folder: Path) -> dict[str, float]:
    """Normalize a folder in one process and its reader; MB at the peak of each."""
    import time

    from ostinato.execution.guard import borrowed_guard
    from ostinato.execution.parallel import Executor
    from ostinato.normalization.build import build_corpus
    from ostinato.normalization.normalize import NormalizeOptions

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as home:
        summary = build_corpus(
            folder,
            Path(home) / "corpus",
            NormalizeOptions(),
            origin=ORIGIN,
            executor=Executor(workers=1),
            workspace=Path(home) / "work",
        )
    seconds = time.perf_counter() - start
    run = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with borrowed_guard() as guard:
        guard.close()  # a child's peak is known when it has ended
    reader = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"files": summary["files"], "run": run, "reader": reader, "seconds": seconds}


if __name__ == "__main__":
    run_command(main)
