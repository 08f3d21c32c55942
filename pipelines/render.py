"""Command: make missing sound, pictures and players of samples/<system> in renders/<system>."""

from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("render")
def main(config: dict[str, Any]) -> None:
    systems = [config["system"]] if config["system"] else list(config["systems"])
    for name in systems:
        rows = sampled(name)
        wanted = {
            f"{row['task']}-{row['index']}": row["id"]
            for row in rows
            if not row["failed"] and row["index"] < config["renders"]
        }
        folder = Path("renders") / name
        missing = {n: i for n, i in wanted.items() if not (folder / f"{n}.mp3").exists()}
        if missing or not (folder / "listen.html").exists():
            render(name, missing, folder)
        print(f"{folder}: {len(missing)} made, {len(wanted) - len(missing)} were there")


def sampled(system: str) -> list[dict[str, Any]]:
    from ostinato.files import read_json

    path = Path("samples") / system / "samples.json"
    listed = read_json(path, expect_format=1, made_by=f"dvc repro sample@{system}, or: dvc pull")
    return list(listed["samples"])


def render(system: str, missing: dict[str, str], folder: Path) -> None:
    from ostinato.audio import render as audio
    from ostinato.files import write_text
    from ostinato.report.load import load_samples
    from ostinato.report.page import listen_page

    samples = load_samples(system, Path())
    pieces = {sample.id: sample.piece for sample in samples}
    for name, sample in missing.items():
        piece = pieces[sample]
        if piece is None:
            continue
        try:
            audio.render(piece, folder, name)
        except audio.RenderError as error:  # the piece still has its notes
            print(f"  {name} has no sound: {error}")
    write_text(folder / "listen.html", listen_page(samples, system))


if __name__ == "__main__":
    main()
