"""`faceaffect build`: make a TensorRT engine before the first frame needs it."""

from __future__ import annotations

import click

from faceaffect.bundle.model_spec import PRECISIONS


@click.command()
@click.option(
    "--model",
    metavar="BUNDLE",
    help="Model bundle: a folder, or a name that `faceaffect models` lists.",
)
@click.option("--precision", default="fp32", type=click.Choice(list(PRECISIONS)), show_default=True)
@click.option(
    "--max-faces",
    default=8,
    type=click.IntRange(1, 256),
    show_default=True,
    help="Most faces of one run.",
)
@click.option(
    "--dla",
    type=click.IntRange(0),
    metavar="CORE",
    help="Deep-learning accelerator of a Jetson: 0 or 1.",
)
@click.option("--device", default="cuda:0", show_default=True, metavar="DEVICE")
def build(model: str | None, precision: str, max_faces: int, dla: int | None, device: str) -> None:
    """Build the TensorRT engine of a model for the GPU at hand and keep it.

    `faceaffect analyze` builds what is missing by itself; this does it ahead of time, and with
    other precisions. The engines lie in $FACEAFFECT_CACHE, else in the user's cache folder.
    """
    from faceaffect.backends.engine_cache import CACHE_VARIABLE, EngineCache
    from faceaffect.backends.tensorrt_backend import open_engine
    from faceaffect.bundle.bundle import open_bundle

    bundle, cache = open_bundle(model), EngineCache()
    backend = open_engine(
        bundle, device=device, precision=precision, max_faces=max_faces, dla_core=dla, cache=cache
    )
    path = cache.path_for(backend.key)
    if cache.find(backend.key) is None:
        raise click.ClickException(
            f"the engine was built but not kept as {path}; {CACHE_VARIABLE} names another folder"
        )
    size_mb = backend.plan_bytes / 1e6
    where = "a DLA" if dla is not None else device
    click.echo(
        f"{bundle.spec.name}, {precision}, up to {max_faces} faces, on {where}: {size_mb:.1f} MB, {backend.version}"
    )
    click.echo(f"kept as {path}")
