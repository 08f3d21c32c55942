"""What every request has to pass: size, rate, origin; and the headers of every response."""

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}
SAME = ("same-origin", "none")
REMEMBERED = 20000  # clients whose rate is known


@dataclass(frozen=True)
class Limits:
    """Requests a second of one session and of one address, which may be a whole room's, in bursts
    of ten seconds; new listeners and tries of the secret a minute of an address; body size.
    """

    requests_per_second: float = 20.0
    new_per_minute: float = 30.0
    secrets_per_minute: float = 5.0
    body_bytes: int = 262144
    address_per_second: float = 400.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value <= 0:
                raise ValueError(f"limits.{name}={value} must be above 0")


class Rate:
    """A token bucket for each client: `per_second` on average, `burst` at once."""

    def __init__(
        self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second, self._burst, self._clock = per_second, max(burst, 1.0), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, client: str) -> bool:
        """Count one request of a client."""
        now = self._clock()
        left, then = self._left.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._per_second)
        self._left[client] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        return left >= 1


def signature(secret: bytes, purpose: str, value: str) -> str:
    """A value that only the server can make: CSRF tokens, the admin's cookie."""
    return hmac.new(secret, f"{purpose}\x1f{value}".encode(), hashlib.sha256).hexdigest()


def signed(secret: bytes, purpose: str, value: str, given: str) -> bool:
    """Whether `given` is the signature of a value."""
    return hmac.compare_digest(signature(secret, purpose, value).encode(), given.encode())


def is_own_origin(headers: Mapping[str, str], host: str) -> bool:
    """Whether a changing request comes from a page of this server, as far as the browser says."""
    if headers.get("sec-fetch-site", "none") not in SAME:
        return False
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == host


def client_hash(address: str) -> str:
    """A name of an address for counting; addresses are neither stored nor logged."""
    return hashlib.sha256(address.encode()).hexdigest()[:16]
