"""The notebooks run as they are, on the small ledger of real fits that comes with the package."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import analysis

NOTEBOOKS = sorted((Path(analysis.__file__).parent / "notebooks").glob("*.ipynb"))
FIGURES = {"start": 2, "transferability": 3, "layers": 2, "rewinding": 3, "own_question": 1}


def test_there_is_a_notebook_for_every_use():
    assert {path.stem for path in NOTEBOOKS} == set(FIGURES)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path):
    book = nbformat.read(path, as_version=4)
    assert all(not cell.outputs and cell.execution_count is None for cell in book.cells if cell.cell_type == "code")
    NotebookClient(book, kernel_name="python3", timeout=120).execute()
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "n = 3: " in printed, "a verdict on three seeds"
    assert sum("image/png" in output.get("data", {}) for output in outputs) == FIGURES[path.stem]


def test_the_sample_is_whole_small_and_of_photographs_that_need_no_network():
    frames = analysis.load(analysis.SAMPLE, "sample")
    assert frames.missing == 0
    assert set(frames.fits["image"]) | set(frames.fits["source_image"]) == {"astronaut", "chelsea"}
    sizes = [path.stat().st_size for path in analysis.SAMPLE.rglob("*") if path.is_file()]
    assert max(sizes) < 1.5e6
    assert sum(sizes) < 4e6
