"""The `faceaffect` command and how it fails: one clear line, no traceback."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

import click

from faceaffect.cli.analyze import analyze
from faceaffect.cli.bench import bench
from faceaffect.cli.build_engine import build
from faceaffect.cli.doctor import doctor
from faceaffect.cli.models import models
from faceaffect.cli.report import report
from faceaffect.cli.signals import FAILURE, INTERRUPTED, TERMINATED, Stopped
from faceaffect.errors import FaceAffectError


def package_version() -> str:
    try:
        return version("faceaffect")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown (not installed)"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_version(), prog_name="faceaffect", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def faceaffect(debug: bool) -> None:
    """Action units, expression, valence and arousal for every face in a video."""


faceaffect.add_command(analyze)
faceaffect.add_command(build)
faceaffect.add_command(bench)
faceaffect.add_command(doctor)
faceaffect.add_command(models)
faceaffect.add_command(report)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    wants_traceback = "--debug" in arguments
    # --debug is understood anywhere, because it is added after an error has been met.
    arguments = ["--debug"] * wants_traceback + [word for word in arguments if word != "--debug"]
    sys.exit(_run(arguments, wants_traceback))


def _run(arguments: list[str], wants_traceback: bool) -> int:
    try:
        return int(faceaffect.main(arguments, prog_name="faceaffect", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except Stopped:
        click.echo("stopped", err=True)
        return TERMINATED
    except Exception as error:
        if wants_traceback:
            raise
        click.echo(f"error: {describe_error(error)}", err=True)
        return FAILURE


def describe_error(error: Exception) -> str:
    """The message of an error of the SDK; other errors also get their type and a hint at --debug."""
    if isinstance(error, FaceAffectError) or type(error) is ValueError:
        return str(error)
    return f"{type(error).__name__}: {error} (--debug shows where)"
