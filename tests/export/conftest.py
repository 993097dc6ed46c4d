"""Exports of the eight methods, shared by the tests of one module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

Export = tuple[Any, Path]
"""A network and its exported bundle."""


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Export]:
    """Networks and bundles, exported on first access; those with options are untrained."""
    from click.testing import CliRunner

    from export.__main__ import main as export_main
    from tests.export.method_runs import train_run, write_run

    folder = tmp_path_factory.mktemp("methods")

    class Cases(dict[str, Export]):
        def __missing__(self, name: str) -> Export:
            recipe, *options = name.split(" ")
            run, bundle = folder / f"run_{len(self)}", folder / f"bundle_{len(self)}"
            net = write_run(recipe, run, *options) if options else train_run(recipe, run)
            done = CliRunner().invoke(export_main, [str(run), "--to", str(bundle)])
            assert done.exit_code == 0, done.output
            self[name] = (net, bundle)
            return self[name]

    return Cases()
