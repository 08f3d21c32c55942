"""Stage: sample music from models/<system>, unconditional and continuing held-out pieces, and
render it.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.config import entry, entry_of


@entry("sample")
def main(config: dict[str, Any]) -> None:
    from ostinato import tracking
    from ostinato.generator import Generator
    from ostinato.sampling.write import write_samples

    system = config["system"]
    item = entry_of(config["systems"], system, "system")
    generator = Generator.load(Path("models") / system)
    samples = generator.generate_all(requests_of(config["sampling"], generator, item["encoding"]))
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


def requests_of(sampling: dict[str, Any], generator: Any, encoding: str) -> list[Any]:
    from ostinato.data.tokens import open_tokens
    from ostinato.generator import BEATS_PER_BAR, Request
    from ostinato.sampling.settings import Decoding

    decoding = Decoding(**{key: sampling[key] for key in ("temperature", "top_k", "top_p")})
    shared = Request(bars=sampling["bars"], seed=sampling["seed"], decoding=decoding)
    requests = [replace(shared, n=sampling["unconditional"])] if sampling["unconditional"] else []
    test = open_tokens(Path("data/tokens") / encoding).splits["test"]
    for index in range(sampling["continue"]):
        number = index % len(test)
        piece = generator.representation.decode(test.tokens_of(number).astype(np.int32))
        requests.append(
            replace(
                shared,
                task="continue",
                first=index,
                prompt=replace(piece, id=str(test.piece[number])),
                prompt_quarters=sampling["prompt_bars"] * BEATS_PER_BAR,
            )
        )
    return requests


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
