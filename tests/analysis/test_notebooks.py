"""The notebooks run as they are, on a ledger of real fits."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import analysis

NOTEBOOKS = sorted((Path(analysis.__file__).parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, measured: Path, monkeypatch: pytest.MonkeyPatch):
    book = nbformat.read(path, as_version=4)
    assert all(not cell.outputs and cell.execution_count is None for cell in book.cells if cell.cell_type == "code")
    monkeypatch.setenv("LIP_STORAGE", str(measured))
    NotebookClient(book, kernel_name="python3", timeout=120).execute()
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "14 of 14 fits of tiny (smoke) are published" in printed
    assert "not enough data" in printed
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
