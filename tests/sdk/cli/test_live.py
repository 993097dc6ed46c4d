"""`faceaffect live` and `serve`: what is refused, and a run from start to SIGTERM."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from faceaffect.cli.command_line import faceaffect

REQUIRES = ("fastapi", "uvicorn", "websockets", "prometheus_client")


@pytest.mark.parametrize("command", ["live", "serve"])
def test_an_open_server_without_a_token_is_refused(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FACEAFFECT_TOKEN", raising=False)
    ran = CliRunner().invoke(faceaffect, [command, "--host", "0.0.0.0"])
    assert ran.exit_code != 0
    assert "expected a token" in str(ran.exception)


def test_a_short_token_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("short\n")
    ran = CliRunner().invoke(faceaffect, ["serve", "--token-file", str(file)])
    assert "at least 16 characters" in str(ran.exception)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    ran = CliRunner().invoke(faceaffect, ["live"])
    assert ran.exit_code == 1
    assert "uvicorn is missing; run `pip install" in ran.output
    assert "live]" in ran.output


def test_the_command_serves_until_it_is_stopped(trained: None) -> None:
    command = [sys.executable, "-m", "faceaffect", "serve", "--port", "0", "--max-streams", "3"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = process.stderr.readline().removeprefix("page: ").strip()
        with urllib.request.urlopen(f"{address}v1/model", timeout=10) as answer:
            assert b'"streams":3' in answer.read()
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=20)
    assert "Traceback" not in printed
