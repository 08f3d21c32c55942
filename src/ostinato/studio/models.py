"""The models that the studio offers, each loaded when it is first asked for."""

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from ostinato.files import DamagedFile, read_json
from ostinato.live.composer import Composer
from ostinato.precision.choice import FULL, check_precision
from ostinato.representations.protocol import Sounding
from ostinato.representations.registry import build
from ostinato.sampling.load import FORMAT


def folders_under(places: list[Path]) -> dict[str, Path]:
    """Model folders by name: the places themselves, or the folders inside them."""
    found: dict[str, Path] = {}
    for place in places:
        inside = [place] if (place / "model.json").exists() else sorted(place.glob("*"))
        for folder in inside:
            if (folder / "model.json").exists():
                name = folder.name if folder.name not in found else str(folder)
                found[name] = folder
    return found


class Models:
    """Composers by name.

    Raises:
        ValueError: there is no model at all.
    """

    def __init__(
        self, folders: Mapping[str, Path], device: str = "cpu", precision: str = FULL
    ) -> None:
        if not folders:
            raise ValueError(
                "no model folder is here; train one with: make quick, or name one: weights=<folder>"
            )
        check_precision(precision, device)
        self._folders, self._lock = dict(folders), Lock()
        self._device, self._precision = device, precision
        self._loaded: dict[str, Composer] = {}
        self.turn = Lock()  # one request computes at a time

    def names(self) -> list[dict[str, Any]]:
        """Name, family and the start of the weights' hash of every model of notes."""
        rows = []
        for name, folder in self._folders.items():
            try:
                card = read_json(folder / "model.json", expect_format=FORMAT, made_by="")
                kind = build(card["codec"]["representation"])
            except (DamagedFile, OSError, ValueError):
                continue
            if isinstance(kind, Sounding):
                continue
            weights = str(card["weights_sha256"])[:12]
            rows.append({"name": name, "family": card["family"], "weights": weights})
        return rows

    def get(self, name: str) -> Composer:
        """The composer of a model; raises ValueError for an unknown name."""
        if name not in self._folders:
            raise ValueError(f"no model {name!r}; there are: {', '.join(self._folders)}")
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = Composer(self._folders[name], self._device, self._precision)
            else:
                self._loaded[name].refresh()
            return self._loaded[name]

    def about(self, name: str) -> dict[str, Any]:
        """What a model can do, for the page's controls."""
        composer = self.get(name)
        able = composer.capabilities()
        conditions = [
            {"name": spec.name, "values": list(getattr(spec, "values", ()) or ())}
            for spec in able.conditions
        ]
        return {
            "name": name,
            "system": composer.system,
            "weights": composer.weights[:12],
            "tasks": list(able.tasks),
            "missing": dict(able.missing),
            "roles": list(able.roles),
            "streams": able.streams,
            "options": {key: _shown(value) for key, value in composer.options().items()},
            "conditions": conditions,
        }


def _shown(value: Any) -> Any:
    """An option's value for a field of the page; several names are one text."""
    return ",".join(value) if isinstance(value, tuple) else value
