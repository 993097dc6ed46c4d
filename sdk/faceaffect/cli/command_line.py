"""The `faceaffect` command group; errors are printed as one line without a traceback."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

import click

from faceaffect.cli.analyze import analyze
from faceaffect.cli.bench import bench
from faceaffect.cli.build_engine import build_engine
from faceaffect.cli.doctor import doctor
from faceaffect.cli.models import models
from faceaffect.cli.report import report
from faceaffect.cli.signals import FAILURE, INTERRUPTED, TERMINATED, Terminated
from faceaffect.errors import FaceAffectError


def package_version() -> str:
    """Return the installed version of faceaffect."""
    try:
        return version("faceaffect")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown (not installed)"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_version(), prog_name="faceaffect", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def faceaffect(debug: bool) -> None:
    """Estimate facial action units, expression, valence and arousal in images and video."""


for _command in (analyze, build_engine, bench, doctor, models, report):
    faceaffect.add_command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its exit code.

    Args:
        arguments: Command line arguments without the program name; None for those of the process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    show_traceback = "--debug" in arguments
    # Accept --debug anywhere: users append it to a command that has failed.
    arguments = ["--debug"] * show_traceback + [word for word in arguments if word != "--debug"]
    sys.exit(_run(arguments, show_traceback))


def _run(arguments: list[str], show_traceback: bool) -> int:
    try:
        return int(faceaffect.main(arguments, prog_name="faceaffect", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except Terminated:
        click.echo("terminated", err=True)
        return TERMINATED
    except Exception as error:
        if show_traceback:
            raise
        click.echo(f"error: {_describe_error(error)}", err=True)
        return FAILURE


def _describe_error(error: Exception) -> str:
    """Return the message of an error; errors of other packages need their type as well."""
    if isinstance(error, FaceAffectError) or type(error) is ValueError:
        return str(error)
    return f"{type(error).__name__}: {error} (use --debug for the traceback)"
