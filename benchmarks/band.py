"""Many pieces of a band with random requests: what goes wrong, what is obeyed, how long it takes.

python -m benchmarks.band --model models/band --pieces 750   writes results/band.json

Every piece has random roles, meter and 1 to 64 bars (short ones more often), and a random value of
each condition of the model, in turn, so that each value is asked for equally often. Pieces of about
one length are made side by side, in chunks that come in random order. `--rows FOLDER` keeps each
chunk that is done: the same command goes on from there, and several with `--share 0/2`, `1/2` …
work at once; one with `--minutes 0` sums up what there is.

failed: pieces that are not whole or do not decode. other bars, other roles: not what was asked for.
empty: parts of a piece without a note. collapsed: parts whose last half, four bars or more, is one
bar repeated. requests: asked against found, see docs/metrics.md. mistakes: notes that cannot be
played, a part. by_style: all of these for the pieces of each style. seconds: of pieces of 8 bars
with four roles (the model's last), one after the other, on the wall and of the processor, where
others use it too.

As a case of `python -m benchmarks`: notes a second in training, against a flat model of the same
size on the same pieces.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.measure import OURS, Case, Race, in_turn
from ostinato.execution.commands import run_command
from ostinato.music.chords import ROLE as CHORDS

RESULTS = Path(__file__).parent / "results"
CONF = Path(__file__).parents[1] / "conf/model"
TIMED_BARS, FOUR, LEAST = 8, 4, 4
CHUNK = 16  # pieces side by side
FLAT = "gpt, one stream"
FLAT_WIDTH = 200  # as many weights as band/small
TOP_P = 0.95
CHANCE = {"seed": 1, "resamples": 2000}


def cases() -> list[Case]:
    """Training steps of the default band and of its flat rival."""
    return [Case("band, training against one stream", race)]


def race(rounds: int) -> Race:
    """Steps of both, in turn, on the first crops of data/tokens/bach-roles."""
    import torch
    import yaml

    from ostinato.loading.tokens import open_tokens
    from ostinato.models.registry import build
    from ostinato.models.spec import ArraySpec

    tokens = open_tokens(Path("data/tokens/bach-roles"))
    part, spec = tokens.splits["train"], ArraySpec.of(tokens.codec)
    names = np.array(tokens.codec["vocabulary"])
    rows = [part.tokens_of(number) for number in range(len(part))]
    settings = {
        who: yaml.safe_load((CONF / file).read_text(encoding="utf-8"))
        for who, file in ((OURS, "band/small.yaml"), (FLAT, "gpt/events.yaml"))
    }
    crop, batch = (settings[OURS]["training"][key] for key in ("crop", "batch"))
    chosen = [row[: crop + 1, :1] for row in rows if len(row) > crop][:batch]
    batch_BTW = torch.from_numpy(np.stack(chosen).astype(np.int64))
    notes = sum("_pitch_" in name for name in names[np.stack(chosen).ravel()])

    def step(who: str, family: str, **more: int) -> Callable[[], None]:
        torch.manual_seed(1)
        model = build(family, settings[who]["model"] | more, spec).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        start_B = torch.zeros(len(batch_BTW), dtype=torch.int64)

        def run() -> None:
            optimizer.zero_grad()
            model(batch_BTW[:, :-1], batch_BTW[:, 1:], start_B).mean().backward()
            optimizer.step()

        return run

    contestants = {
        OURS: step(OURS, "band"),
        FLAT: step(FLAT, "gpt", width=FLAT_WIDTH, pair_tables=False),
    }
    question = f"roles of chorales, training, float32, batch {batch}, length {crop}"
    return Race(question, "notes", float(notes), in_turn(contestants, rounds), aims={})


def requests(
    able: Any,
    meters: list[str],
    count: int,
    lengths: tuple[int, int],
    seed: int,
    guidance: float = 1.0,
    only: str | None = None,
) -> list[Any]:
    """Requests with random roles, meter, number of bars and conditions.

    lengths: bars of a piece, at least and at most. only: one condition that is asked for; all else
    is open, and all pieces have the most bars.
    """
    from ostinato.sampling.request import Request

    rng, found = np.random.default_rng(seed), []
    roles = [role for role in able.roles if role != CHORDS]
    asked = {
        spec.name: rng.permutation(np.resize(spec.values, count)).tolist()
        for spec in able.conditions
        if spec.name not in ("meter", "bars") and not spec.name.startswith("plays_")
    }
    for number in range(count):
        size = int(rng.integers(1, len(roles) + 1))
        chosen = tuple(sorted(rng.choice(roles, size, replace=False).tolist()))
        bars = int(np.exp(rng.uniform(np.log(lengths[0]), np.log(lengths[1] + 1))))
        options = {"roles": chosen, "meter": str(rng.choice(meters)), "top_p": TOP_P}
        if guidance != 1:
            options["guidance"] = guidance
        given = {name: values[number] for name, values in asked.items()}
        given = {name: value for name, value in given.items() if of_roles(name, roles, chosen)}
        if only:
            given, bars = {only: asked[only][number]}, lengths[1]
            options = {name: options[name] for name in options if name not in ("roles", "meter")}
        about = {"conditions": given, "options": options, "seed": seed + number}
        found.append(Request(bars=bars, min_bars=bars, **about))
    return found


def of_roles(name: str, roles: list[str], chosen: tuple[str, ...]) -> bool:
    """Whether a condition is of the whole piece, or of a role that plays."""
    return not any(name.endswith(f"_{role}") for role in roles if role not in chosen)


def chunks(asked: list[Any], seed: int) -> list[list[int]]:
    """Numbers of the requests in groups of about one length, in random order."""
    by_length = sorted(range(len(asked)), key=lambda number: asked[number].bars)
    found = [by_length[first : first + CHUNK] for first in range(0, len(asked), CHUNK)]
    order = np.random.default_rng([seed, 1]).permutation(len(found)).tolist()
    return [found[place] for place in order]


def made_rows(generator: Any, asked: list[Any], numbers: list[int]) -> list[dict[str, Any]]:
    """One chunk of pieces: what was asked for, what is wrong, and the pieces as tokens."""
    form = generator.representation
    requests_here = [asked[number] for number in numbers]
    samples = generator.generate_all(requests_here)
    return [
        {
            "number": number,
            "row": {key: sample.row[key] for key in ("conditions", "options", "bars", "min_bars")},
            "counts": dict(check(sample, request, form)),
            "tempo": sample.piece.tempos[0].qpm if sample.piece else None,
            "tokens": sample.made.tokens[:, 0].tolist() if sample.piece else None,
        }
        for number, request, sample in zip(numbers, requests_here, samples, strict=True)
    ]


def check(sample: Any, request: Any, representation: Any) -> Counter[str]:
    """What is wrong with a piece."""
    from ostinato.metrics.playability import playability

    if sample.piece is None:
        return Counter(failed=1)
    tokens, piece, found = sample.made.tokens, sample.piece, Counter()
    playing = sorted(role for role in representation.playing(tokens) if role != CHORDS)
    found["other bars"] += len(representation.bar_starts(tokens)) != request.bars
    found["other roles"] += playing != list(request.options.get("roles", playing))
    for role in playing:
        found["parts"] += 1
        found["empty"] += not len(piece.voice(role))
        found["collapsed"] += collapsed(representation, tokens, role, request.bars)
    judged = playability(piece)
    for kind in ("mistakes", "out_of_range", "too_many", "three_hands"):
        found[kind] += int(judged[kind].above)
    return found


def collapsed(representation: Any, tokens: Any, role: str, bars: int) -> bool:
    """Whether the last half of a part, four bars or more, is one bar that is not empty."""
    layout = representation.layout
    mine = layout.owners[tokens[:, 0]] == representation.parts.index(role)
    number = np.cumsum(layout.kinds[tokens[:, 0]] == layout.kinds[layout.first_bar])
    parts = [tokens[mine & (number == bar), 0].tolist() for bar in range(1, bars + 1)]
    last = parts[-max(LEAST, bars // 2) :]
    return len(last) >= LEAST and len(last[0]) > 1 and all(part == last[0] for part in last)


def obeyed(rows: list[dict[str, Any]], representation: Any, codec: Any) -> dict[str, str]:
    """The measure `requests` of these pieces, as text."""
    from dataclasses import replace

    from ostinato.evaluation.measures.requests import measure
    from ostinato.music.piece import Tempo

    pieces, asked = [], {}
    for row in rows:
        if row["tokens"] is None:
            continue
        tokens = np.array(row["tokens"], np.int32)[:, None]
        piece, name = representation.decode(tokens), str(row["number"])
        pieces.append(replace(piece, id=name, tempos=(Tempo(0, row["tempo"]),)))
        asked[name] = row["row"]
    about: Any = SimpleNamespace(
        samples_whole=pieces, requests=asked, tokens=SimpleNamespace(codec=codec), **CHANCE
    )
    return {name: str(figure) for name, figure in measure(about).values.items()}


def summed(rows: list[dict[str, Any]], representation: Any, codec: Any) -> dict[str, Any]:
    """What went wrong with these pieces, and what was obeyed."""
    counted: Counter[str] = Counter()
    for row in rows:
        counted.update(row["counts"])
    parts = counted["parts"]
    return {
        "pieces": len(rows),
        "bars": sum(row["row"]["bars"] for row in rows),
        "counts": {name: counted[name] for name in ("parts", *WRONG)},
        "mistakes_a_part": round(counted["mistakes"] / parts, 4) if parts else None,
        "requests": obeyed(rows, representation, codec),
    }


def timed(generator: Any, count: int, able: Any, meter: str) -> dict[str, Any]:
    """Seconds of pieces of 8 bars with four roles, one after the other."""
    from ostinato.sampling.request import Request

    seconds: dict[str, list[float]] = {"wall": [], "processor": []}
    for number in range(count):
        roles = [role for role in able.roles if role != CHORDS][-FOUR:]
        options = {"roles": tuple(roles), "meter": meter, "top_p": TOP_P}
        eight = Request(bars=TIMED_BARS, min_bars=TIMED_BARS, seed=number, options=options)
        begun = time.perf_counter(), time.process_time()
        generator.generate(eight)
        seconds["wall"].append(time.perf_counter() - begun[0])
        seconds["processor"].append(time.process_time() - begun[1])
    found: dict[str, Any] = {"pieces": count}
    for clock, values in seconds.items() if count else ():
        median, p95 = np.quantile(values, (0.5, 0.95))
        found[clock] = {"median": round(float(median), 3), "p95": round(float(p95), 3)}
    return found


def worked(generator: Any, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of all chunks that are done, and of those that this share makes."""
    from ostinato.files import write_json

    form, able = generator.representation, generator.capabilities()
    lengths = arguments.shortest, arguments.longest
    plan = able, list(form.meters), arguments.pieces, lengths, arguments.seed
    asked = requests(*plan, arguments.guidance, arguments.only)
    place, of = map(int, arguments.share.split("/"))
    minutes = np.inf if arguments.minutes is None else arguments.minutes
    until = time.process_time() + 60 * minutes
    rows: list[dict[str, Any]] = []
    for number, numbers in enumerate(chunks(asked, arguments.seed)):
        file = arguments.rows and arguments.rows / f"{number:03}.json"
        if file and file.exists():
            rows += json.loads(file.read_text(encoding="utf-8"))["rows"]
        elif number % of == place and time.process_time() < until:
            done = made_rows(generator, asked, numbers)
            if file:
                file.parent.mkdir(parents=True, exist_ok=True)
                write_json(file, {"rows": done})
            rows += done
    return rows


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.band",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="models/band")
    parser.add_argument("--pieces", type=int, default=750)
    parser.add_argument("--longest", type=int, default=64, help="bars of a piece, at most")
    parser.add_argument("--shortest", type=int, default=1, help="bars of a piece, at least")
    parser.add_argument(
        "--minutes", type=float, help="of the processor, after which no chunk begins"
    )
    parser.add_argument("--guidance", type=float, default=1.0, help="1: the model itself")
    parser.add_argument("--only", help="the one condition to ask for, in pieces of --longest bars")
    parser.add_argument("--timed", type=int, default=20, help="pieces of 8 bars that are timed")
    parser.add_argument("--threads", type=int, default=1, help="one symbol at a time: more wait")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=Path, help="folder that keeps what is done")
    parser.add_argument("--share", default="0/1", help="which part of the work, such as 1/2")
    parser.add_argument("--out", type=Path, default=RESULTS / "band.json")
    return parser.parse_args()


def main() -> None:
    """Run, and write the results."""
    import torch

    from benchmarks.band_flat import generator_of
    from benchmarks.measure import machine
    from ostinato.files import write_json

    arguments = parsed()
    torch.set_num_threads(arguments.threads)
    generator = generator_of(arguments.model)
    form, able = generator.representation, generator.capabilities()
    rows = worked(generator, arguments)
    codec = generator.trained.card["codec"]
    meter = "4/4" if "4/4" in form.meters else form.meters[0]
    styles = sorted({str(row["row"]["conditions"].get("style")) for row in rows})
    found = {
        "machine": machine(),
        "model": arguments.model,
        "asked": arguments.pieces,
        "shortest": arguments.shortest,
        "longest": arguments.longest,
        "guidance": arguments.guidance,
        **summed(rows, form, codec),
        "by_style": {
            style: summed(
                [row for row in rows if str(row["row"]["conditions"].get("style")) == style],
                form,
                codec,
            )
            for style in styles
        },
        "seconds": timed(generator, arguments.timed, able, meter),
    }
    write_json(arguments.out, found)
    print({key: found[key] for key in found if key not in ("machine", "longest", "by_style")})


WRONG = ("failed", "other bars", "other roles", "empty", "collapsed", "mistakes")
WRONG += ("out_of_range", "too_many", "three_hands")

if __name__ == "__main__":
    run_command(main)
