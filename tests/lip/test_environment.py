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


changes = environment.changes.__wrapped__


@pytest.fixture
def checked_out(package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environment, "checkout", checkout)
    return package.parent


def test_changes_of_a_checkout_have_a_hash(checked_out: Path) -> None:
    assert changes() is None
    seen = set()
    for text in ("2", "3"):
        (checked_out / "notes").write_text(text)
        seen.add(changes())
    (checked_out / "notes").write_text("2")
    assert (len(seen), changes() in seen) == (2, True)


def test_hashing_changes_runs_no_program_of_the_repository(checked_out: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    (checked_out / ".gitattributes").write_text("* diff=own\n")
    for key in ("diff.external", "diff.own.command", "diff.own.textconv"):
        git("config", key, str(program), where=checked_out)
    (checked_out / "notes").write_text("2")
    assert changes()
    assert not (tmp_path / "ran").exists()


def test_no_checkout_has_no_changes(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PACKAGE", tmp_path)
    monkeypatch.setattr(environment, "checkout", checkout)
    assert changes() is None


@pytest.mark.parametrize(
    "text",
    [
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 10:11:16 UTC 2025\nGCC version: 12",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (root@host)\n",
    ],
)
def test_the_driver_is_read_from_the_kernel(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "version").write_text(text)
    monkeypatch.setattr(environment, "DRIVER", tmp_path / "version")
    assert environment.driver.__wrapped__() == "580.95.05"
    monkeypatch.setattr(environment, "DRIVER", tmp_path / "nothing")
    assert environment.driver.__wrapped__() is None


def test_an_environment_lists_all_packages_and_has_an_id() -> None:
    described = environment.description()
    assert described["packages"]["numpy"] == version("numpy")
    assert len(described["packages"]) > 20
    assert environment.columns("cpu", "dense")["environment"] == environment.key()


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
