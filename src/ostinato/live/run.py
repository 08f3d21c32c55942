"""Puts server, Live, MIDI ports and call and response together, until Ctrl-C."""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ostinato.listening.commands import live_url
from ostinato.live.ableton import Ableton
from ostinato.live.commands import meter_of
from ostinato.live.composer import Composer
from ostinato.live.delivery import Delivery
from ostinato.live.duet import Duet, Keyboard
from ostinato.live.keys import Keys, read_terminal
from ostinato.live.player import Player, open_port
from ostinato.live.ratings import Ratings
from ostinato.live.server import Server, Settings


async def serve(folder: Path, config: Mapping[str, Any]) -> None:
    """Answer until Ctrl-C. config: of conf/live.yaml.

    Raises:
        ValueError: a port is taken or not there, or settings contradict each other.
    """
    settings = Settings(
        host=config["host"],
        port=config["port"],
        public=config["public"],
        allow=tuple(config["allow"]),
        queue=config["queue"],
        policy=config["policy"],
        to=config["to"],
        seed=config["seed"],
    )
    if config["midi_in"] and not config["midi_out"]:
        raise ValueError("midi_in needs midi_out=<port>, where the answers are played")
    logging.getLogger().addFilter(lambda record: "pythonosc" not in record.pathname)  # floods
    composer = Composer(folder, config["device"], config["precision"])
    with contextlib.ExitStack() as opened:
        player = live = None
        if config["midi_out"]:
            player = Player(open_port(config["midi_out"]), config["qpm"])
            opened.callback(player.close)
        if config["midi_in"] and player is not None:
            _answer_calls(composer, player, config, opened)
        if config["ableton"]:
            live = Ableton(
                (config["live"]["host"], config["live"]["port"]), config["live"]["timeout"]
            )
            await live.open(config["host"], config["live"]["reply_port"])
            opened.callback(live.close)
            if player is not None:
                live.follow(player.tempo)
        ratings = Ratings(config["store"] or live_url(Path()))
        server = Server(composer, settings, Delivery(live, player), ratings, print)
        keys = _keys(server, config, opened)
        port = await server.start()
        print(  # noqa: T201
            f"{composer.system} answers at {settings.host} port {port}; stop with Ctrl-C\n"
            f"keys, each with Enter: {', '.join(f'{k} = {v}' for k, v in keys.table.items())}",
            flush=True,
        )
        read_terminal(keys.press)
        try:
            await _until_interrupted()
        finally:
            await server.stop()


def _answer_calls(
    composer: Composer, player: Player, config: Mapping[str, Any], opened: contextlib.ExitStack
) -> None:
    """Call and response in a thread of its own."""
    keyboard = Keyboard(config["qpm"], beat=player.follow, stopped=player.silence)
    port = open_port(config["midi_in"], heard=keyboard.receive)
    opened.callback(port.close)
    duet = Duet(
        composer,
        player,
        keyboard,
        bars=config["duet_bars"],
        meter=meter_of(config["duet_meter"]),
        seed=config["seed"],
    )
    threading.Thread(target=duet.run, args=(print,), name="duet", daemon=True).start()


def _keys(server: Server, config: Mapping[str, Any], opened: contextlib.ExitStack) -> Keys:
    """The keys of the terminal and, with pads_in, those of a MIDI controller."""
    able, loop = server.composer.capabilities(), asyncio.get_running_loop()
    extra = (*able.options, *(spec.name for spec in able.conditions))
    keys = Keys(config["keys"], config["pads"], server.press, print, extra)
    if config["pads_in"]:

        def heard(message: Any) -> None:
            loop.call_soon_threadsafe(keys.receive, message)

        port = open_port(config["pads_in"], heard=heard)
        opened.callback(port.close)
    return keys


async def _until_interrupted() -> None:
    stopped = asyncio.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the last one: the terminal was closed
        with contextlib.suppress(NotImplementedError, AttributeError):  # Windows raises instead
            asyncio.get_running_loop().add_signal_handler(getattr(signal, name), stopped.set)
    await stopped.wait()
