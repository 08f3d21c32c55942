"""What cannot be asked of an autoregressive model together."""

from ostinato.representations.protocol import Representation
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.request import Fill, Request


def check_request(request: Request, asked: Decoding, known: Representation) -> None:
    """Raise ValueError for options that a request's task does not take."""
    if isinstance(request.task, Fill) and asked.best_of > 1:
        raise ValueError("best_of is for whole pieces; gaps have infill.particles")
