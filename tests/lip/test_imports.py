"""What importing costs, and what the science must never lean on."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lip

SOURCES = sorted(Path(lip.__file__).parent.rglob("*.py"))
HEAVY = {"torch", "ray", "pandas", "seaborn", "pyarrow", "pydantic", "numpy", "skimage", "scipy", "matplotlib"}


def loaded(statement: str) -> set[str]:
    """The heavy packages in memory after a statement in a fresh interpreter."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return HEAVY & set(done.stdout.split())


def test_importing_the_package_loads_nothing() -> None:
    assert loaded("import lip") == set()


def test_asking_for_help_loads_nothing_heavy() -> None:
    assert loaded("import lip.cli") == set()


def test_fits_are_planned_without_torch() -> None:
    assert loaded("import lip.point, lip.trajectory; from lip import Fit, Trajectory") == {"numpy", "pydantic"}


def test_results_are_read_without_torch() -> None:
    """pyarrow may load pandas for itself."""
    assert loaded("import lip.store; lip.store.Ledger('nowhere').fits()") <= {"numpy", "pyarrow", "pandas", "pydantic"}


@pytest.mark.parametrize("name", lip.__all__)
def test_every_public_name_is_found(name: str) -> None:
    assert getattr(lip, name).__name__ == name


def test_no_module_has_a_public_name() -> None:
    """Importing a submodule sets it on the package, which would hide the function of that name."""
    assert not set(lip.__all__) & {path.stem for path in SOURCES}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lip.nothing


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_source_imports_ray_or_pandas_or_the_packages_above(source: Path) -> None:
    """Anywhere, so that lip runs where Ray does not, and sweeps and analysis build on it and not it on them."""
    imported = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add(node.module.split(".")[0])
    assert not imported & {"ray", "pandas", "seaborn", "matplotlib", "pickle", "sweeps", "analysis"}
