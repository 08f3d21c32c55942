"""Verb: make music by hand, from the pretrained model or weights=<folder>; bars=16 n=4 seed=1;
prompt=some.mid continues a piece, with infill.bars=[4,8] infill.voices=[alto] it fills a part,
with task=harmonize it adds voices to a melody; other tasks: unconditional, interpolate, vary.
"""

import sys
from pathlib import Path
from typing import Any

from ostinato.config import entry
from ostinato.files import PRETRAINED


@entry("generate")
def main(config: dict[str, Any]) -> None:
    from ostinato.sampling.wording import in_words_of

    with in_words_of(config):
        generate(config)


def generate(config: dict[str, Any]) -> None:
    folder = Path(config["weights"] or Path(__file__).resolve().parents[1] / PRETRAINED)
    from ostinato.audio.formats import check_formats, write_formats
    from ostinato.precision.choice import check_family
    from ostinato.sampling import by_hand, early, kept

    files = [key for key in ("prompt", "end") if config[key]]
    card = early.check_early(config, files, folder)
    check_family(config["precision"], card["family"], card["system"])
    out, formats = Path(config["out"]), check_formats(config["formats"])
    names = by_hand.free_names(out, config["n"], formats, overwrite=config["overwrite"])
    from ostinato.readers.read import read_piece

    read = {key: read_piece(Path(config[key])) for key in files}
    early.check_request(config, read, card)
    from ostinato.feedback.told import judge_by
    from ostinato.generator import Generator
    from ostinato.precision.apply import load_in
    from ostinato.sampling.sounding import generate_sounding

    judge, config = judge_by(config)
    generator = Generator(load_in(config["precision"], folder, config["device"]))
    able, known = generator.capabilities(), generator.representation
    request, remarks = by_hand.prepared(config, read, able, known, card["codec"])
    print("".join(f"note: {remark}\n" for remark in remarks), file=sys.stderr, end="")
    made = judge.best(generator, request) if judge else generate_sounding(generator, [request])
    for name, sample in zip(names, made, strict=True):
        if sample.piece is None:
            print(f"{name} failed: {sample.row['failed']}")
            continue
        piece = kept.as_asked(config, read, sample.piece)
        failed = write_formats(piece, out, name, formats)
        nats = "" if sample.row["nats"] is None else f"   {sample.row['nats']:.1f} nats"
        print(f"{out / name}{'  '.join(f'.{k}' for k in formats if k not in failed)}{nats}")
        print("".join(f"  no .{kind}: {reason}\n" for kind, reason in failed.items()), end="")


if __name__ == "__main__":
    main()
