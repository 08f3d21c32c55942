"""How long the OSC server takes to the first bar and to all, and how late streamed notes are.

python -m benchmarks.live --model models/lstm models/gpt models/gpt-events models/band
writes results/live.json
"""

import argparse
import asyncio
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.execution.commands import run_command

THREADS = 1  # as conf/live.yaml
WHOLE = 5  # of so many requests one is made to its end, the others are cancelled
QPM = 120
RESULTS = Path(__file__).parent / "results"
WARM = 5  # requests that are not counted: they fill caches


class Nowhere:
    """A MIDI port without a wire."""

    def send(self, message: Any) -> None:
        """Take a message."""

    def close(self) -> None:
        """Nothing to close."""


async def requests(folder: Path, count: int, bars: int) -> dict[str, list[float]]:
    """Seconds to the first bar and to the whole piece of every request, and lateness of notes."""
    from ostinato.live.composer import Composer
    from ostinato.live.delivery import Delivery
    from ostinato.live.osc import datagram, message_of
    from ostinato.live.player import Player
    from ostinato.live.ratings import Ratings
    from ostinato.live.server import Server, Settings

    composer, player = Composer(folder), Player(Nowhere(), QPM)
    server = Server(composer, Settings(port=0), Delivery(None, player), Ratings("sqlite://"))
    port = await server.start()
    first, whole, late = [], [], []
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.setblocking(False)
        for number in range(count + WARM):
            player.late.clear()
            to = ("to", "port" if number % (2 * WHOLE) == 0 else "reply")  # notes sound meanwhile
            message = datagram("/ostinato/generate", ("bars", bars, "seed", number, *to))
            begun, heard = time.perf_counter(), 0.0
            client.sendto(message, ("127.0.0.1", port))
            while True:
                address, values = message_of(await loop.sock_recv(client, 65536))
                now = time.perf_counter() - begun
                if address == "/ostinato/error":
                    raise RuntimeError(values)
                if address == "/ostinato/progress" and not heard:
                    heard = now
                    if number % WHOLE:
                        client.sendto(datagram("/ostinato/cancel", ()), ("127.0.0.1", port))
                if address in ("/ostinato/done", "/ostinato/cancelled"):
                    break
            while server.is_busy:
                await asyncio.sleep(0.002)
            if number >= WARM:
                first.append(heard)
                late += player.late
                if not number % WHOLE:
                    whole.append(now)
    await server.stop()
    player.close()
    return {"first bar": first, "whole piece": whole, "notes late while composing": late}


def idle(seconds: float) -> list[float]:
    """How late sixteenths are where nothing else is computed."""
    from ostinato.live.clips import ClipNote
    from ostinato.live.player import Player

    player = Player(Nowhere(), QPM)
    beats = round(seconds * QPM / 60)
    player.feed(1, [ClipNote(at / 4, 60 + at % 12, 0.25) for at in range(4 * beats)])
    player.wait(2 * seconds)
    player.close()
    return list(player.late)


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds."""
    median, p95, p99 = (float(v) * 1000 for v in np.percentile(seconds, [50, 95, 99]))
    return {"median": median, "p95": p95, "p99": p99, "n": len(seconds)}


def main() -> None:
    """Parse the command line, run, write the results."""
    import torch

    from benchmarks.measure import machine
    from ostinato.files import write_json

    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--model", nargs="+", default=["pretrained/bach"])
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--bars", type=int, default=8)
    parser.add_argument("--note", default="", help="written beside the results")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    setting = {"requests": arguments.requests, "bars": arguments.bars, "threads": THREADS}
    setting |= {"note": arguments.note}
    rows: list[dict[str, Any]] = [{"model": "", "part": "notes late, idle", **summary(idle(10))}]
    music = arguments.bars * 4 * 60 / QPM
    for folder in arguments.model:
        times = asyncio.run(requests(Path(folder), arguments.requests, arguments.bars))
        for part, seconds in times.items():
            rows.append({"model": Path(folder).name, "part": part, **summary(seconds)})
        slow = rows[-2]["p95"] / 1000
        rows[-2]["times real time"] = {
            "median": 1000 * music / rows[-2]["median"],
            "p95": music / slow,
        }
        write_json(RESULTS / "live.json", {"machine": machine(), **setting, "rows": rows})
    for row in rows:
        figures = "  ".join(f"{name} {row[name]:8.2f}" for name in ("median", "p95", "p99"))
        real = row.get("times real time")
        more = f"  {real['median']:.0f} x real time" if real else ""
        print(f"{row['model']:<20} {row['part']:<26} n {row['n']:5d}  ms: {figures}{more}")


if __name__ == "__main__":
    run_command(main)
