"""Stands for `python` in stages: hands a script of pipelines/ to the server of forkserver.py, and
becomes the real interpreter for all else, or where no server answers.

`python -S -E forkserver_client.py REAL_PYTHON ARGUMENT…` imports little, so that it starts at once.
"""

import array
import json
import os
import signal
import socket
import sys

SOCKET = "OSTINATO_FORK_SERVER"  # where the server listens
FOLDER = "pipelines"  # of the scripts that are handed over
HEADER = 20  # digits of a request's length
STREAMS = 3


def main() -> None:
    """Command line."""
    python, *arguments = sys.argv[1:]
    connection = connect(arguments)
    if connection is None:
        os.execv(python, [python, *arguments])  # noqa: S606
    answers = connection.makefile()
    line = answers.readline()
    if not line:
        sys.exit("the process that starts stages has ended")
    child = int(line)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: forward(child, number))
    line = answers.readline()
    status = int(line) if line else -signal.SIGKILL
    if status < 0:  # by a signal: end in the same way
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def connect(arguments: list[str]) -> "socket.socket | None":
    """A connection to which the request was sent, or None."""
    address = os.environ.get(SOCKET)
    if not address or not arguments or arguments[0].split("/")[-2:-1] != [FOLDER]:
        return None
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
    except OSError:
        return None
    request = {
        "arguments": arguments,
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes longer to import than all of this
        "environment": dict(os.environ),
    }
    content = json.dumps(request).encode()
    streams = array.array("i", range(STREAMS))
    connection.sendmsg(
        [str(len(content)).zfill(HEADER).encode()],
        [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)],
    )
    connection.sendall(content)
    return connection


def forward(child: int, number: int) -> None:
    """Send a signal on."""
    try:
        os.kill(child, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    main()
