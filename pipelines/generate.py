"""Verb: make music by hand, from the pretrained model or weights=<folder>; bars=16 n=4 seed=1;
prompt=some.mid continues a piece, with infill.bars=[4,8] infill.voices=[alto] it fills a part.
"""

import sys
from pathlib import Path
from typing import Any

from ostinato.config import entry
from ostinato.files import PRETRAINED, model_made_by, require


@entry("generate")
def main(config: dict[str, Any]) -> None:
    folder = Path(config["weights"] or Path(__file__).resolve().parents[1] / PRETRAINED)
    require(folder / "model.json", model_made_by(folder))
    from ostinato.audio.formats import check_formats, write_formats

    out, formats = Path(config["out"]), check_formats(config["formats"])
    names = [f"{number:03}" for number in range(config["n"])]
    taken = [path for n in names for f in formats if (path := out / f"{n}.{f}").exists()]
    if taken and not config["overwrite"]:
        raise ValueError(f"{taken[0]} exists: give another out=…; overwrite=true replaces it")

    from ostinato.sampling.request import Request

    Request(**{key: config[key] for key in ("bars", "min_bars", "n", "seed")})  # or refused, early
    from ostinato.generator import Generator
    from ostinato.readers.read import read_piece
    from ostinato.sampling import by_hand

    generator = Generator.load(folder, config["device"])
    able, representation = generator.capabilities(), generator.representation
    read = read_piece(Path(config["prompt"])) if config["prompt"] else None
    prompt = by_hand.voiced(read, representation) if read else None
    request = by_hand.request_of(config, able, prompt)
    for remark in by_hand.remarks(read, request, able, representation) if read else []:
        print(f"note: {remark}", file=sys.stderr)
    for name, sample in zip(names, generator.generate(request), strict=True):
        if sample.piece is None:
            print(f"{name} failed: {sample.row['failed']}")
            continue
        failed = write_formats(sample.piece, out, name, formats)
        written = "  ".join(f".{kind}" for kind in formats if kind not in failed)
        nats = sample.row["nats"]
        print(f"{out / name}{written}   {'' if nats is None else f'{nats:.1f} nats'}".rstrip())
        for kind, reason in failed.items():
            print(f"  no .{kind}: {reason}")


if __name__ == "__main__":
    main()
