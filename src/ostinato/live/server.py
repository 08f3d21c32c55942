"""The OSC server: commands in, pieces into clips of Live, replies or a MIDI port.

One request is made at a time; others wait in a bounded queue. Replies go to the sender's address.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ostinato.live import commands
from ostinato.live.commands import Command, command_of
from ostinato.live.composer import Cancelled, Composer, Step
from ostinato.live.delivery import Delivery, Made, Source
from ostinato.live.osc import Endpoint, Peer, settle
from ostinato.live.ratings import Ratings
from ostinato.sampling.kept import heard_of, in_tempo_of, sounding_as
from ostinato.sampling.request import Continue

POLICIES = ("latest", "first")
DOUBLED = 0.01  # seconds within which the same message of the same sender is one that came twice
# a reply that comes here is not answered: two servers would answer each other for ever
REPLIES = {
    f"/ostinato/{name}"
    for name in (
        *("accepted", "progress", "remark", "notes", "length", "done"),
        *("error", "cancelled", "rated", "pong"),
    )
}
TERMINAL: Peer = ("terminal", 0)  # who presses keys beside the server


@dataclass(frozen=True, kw_only=True)
class Settings:
    """host, port: where it listens; 0 takes a free port. public, allow: whether, and which, other
    machines may ask; both are needed for a host that they reach. queue: requests that may wait.
    policy: when the queue is full, `latest` drops the oldest waiting request, `first` refuses the
    new one. to: where pieces go by default.
    """

    host: str = "127.0.0.1"
    port: int = 11010
    public: bool = False
    allow: tuple[str, ...] = ()
    queue: int = 8
    policy: str = "latest"
    to: str = "clip"
    seed: int = 1

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ValueError(f"policy={self.policy!r} must be one of: {', '.join(POLICIES)}")
        if self.to not in commands.OUTPUTS:
            raise ValueError(f"to={self.to!r} must be one of: {', '.join(commands.OUTPUTS)}")
        if self.queue < 1:
            raise ValueError(f"queue={self.queue} must be at least 1")
        is_near = self.host in ("127.0.0.1", "localhost", "::1")
        if not is_near and not (self.public and self.allow):
            raise ValueError(
                f"host={self.host} listens to other machines; if that is meant, say public=true "
                "and name those that may ask with allow=[<address>,…]"
            )


@dataclass
class Waiting:
    """A request in the queue."""

    number: int
    command: Command
    peer: Peer
    cancelled: bool = False
    made: list[str] = field(default_factory=list)


class Server:
    """Answers `/ostinato/…`.

    told: called with the replies to keys that are pressed beside the server.
    """

    def __init__(
        self,
        composer: Composer,
        settings: Settings,
        delivery: Delivery,
        ratings: Ratings,
        told: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.composer, self.settings = composer, settings
        self._told = told
        self._delivery, self._ratings = delivery, ratings
        self._queue: list[Waiting] = []
        self._current: Waiting | None = None
        self._ready = asyncio.Event()
        self._number, self._seed = 0, settings.seed - 1
        self._last: tuple[Peer, Command, float] | None = None
        self._endpoint: Endpoint | None = None
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen; returns the port."""
        self._endpoint = await Endpoint.open(
            self.settings.host, self.settings.port, self._message, self._damaged
        )
        self._worker = asyncio.create_task(self._work())
        return self._endpoint.port

    @property
    def is_busy(self) -> bool:
        """Whether a request is being made or waits."""
        return bool(self._current or self._queue)

    async def stop(self) -> None:
        """End all requests and leave no note sounding."""
        for waiting in [*self._queue, *([self._current] if self._current else [])]:
            waiting.cancelled = True
        if self._worker is not None:
            await settle(self._worker)
        self._delivery.silence()
        if self._endpoint is not None:
            self._endpoint.close()

    def press(self, address: str, arguments: list[Any]) -> None:
        """Take a message of this program's own keys; call it in the loop."""
        self._message(address, arguments, TERMINAL)

    def _message(self, address: str, arguments: list[Any], peer: Peer) -> None:
        if not self._allowed(peer) or address in REPLIES:
            return
        able = self.composer.capabilities()
        extra = [*able.options, *(spec.name for spec in able.conditions)]
        try:
            command = command_of(address, arguments, extra)
            self._take(command, peer)
        except Exception as error:  # such as a store that is locked
            self._error(peer, 0, error)

    def _damaged(self, sentence: str, peer: Peer) -> None:
        if self._allowed(peer):
            self._error(peer, 0, ValueError(sentence))

    def _allowed(self, peer: Peer) -> bool:
        return not self.settings.allow or peer[0] in self._near()

    def _near(self) -> tuple[str, ...]:
        return (*self.settings.allow, "127.0.0.1", "::1", TERMINAL[0])

    def _take(self, command: Command, peer: Peer) -> None:
        """Answer at once, or put the command into the queue."""
        at_once: dict[str, Callable[[Command, Peer], None]] = {
            "ping": lambda _, peer: self._say(peer, "pong"),
            "status": self._status,
            "cancel": self._cancel,
            "rate": self._rate,
        }
        if command.name in at_once:
            at_once[command.name](command, peer)
            return
        before, self._last = self._last, (peer, command, time.perf_counter())
        if before and before[:2] == (peer, command) and self._last[2] - before[2] < DOUBLED:
            return
        if len(self._queue) >= self.settings.queue:
            if self.settings.policy == "first":
                raise ValueError(
                    f"{len(self._queue)} requests are waiting already; ask again later, or cancel"
                )
            dropped = self._queue.pop(0)
            self._error(dropped.peer, dropped.number, ValueError("dropped for a later request"))
        self._number += 1
        waiting = Waiting(self._number, command, peer)
        self._queue.append(waiting)
        self._say(peer, "accepted", waiting.number, command.name)
        self._ready.set()

    def _status(self, command: Command, peer: Peer) -> None:
        able = self.composer.capabilities()
        busy = self._current.number if self._current else 0
        self._say(
            peer,
            "status",
            *("model", self.composer.system, "weights", self.composer.weights[:12]),
            *("tasks", ",".join(able.tasks), "roles", ",".join(able.roles)),
            *(
                "options",
                ",".join(f"{k}={'' if v == () else v}" for k, v in self.composer.options().items()),
            ),
            *("conditions", ",".join(map(_named, able.conditions))),
            *("busy", busy, "waiting", len(self._queue)),
        )

    def _cancel(self, command: Command, peer: Peer) -> None:
        wanted = command.values.get("request")
        every = [*self._queue, *([self._current] if self._current else [])]
        chosen = [waiting for waiting in every if wanted in (None, waiting.number)]
        if wanted is not None and not chosen:
            numbers = ", ".join(str(waiting.number) for waiting in every) or "none"
            raise ValueError(f"no request {wanted} is waiting or being made; there are: {numbers}")
        for waiting in chosen:
            waiting.cancelled = True
        self._queue = [waiting for waiting in self._queue if not waiting.cancelled]
        self._delivery.silence()
        for waiting in chosen:
            self._say(waiting.peer, "cancelled", waiting.number)

    def _rate(self, command: Command, peer: Peer) -> None:
        values = command.values
        if not {"id", "rating"} <= set(values):
            raise ValueError("/ostinato/rate needs id, from a reply, and rating, from 1 to 5")
        self._ratings.add(peer[0], values["id"], values["rating"], values.get("comment", ""))
        self._say(peer, "rated", values["id"], values["rating"])

    async def _work(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._queue:
                self._current = self._queue.pop(0)
                try:
                    with contextlib.suppress(Cancelled):
                        await self._fulfil(self._current)
                except Exception as error:  # told to the sender; the server goes on
                    self._error(self._current.peer, self._current.number, error)
                self._current = None

    async def _fulfil(self, waiting: Waiting) -> None:
        command, peer = waiting.command, waiting.peer
        if command.name == "model":
            await asyncio.to_thread(self.composer.load, Path(_needed(command.values, "folder")))
            self._say(peer, "model", self.composer.system, self.composer.weights[:12])
            return
        if await asyncio.to_thread(self.composer.refresh):
            self._say(peer, "model", self.composer.system, self.composer.weights[:12])
        to = str(command.values.get("to", self.settings.to))
        waiting.command = command = await self._delivery.resolved(command, to)
        values = dict(command.values)
        values.setdefault("seed", self._next_seed())
        values.setdefault("to", self.settings.to)
        source = await self._delivery.source(command, values)
        begun = time.perf_counter()
        for index in range(values.get("n", 1)):
            step, heard = await self._compose(
                waiting, values | {"first_piece": index}, source, begun
            )
            made = self._made(waiting, values, source, step, index, heard)
            self._ratings.know(made.id, made.piece, made.row)
            for remark in await self._delivery.put(made, lambda *a: self._say(peer, *a)):
                self._say(peer, "remark", waiting.number, remark)
            spent = time.perf_counter() - begun
            self._say(peer, "done", waiting.number, made.id, made.count, step.bars, float(spent))

    async def _compose(
        self, waiting: Waiting, values: Mapping[str, Any], source: Source, begun: float
    ) -> tuple[Step, int]:
        """The whole piece and how many bars of it continue from, with a message for every bar;
        raises Cancelled.
        """
        task = {"variations": "vary"}.get(waiting.command.name, waiting.command.name)
        prepared = await asyncio.to_thread(self.composer.prepare, task, values, source.prompt)
        for remark in (*source.remarks, *prepared.remarks):
            self._say(waiting.peer, "remark", waiting.number, remark)
        steps = self.composer.compose(prepared.request, lambda: waiting.cancelled)
        continued = prepared.request.task
        heard = int(continued.bars) if isinstance(continued, Continue) else 0
        said = 0
        while (step := await asyncio.to_thread(next, steps, None)) is not None:
            if waiting.cancelled:
                raise Cancelled
            if step.failed:
                raise ValueError(f"the piece failed: {step.failed}; ask again with another seed")
            if step.bars > said:
                said = step.bars
                self._say(waiting.peer, "progress", waiting.number, said, prepared.request.bars)
            if values["to"] == "port" and step.piece is not None:
                self._delivery.play(waiting.number, step.piece, heard)
            if step.done:
                return step, heard
        raise AssertionError("a piece ends with a step that is done")

    def _made(
        self,
        waiting: Waiting,
        values: Mapping[str, Any],
        source: Source,
        step: Step,
        index: int,
        heard: int,
    ) -> Made:
        assert step.piece is not None
        piece = step.piece
        if source.prompt is not None:
            kept = heard_of(source.prompt, heard) if heard else source.prompt
            piece = sounding_as(kept, piece)
            piece = piece if values.get("tempo") else in_tempo_of(kept, piece)
        row = {
            "system": self.composer.system,
            "weights": self.composer.weights,
            "task": waiting.command.name,
            "seed": values["seed"],
            "index": index,
            "prompt": source.digest,
            "prompt_bars": heard,
        }
        return Made(waiting.number, piece, source, dict(values), row)

    def _next_seed(self) -> int:
        self._seed += 1
        return self._seed

    def _say(self, peer: Peer, name: str, *values: Any) -> None:
        if peer == TERMINAL and name != "progress":
            self._told(" ".join(map(str, (name, *values))))
        elif peer != TERMINAL and self._endpoint is not None:
            self._endpoint.send(f"/ostinato/{name}", values, peer)

    def _error(self, peer: Peer, number: int, error: Exception) -> None:
        with contextlib.suppress(ValueError):
            self._say(peer, "error", number, str(error)[:4000])


def _named(spec: Any) -> str:
    """A condition with its values: style=jazz|rock."""
    return f"{spec.name}={'|'.join(spec.values)}"


def _needed(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        raise ValueError(f"/ostinato/model needs a {key}")
    return str(values[key])
