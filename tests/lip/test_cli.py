"""`python -m lip fit`: the pictures it writes, and that bad input costs one line."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from lip import bench, cli
from lip.fast import precision
from lip.ledger.ledger import Ledger
from lip.tasks.denoise import Denoise
from lip.training import restore as fitting

TINY = ["--width", "8", "--scales", "2", "--steps", "4", "--threads", "1"]

Lip = Callable[..., int]


@pytest.fixture
def lip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: np.ndarray) -> Lip:
    """Runs the command line in a folder with the file cat.png; returns its exit status."""
    monkeypatch.chdir(tmp_path)
    PIL.Image.fromarray(photo).save("cat.png")

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["lip", *arguments])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        return int(exit.value.code or 0)

    return run


def pixels(path: str) -> np.ndarray:
    return np.asarray(PIL.Image.open(path))


def test_fit_takes_levels_in_place_of_rounds(lip: Lip, capsys) -> None:
    assert lip("fit", "cat.png", *TINY, "--set", "sparsities=[0.5, 0.36]") == 0
    assert {path.name for path in Path("cat").glob("*.png")} >= {
        "round-00.png",
        "round-02.png",
        "level-0.5.png",
        "level-0.5.stop.png",
    }
    assert "level 0.5" in capsys.readouterr().out
    assert lip("fit", "cat.png", *TINY, "--rounds", "2", "--set", "sparsities=[0.5]") == 2
    assert "remove one of the two" in capsys.readouterr().err


def test_an_image_without_reference_is_restored_and_never_called_clean(lip: Lip, capsys) -> None:
    assert lip("fit", "cat.png", *TINY, "--set", "task=restore") == 0
    assert {path.name for path in Path("cat").glob("*.png")} == {"degraded.png", "round-00.png", "round-00.stop.png"}
    assert "no clean image; ES-WMV stop at step" in capsys.readouterr().out
    (row,) = Ledger("cat").fits().to_pylist()
    silent = {name for name, value in row.items() if value is None}
    assert {"psnr_peak", "psnr_last_ema", "ssim_stop", "psnr_emv", "step_peak", "curve_psnr_ema"} <= silent
    assert None not in (row["loss"], row["step_stop"], row["step_emv"], row["curve_loss"], row["collapsed"])
    outputs = Ledger("cat").stores["outputs"].items()
    assert all(b"peak" not in data for _, data in outputs)


def test_fit_writes_the_clean_the_degraded_and_each_rounds_image(lip: Lip, tiny, photo: np.ndarray, capsys) -> None:
    assert lip("fit", "cat.png", *TINY, "--rounds", "2", "--rewind", "50", "--sigma", "50") == 0
    assert sorted(path.name for path in Path("cat").glob("*.png")) == [
        "clean.png",
        "degraded.png",
        *(f"round-0{k}{ending}.png" for k in range(3) for ending in ("", ".stop")),
    ]
    assert np.array_equal(pixels("cat/clean.png"), photo)
    error = (pixels("cat/degraded.png") / 255 - photo / 255).std()
    assert 0.12 < error < 0.196  # sigma 50 less what is clipped at black and white
    ledger = Ledger("cat")
    assert ledger.fits().num_rows == 4  # three rounds, and the dense run's first half to rewind to
    dense = tiny.fit(steps=4, task=Denoise(sigma=50))
    (psnr,) = ledger.fits(["psnr_last_ema"], ids=[dense.id])["psnr_last_ema"].to_pylist()
    said = capsys.readouterr().out
    assert f"round 0     0.00% pruned  PSNR of the averaged output: last output {psnr:5.2f}" in said
    assert "round 2    36.00% pruned" in said
    assert str(ledger.root) in said


def test_the_picture_of_a_round_is_the_averaged_output_of_the_last_step(lip: Lip, tiny) -> None:
    assert lip("fit", "cat.png", *TINY, "--out", "here") == 0
    trained = fitting.train(model := tiny.model(steps=4), fitting.Mask.dense(model.layers))
    restored = np.rint(trained.outputs["last_ema"].transpose(1, 2, 0) * 255)
    assert np.array_equal(pixels("here/round-00.png"), restored)


def test_again_nothing_is_trained_and_more_rounds_train_only_those(lip: Lip, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []
    train = fitting.train

    def counted(model, *rest):
        trained.append(model.fit.recipe.round)
        return train(model, *rest)

    monkeypatch.setattr(fitting, "train", counted)
    command = ("fit", "cat.png", *TINY, "--rounds")
    assert lip(*command, "1") == 0
    assert trained == [0, 1]
    pictures = {path: path.read_bytes() for path in Path("cat").glob("*.png")}
    for path in pictures:
        path.unlink()
    assert lip(*command, "1") == 0
    assert trained == [0, 1]
    assert {path: path.read_bytes() for path in pictures} == pictures
    assert lip(*command, "2") == 0
    assert trained == [0, 1, 2]


def test_the_backend_is_said_and_recorded(lip: Lip, capsys: pytest.CaptureFixture[str]) -> None:
    for name, said in (("dense", "backend dense: as asked"), ("numba", "backend numba: pruned convolutions cost")):
        assert lip("fit", "cat.png", *TINY, "--backend", name, "--out", name) == 0
        assert capsys.readouterr().out.count(said) == 1
        assert Ledger(name).fits(["backend"])["backend"].to_pylist() == [name]


def test_the_benchmark_prints_a_row_for_every_round_it_times(
    lip: Lip, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "ROUNDS", (0, 1))
    assert lip("bench", "--width", "4", "--steps", "2", "--turns", "1", "--masks", "2", "--storage", "kept") == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("released", "plain", "ours", "0.0%", "20.0%", "17 rounds"))
    assert Ledger("kept").fits().num_rows == 1


def test_a_grey_image_stays_grey(lip: Lip, photo: np.ndarray) -> None:
    PIL.Image.fromarray(photo[..., 0]).save("grey.png")
    assert lip("fit", "grey.png", *TINY) == 0
    assert pixels("grey/clean.png").shape == pixels("grey/round-00.png").shape == (32, 32)


def test_what_was_done_to_an_image_is_said(lip: Lip, capsys: pytest.CaptureFixture[str]) -> None:
    assert lip("fit", "cat.png", *TINY, "--size", "16") == 0
    assert "image cat.png: resized 32x32 to 16x16" in capsys.readouterr().out


BAD = [
    (["cat.png", "--pruner", "snop"], "error: fit: pruner: there is no pruner 'snop'; did you mean 'snip'?"),
    (["cat.png", "--rewind", "120"], "error: fit: rewind: input should be less than or equal to 100, not 120.0"),
    (["cat.png", "--rewind", "1"], "error: fit: rewind: 1 % of 4 steps is not a step"),
    (["cat.png", "--size", "33"], "error: fit: size 33 is not a multiple of 4"),
    (["cat.png", "--scales", "5"], "error: fit: image cat.png is 32x32 pixels, the net needs at least 64x64"),
    (["cat.png", "--out", "cat.png/below"], "below cannot be written (Not a directory); choose another folder\n"),
    (["cat.png", "--out", "."], "could replace cat.png; name another folder\n"),
    (["cat.png", "--device", "quantum"], "error: --device quantum cannot be used here"),
    (["cat.png", "--backend", "nunba"], "error: there is no backend 'nunba'; did you mean 'numba'?"),
    (
        ["cat.png", "--pruner", "snip"],
        "error: pruner: without rounds nothing is pruned; add them, for example --rounds",
    ),
    (["cat.png", "--rewind", "50"], "error: rewind: without rounds nothing is pruned; add them, for example --rounds"),
    (
        ["cat.png", "--sigma", "25", "--set", "sigma=50"],
        "error: --set sigma: it is given twice, as 25.0 and as 50; keep",
    ),
    (
        ["cat.png", "--set", "lr=1e-3", "--set", "lr=1e-2"],
        "error: --set lr: it is given twice, as 0.001 and as 0.01; keep",
    ),
    (["cat.png", "--sigma", "25", "--set", "task=inpaint"], "error: fit: sigma: it goes with task: denoise or"),
    (["missing.png"], "error: fit: no file matches 'missing.png'"),
]


@pytest.mark.parametrize(("arguments", "line"), BAD)
def test_bad_input_is_one_line_on_standard_error_and_status_2(
    lip: Lip, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    image, *options = arguments
    assert lip("fit", image, *TINY, *options) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert line in captured.err


def test_nothing_is_written_for_a_point_that_cannot_be_fitted(lip: Lip) -> None:
    assert lip("fit", "cat.png", *TINY, "--pruner", "snop") == 2
    assert [path.name for path in Path().iterdir()] == ["cat.png"]


def test_a_precision_that_the_device_lacks_is_refused(
    lip: Lip, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)
    assert lip("fit", "cat.png", *TINY, "--set", "precision=bf16") == 2
    assert capsys.readouterr().err.startswith("error: precision: bf16: the cpu here has no bfloat16 arithmetic")
    assert [path.name for path in Path().iterdir()] == ["cat.png"]


def test_a_number_of_threads_that_cannot_be_is_bad_input(lip: Lip) -> None:
    assert lip("fit", "cat.png", *TINY, "--threads", "-1") == 2


def test_the_module_is_the_same_command(lip: Lip, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "lip", "fit", "cat.png"]
    good = subprocess.run([*command, *TINY], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (good.returncode, good.stderr) == (0, "")
    assert Path("cat/round-00.png").is_file()
    bad = subprocess.run([*command, "--pruner", "snop"], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (bad.returncode, bad.stdout, bad.stderr) == (2, "", BAD[0][1] + "\n")


def test_a_number_is_one_however_it_is_written(lip: Lip) -> None:
    for written in ("1e-3", "0.001", ".001", "1E-3", "0.1e-2"):
        assert lip("fit", "cat.png", *TINY, "--set", f"lr={written}", "--out", "out") == 0
    assert len(Ledger("out").fits(["fit"])) == 1


def test_the_hidden_share_is_told(lip: Lip, capsys: pytest.CaptureFixture[str], photo: np.ndarray) -> None:
    hidden = np.ones(photo.shape[:2], np.uint8)
    hidden[:8] = 0
    PIL.Image.fromarray(hidden).save("mask.png")
    assert lip("fit", "cat.png", *TINY, "--set", "task=inpaint", "--set", "mask=mask.png") == 0
    assert "mask.png: as a mask it hides 25 % of the pixels" in capsys.readouterr().out


def test_masks_of_the_same_pixels_give_the_same_fit(lip: Lip, photo: np.ndarray) -> None:
    known = np.indices(photo.shape[:2]).sum(axis=0) % 7 > 0
    PIL.Image.fromarray(known.astype(np.uint8)).save("ones.png")
    PIL.Image.fromarray(np.where(known, 255, 0).astype(np.uint8)).save("white.png")
    PIL.Image.fromarray(np.where(known, 0, 255).astype(np.uint8)).save("turned.png")
    for mask in ("mask=ones.png", "mask=white.png"):
        assert lip("fit", "cat.png", *TINY, "--set", "task=inpaint", "--set", mask, "--out", "out") == 0
    turned = ("--set", "mask=turned.png", "--set", "invert=true")
    assert lip("fit", "cat.png", *TINY, "--set", "task=inpaint", *turned, "--out", "out") == 0
    assert len(Ledger("out").fits(["fit"])) == 1


def test_a_photograph_is_restored_as_it_is(lip: Lip, photo: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    assert lip("restore", "cat.png", *TINY, "-o", "out/cat.png", "--seeds", "2") == 0
    assert pixels("out/cat.png").shape == photo.shape
    assert {path.name for path in Path("out").iterdir()} == {"cat.png", "cat.before-after.png", "cat.json"}
    said = capsys.readouterr().out
    assert "noise: " in said
    assert "(estimated)" in said
    assert "seed 1: averaged output of step" in said
    assert "out/cat.before-after.png" in said


def test_a_restoration_is_named_after_its_photograph(lip: Lip, known_mask: str) -> None:
    assert lip("restore", "cat.png", *TINY, "--task", "inpaint", "--mask", known_mask) == 0
    assert pixels("cat.restored.png").shape == (32, 32, 3)


@pytest.fixture
def known_mask(lip: Lip) -> str:
    PIL.Image.fromarray(np.where(np.eye(32, dtype=bool), 0, 255).astype(np.uint8)).save("mask.png")
    return "mask.png"


BAD_RESTORATIONS = [
    (["-o", "cat.png"], "error: --out: cat.png is the photograph itself; name another file"),
    (["-o", "cat.gif"], "error: cat.gif ends in none of .png, .jpg"),
    (["--task", "inpaint"], "error: mask: to inpaint takes one"),
    (["--mask", "nowhere.png"], "error: mask: to denoise takes none"),
    (["-o", "cat.png/below/out.png"], "below cannot be written (Not a directory); choose another folder"),
    (["--device", "quantum"], "error: --device quantum cannot be used here"),
    (["--set", "steps=3"], "error: --set steps: it has an option; give it as --steps"),
    (["--set", "lr=fast"], "error: lr: input should be a valid number, not 'fast'"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_RESTORATIONS)
def test_a_restoration_that_cannot_be_is_refused(
    lip: Lip, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lip("restore", "cat.png", *TINY, *arguments) == 2
    assert sentence in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["cat.png"]


def test_transparency_is_not_lost_in_a_jpeg(lip: Lip, photo: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    PIL.Image.fromarray(np.dstack([photo, photo[..., 0]])).save("cut.png")
    assert lip("restore", "cut.png", *TINY, "-o", "cut.jpg") == 2
    assert "cannot hold the alpha channel of the image; name a PNG" in capsys.readouterr().err
