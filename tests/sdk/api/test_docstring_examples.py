"""Every public name has an example, and every example gives what it shows."""

from __future__ import annotations

import doctest
import inspect
import sys
from pathlib import Path

import pytest

import faceaffect

NAMES = [name for name in faceaffect.__all__ if not name.isupper() and name != "__version__"]


@pytest.mark.parametrize("name", [*NAMES, "__doc__"])
def test_docstring_example_gives_what_it_shows(
    name: str, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clip.parent)
    value = faceaffect if name == "__doc__" else getattr(faceaffect, name)
    examples = [
        test
        for test in doctest.DocTestFinder(recurse=True).find(
            value, name, module=inspect.getmodule(value), globs={"faceaffect": faceaffect}
        )
        if test.examples and ">>> " in test.docstring
    ]
    if name == "__doc__":
        examples = examples[:1]
    assert examples, f"{name} has no example"
    if name in ("Report",):
        faceaffect.analyze("clip.mp4").save("rows.csv", overwrite=True)
    else:
        Path("rows.csv").unlink(missing_ok=True)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for example in examples:
        runner.run(example, out=sys.stderr.write)
    assert runner.failures == 0
