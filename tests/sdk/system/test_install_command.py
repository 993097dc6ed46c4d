"""The command that installs an extra."""

from __future__ import annotations

import json
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import pytest

from faceaffect.system import install_command as module


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, 'pip install "faceaffect[ray]"'),
        (
            {"url": "file:///home/a%20b/src", "dir_info": {"editable": True}},
            'pip install -e "/home/a b/src[ray]"',
        ),
        ({"url": "file:///src", "dir_info": {}}, 'pip install "/src[ray]"'),
        (
            {"url": "file:///tmp/faceaffect-1.whl", "archive_info": {}},
            'pip install "faceaffect[ray] @ file:///tmp/faceaffect-1.whl"',
        ),
    ],
)
def test_command_names_where_the_package_came_from(
    monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any] | None, command: str
) -> None:
    text = None if origin is None else json.dumps(origin)
    monkeypatch.setattr(
        module, "distribution", lambda name: SimpleNamespace(read_text=lambda file: text)
    )
    assert module.install_command("ray") == command


def test_package_that_was_never_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(module, "distribution", missing)
    assert module.install_command("report") == 'pip install "faceaffect[report]"'
