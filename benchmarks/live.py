"""How long the OSC server takes to the first bar and to eight bars, over loopback.

python -m benchmarks.live --model models/lstm models/gpt   writes results/live.json
"""

import argparse
import asyncio
import socket
import time
from pathlib import Path

import numpy as np

THREADS = 2
RESULTS = Path(__file__).parent / "results"


async def requests(folder: Path, count: int, bars: int) -> dict[str, list[float]]:
    """Seconds to the first bar and to the whole piece of every request."""
    from ostinato.live.composer import Composer
    from ostinato.live.delivery import Delivery
    from ostinato.live.osc import datagram, message_of
    from ostinato.live.ratings import Ratings
    from ostinato.live.server import Server, Settings

    ratings = Ratings("sqlite://")
    server = Server(Composer(folder), Settings(port=0, to="reply"), Delivery(), ratings)
    port = await server.start()
    times: dict[str, list[float]] = {"first bar": [], "whole piece": []}
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.setblocking(False)
        for number in range(count + 5):
            begun, first = time.perf_counter(), 0.0
            message = datagram("/ostinato/generate", ("bars", bars, "seed", number))
            client.sendto(message, ("127.0.0.1", port))
            while True:
                address, values = message_of(await loop.sock_recv(client, 65536))
                now = time.perf_counter() - begun
                if address == "/ostinato/error":
                    raise RuntimeError(values)
                if address == "/ostinato/progress" and not first:
                    first = now
                if address == "/ostinato/done":
                    break
            if number >= 5:  # the first ones warm caches
                times["first bar"].append(first)
                times["whole piece"].append(now)
    await server.stop()
    return times


def main() -> None:
    """Parse the command line, run, write the results."""
    import torch

    from benchmarks.measure import machine
    from ostinato.files import write_json

    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--model", nargs="+", default=["pretrained/bach"])
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--bars", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    rows = []
    for folder in arguments.model:
        times = asyncio.run(requests(Path(folder), arguments.requests, arguments.bars))
        for part, seconds in times.items():
            median, p95, p99 = (float(v) * 1000 for v in np.percentile(seconds, [50, 95, 99]))
            rows.append({"model": folder, "part": part, "median": median, "p95": p95, "p99": p99})
            print(
                f"{folder:<20} {part:<12} median {median:7.0f} ms  p95 {p95:7.0f}  p99 {p99:7.0f}"
            )
    setting = {"requests": arguments.requests, "bars": arguments.bars, "threads": THREADS}
    write_json(RESULTS / "live.json", {"machine": machine(), **setting, "rows": rows})


if __name__ == "__main__":
    main()
