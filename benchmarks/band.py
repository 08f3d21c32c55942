"""Many pieces of a band with random requests: what goes wrong, what is obeyed, how long it takes.

python -m benchmarks.band --model models/band --pieces 750   writes results/band.json

Every piece has random roles, meter and 1 to 64 bars (short ones more often), and a random value of
each condition of the model, in turn, so that each value is asked for equally often.

failed: pieces that are not whole or do not decode. other bars, other roles: not what was asked for.
empty: parts of a piece without a note. collapsed: parts whose last half, four bars or more, is one
bar repeated. requests: asked against found, see docs/metrics.md. mistakes: notes that cannot be
played, a part. seconds: of pieces of 8 bars with four roles (the model's last), one after the
other, on the wall and of the processor, where others use it too.

As a case of `python -m benchmarks`: notes a second in training, against a flat model of the same
size on the same pieces.
"""

import argparse
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

    contestants = {OURS: step(OURS, "band"), FLAT: step(FLAT, "gpt", width=FLAT_WIDTH)}
    question = f"roles of chorales, training, float32, batch {batch}, length {crop}"
    return Race(question, "notes", float(notes), in_turn(contestants, rounds), aims={})


def requests(
    able: Any, meters: list[str], count: int, longest: int, seed: int, guidance: float = 1.0
) -> list[Any]:
    """Requests with random roles, meter, number of bars and conditions."""
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
        bars = int(np.exp(rng.uniform(0, np.log(longest + 1))))
        options = {"roles": chosen, "meter": str(rng.choice(meters)), "top_p": TOP_P}
        if guidance != 1:
            options["guidance"] = guidance
        given = {name: values[number] for name, values in asked.items()}
        given = {name: value for name, value in given.items() if of_roles(name, roles, chosen)}
        about = {"conditions": given, "options": options, "seed": seed + number}
        found.append(Request(bars=bars, min_bars=bars, **about))
    return found


def of_roles(name: str, roles: list[str], chosen: tuple[str, ...]) -> bool:
    """Whether a condition is of the whole piece, or of a role that plays."""
    return not any(name.endswith(f"_{role}") for role in roles if role not in chosen)


def check(sample: Any, request: Any, representation: Any) -> Counter[str]:
    """What is wrong with a piece."""
    from ostinato.metrics.playability import playability

    if sample.piece is None:
        return Counter(failed=1)
    tokens, piece, found = sample.made.tokens, sample.piece, Counter()
    playing = sorted(role for role in representation.playing(tokens) if role != CHORDS)
    found["other bars"] += len(representation.bar_starts(tokens)) != request.bars
    found["other roles"] += playing != list(request.options["roles"])
    for role in playing:
        found["parts"] += 1
        found["empty"] += not len(piece.voice(role))
        found["collapsed"] += collapsed(representation, tokens, role, request.bars)
    found["mistakes"] += int(playability(piece)["mistakes"].above)
    return found


def collapsed(representation: Any, tokens: Any, role: str, bars: int) -> bool:
    """Whether the last half of a part, four bars or more, is one bar that is not empty."""
    layout = representation.layout
    mine = layout.owners[tokens[:, 0]] == representation.parts.index(role)
    number = np.cumsum(layout.kinds[tokens[:, 0]] == layout.kinds[layout.first_bar])
    parts = [tokens[mine & (number == bar), 0].tolist() for bar in range(1, bars + 1)]
    last = parts[-max(LEAST, bars // 2) :]
    return len(last) >= LEAST and len(last[0]) > 1 and all(part == last[0] for part in last)


def obeyed(samples: list[Any], codec: Any) -> dict[str, str]:
    """The measure `requests` of these samples, as text."""
    from ostinato.evaluation.measures.requests import measure

    made = [sample for sample in samples if sample.piece is not None]
    asked = {sample.piece.id: sample.row for sample in made}
    about: Any = SimpleNamespace(
        samples_whole=[sample.piece for sample in made],
        requests=asked,
        tokens=SimpleNamespace(codec=codec),
        **CHANCE,
    )
    return {name: str(figure) for name, figure in measure(about).values.items()}


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


def main() -> None:
    """Parse the command line, run, write the results."""
    import torch

    from benchmarks.measure import machine
    from ostinato.files import write_json
    from ostinato.generator import Generator

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.band",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="models/band")
    parser.add_argument("--pieces", type=int, default=750)
    parser.add_argument("--longest", type=int, default=64, help="bars of a piece, at most")
    parser.add_argument(
        "--minutes", type=float, help="of the processor, after which no piece begins"
    )
    parser.add_argument("--guidance", type=float, default=1.0, help="1: the model itself")
    parser.add_argument("--timed", type=int, default=20, help="pieces of 8 bars that are timed")
    parser.add_argument("--threads", type=int, default=1, help="one symbol at a time: more wait")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "band.json")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    generator = Generator.load(arguments.model)
    form, able = generator.representation, generator.capabilities()
    counted: Counter[str] = Counter()
    samples: list[Any] = []
    plan = able, list(form.meters), arguments.pieces, arguments.longest, arguments.seed
    guidance = arguments.guidance
    until = time.process_time() + 60 * (arguments.minutes or np.inf)
    for request in requests(*plan, guidance):
        if time.process_time() > until:
            break
        (sample,) = generator.generate(request)
        counted += check(sample, request, form)
        samples.append(sample)
    meter = "4/4" if "4/4" in form.meters else form.meters[0]
    parts = counted["parts"]
    found = {
        "machine": machine(),
        "model": arguments.model,
        "asked": arguments.pieces,
        "pieces": len(samples),
        "longest": arguments.longest,
        "guidance": guidance,
        "bars": sum(sample.row["bars"] for sample in samples),
        "counts": {name: counted[name] for name in ("parts", *WRONG)},
        "mistakes_a_part": round(counted["mistakes"] / parts, 4) if parts else None,
        "requests": obeyed(samples, generator.trained.card["codec"]),
        "seconds": timed(generator, arguments.timed, able, meter),
    }
    write_json(arguments.out, found)
    print({key: value for key, value in found.items() if key not in ("machine", "longest")})


WRONG = ("failed", "other bars", "other roles", "empty", "collapsed")

if __name__ == "__main__":
    run_command(main)
