"""Command: make missing sound, pictures and players of samples/<system> in renders/<system>."""

from pathlib import Path
from typing import Any

from ostinato.config import entry, entry_of


@entry("render")
def main(config: dict[str, Any]) -> None:
    from ostinato.samples import sample_rows

    systems = [config["system"]] if config["system"] else list(config["systems"])
    for name in systems:
        entry_of(config["systems"], name, "system")
        wanted = {
            Path(row["file"]).stem: row["id"]
            for row in sample_rows(Path("samples") / name)
            if row["file"] and row["index"] < config["renders"]
        }
        folder = Path("renders") / name
        missing = {n: i for n, i in wanted.items() if not (folder / f"{n}.mp3").exists()}
        made = 0
        if missing or not (folder / "listen.html").exists():
            made = render(name, missing, folder)
        there = f"{made} made, {len(wanted) - len(missing)} were there"
        print(f"{folder}: {there}" + (", some have no sound" if made < len(missing) else ""))


def render(system: str, missing: dict[str, str], folder: Path) -> int:
    from ostinato.audio import render as audio
    from ostinato.files import write_text
    from ostinato.report.load import load_samples
    from ostinato.report.page import listen_page

    samples = load_samples(system, Path())
    pieces, made = {sample.id: sample.piece for sample in samples}, 0
    for name, sample in missing.items():
        piece = pieces[sample]
        if piece is None:  # no notes
            continue
        try:
            audio.render(piece, folder, name)
            made += 1
        except audio.RenderError as error:  # the piece still has its notes
            print(f"  {name} has no sound: {error}")
    write_text(folder / "listen.html", listen_page(samples, system))
    return made


if __name__ == "__main__":
    main()
