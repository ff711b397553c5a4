"""Where and with what a fit was computed."""

import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from lip.fast.compilation import HASH
from lip.training import environment


def git(*arguments: str, where: Path) -> str:
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *author, *arguments], cwd=where, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in a checkout; one file stands outside the package."""
    package = tmp_path / "checkout" / "lip"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("1")
    (package.parent / "notes").write_text("1")
    git("init", where=package.parent)
    git("add", ".", where=package.parent)
    git("commit", "-m", "a", where=package)
    monkeypatch.setattr(environment, "PACKAGE", package)
    return package


checkout = environment.checkout.__wrapped__


def test_the_commit_is_that_of_the_checkout(package: Path) -> None:
    assert checkout() == (git("rev-parse", "HEAD", where=package), False)
    (package.parent / "notes").write_text("2")
    assert checkout()[1] is False


@pytest.mark.parametrize("name", ["__init__.py", "new.py"])
def test_a_changed_or_a_new_source_is_a_difference(package: Path, name: str) -> None:
    (package / name).write_text("2")
    assert checkout() == (git("rev-parse", "HEAD", where=package), True)


def test_the_repository_around_an_installed_package_is_not_its_checkout(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = package.parent / "venv" / "lip"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("1")
    monkeypatch.setattr(environment, "PACKAGE", installed)
    assert checkout() == (None, None)


def test_a_variable_of_git_does_not_lead_to_another_repository(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert checkout()[1] is False


def test_reading_git_runs_no_hook(package: Path, tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    git("config", "core.fsmonitor", str(hook), where=package)
    assert checkout()[1] is False
    assert not (tmp_path / "ran").exists()


def test_without_git_or_a_checkout_there_is_no_commit(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as no_git:
        no_git.setenv("PATH", "")
        assert checkout() == (None, None)
    monkeypatch.setattr(environment, "PACKAGE", tmp_path)
    assert checkout() == (None, None)


def test_a_row_names_its_kernels_and_versions() -> None:
    numba, dense = environment.columns("cpu", "numba"), environment.columns("cpu", "dense")
    assert (numba.pop("kernels"), dense.pop("kernels")) == (HASH, None)
    assert (numba.pop("backend"), dense.pop("backend")) == ("numba", "dense")
    assert numba["version_numba"] == version("numba")
    assert numba["version_numpy"] == version("numpy")
    assert numba["cpu"]
    assert numba.keys() == dense.keys()


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert environment._version("no-such-package") is None
