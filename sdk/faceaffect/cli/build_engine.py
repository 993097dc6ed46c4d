"""The `faceaffect build-engine` command."""

from __future__ import annotations

import click

from faceaffect.bundle.model_spec import PRECISIONS
from faceaffect.cli.grouped_help import GroupedCommand
from faceaffect.cli.shared_options import dla_core_option, model_option


@click.command(cls=GroupedCommand)
@model_option
@click.option(
    "--precision",
    default="fp32",
    type=click.Choice(list(PRECISIONS)),
    show_default=True,
    help="Precision of the engine.",
)
@click.option(
    "--max-faces",
    default=8,
    type=click.IntRange(1, 256),
    show_default=True,
    help="Maximum batch size of the engine.",
)
@dla_core_option
@click.option(
    "--device", default="cuda:0", show_default=True, metavar="DEVICE", help="GPU to build for."
)
def build_engine(
    model: str | None, precision: str, max_faces: int, dla_core: int | None, device: str
) -> None:
    """Build and cache the TensorRT engine of a model for this GPU.

    `faceaffect analyze` builds missing engines by itself; this command builds them ahead of time.
    Engines are stored in $FACEAFFECT_CACHE if set, else in the user's cache folder.
    """
    from faceaffect.backends.engine_cache import CACHE_VARIABLE, EngineCache
    from faceaffect.backends.tensorrt_backend import open_engine
    from faceaffect.bundle.bundle import open_bundle

    bundle = open_bundle(model)
    cache = EngineCache()
    backend = open_engine(
        bundle,
        device=device,
        precision=precision,
        max_faces=max_faces,
        dla_core=dla_core,
        cache=cache,
    )
    path = cache.path_for(backend.key)
    if cache.find(backend.key) is None:
        raise click.ClickException(
            f"engine built but not stored: cannot write {path}; set {CACHE_VARIABLE} to a writable"
            " folder"
        )
    size_mb = backend.plan_bytes / 1e6
    target = device if dla_core is None else f"DLA core {dla_core}"
    click.echo(
        f"{bundle.spec.name}, {precision}, up to {max_faces} faces, on {target}: {size_mb:.1f} MB,"
        f" {backend.version}"
    )
    click.echo(f"stored as {path}")
