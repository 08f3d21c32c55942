"""How a program of the command line ends."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn

PIPE_CLOSED = 141  # as the shell reports it: 128 and the number of SIGPIPE


def run_command(main: Callable[[], int | None]) -> NoReturn:
    """Call `main` and exit with what it returns; quietly where nobody reads its output any more, as
    after `| head`.
    """
    try:
        try:
            status = main()
        finally:
            sys.stdout.flush()  # here, because Python reports a closed pipe at its own end
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = PIPE_CLOSED
    sys.exit(status)
