"""Python files run by a process forked from one that has imported the heavy libraries already.

As separate as a process that is started, without the seconds of imports.
"""

import faulthandler
import os
import runpy
import sys
import warnings
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *("ostinato.training.fit", "ostinato.generator", "hydra"),
        *("torch.distributed.fsdp", "torch.distributed.checkpoint.state_dict"),
        "mlflow.store.tracking.sqlalchemy_store",
    ]
)


class Script(ForkServerProcess):
    """`python <path> <arguments>` in a folder; what it prints goes to two files.

    Has `communicate` and `returncode` as subprocess.Popen has them.
    """

    def __init__(self, path, arguments, cwd, variables, printed):
        super().__init__()
        self.line, self.cwd = [str(path), *map(str, arguments)], str(cwd)
        self.variables = dict(os.environ) | variables
        self.printed = [f"{printed}.out", f"{printed}.err"]

    def run(self):
        for stream, file in enumerate(self.printed, 1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), stream)
        faulthandler.enable(sys.__stderr__)
        warnings.simplefilter("ignore")
        os.environ.clear()
        os.environ.update(self.variables)
        os.chdir(self.cwd)
        sys.argv = self.line
        runpy.run_path(self.line[0], run_name="__main__")

    @property
    def returncode(self):
        return self.exitcode

    def communicate(self, timeout=300):
        self.join(timeout)
        assert self.exitcode is not None, f"{self.line} has not ended after {timeout} s"
        return [Path(file).read_text() for file in self.printed]
