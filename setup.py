"""Puts copies of pipelines/, conf/ and pretrained/ into the wheel; pyproject.toml has the rest."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent


class WithScripts(build_py):
    """Packages, and what the `ostinato` command runs and reads."""

    def run(self) -> None:
        """Build; an editable install uses the folders of the checkout and gets no copies."""
        super().run()
        if self.editable_mode:
            return
        for folder, kind in (("pipelines", "*.py"), ("conf", "*.yaml"), ("pretrained", "*.*")):
            for path in sorted((HERE / folder).rglob(kind)):
                target = Path(self.build_lib, "ostinato", path.relative_to(HERE))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


setup(cmdclass={"build_py": WithScripts})
