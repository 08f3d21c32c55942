"""Serves a model folder inside MLflow: requests in, MIDI out.

A registered model names this module as its loader, so that a stored model holds no code and no
pickle. A request is a row of a table, or a dictionary; every column is optional:

| column | meaning |
|---|---|
| `task` | `unconditional`, `continue`, `infill` or `vary`; without it, by what else is given |
| `bars`, `min_bars`, `n`, `seed` | as in `sampling.request.Request` |
| `prompt` | bytes of a MIDI file (Base64 over HTTP), for all tasks but `unconditional` |
| `prompt_bars` | how much of it is continued |
| `infill_bars`, `infill_voices` | the part to fill: [first, end) and names |
| `vary` | how much of the prompt to change, from 0 to 1 |
| `conditions` | values by name, such as {"tempo": 120} |
| `temperature`, `options` | settings of the sampler; without them its own defaults |

The answer has a row for each piece: `request` (row of the request), `index` and `id` of the piece,
`midi` (bytes of a MIDI file; Base64 over HTTP), `nats`, and `failed` (the reason, without `midi`).
"""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostinato.generator import Generator
from ostinato.music.write import write_midi
from ostinato.readers.read import read_piece
from ostinato.sampling.by_hand import voiced
from ostinato.sampling.request import Continue, Fill, Region, Request, Task, Unconditional, Vary

if TYPE_CHECKING:
    from pandas import DataFrame

    from ostinato.music.piece import Piece

WHOLE = ("bars", "min_bars", "n", "seed")
OWN = ("task", "prompt", "prompt_bars", "infill_bars", "infill_voices", "vary")


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
            for number, sample in zip(numbers, self._generator.generate_all(asked), strict=True)
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
        task = self._task({key: given.pop(key) for key in OWN if key in given})
        whole = {key: _whole(key, given.pop(key)) for key in WHOLE if key in given}
        if given:
            raise ValueError(
                f"a request has no {', '.join(sorted(given))}; it has "
                f"{', '.join((*WHOLE, *OWN, 'conditions', 'options', 'temperature'))}"
            )
        return Request(task=task, conditions=conditions, options=options, **whole)

    def _task(self, given: Mapping[str, Any]) -> Task:
        fills, varies = "infill_bars" in given or "infill_voices" in given, "vary" in given
        if fills and varies:
            raise ValueError("vary changes all of a piece, infill_… a part of it: leave one out")
        implied = "continue" if "prompt" in given else "unconditional"
        implied = "infill" if fills else "vary" if varies else implied
        name = given.get("task", implied)
        if name != implied:
            raise ValueError(
                f"task={name} does not fit what is given: unconditional takes no prompt, continue "
                "takes a prompt, infill a prompt with infill_bars, infill_voices or both, vary a "
                "prompt with vary"
            )
        if name == "unconditional":
            return Unconditional()
        if "prompt" not in given:
            raise ValueError("infill_bars, infill_voices and vary change a piece: give a prompt")
        prompt = voiced(_piece(given["prompt"]), self._generator.representation)
        if varies:
            return Vary(prompt, _number("vary", given["vary"]))
        if name == "continue":
            return Continue(prompt, given.get("prompt_bars", Continue.bars))
        first, end = map(int, given["infill_bars"]) if "infill_bars" in given else (0, 0)
        voices = tuple(given.get("infill_voices", ()))
        return Fill(prompt, Region((first, end) if "infill_bars" in given else None, voices))


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


def _bytes(piece: "Piece") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piece.mid"
        write_midi(path, piece)
        return path.read_bytes()


def _piece(midi: bytes) -> "Piece":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prompt.mid"
        path.write_bytes(midi)
        return read_piece(path)
