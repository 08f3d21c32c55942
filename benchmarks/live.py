"""How long the OSC server takes to the first bar and to all, and how late streamed notes are.

python -m benchmarks.live --model models/lstm models/gpt models/gpt-events models/band
writes results/live.json; rows of models that are not asked for are kept
"""

import argparse
import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.execution.commands import run_command

THREADS = 1  # as conf/live.yaml
WHOLE = 5  # of so many requests one is made to its end, the others are cancelled
QPM = 120
LATE, LATE_IDLE = "notes late while composing", "notes late, idle"
RESULTS = Path(__file__).parent / "results"
WARM = 5  # requests that are not counted: they fill caches


class Nowhere:
    """A MIDI port without a wire."""

    def send(self, message: Any) -> None:
        """Take a message."""

    def close(self) -> None:
        """Nothing to close."""


def waited() -> float:
    """Seconds that server and client, whose work is done in turn, were ready and had no processor.

    Linux counts them for every thread (schedstat). Streamed notes have a thread of their own, which
    is left out.
    """
    working = [t for t in threading.enumerate() if t.name.startswith(("MainThread", "asyncio"))]
    paths = [Path(f"/proc/self/task/{thread.native_id}/schedstat") for thread in working]
    return sum(int(path.read_text().split()[1]) for path in paths) / 1e9


async def requests(
    folder: Path, count: int, bars: int, precision: str, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds to the first bar and to the whole piece of every request, and lateness of notes."""
    from ostinato.live.composer import Composer
    from ostinato.live.delivery import Delivery
    from ostinato.live.osc import datagram, message_of
    from ostinato.live.player import Player
    from ostinato.live.ratings import Ratings
    from ostinato.live.server import Server, Settings

    composer = Composer(folder, precision=precision)
    player = Player(Nowhere(), QPM)
    server = Server(composer, Settings(port=0), Delivery(None, player), Ratings("sqlite://"))
    port = await server.start()
    first, whole, late = [], [], []
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.setblocking(False)
        for number in range(count + WARM):
            player.late.clear()
            to = ("to", "reply" if number % WHOLE else "port")  # whole pieces sound meanwhile
            message = datagram("/ostinato/generate", ("bars", bars, "seed", number, *to))
            begun, heard = clock(), 0.0
            client.sendto(message, ("127.0.0.1", port))
            while True:
                address, values = message_of(await loop.sock_recv(client, 65536))
                now = clock() - begun
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
    return {"first bar": first, "whole piece": whole, LATE: late}


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
    if not seconds:
        return {"n": 0}
    median, p95, p99 = (float(v) * 1000 for v in np.percentile(seconds, [50, 95, 99]))
    return {"median": median, "p95": p95, "p99": p99, "n": len(seconds)}


def replace(rows: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    """Rows of the same model and part by new ones, in place."""
    known = {(row["model"], row["part"]) for row in new}
    rows[:] = [row for row in rows if (row["model"], row["part"]) not in known] + new


def main() -> None:
    """Parse the command line, run, write the results."""
    import torch

    from benchmarks.measure import machine
    from ostinato.files import write_json

    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--model", nargs="+", default=["pretrained/bach"])
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--bars", type=int, default=8)
    parser.add_argument("--precision", nargs="+", default=["full"])
    parser.add_argument(
        "--less-waiting",
        action="store_true",
        help="leave out the time for which there was no free processor, where others use it",
    )
    parser.add_argument("--note", default="", help="written beside the results")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    setting = {"machine": machine(), "bars": arguments.bars, "threads": THREADS}
    less = arguments.less_waiting

    def clock() -> float:
        return time.perf_counter() - (waited() if less else 0)

    path = RESULTS / "live.json"
    rows: list[dict[str, Any]] = []
    if path.exists():
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    if not less:  # else lateness would be that of the other programs
        replace(rows, [{"model": "", "part": LATE_IDLE, **summary(idle(10))}])
    for folder in arguments.model:
        for precision in arguments.precision:
            name = Path(folder).name + ("" if precision == "full" else f", {precision}")
            count, bars = arguments.requests, arguments.bars
            times = asyncio.run(requests(Path(folder), count, bars, precision, clock))
            about = {"model": name, "note": arguments.note, "less waiting": arguments.less_waiting}
            if less:
                del times[LATE]
            new = [{**about, "part": part, **summary(s)} for part, s in times.items()]
            music = 1000 * bars * 4 * 60 / QPM
            real = {key: music / new[1][key] for key in ("median", "p95")}
            new[1]["times real time"] = real
            replace(rows, new)
            write_json(path, {**setting, "rows": rows})
    for row in rows:
        figures = "  ".join(
            f"{name} {row.get(name, np.nan):8.2f}" for name in ("median", "p95", "p99")
        )
        real = row.get("times real time")
        more = f"  {real['median']:.0f} x real time" if real else ""
        print(f"{row['model']:<20} {row['part']:<26} n {row['n']:5d}  ms: {figures}{more}")


if __name__ == "__main__":
    run_command(main)
