"""Keys that stand for messages: typed in the terminal, or notes of a MIDI controller."""

import asyncio
import contextlib
import os
import shlex
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ostinato.live.commands import command_of

ENTER = "enter"  # an empty line


class Keys:
    """Turns keys into messages.

    table: messages by key, such as `next bars 8 fire 1`. pads: keys by MIDI note. send: takes
    address and arguments. extra: options and conditions of the model, which messages may name.

    Raises:
        ValueError: a message of the table that is none, or a pad without a key.
    """

    def __init__(
        self,
        table: Mapping[str, str],
        pads: Mapping[int, str],
        send: Callable[[str, list[Any]], None],
        say: Callable[[str], object],
        extra: tuple[str, ...] = (),
    ) -> None:
        self.table, self.pads = dict(table), dict(pads)
        self._send, self._say = send, say
        for key, text in self.table.items():
            try:
                command_of(*message_from(text), extra)
            except ValueError as error:
                raise ValueError(f"keys.{key}={text!r}: {error}") from error
        for note, key in self.pads.items():
            if key not in self.table:
                raise ValueError(
                    f"pads: note {note} names the key {key!r}; keys: {', '.join(self.table)}"
                )

    def press(self, line: str) -> None:
        """Send what a key stands for, or a line that is a message itself."""
        try:
            self._send(*message_from(self.table.get(line.strip() or ENTER, line)))
        except ValueError as error:
            self._say(str(error))

    def receive(self, message: Any) -> None:
        """One message of mido."""
        if message.type != "note_on" or not message.velocity:
            return
        if message.note in self.pads:
            self.press(self.pads[message.note])
        else:
            self._say(
                f"note {message.note} is no pad; pads={{{message.note}: {ENTER}}} makes it one"
            )


def message_from(text: str) -> tuple[str, list[Any]]:
    """`next bars 8 fire 1` as an address and its arguments; quotes hold a text together.

    Raises:
        ValueError: nothing is there, or a quote is not closed.
    """
    words = shlex.split(text)
    if not words:
        raise ValueError("a message has an address, such as: next bars 8")
    return f"/ostinato/{words[0].removeprefix('/ostinato/')}", [_value(word) for word in words[1:]]


def read_terminal(press: Callable[[str], None]) -> None:
    """Call `press` in the running loop with every line that is typed; ends with the input.

    A program in the background does not read: the system would stop it.
    """
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, AttributeError):  # Windows has no groups of a terminal
        if os.isatty(0) and os.tcgetpgrp(0) != os.getpgrp():
            return

    def run() -> None:
        rest = b""
        with contextlib.suppress(OSError, RuntimeError):  # closed, as the loop may be
            while data := os.read(0, 4096):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    loop.call_soon_threadsafe(press, line.decode(errors="replace").strip())

    threading.Thread(target=run, name="terminal", daemon=True).start()


def _value(word: str) -> Any:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(word)
    return word
