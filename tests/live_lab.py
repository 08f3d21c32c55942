"""A server, a client and a stand-in of Live for the tests of live use, over real sockets."""

import asyncio
import socket

from fake_ableton import FakeAbleton

from ostinato.live.ableton import Ableton
from ostinato.live.clips import ClipNote
from ostinato.live.delivery import Delivery
from ostinato.live.osc import datagram, message_of
from ostinato.live.ratings import Ratings
from ostinato.live.server import Server, Settings


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Client:
    """A program that speaks OSC with the server."""

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.server = ("127.0.0.1", port)
        self.heard = []

    def send(self, address, *arguments):
        self.socket.sendto(datagram(address, arguments), self.server)

    async def until(self, *names, seconds=20):
        """All messages up to the first of these names or an error."""
        loop, heard = asyncio.get_running_loop(), []
        while True:
            data = await asyncio.wait_for(loop.sock_recv(self.socket, 65536), seconds)
            address, values = message_of(data)
            heard.append((address.removeprefix("/ostinato/"), values))
            if heard[-1][0] in (*names, "error"):
                self.heard += heard
                return heard


class Studio:
    """Server, stand-in and client of one test."""

    def __init__(self, composer, tmp_path, *, live=True, player=None, fake=(), **settings):
        self.reply_port = free_port()
        self.fake = FakeAbleton(self.reply_port, **dict(fake)) if live else None
        self.ratings = Ratings(f"sqlite:///{tmp_path}/answers.db")
        self.composer, self.player = composer, player
        self.settings = Settings(port=0, **settings)

    async def __aenter__(self):
        self.ableton = None
        if self.fake:
            self.ableton = Ableton(("127.0.0.1", self.fake.port), timeout=0.3, tries=8)
            await self.ableton.open("127.0.0.1", self.reply_port)
        delivery = Delivery(self.ableton, self.player)
        self.server = Server(self.composer, self.settings, delivery, self.ratings)
        self.client = Client(await self.server.start())
        return self

    async def idle(self):
        """Until the server has nothing more to do."""
        while self.server.is_busy:
            await asyncio.sleep(0.01)

    async def __aexit__(self, *_):
        await self.server.stop()
        self.client.socket.close()
        if self.fake:
            self.ableton.close()
            self.fake.close()


def run(coroutine):
    return asyncio.run(coroutine)


def sounding(clip):
    return [
        ClipNote(start, pitch, duration, int(velocity))
        for pitch, start, duration, velocity, _ in sorted(clip.notes, key=lambda n: (n[1], n[0]))
    ]


def alike(found, wanted):
    return len(found) == len(wanted) and all(a.like(b) for a, b in zip(found, wanted, strict=True))


def band_folder(folder):
    """A folder of a tiny band with three roles and a style, as training writes it, untrained."""
    import torch
    from safetensors.torch import save_file

    from ostinato.files import sha256_file, write_json
    from ostinato.models.registry import build
    from ostinato.models.spec import ArraySpec
    from ostinato.representations.registry import build as representation_of
    from ostinato.representations.store import codec_of

    registers = {"melody": [60, 84], "bass": [36, 60], "drums": [35, 50]}
    about = {"kind": "roles", "roles": ["melody", "bass", "drums"], "meters": ["3/4", "4/4"]}
    about |= {"order": ["drums", "bass", "melody"], "several": "merge", "registers": registers}
    style = {"name": "style", "values": ["jazz", "rock"], "pieces": [3, 2]}
    codec = codec_of(representation_of(about)) | {"conditions": [style]}
    settings = {"width": 16, "layers": 1, "heads": 2, "coordinator_layers": 1, "heard": 4}
    settings |= {"memory": 24, "coordinator_memory": 12, "dropout": 0.0, "conditions": ["style"]}
    torch.manual_seed(1)
    model = build("band", settings, ArraySpec.of(codec))
    with torch.no_grad():  # away from the zeros that some weights begin with
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "weights.safetensors")
    names = {"system": "tiny", "family": "band", "paradigm": "ensemble", "size": "tiny"}
    names |= {"encoding": "tiny", "dataset": "tiny", "loss_unit": "nats per token", "seed": 1}
    card = {"format": 1, "model": settings, "codec": codec, "tokens_digest": "", "origin": {}}
    digest = sha256_file(folder / "weights.safetensors")
    write_json(folder / "model.json", names | card | {"weights_sha256": digest})
    return folder
