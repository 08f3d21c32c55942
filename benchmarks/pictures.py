"""The first samples of systems as piano rolls, one below the other.

`python -m benchmarks.pictures vae ddpm` draws the first bars of `unconditional-0.mid` of each
into docs/rolls.png.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from ostinato.execution.commands import run_command

SYSTEMS = ("absorbing", "vae", "ddpm", "gan")
BARS = 8


def main() -> None:
    """Parse the command line, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument("systems", nargs="*", default=SYSTEMS)
    parser.add_argument("--samples", type=Path, default=Path("samples"))
    parser.add_argument("--number", type=int, default=0, help="of the sample")
    parser.add_argument("--out", type=Path, default=Path("docs/rolls.png"))
    arguments = parser.parse_args()

    from PIL import Image

    from ostinato.audio.pianoroll import draw
    from ostinato.music.piece import cut
    from ostinato.music.timing import numbered_bars
    from ostinato.readers.read import read_piece

    with tempfile.TemporaryDirectory() as folder:
        rolls = []
        for system in arguments.systems:
            path = arguments.samples / system / f"unconditional-{arguments.number}.mid"
            piece = read_piece(path)
            ends = [onset for onset, bar in numbered_bars(piece) if bar > BARS] + [piece.length]
            draw(
                replace(cut(piece, 0, ends[0]), title=f"{system}, sample {arguments.number}"),
                Path(folder) / f"{system}.png",
            )
            with Image.open(Path(folder) / f"{system}.png") as image:
                rolls.append(image.convert("P", palette=Image.Palette.ADAPTIVE, colors=64))
    size = (max(roll.width for roll in rolls), sum(roll.height for roll in rolls))
    page = Image.new("RGB", size, "white")
    for number, roll in enumerate(rolls):
        page.paste(roll.convert("RGB"), (0, sum(above.height for above in rolls[:number])))
    page.quantize(64).save(arguments.out, optimize=True)


if __name__ == "__main__":
    run_command(main)
