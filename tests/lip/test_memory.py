"""What does not fit into memory is refused before it is allocated, with a size that fits."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import typer

from lip import cli, terminal
from lip.data.library import InputLibrary
from lip.errors import InputError
from lip.specs.request import parse_trajectory
from lip.specs.trajectory import Trajectory
from lip.training import memory


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(**values: object) -> Trajectory:
    keys = {"image": "astronaut", "task": "restore", "rounds": 0, "size": 512} | values
    return parse_trajectory(keys, InputLibrary(), "fit")


@pytest.mark.parametrize(
    ("size", "width", "peak"), [(64, 16, 526), (128, 128, 784), (256, 64, 906), (256, 128, 1123), (512, 128, 2450)]
)
def test_the_estimate_is_near_what_was_measured(size: int, width: int, peak: int) -> None:
    """Peaks in MB of `python -m lip fit astronaut --steps 3 --rounds 1 --threads 1 --backend dense`, n = 1 each."""
    (fit,) = made(size=size, width=width).fits
    assert memory.needed(fit) / 1e6 == pytest.approx(peak, rel=0.16)


def test_it_grows_with_the_pixels() -> None:
    small, large = (memory.needed(made(size=size).fits[0]) - memory.PROCESS for size in (256, 512))
    assert large / small == pytest.approx(4, rel=0.02)


def test_measurements_are_counted() -> None:
    keys = {"image": "astronaut", "size": 32, "task": "sense", "estimator": "least_squares", "scales": 2, "rounds": 0}
    few, many = (
        parse_trajectory(keys | {"measurements": count}, InputLibrary(), "fit").fits[0] for count in (100, 1100)
    )
    assert memory.needed(many) - memory.needed(few) == 4 * 1000 * 32 * 32 * 3


def test_what_does_not_fit_is_refused_and_the_size_that_is_named_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lip.training.machine.available_memory", lambda: 1.5e9)
    with pytest.raises(InputError) as refused:
        memory.check_memory(made().fits)
    said, _, size = str(refused.value).removesuffix(" or less").partition("; use size: ")
    assert said == ("image astronaut: a fit to 512x512 pixels takes about 2.49 GB of memory, and there are 1.5 GB")
    assert 1.2e9 < memory.check_memory(made(size=int(size)).fits) <= 1.5e9
    with pytest.raises(InputError):
        memory.check_memory(made(size=int(size) + 32).fits)


def test_nothing_fits_into_less_than_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lip.training.machine.available_memory", lambda: 1e8)
    with pytest.raises(InputError, match=r"and there are 0.1 GB; use a machine with more$"):
        memory.check_memory(made().fits)


def test_no_fits_take_no_memory() -> None:
    assert memory.check_memory([]) == 0


def test_a_fit_is_refused_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    PIL.Image.fromarray(np.zeros((2048, 2048), np.uint8)).save("photo.png")
    monkeypatch.setattr("lip.training.machine.available_memory", lambda: 4e9)
    for command in (["fit", "photo.png", "--out", "a"], ["search", "photo.png", "--out", "a", "--size", "2048"]):
        monkeypatch.setattr(sys, "argv", ["lip", *command])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith("error: image photo.png: a fit to 2048x2048 pixels takes about ")
        assert said.endswith(" or less\n")
    assert [path.name for path in Path().iterdir()] == ["photo.png"]


def test_a_full_memory_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fill(said: str) -> None:
        raise MemoryError if said == "python" else RuntimeError(said)

    for said in (
        "python",
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried",
        "CUDA out of memory",
    ):
        monkeypatch.setattr(sys, "argv", ["lip", said])
        with pytest.raises(SystemExit) as ended:
            terminal.main(app)
        assert ended.value.code == 1
        assert capsys.readouterr().err == (
            "error: the memory is full; use a smaller size or width, or a machine with more\n"
        )
    monkeypatch.setattr(sys, "argv", ["lip", "something else"])
    with pytest.raises(RuntimeError, match="something else"):
        terminal.main(app)


def test_an_allocation_of_pytorch_that_fails_is_recognised() -> None:
    script = (
        "import resource, torch\n"
        "resource.setrlimit(resource.RLIMIT_AS, (20_000_000_000,) * 2)\n"
        "from lip.terminal import MEMORY\n"
        "try: torch.empty(10**11)\n"
        "except RuntimeError as error: print(bool(MEMORY.search(str(error))))\n"
    )
    root = Path(memory.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root, timeout=60)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize(("size", "peak"), [(50, 1896), (200, 20641)])
def test_the_estimate_of_a_classifier_is_near_what_was_measured(size: int, peak: int) -> None:
    """Peaks in MB of `python -m lip fit faces --set task=classify --set epochs=1 --width 64`, n = 1 each."""
    keys = {"data": "faces", "task": "classify", "data_size": size, "width": 64, "rounds": 0}
    (fit,) = parse_trajectory(keys, InputLibrary(), "fit").fits
    assert memory.needed(fit) / 1e6 == pytest.approx(peak, rel=0.16)


def test_a_classifier_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lip.training.machine.available_memory", lambda: 2e9)

    def bytes_at(size: int) -> float:
        keys = {"data": "faces", "task": "classify", "width": 64, "rounds": 0, "data_size": size}
        return memory.check_memory(parse_trajectory(keys, InputLibrary(), "fit").fits)

    with pytest.raises(InputError, match=r"^data faces: a fit to 200x200 pixels takes about 23.7 GB .* or less$") as no:
        bytes_at(200)
    assert 1.8e9 < bytes_at(int(str(no.value).split()[-3])) <= 2e9
