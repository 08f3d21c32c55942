"""Stage: sample music from models/<system>, from nothing and continuing held-out pieces."""

from pathlib import Path
from typing import Any

from ostinato.config import entry, entry_of


@entry("sample")
def main(config: dict[str, Any]) -> None:
    system = config["system"]
    item = entry_of(config["systems"], system, "system")
    from ostinato import tracking
    from ostinato.arithmetic import use_threads
    from ostinato.generator import Generator, planned_requests
    from ostinato.loading.tokens import open_tokens
    from ostinato.sampling.load import check_trained_on
    from ostinato.sampling.request import EncodedPiece
    from ostinato.sampling.write import write_samples

    generator = Generator.load(Path("models") / system, config["device"])
    use_threads(generator.trained.card["training"]["threads"])
    tokens = open_tokens(Path("data/tokens") / item["encoding"])
    check_trained_on(generator.trained, tokens)
    test = tokens.splits["test"]
    heldout = [
        EncodedPiece(str(test.piece[n]), test.tokens_of(n), tokens.codec)
        for n in range(min(len(test), config["sampling"]["continue"]))
    ]
    plan = planned_requests(config["sampling"], heldout, generator.capabilities())
    samples, out = generator.generate_all(plan), Path("samples") / system
    rows = write_samples(out, system, samples)
    renders = render(system, samples, rows, config["renders"])
    run = tracking.system_run(Path(), system)
    for file in sorted(path for path in out.iterdir() if path.suffix in (".mid", ".wav")):
        run.artifact(file, "samples")
    run.artifacts(renders, "samples")
    failed = [row for row in rows if row["failed"]]
    print(f"samples/{system}: {len(rows) - len(failed)} pieces, {len(failed)} failed")
    print("".join(f"  {row['id']}: {row['failed']}\n" for row in failed), end="")
    print(f"listen to {renders / 'unconditional-0.mp3'}")


def render(system: str, samples: list[Any], rows: list[dict[str, Any]], count: int) -> Path:
    from ostinato.audio import render as audio

    folder = Path("renders") / system
    for sample, row in zip(samples, rows, strict=True):
        if row["file"] and audio.sounds(sample.piece) and row["index"] < count:
            name = Path(row["file"]).stem
            try:
                audio.render(sample.piece, folder, name)
            except audio.RenderError as error:  # the music is written all the same
                print(f"  {name} has no sound: {error}")
    return folder


if __name__ == "__main__":
    main()
