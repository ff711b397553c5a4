"""Kernels compute the same bits whenever, wherever and in whatever order they were compiled."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lip.fast import compilation
from lip.fast.compilation import HASH
from lip.ledger.ledger import Ledger
from lip.ledger.schema import RESULTS

TRAIN = """
import hashlib, json, sys

import torch
from numba.core import event

from lip.fast.backend import choose
from lip.fast.compilation import KERNELS
from lip.data.library import InputLibrary
from lip.specs.request import parse_trajectory
from lip.ledger.ledger import Ledger
from lip.masks import Mask
from lip.training.run import build_model, run_fit

torch.set_num_threads(1)
library = InputLibrary(None)
sizes = {"size": 32, "width": 8, "scales": 3, "steps": 30}
asked = {"image": "astronaut", "task": "denoise", "sigma": 25, "pruner": "imp", "seed": 0, "rounds": 1, **sizes}
fits = parse_trajectory(asked, library, "test").fits
choose("numba", "cpu")
ledger = Ledger(sys.argv[1])
with event.install_recorder("numba:compile") as compiled:
    for fit in fits:
        run_fit(fit, library.inputs, ledger, backend="numba")
model = build_model(fits[0], library.inputs)
model.accelerate(model.prune(Mask.dense(model.layers)))
model.loss(model.output(model.stream("jitter"))).backward()
print(json.dumps({
    "compiled in fits": len(compiled.buffer),
    "loaded": sum(sum(kernel.stats.cache_hits.values()) for kernel, _ in KERNELS),
    "gradient": hashlib.sha256(model.grad.numpy().tobytes()).hexdigest(),
    "ticket": hashlib.sha256(ledger.next_mask(fits[0]).bits.tobytes()).hexdigest(),
}))
"""

COMPILE_BACKWARDS = """
import json
from llvmlite.binding import parse_assembly
from lip.fast import accelerate, compilation

for kernel, types in reversed(compilation.KERNELS):
    kernel.compile(types)
compilation.COMPLETE.touch()
found = []
for kernel, _ in compilation.KERNELS:
    (signature,) = kernel.signatures
    for function in parse_assembly(kernel.inspect_llvm(signature)).functions:
        opcodes = {instruction.opcode for block in function.blocks for instruction in block.instructions}
        if opcodes & {"fadd", "fsub", "fmul", "fdiv"}:
            found.append([function.name == kernel.overloads[signature].fndesc.llvm_func_name, kernel.py_func.__name__])
print(json.dumps(found))
"""


def run(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def trained(storage: Path, cache: Path) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """What a process says that trains with this cache, the rows of its fits, and its stderr."""
    done = run(TRAIN, storage, NUMBA_CACHE_DIR=str(cache))
    assert done.returncode == 0, done.stderr
    rows = Ledger(storage).fits([*RESULTS, "kernels"]).to_pylist()
    return json.loads(done.stdout), rows, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(scope="module")
def cold(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    return trained(folder / "cold", folder / "cache")


def test_a_cold_process_compiles_before_its_fits_in_a_process_of_its_own(cold) -> None:
    told, rows, stderr = cold
    assert stderr == "compiling kernels, once for this machine: about half a minute\n"
    assert told["loaded"] == 18
    assert told["compiled in fits"] == 0
    assert [row["kernels"] for row in rows] == [HASH, HASH]


def test_a_warm_process_trains_the_same_bits(cold, folder: Path) -> None:
    told, rows, stderr = trained(folder / "warm", folder / "cache")
    assert (told, rows) == cold[:2]
    assert stderr == ""


def test_an_interrupted_compilation_is_finished_to_the_same_bits(cold, folder: Path) -> None:
    """numba's index names a file before it is written."""
    half = shutil.copytree(folder / "cache", folder / "half")
    (half / f"kernels-{HASH}" / "complete").unlink()
    next(half.rglob("*.upsample_add-*.nbc")).unlink()
    told, rows, stderr = trained(folder / "finished", half)
    assert (told, rows) == cold[:2]
    assert stderr.startswith("compiling kernels, once")


def test_the_order_of_compilation_changes_no_bit_as_each_kernel_holds_all_its_arithmetic(cold, folder: Path) -> None:
    done = run(COMPILE_BACKWARDS, NUMBA_CACHE_DIR=str(folder / "backwards"), PYTHONHASHSEED="7")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == 13, "padding, and what takes, puts or lays out numbers, only copy"
    assert all(own for own, _ in found), found
    assert trained(folder / "other", folder / "backwards")[:2] == cold[:2]


def test_a_damaged_cache_is_one_sentence(cold, folder: Path) -> None:
    damaged = shutil.copytree(folder / "cache", folder / "damaged")
    next(damaged.rglob("*.upsample_add-*.nbc")).write_bytes(b"")
    done = run("from lip.fast.backend import obstacle; print(obstacle())", NUMBA_CACHE_DIR=str(damaged))
    kernels = damaged / f"kernels-{HASH}"
    said = f"kernels cannot be compiled to and loaded from {kernels} (EOFError: Ran out of input)"
    assert done.stdout == f"{said}; delete that folder or set NUMBA_CACHE_DIR to another\n"


def test_code_for_another_cpu_or_by_other_settings_is_kept_elsewhere() -> None:
    code = "from lip.fast.compilation import FOLDER; print(FOLDER.name)"
    names = [run(code, **setting).stdout for setting in ({}, {"NUMBA_CPU_NAME": "generic"}, {"NUMBA_OPT": "1"})]
    assert names[0] == f"kernels-{HASH}\n"
    assert len(set(names)) == 3


def test_the_sources_are_in_the_hash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sources = shutil.copytree(Path(compilation.__file__).parent, tmp_path / "fast")
    monkeypatch.setattr(compilation, "__file__", str(sources / "compilation.py"))
    assert compilation._hash() == HASH
    with (sources / "norm.py").open("a") as file:
        file.write("\n")
    assert compilation._hash() != HASH
