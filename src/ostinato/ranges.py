"""Ranges of the numbers that a user can write, and some lists of words, by the names in conf/.

They keep out what no setting can mean and what would fill the memory; closer limits, which hang on
other settings or on the model, are checked where a setting is used.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any


@dataclass(frozen=True)
class Range:
    """Numbers from `least` to `most`; `above`, `below`: without the end itself. also: others."""

    least: float = -inf
    most: float = inf
    above: bool = False
    below: bool = False
    also: tuple[float, ...] = ()

    def __contains__(self, number: float) -> bool:
        if number in self.also:
            return True
        low = number > self.least if self.above else number >= self.least
        return low and (number < self.most if self.below else number <= self.most)

    def __str__(self) -> str:
        ends = []
        if self.least > -inf:
            ends.append(f"{'above' if self.above else 'at least'} {self.least:.15g}")
        if self.most < inf:
            ends.append(f"{'below' if self.below else 'at most'} {self.most:.15g}")
        others = "".join(f"{number:.15g}, or " for number in self.also)
        return others + " and ".join(ends)


POSITIVE, SHARE, COUNT = Range(0, above=True), Range(0, 1), Range(0)
BELOW_ONE = Range(0, 1, below=True)
MANY, MOST_LAYERS, MOST_WIDTH = 10_000, 1024, 65_536
PORT, FREE_PORT = Range(1, 65_535), Range(0, 65_535)

SIZE = Range(0, MOST_WIDTH)  # of any other whole number among a model's settings
RISING = ("training.transpose",)  # pairs of which the first is not above the second
# lists without a name twice
ONCE = ("roles", "options.roles", "fill.roles", "infill.voices", "model.order")

CHOICES: Mapping[str, tuple[str, ...]] = {
    "device": ("cpu", "cuda"),
    "trainer.accelerator": ("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "precision": ("full", "int8"),
    "end_on": ("any", "triad", "tonic"),
    "answers": ("real", "simulated", "live"),
    "mode": ("plan", "serve", "simulate", "analyse", "export", "upgrade"),
    "format": ("muspy", "midi", "musicxml"),
    "to": ("clip", "arrangement", "reply", "port"),
}
METER = re.compile(r"[1-9]\d{0,2}/(1|2|4|8|16|32|64)")
METERS = ("duet_meter",)
RANGES: dict[str, Range] = {
    # generate
    "bars": Range(1, MANY),
    "min_bars": Range(1, MANY),
    "n": Range(1, MANY),
    "seed": Range(0, 2**32 - 1),
    "prompt_bars": Range(1, MANY),
    "temperature": Range(0, 100),  # 0: where a family takes the likeliest
    "top_k": COUNT,
    "top_p": Range(0, 1, above=True),
    "min_p": SHARE,
    "split": Range(0, 100),
    "motion": Range(0, 100, above=True),
    "best_of": Range(1, MANY),
    "no_repeat": COUNT,
    "tempo": Range(10, 1000),
    "infill.particles": Range(1, MANY),
    "options.seconds": Range(0, 600, above=True),  # more would fill the memory
    "options.steps": Range(0, MANY),
    "vary": SHARE,
    # train
    "model.attention_dropout": BELOW_ONE,
    "model.attribute_weight": COUNT,
    "model.condition_dropout": SHARE,
    "model.critic_lr": Range(0, MANY, above=True),
    "model.dropout": BELOW_ONE,
    "model.forget": SHARE,
    "model.free_nats": COUNT,
    "model.heads": Range(1, MOST_LAYERS),
    "model.hide": SHARE,
    "model.known": SHARE,
    "model.layers": Range(1, MOST_LAYERS),
    "model.periods": Range(1),
    "model.penalty": Range(0, MANY),
    "model.shift": Range(-20, 20),
    "model.shuffle": SHARE,
    "model.skew": Range(0, 100, above=True),
    "model.voice_hidden": Range(0, MOST_WIDTH),
    "model.width": Range(1, MOST_WIDTH),
    "optimizer.betas": BELOW_ONE,
    "optimizer.clip": COUNT,
    "optimizer.final_lr_ratio": SHARE,
    "optimizer.lr": POSITIVE,
    "optimizer.weight_decay": COUNT,
    "training.batch": Range(1, 1_000_000),
    "training.crop": Range(1, 1_000_000),
    "training.ema_decay": BELOW_ONE,
    "training.steps": Range(1, 10**9),
    "training.threads": Range(1, MOST_LAYERS),
    "training.validate_every": Range(1, 10**9),
    "training.transpose": Range(-60, 60),
    "trainer.devices": Range(1, also=(-1,)),  # -1: all
    "trainer.micro_batch": Range(1),
    "trainer.num_nodes": Range(1),
    # pages, servers, listening tests, export
    "port": PORT,
    "threads": Range(1, MOST_LAYERS),
    "queue": Range(1, MANY),
    "duet_bars": Range(1, 64),
    "qpm": Range(10, 1000),
    "live.port": PORT,
    "live.reply_port": FREE_PORT,
    "live.timeout": POSITIVE,
    "resamples": Range(1, 1_000_000),
    "limits.requests_per_second": POSITIVE,
    "limits.address_per_second": POSITIVE,
    "limits.new_per_minute": POSITIVE,
    "limits.secrets_per_minute": POSITIVE,
    "limits.body_bytes": Range(1),
    "simulated.listeners": Range(1, 100_000),
    "simulated.ability": SHARE,
    "simulated.listener_sd": COUNT,
    "simulated.item_sd": COUNT,
    "simulated.tie": COUNT,
    "simulated.lapse": SHARE,
    "simulated.seed": Range(0, 2**32 - 1),
    "renders": Range(0, MANY),
    "pieces": Range(0, MANY),
    "seconds": Range(0, 3600, above=True),
    "most_bytes": Range(1),
}
# params.yaml
SAMPLED = ("bars", "min_bars", "prompt_bars", "temperature", "top_k", "top_p", "split", "motion")
RANGES |= {f"sampling.{name}": RANGES[name] for name in (*SAMPLED, "seed")}
RANGES |= {f"sampling.{name}": Range(0, MANY) for name in ("unconditional", "continue")}
RANGES |= {"evaluation.resamples": RANGES["resamples"], "evaluation.seed": RANGES["seed"]}
RANGES |= {"evaluation.compared": Range(0, 1_000_000)}


def range_of(key: str) -> Range | None:
    """Of a setting by its name; a model inside a model has settings of the same names."""
    section, _, name = key.partition(".")
    return RANGES.get(key) or RANGES.get(f"{section}.{name.rpartition('.')[2]}")


def check_range(key: str, value: Any, default: Any = None) -> None:
    """Refuse numbers outside their range, words that are none of CHOICES, pairs that fall, and
    names that are there twice.

    default: of a setting without a range: that of a model's size is SIZE, other counts are not
    below 0.

    Raises:
        ValueError: names what there is.
    """
    if value is not None and value not in CHOICES.get(key, (value,)):
        *others, last = CHOICES[key]
        raise ValueError(f"{key}={value!r} must be {', '.join(others)} or {last}")
    if key in METERS and not METER.fullmatch(str(value)):
        raise ValueError(f"{key}={value!r} must be a meter such as 4/4")
    if key in ONCE and isinstance(value, list):
        check_once(key, value)
    numbers = [n for n in (value if isinstance(value, list) else [value]) if is_number(n)]
    if not all(map(isfinite, numbers)):
        raise ValueError(f"{key}={value} must be finite")
    allowed = range_of(key)
    if allowed is None and type(default) is int:
        section = key.partition(".")[0]
        is_count = section in ("optimizer", "training") and default > 0
        allowed = SIZE if section == "model" else COUNT if is_count else None
    if allowed and not all(number in allowed for number in numbers):
        raise ValueError(f"{key}={value} must be {allowed}")
    if key in RISING and numbers != sorted(numbers):
        raise ValueError(f"{key}={value} must rise: the lowest first")


def check_once(key: str, names: Sequence[Any]) -> None:
    """Raise ValueError for a name that is there twice."""
    if twice := [name for name in dict.fromkeys(names) if list(names).count(name) > 1]:
        raise ValueError(f"{key} names {', '.join(map(str, twice))} twice: name each once")


def check_heads(model: Mapping[str, Any]) -> None:
    """Refuse heads of attention among which a model's width cannot be divided.

    It comes before torch is imported; what only some families need, they check themselves.

    Raises:
        ValueError: names both settings.
    """
    widths = model.get("widths")
    name, width = ("width", model.get("width")) if not widths else ("the last width", widths[-1])
    heads, timed = model.get("heads"), model.get("time_heads")
    if isinstance(heads, int) and isinstance(width, int) and heads > 0 and width % heads:
        raise ValueError(f"model.heads={heads} must divide {name}={width}")
    if isinstance(heads, int) and isinstance(timed, int) and timed > heads:
        raise ValueError(f"model.time_heads={timed} must be at most model.heads={heads}")


def check_columns(model: Mapping[str, Any], codec: Mapping[str, Any]) -> None:
    """Refuse settings of a model that name other columns or conditions than an encoding has.

    As `check_heads`, it comes before torch is imported. codec: the encoding's `codec.json`. An
    order is one of all columns, or of the voices alone, by the family.

    Raises:
        ValueError: names the setting and what the encoding has.
    """
    width, order, names = codec["width"], model.get("order"), model.get("conditions")
    voices = len(codec.get("structure", {}).get("voice_columns", ())) or width
    if isinstance(order, list | tuple) and order and len(order) not in (width, voices):
        raise ValueError(
            f"order={list(order)} names {len(order)} sub-tokens, the representation has {width}"
        )
    if model.get("voice_hidden") == 0 and width > 1:
        raise ValueError(
            f"voice_hidden=0 predicts one sub-token only, the representation has {width}"
        )
    known = [condition["name"] for condition in codec.get("conditions", ())]
    if missing := [name for name in names or () if name not in known]:
        raise ValueError(
            f"model.conditions names {', '.join(missing)}; this encoding has "
            f"{', '.join(known) or 'no conditions'}"
        )


def is_number(value: Any) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
