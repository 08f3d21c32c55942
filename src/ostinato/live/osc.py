"""OSC over UDP in asyncio: messages in, messages out, with the sender's address.

python-osc reads and builds the datagrams. Its own asyncio server tells handlers neither about
damaged datagrams nor about unknown addresses in a way that they could answer.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, cast

from pythonosc.osc_bundle import ParseError as BundleError
from pythonosc.osc_message import OscMessage, ParseError
from pythonosc.osc_message_builder import BuildError, OscMessageBuilder
from pythonosc.osc_packet import OscPacket
from pythonosc.osc_packet import ParseError as PacketError

Peer = tuple[str, int]
Handler = Callable[[str, list[Any], Peer], None]
LARGEST = 9216  # bytes of a datagram: what macOS sends at most
SPLIT = 60  # notes in a message, so that a datagram fits into one packet of Ethernet


class Endpoint(asyncio.DatagramProtocol):
    """A socket that receives and sends messages.

    handler: called with address, arguments and sender of every message. damaged: called with a
    sentence and the sender for every datagram that is not OSC.
    """

    def __init__(self, handler: Handler, damaged: Callable[[str, Peer], None]) -> None:
        self._handler, self._damaged = handler, damaged
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(
        cls, host: str, port: int, handler: Handler, damaged: Callable[[str, Peer], None]
    ) -> "Endpoint":
        """Listen on a port; 0 takes a free one.

        Raises:
            ValueError: the port is taken, or the host is not one of this machine.
        """
        loop = asyncio.get_running_loop()
        try:
            _, endpoint = await loop.create_datagram_endpoint(
                lambda: cls(handler, damaged), local_addr=(host, port)
            )
        except OSError as error:
            raise ValueError(
                f"cannot listen on {host} port {port} ({error.strerror or error}); another "
                "program may use it: stop that one, or take another port"
            ) from error
        return endpoint

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def send(self, address: str, arguments: Sequence[Any], peer: Peer) -> None:
        """Send one message; what the system cannot send is lost, as any datagram may be."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(datagram(address, arguments), peer)

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        """Called by asyncio; messages of a bundle are taken at once, in their order."""
        try:
            messages = [timed.message for timed in OscPacket(data).messages]
        except RecursionError:
            self._damaged(f"a datagram of {len(data)} bytes nests bundles too deeply", addr)
            return
        except (PacketError, ParseError, BundleError, ValueError, IndexError) as error:
            self._damaged(f"a datagram of {len(data)} bytes is not OSC: {error}", addr)
            return
        if not messages:
            self._damaged(f"a datagram of {len(data)} bytes holds no message", addr)
        for message in messages:
            self._handler(message.address, list(message.params), addr)

    def error_received(self, exc: Exception) -> None:
        """Called by asyncio where nobody listens at an address; replies are then lost."""


def datagram(address: str, arguments: Sequence[Any]) -> bytes:
    """One message as bytes; floats have 32 bits.

    Raises:
        ValueError: an argument that OSC cannot hold, or more than a datagram holds.
    """
    builder = OscMessageBuilder(address)
    try:
        for argument in arguments:
            builder.add_arg(argument)
        data = bytes(builder.build().dgram)
    except (BuildError, OverflowError, ValueError) as error:
        raise ValueError(f"{address} cannot be sent: {error}") from error
    if len(data) > LARGEST:
        raise ValueError(f"{address} has {len(data)} bytes; a datagram holds {LARGEST}")
    return data


def message_of(data: bytes) -> tuple[str, list[Any]]:
    """Address and arguments of one message."""
    message = OscMessage(data)
    return message.address, list(message.params)


async def settle(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
