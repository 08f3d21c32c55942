"""Stage: mix the corpora and encode the parts as data/tokens/band; writes mix.json, its counts."""

import sys
from pathlib import Path
from typing import cast

import yaml

from ostinato.corpus.store import iterate_corpus, read_summary
from ostinato.files import write_json
from ostinato.representations.events.roles import Roles
from ostinato.representations.protocol import Unencodable
from ostinato.representations.registry import build
from ostinato.representations.store import describe as describe_encoding
from ostinato.representations.store import write_encoding
from ostinato.reproduction.folder import read_params, run_stage
from ostinato.reproduction.mix import (
    Mix,
    Part,
    Source,
    chosen,
    counted,
    describe,
    levelled,
    parts_of,
    renamed,
    spread,
    warnings_of,
)
from ostinato.settings import checked


def encode() -> None:
    """Reads data/corpus/*, writes data/tokens/band and mix.json."""
    options = read_params()["mix"]
    sources = {
        name: checked(Source, f"mix.sources.{name}", found)
        for name, found in options.pop("sources").items()
    }
    file = Path("../../conf/representation") / f"{options.pop('representation')}.yaml"
    representation = cast(Roles, build(yaml.safe_load(file.read_text(encoding="utf-8"))))
    mix = checked(Mix, "mix", options)
    parts, set_aside = [], []
    for name, source in sources.items():
        for entry in chosen(name, iterate_corpus(Path("data/corpus") / name), source, mix):
            for part in parts_of(name, entry, source, mix):
                found = renamed(part, representation.sources)
                try:
                    quantized = representation.quantize(found.piece).piece
                except Unencodable:
                    set_aside.append(found)
                    continue
                more = source.more.get(found.piece.labels.get("style", ""), 1)
                parts.append(Part(found, quantized, source.copies * more))
    counts = counted(parts)
    spread_out, limits = levelled(list(spread(parts, representation.registers, mix)), mix.levels)
    origins = {name: read_summary(Path("data/corpus") / name)["origin"] for name in sources}
    origin = {
        key: " | ".join(f"{name}: {found[key]}" for name, found in origins.items())
        for key in ("licence", "citation", "url")
    }
    # those set aside are there for the list of reasons
    entries = [*(part.entry for part in spread_out), *set_aside]
    summary = write_encoding(Path("data/tokens/band"), "band", entries, representation, origin)
    lines = [
        describe_encoding("band", summary),
        describe(counts),
        *(f"warning: {text}" for text in warnings_of(counts)),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    write_json(Path("mix.json"), counts | {"limits_of_levels": limits})


if __name__ == "__main__":
    run_stage(encode)
