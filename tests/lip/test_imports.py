"""What importing costs, and what the science must never lean on."""

import ast
import subprocess
import sys
from importlib import metadata
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
    assert loaded("import lip.specs.request, lip.specs.trajectory; from lip import Fit, Trajectory") == {
        "numpy",
        "pydantic",
    }


def test_results_are_read_without_torch() -> None:
    """pyarrow may load pandas for itself."""
    reading = "import lip.ledger.ledger; lip.ledger.ledger.Ledger('nowhere').fits()"
    assert loaded(reading) <= {"numpy", "pyarrow", "pandas", "pydantic"}


@pytest.mark.parametrize("name", lip.__all__)
def test_every_public_name_is_found(name: str) -> None:
    assert getattr(lip, name).__name__ == name


def test_no_module_has_a_public_name() -> None:
    """Importing a submodule sets it on the package, which would hide the function of that name."""
    assert not set(lip.__all__) & {path.stem for path in Path(lip.__file__).parent.iterdir()}


def test_the_version_is_that_of_the_distribution() -> None:
    assert lip.__version__ == metadata.version("lottery-image-priors")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lip.nothing


def imports() -> dict[str, set[str]]:
    """The modules that each module imports, anywhere in it: within functions and for annotations too."""
    top = Path(lip.__file__).parents[1]
    modules = {
        ".".join(path.relative_to(top).with_suffix("").parts).removesuffix(".__init__"): path for path in SOURCES
    }
    found: dict[str, set[str]] = {}
    for module, path in modules.items():
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}: imports are absolute"
                full = {f"{node.module}.{alias.name}" for alias in node.names}
                names |= {name if name in modules else str(node.module) for name in full}
        found[module] = names - {module}
    return found


FLOORS = [
    ["lip.errors", "lip.paths", "lip.values", "lip.masks", "lip.training.machine", "lip.training.metrics"],
    ["lip.specs.spec", "lip.specs.picture", "lip.specs.released", "lip.specs.schedule", "lip.specs.target"],
    ["lip.specs.recipe", "lip.networks"],
    ["lip.priors"],
    ["lip.tasks"],
    ["lip.specs.fit"],
    ["lip.pruners"],
    ["lip.specs.trajectory", "lip.data"],
    ["lip.specs.request"],
    ["lip.fast"],
    ["lip.training.result", "lip.training.environment"],
    ["lip.ledger"],
    ["lip.training"],
    ["lip.tickets"],
    ["lip.terminal", "lip.bench", "lip.restoration", "lip.export"],
    ["lip.cli", "lip.fit_commands", "lip.adapters"],
    ["lip", "lip.__main__"],
]
"""Rooms and files from the ground up. A module imports from its own floor and from those below."""


def floor(module: str) -> int:
    """The floor of the longest name in FLOORS that the module stands under."""
    known = {name: level for level, names in enumerate(FLOORS) for name in names}
    while module not in known:
        module = module.rpartition(".")[0]
    return known[module]


def test_no_import_points_up() -> None:
    found = {(module, name) for module, names in imports().items() for name in names if name.startswith("lip")}
    assert {(module, name) for module, name in found if floor(name) > floor(module)} == set()


def test_no_import_goes_in_a_circle() -> None:
    rest = imports()
    while leaves := {module for module, names in rest.items() if not names & rest.keys()}:
        rest = {module: names for module, names in rest.items() if module not in leaves}
    assert set(rest) == set()


def test_no_source_imports_ray_or_pandas_or_the_packages_above() -> None:
    """Anywhere, so that lip runs where Ray does not, and sweeps and analysis build on it and not it on them."""
    roots = {module: {name.split(".")[0] for name in names} for module, names in imports().items()}
    banned = {"ray", "pandas", "seaborn", "matplotlib", "pickle", "sweeps", "analysis"}
    assert {module: names & banned for module, names in roots.items() if names & banned} == {}
