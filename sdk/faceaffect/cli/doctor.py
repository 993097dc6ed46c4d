"""The `faceaffect doctor` command."""

from __future__ import annotations

import json

import click

from faceaffect.cli.grouped_help import GroupedCommand


@click.command(short_help="Check what is installed, used and missing.", cls=GroupedCommand)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> int:
    """Check versions, backends, kernels, video support, the default model and optional extras.

    The exit code is 0 if the default path (onnx backend, default model) works.
    """
    from faceaffect.cli.doctor_checks import run_checks

    checks = run_checks()
    is_healthy = all(check.is_ok for check in checks if check.is_required)
    if as_json:
        entries = [
            {"name": c.name, "detail": c.detail, "ok": c.is_ok, "required": c.is_required}
            for c in checks
        ]
        click.echo(json.dumps({"healthy": is_healthy, "checks": entries}, indent=2))
        return 0 if is_healthy else 1
    from rich.text import Text

    from faceaffect.cli.print_table import open_console, print_table

    rows = []
    for check in checks:
        mark, style = "ok", "green"
        if not check.is_ok:
            mark, style = ("FAIL", "red") if check.is_required else ("-", "yellow")
        rows.append((Text(mark, style=style), Text(check.name), Text(check.detail)))
    console = open_console()
    print_table(console, rows)
    if not is_healthy:
        console.print(
            Text("The default path does not work: see the lines marked FAIL.", style="red")
        )
    return 0 if is_healthy else 1
