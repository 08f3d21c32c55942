"""Stage: sample music from models/<system>, unconditional and continuing held-out pieces, and
render it.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ostinato.config import entry, entry_of


@entry("sample")
def main(config: dict[str, Any]) -> None:
    import torch

    from ostinato import tracking
    from ostinato.data.tokens import open_tokens
    from ostinato.generator import Generator, planned_requests
    from ostinato.sampling.write import write_samples

    system = config["system"]
    item = entry_of(config["systems"], system, "system")
    generator = Generator.load(Path("models") / system)
    torch.set_num_threads(generator.trained.card["training"]["threads"])
    test = open_tokens(Path("data/tokens") / item["encoding"]).splits["test"]
    heldout = [
        replace(generator.representation.decode(test.tokens_of(n)), id=str(test.piece[n]))
        for n in range(min(len(test), config["sampling"]["continue"]))
    ]
    samples = generator.generate_all(planned_requests(config["sampling"], heldout))
    rows = write_samples(Path("samples") / system, system, samples)
    failed = [row for row in rows if row["failed"]]
    renders = render(system, samples, config["renders"])
    run = tracking.system_run(Path(), system)
    for file in sorted((Path("samples") / system).glob("*.mid")):
        run.artifact(file, "samples")
    tracking.log_samples(run, renders)
    print(f"samples/{system}: {len(rows) - len(failed)} pieces, {len(failed)} failed")
    for row in failed:
        print(f"  {row['id']}: {row['failed']}")
    print(f"listen to {renders / 'unconditional-0.mp3'}")


def render(system: str, samples: list[Any], count: int) -> Path:
    from ostinato.audio.render import render as render_piece

    folder = Path("renders") / system
    for sample in samples:
        task, index = sample.row["task"], sample.row["index"]
        if sample.piece and len(sample.piece.notes) and index < count:
            render_piece(sample.piece, folder, f"{task}-{index}")
    return folder


if __name__ == "__main__":
    main()
