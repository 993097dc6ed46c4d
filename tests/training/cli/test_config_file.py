"""TOML files that record and repeat a command."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from training.cli.config_file import load_defaults, write_config

pytestmark = pytest.mark.train

OPTIONS = {
    "name": 'M8 "x"',
    "data": ("affwild2", "expw:/data/a b\\c"),
    "steps": 12,
    "rate": 0.5,
    "bf16": True,
    "out": Path("/runs/m8"),
    "cache": None,
    "overrides": (),
}


@click.command()
@click.argument("name", required=False)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=load_defaults,
)
@click.option("--data", multiple=True)
@click.option("--steps", type=int, default=1)
@click.option("--rate", type=float, default=0.1)
@click.option("--bf16", is_flag=True)
@click.option("--out", type=click.Path(path_type=Path))
@click.option("--cache")
@click.option("--set", "overrides", multiple=True)
def command(**options: object) -> None:
    """Print the options that it got."""
    click.echo(repr(dict(sorted(options.items()))))


def test_written_config_repeats_all_options_and_is_overridden(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    write_config(path, OPTIONS)
    result = CliRunner().invoke(command, ["--config", str(path)])
    assert result.output.strip() == repr(dict(sorted(OPTIONS.items())))
    result = CliRunner().invoke(command, ["M3", "--config", str(path), "--steps", "7"])
    changed = {**OPTIONS, "name": "M3", "steps": 7}
    assert result.output.strip() == repr(dict(sorted(changed.items())))


@pytest.mark.parametrize(
    ("text", "problem"), [("stepz = 3", "unknown options stepz; known are bf16"), ("= 3", "TOML")]
)
def test_config_with_mistake_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(text)
    result = CliRunner().invoke(command, ["--config", str(tmp_path / "config.toml")])
    assert result.exit_code == 2
    assert problem in " ".join(result.output.split())
