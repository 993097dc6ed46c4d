"""Renders self-contained HTML pages: no script, font or image is loaded from elsewhere."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final

from faceaffect.system.durable_file import write_file

_BASE_FOLDER: Final = Path(__file__).parent
TEMPLATES: Final = "jinja2"  # comes with an extra


def missing_packages(*others: str) -> str:
    """Name the packages that pages need and that cannot be imported.

    Args:
        others: Modules beside the one that renders templates.

    Returns:
        For example `jinja2 (No module named 'jinja2')`; empty if pages can be written.
    """
    missing = []
    for name in (TEMPLATES, *others):
        try:
            importlib.import_module(name)
        except ImportError as error:
            missing.append(f"{name.partition('.')[0]} ({error})")
    return " and ".join(missing)


def render_page(template: Path, **values: Any) -> str:
    """Render a template that extends `base.html`.

    Args:
        template: Template file; its folder and the one of `base.html` are searched for templates.
        values: Variables of the template. Text is escaped; `markupsafe.Markup` is not.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, _BASE_FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template.name).render(values)


def write_page(text: str, path: Path) -> None:
    """Replace `path` atomically and durably, so that a failed write leaves no partial page.

    Raises:
        OSError: The file cannot be written.
    """
    write_file(path, text.encode("utf-8"))
