"""The `faceaffect` command group; errors are printed as one line without a traceback."""

from __future__ import annotations

import io
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import click

from faceaffect.cli.analyze import analyze
from faceaffect.cli.bench import bench
from faceaffect.cli.build_engine import build_engine
from faceaffect.cli.completion import VARIABLE, completion
from faceaffect.cli.config_file import CONFIG_FILE, load_config, origin_of
from faceaffect.cli.doctor import doctor
from faceaffect.cli.export import export
from faceaffect.cli.grouped_help import GroupedGroup
from faceaffect.cli.live import live
from faceaffect.cli.models import models
from faceaffect.cli.report import report
from faceaffect.cli.serve import serve
from faceaffect.cli.signals import FAILURE, INTERRUPTED, TERMINATED, Terminated
from faceaffect.cli.summarize import summarize
from faceaffect.cli.variables import is_set, set_variables
from faceaffect.errors import FaceAffectError
from faceaffect.system.path_text import printable_message


def package_version() -> str:
    """Return the installed version of faceaffect."""
    try:
        return version("faceaffect")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown (not installed)"


_SECTIONS: Final = {
    "Analyze": ("analyze", "summarize", "report", "export"),
    "Live": ("live", "serve"),
    "Models": ("models", "build-engine"),
    "Check and measure": ("doctor", "bench"),
    "Shell": ("completion",),
}
_NOTES: Final = """\
Examples:
  faceaffect analyze clip.mp4 --out rows.csv --overlay overlay.mp4
  faceaffect summarize rows.csv

Every option can also be set by a variable, such as FACEAFFECT_ANALYZE_MAX_FACES=1, or in a file of
options, faceaffect.toml in the current folder or --config FILE, with a table for each command:

  [analyze]
  max-faces = 1

What is typed overrides variables, and variables override the file.

Exit codes:
  0 success, 1 failure, 2 wrong options, 3 some inputs failed, 130 interrupted, 143 terminated"""


@click.group(
    cls=GroupedGroup,
    sections=_SECTIONS,
    epilog=_NOTES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_version(), prog_name="faceaffect", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"Read options from this file.  [default: {CONFIG_FILE}, if it exists]",
)
@click.pass_context
def faceaffect(context: click.Context, debug: bool, config: Path | None) -> None:
    """Estimate facial action units, expression, valence and arousal in images and video."""
    if config is None and Path(CONFIG_FILE).is_file():
        config = Path(CONFIG_FILE)
        click.echo(f"note: options from {CONFIG_FILE} in this folder apply", err=True)
    if config is not None:
        context.meta[CONFIG_FILE] = str(config)
        context.default_map = load_config(config, faceaffect)


for _command in (
    analyze,
    build_engine,
    bench,
    completion,
    doctor,
    export,
    live,
    models,
    report,
    serve,
    summarize,
):
    faceaffect.add_command(_command)
set_variables(faceaffect)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its exit code.

    Args:
        arguments: Command line arguments without the program name; None for those of the process.
    """
    _repair_streams()
    arguments = sys.argv[1:] if arguments is None else arguments
    show_traceback = "--debug" in arguments or is_set("DEBUG")
    # Accept --debug anywhere: users append it to a command that has failed.
    arguments = ["--debug"] * show_traceback + [word for word in arguments if word != "--debug"]
    sys.exit(_run(arguments, show_traceback))


def _repair_streams() -> None:
    """Make standard streams usable that are closed or cannot encode every character.

    A closed descriptor must not be taken by the next file that is opened: what is printed to it
    would end up there.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: list[str], show_traceback: bool) -> int:
    try:
        os.getcwd()
    except OSError:
        click.echo("error: the current folder was removed; change to another one", err=True)
        return FAILURE
    try:
        code = faceaffect.main(
            arguments, prog_name="faceaffect", complete_var=VARIABLE, standalone_mode=False
        )
        return int(code or 0)
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and error.ctx is not None:
            click.echo(error.ctx.get_usage(), err=True)
        origin = origin_of(error) if isinstance(error, click.BadParameter) else ""
        message = error.format_message() + (f" ({origin})" if origin else "")
        click.echo(f"Error: {printable_message(message)}", err=True)
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
        click.echo(printable_message(f"error: {_describe_error(error)}"), err=True)
        return FAILURE


def _describe_error(error: Exception) -> str:
    """Return the message of an error; errors of other packages need their type as well."""
    if isinstance(error, FaceAffectError) or type(error) is ValueError:
        return str(error)
    return f"{type(error).__name__}: {error} (use --debug for the traceback)"
