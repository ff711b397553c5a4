"""The READMEs tell the truth: their links lead somewhere, their commands exist, their examples work."""

from __future__ import annotations

import importlib.util
import re
import runpy
from pathlib import Path

import PIL.Image
import pytest
import torch
import yaml
from typer.main import get_command

import analysis.cli
import lip.cli
import sweeps.cli
from lip.pruners import PRUNERS
from lip.training.run import build_model
from sweeps import spec

TOP = Path(__file__).parents[1]
DOCUMENTS = [
    "README.md",
    "sweeps/README.md",
    "sweeps/MOVING.md",
    "lip/README.md",
    "lip/fast/README.md",
    "analysis/README.md",
]
DOCUMENTS += ["analysis/RESULTS.md", "tests/golden/README.md", "lip/CHANGELOG.md", "CONTRIBUTING.md"]
TEXTS = {document: (TOP / document).read_text() for document in DOCUMENTS}
BLOCKS = [block for text in TEXTS.values() for block in re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)]


def block(language: str, holding: str) -> str:
    (found,) = [text for kind, text in BLOCKS if kind == language and holding in text]
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files(document: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXTS[document]):
        assert (TOP / document).parent.joinpath(target).exists(), target


def test_the_readme_is_read_in_minutes() -> None:
    assert len(TEXTS["README.md"].encode()) <= 8192


TYPED = re.compile(r"python -m ((?:sweeps|analysis|lip) .*?)(?= && |'$|`|$)", re.MULTILINE)
COMMANDS = sorted(
    {re.sub(r"\s+#.*", "", command).strip(" `'") for text in TEXTS.values() for command in TYPED.findall(text)}
)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    package, name, *arguments = command.split()
    app = {"sweeps": sweeps.cli.app, "analysis": analysis.cli.app, "lip": lip.cli.app}[package]
    group = get_command(app)
    context = group.commands[name].make_context(name, list(arguments))  # type: ignore[attr-defined]
    if sweep := context.params.get("spec") or context.params.get("sweep"):
        assert spec.find(sweep)


def test_every_shipped_sweep_and_profile_is_named() -> None:
    for name in [*(path.stem for path in spec.SPECS.glob("*.yaml")), *spec.PROFILES]:
        assert f"`{name}`" in TEXTS["README.md"]


def test_the_example_sweep_is_well_formed(tmp_path: Path) -> None:
    example = yaml.safe_load(block("yaml", "name: mine"))
    example["grid"]["image"] = ["astronaut"]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(example))
    assert len(spec.read(str(path)).trajectories) == 9


def test_the_python_example_restores_a_photograph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.py").write_text(block("python", "from lip import InputLibrary"))
    names = runpy.run_path("example.py")
    assert names["restored"].shape == (32, 32, 3)
    assert (tmp_path / "restored" / "fits").is_dir()


def test_the_front_door_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    PIL.Image.effect_noise((20, 30), 40).save("photo.png")
    (tmp_path / "example.py").write_text(block("python", "lip.restore(").replace("steps=300", "steps=3"))
    assert "averaged output of step" in runpy.run_path("example.py")["restored"].stop
    with PIL.Image.open("restored.png") as restored:
        assert restored.size == (20, 30)


def test_the_example_pruner_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lip.data.library import InputLibrary
    from lip.specs.request import parse_trajectory

    module = tmp_path / "smallest.py"
    imports = "from lip.pruners.pruner import AtInitialisation\n\n"
    module.write_text(imports + block("python", "class Smallest"))
    found = importlib.util.spec_from_file_location("smallest", module)
    assert found is not None
    assert found.loader is not None
    loaded = importlib.util.module_from_spec(found)
    found.loader.exec_module(loaded)
    monkeypatch.setitem(PRUNERS, "smallest", loaded.Smallest)

    library = InputLibrary()
    values = {"image": "camera", "size": 16, "scales": 2, "width": 4, "pruner": "smallest", "rounds": 2}
    fit = parse_trajectory(values, library, "test").fits[2]
    model = build_model(fit, library.inputs)
    mask = fit.recipe.build(model, None)
    sizes = model.theta.detach()[model.is_prunable].abs()
    assert sizes[torch.tensor(mask.bits)].max() <= sizes[~torch.tensor(mask.bits)].min()
    assert fit.recipe.round == 2
