"""`faceaffect doctor`: what would run here, and what is missing."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(as_json: bool) -> int:
    """Show versions, backends, kernels, video support, the default model and missing extras.

    Exit code 0 when the default path (onnx backend, default model) works.
    """
    from faceaffect.cli.doctor_checks import check_all

    checks = check_all()
    is_healthy = all(check.is_fine for check in checks if check.is_needed)
    if as_json:
        entries = [
            {"name": c.name, "found": c.found, "fine": c.is_fine, "needed": c.is_needed}
            for c in checks
        ]
        click.echo(json.dumps({"healthy": is_healthy, "checks": entries}, indent=2))
        return 0 if is_healthy else 1
    from rich.console import Console
    from rich.text import Text

    from faceaffect.cli.print_table import print_columns

    rows = []
    for check in checks:
        mark, style = (
            ("ok", "green")
            if check.is_fine
            else (("FAIL", "red") if check.is_needed else ("-", "yellow"))
        )
        rows.append((Text(mark, style=style), Text(check.name), Text(check.found)))
    console = Console(soft_wrap=True)
    print_columns(console, rows)
    if not is_healthy:
        console.print(
            Text("The default path does not work here: see the lines marked FAIL.", style="red")
        )
    return 0 if is_healthy else 1
