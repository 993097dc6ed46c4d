"""The notebooks, run by a kernel of Jupyter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

REQUIRES = ("nbclient", "ipykernel", "pandas", "matplotlib")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run_cells(name: str) -> list[Any]:
    """Return the code cells of a notebook with their outputs."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(str(EXAMPLES / name), as_version=4)
    client = NotebookClient(
        notebook,
        timeout=240,
        kernel_name="python3",
        resources={"metadata": {"path": str(EXAMPLES)}},
    )
    client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def cells(trained: None) -> list[Any]:
    return run_cells("tutorial.ipynb")


def results(cell: Any) -> list[dict[str, Any]]:
    return [output.data for output in cell.outputs if output.output_type == "execute_result"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path: Path) -> None:
    import nbformat

    notebook = nbformat.read(str(path), as_version=4)
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


def test_study_analyzes_a_folder_and_compares_people(trained: None) -> None:
    cells = run_cells("study.ipynb")
    rows, summary, bouts = (results(cell)[0]["text/plain"] for cell in cells[1:4])
    assert rows == "{'ann': (180, 47), 'bob': (90, 47)}"
    people = [line.split()[1:6] for line in summary.splitlines()[1:]]
    assert [one[:3] for one in people] == [["ann", "first", "6.0"], ["bob", "second", "3.0"]]
    assert [one[4] for one in people] == ["1", "1"], "the smile is in both"
    assert {line.split()[0] for line in bouts.splitlines()[2:]} == {"ann", "bob"}
    (figure,) = [one for one in cells[4].outputs if one.output_type == "display_data"]
    assert "image/png" in figure.data
