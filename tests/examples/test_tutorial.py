"""The tutorial notebook, run by a kernel of Jupyter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

REQUIRES = ("nbclient", "ipykernel", "pandas", "matplotlib")
NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "tutorial.ipynb"


@pytest.fixture(scope="module")
def cells(trained: None) -> list[Any]:
    """The code cells with their outputs."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(str(NOTEBOOK), as_version=4)
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    )
    client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def results(cell: Any) -> list[dict[str, Any]]:
    return [output.data for output in cell.outputs if output.output_type == "execute_result"]


def test_notebook_is_stored_without_outputs() -> None:
    import nbformat

    notebook = nbformat.read(str(NOTEBOOK), as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)


def test_result_shows_a_plot_and_its_progress_is_cleared(cells: list[Any]) -> None:
    (shown,) = results(cells[0])
    assert "<svg" in shown["text/html"]
    bars = [one for one in cells[0].outputs if one.output_type == "display_data"]
    assert [bar.data["text/html"] for bar in bars] == [""], "one bar, removed at the end"
    assert not [one for one in cells[0].outputs if one.output_type == "stream"], "nothing printed"


def test_cells_show_tables_figures_and_images(cells: list[Any]) -> None:
    assert results(cells[1])[0]["text/plain"] == "('happiness', ['AU12'], 0.5)"
    assert results(cells[2])[0]["text/plain"] == "((180, 12), (180, 68, 2))"
    assert "<table" in results(cells[3])[0]["text/html"]
    assert "<table" in results(cells[4])[0]["text/html"]
    for cell in cells[5:]:
        assert "image/png" in results(cell)[0]
