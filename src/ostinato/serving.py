"""Serves a model folder inside MLflow: requests in, MIDI out.

A registered model names this module as its loader, so that a stored model holds no code and no
pickle. A request is a row of a table, or a dictionary; every column is optional:

| column | meaning |
|---|---|
| `task` | a task of `ostinato generate`, such as `fill`; without it, by what else is given |
| `bars`, `min_bars`, `n`, `seed` | as in `sampling.request.Request` |
| `prompt` | bytes of a MIDI file (Base64 over HTTP), for all tasks but `unconditional` |
| `prompt_bars` | how much of it is continued |
| `infill_bars`, `infill_voices` | the part to fill: [first, end) and names |
| `end` | bytes of a second MIDI file, for `interpolate` |
| `vary` | how much of the prompt to change, from 0 to 1 |
| `conditions` | values by name, such as {"tempo": 120} |
| `temperature`, `options` | settings of the sampler; without them its own defaults |

The answer has a row for each piece: `request` (row of the request), `index` and `id` of the piece,
`midi` (bytes of a MIDI file, of a WAV file from models of sound; Base64 over HTTP), `nats`, and
`failed` (the reason, without `midi`).
"""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostinato.generator import Generator
from ostinato.readers.read import read_piece
from ostinato.sampling.by_hand import voiced
from ostinato.sampling.known import check_known, counting_meters
from ostinato.sampling.request import Request, Task
from ostinato.sampling.sounding import generate_sounding
from ostinato.sampling.tasks import (
    HARMONIZE,
    Asked,
    check_prompt,
    melody_alone,
    task_named,
    task_of,
)
from ostinato.sampling.write import suffix_of, write_piece

if TYPE_CHECKING:
    from pandas import DataFrame

    from ostinato.music.piece import Piece
    from ostinato.music.recording import Recording

WHOLE = ("bars", "min_bars", "n", "seed")
OWN = ("task", "prompt", "end", "prompt_bars", "infill_bars", "infill_voices", "vary")
WRITTEN = {
    "prompt": "a prompt",
    "end": "an end",
    "infill": "infill_bars, infill_voices or both",
    "vary": "vary",
}


class Server:
    """What MLflow wraps into its PyFuncModel."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    def predict(
        self, requests: "DataFrame", params: Mapping[str, Any] | None = None
    ) -> "DataFrame":
        """The pieces of all requests, in shared batches; see the module for the columns.

        Raises:
            ValueError: something that this model cannot do; it names what it can.
        """
        from pandas import DataFrame

        asked = [self.request(fields) for fields in requests.to_dict("records")]
        made = generate_sounding(self._generator, asked)
        numbers = [number for number, one in enumerate(asked) for _ in range(one.n)]
        rows = [
            {
                "request": number,
                "index": sample.row["index"],
                "id": sample.row["id"],
                "midi": _bytes(sample.piece) if sample.piece else None,
                "failed": sample.row["failed"],
                "nats": sample.row["nats"],
            }
            for number, sample in zip(numbers, made, strict=True)
        ]
        return DataFrame(rows)

    def request(self, fields: Mapping[str, Any]) -> Request:
        """A row of a table as a request; raises ValueError for names that no request has."""
        given = {key: value for key, value in fields.items() if not _missing(value)}
        options = dict(given.pop("options", {}))
        if "temperature" in given:
            options["temperature"] = given.pop("temperature")
        defaults = self._generator.capabilities().options
        for key, value in options.items():  # a column of numbers is a column of floats
            if isinstance(defaults.get(key), int) and float(value).is_integer():
                options[key] = type(defaults[key])(value)
        conditions = dict(given.pop("conditions", {}))
        own = {key: given.pop(key) for key in OWN if key in given}
        whole = {key: _whole(key, given.pop(key)) for key in WHOLE if key in given}
        if given:
            raise ValueError(
                f"a request has no {', '.join(sorted(given))}; it has "
                f"{', '.join((*WHOLE, *OWN, 'conditions', 'options', 'temperature'))}"
            )
        task = self._task(own, whole.get("bars", Request.bars))
        asked = Request(task=task, conditions=conditions, options=options, **whole)
        able = self._generator.capabilities()
        check_known(asked, able, self._generator.trained.card["codec"])
        return asked

    def _task(self, given: Mapping[str, Any], limit: int) -> Task:
        keys = {key for key in ("prompt", "end", "vary") if key in given}
        if "infill_bars" in given or "infill_voices" in given:
            keys.add("infill")
        name = task_named(given.get("task"), keys, WRITTEN)
        able, representation = self._generator.capabilities(), self._generator.representation
        pieces = {key: _piece(given[key]) for key in ("prompt", "end") if key in given}
        if name == HARMONIZE and able.roles:
            pieces["prompt"], _ = melody_alone(pieces["prompt"], able.roles)
        heard = {key: voiced(piece, representation) for key, piece in pieces.items()}
        first, end = map(int, given.get("infill_bars", (0, 0)))
        asked = Asked(
            prompt=heard.get("prompt"),
            end=heard.get("end"),
            prompt_bars=given.get("prompt_bars", Asked.prompt_bars),
            bars=(first, end) if "infill_bars" in given else None,
            voices=tuple(given.get("infill_voices", ())),
            strength=_number("vary", given["vary"]) if "vary" in given else None,
        )
        task = task_of(name, asked, able)
        if task.name in able.tasks:
            with counting_meters(self._generator.trained.card["codec"]):
                check_prompt(representation, task, limit)
        return task


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> Server:
    """Called by MLflow; `load_model(…, model_config={"device": "cuda"})` samples on a GPU."""
    return Server(Generator.load(path, (model_config or {}).get("device", "cpu")))


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _whole(key: str, value: Any) -> int:
    if not isinstance(value, int | float) or not float(value).is_integer():
        raise ValueError(f"{key}={value} must be a whole number")
    return int(value)


def _number(key: str, value: Any) -> float:
    if not isinstance(value, int | float):
        raise ValueError(f"{key}={value!r} must be a number from 0 to 1, such as 0.3")
    return float(value)


def _bytes(piece: "Piece | Recording") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"piece.{suffix_of(piece)}"
        write_piece(path, piece)
        return path.read_bytes()


def _piece(midi: bytes) -> "Piece":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prompt.mid"
        path.write_bytes(midi)
        return read_piece(path)
