"""Names, licenses and cards of bundles, as the terminal gets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faceaffect.cli import main
from tests.sdk.tiny_bundle import write_tiny_bundle


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_tiny_bundle(tmp_path / "models" / "mine")
    spec = json.loads((folder / "spec.json").read_text())
    spec |= {"name": "\x1b]0;PWNED\x07", "license": "\x1b[2JMIT"}
    (folder / "spec.json").write_text(json.dumps(spec))
    (folder / "MODEL_CARD.md").write_text("# Card \x1b[2J\n\n[site](https://example.org/)\x9b2J\n")
    monkeypatch.setenv("FACEAFFECT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return folder


@pytest.mark.parametrize("command", [["models"], ["models", "show", "mine"]])
def test_models_command_prints_no_escape_of_a_bundle(
    command: list[str], hostile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(command)
    assert not exited.value.code
    shown = capsys.readouterr().out
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown
    assert "\x9b" not in shown
    assert "\\x1b" in shown
