"""Generators, their checkpoints and faces, how they are tuned, and what is recovered with them."""

from __future__ import annotations

import hashlib
import http.server
import os
import pickle
import sys
import threading
import types
import weakref
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from lip.data import checkpoints as checkpoint
from lip.data import faces
from lip.data.library import InputLibrary
from lip.errors import InputError
from lip.ledger.ledger import Ledger
from lip.masks import Mask, kept_after
from lip.networks.generators import ProgressiveGenerator, batch_deviation
from lip.priors import GENERATORS, Pretrained
from lip.priors.dcgan import Dcgan
from lip.priors.pggan import Pggan
from lip.specs.fit import Fit
from lip.specs.picture import Picture
from lip.specs.request import parse_trajectory
from lip.specs.trajectory import Trajectory
from lip.tasks.generate import Generate
from lip.tasks.sense import CORRUPT, Sense
from lip.training.adversarial import Generation, gradient_penalty
from lip.training.recover import Recovery, mse
from lip.training.run import run_fit

SMALL: dict[str, dict[str, Any]] = {
    "dcgan": {"prior": "dcgan", "size": 16, "width": 4},
    "pggan": {"prior": "pggan", "size": 16, "width": 8},
}
POINT = {
    "image": "held-out/0",
    "source_data": "lfw",
    "tuning": 3,
    "pretraining": 2,
    "batch": 4,
    "steps": 4,
    "rounds": 2,
}
SENSE = {"task": "sense", "measurements": 60, "corrupted": 2}


@pytest.fixture(scope="module")
def library() -> InputLibrary:
    return InputLibrary()


def made(library: InputLibrary, **values: Any) -> Trajectory:
    return parse_trajectory({**SMALL["dcgan"], **POINT, **SENSE, **values}, library, "demo.yaml")


def test_every_generator_is_tested() -> None:
    assert SMALL.keys() == GENERATORS.keys()


def test_counts_are_those_of_the_published_networks() -> None:
    colour = Picture(name="", content_hash="0" * 16, height=256, width=256, channels=3)
    assert Generate().counts(Pggan(), colour, "weights") == (18_844_992, 23_051_989)
    kept = [kept_after(18_844_992, k) for k in range(1, 7)]
    assert kept == [15_075_994, 12_060_795, 9_648_636, 7_718_909, 6_175_127, 4_940_102]
    assert sum(p.numel() for p in Pggan().networks(3)["critic"].parameters()) == 23_052_353
    assert Generate().counts(Dcgan(), colour, "weights") == (869_888, 870_851)
    names = [name for name, _ in Pggan().networks(3)["generator"].prunable_parameters()]  # type: ignore[operator]
    assert (names[0], names[-1], len(names)) == ("base", "to_colours.6", 20)


@pytest.mark.parametrize("prior", [Dcgan(size=16, width=4), Dcgan(size=64, width=2), Pggan(size=32, width=4)])
def test_images_have_the_size_that_is_said_and_each_a_score(prior: Pretrained) -> None:
    z = prior.codes(5, torch.Generator().manual_seed(0))
    image = prior.build(3).image(z)
    assert image.shape == (5, 3, prior.size, prior.size)
    assert prior.critic(3)(image).shape == (5,)
    assert prior.latent == z.shape[1]


def test_equalised_layers_store_unit_weights_and_apply_he_when_they_run() -> None:
    net = Pggan(size=16, width=64).build(3)
    conv = net.base
    assert float(conv.weight.detach().std()) == pytest.approx(1, abs=0.02)
    conv.bias.data.fill_(3.0)
    x = torch.randn(1, 64, 4, 4)
    plain = torch.nn.functional.conv2d(x, conv.weight, conv.bias, padding=1)
    assert torch.allclose(conv(x), plain * (2 / (64 * 9)) ** 0.5)


def test_a_progressive_generator_does_not_see_how_long_its_code_is() -> None:
    net = ProgressiveGenerator(8, (8, 4), 3)
    z = torch.randn(2, 8)
    assert torch.allclose(net(z), net(7 * z), atol=1e-5)


def test_the_deviation_is_measured_over_groups_of_four() -> None:
    x = torch.zeros(8, 1, 1, 1)
    x[:4] = torch.tensor([0.0, 2.0, 4.0, 6.0])[:, None, None, None]
    found = batch_deviation(x).flatten()
    assert found[:4].tolist() == pytest.approx([(20 / 3) ** 0.5] * 4)
    assert found[4:].tolist() == pytest.approx([1e-4] * 4)
    assert batch_deviation(x[:1]).tolist() == [[[[0.0]]]]


def test_a_critic_of_slope_two_is_fined_one() -> None:
    direction = torch.full((12,), 2 / 12**0.5)

    def critic(images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) @ direction

    real, fake = torch.rand(3, 3, 2, 2), torch.rand(3, 3, 2, 2)
    penalty = gradient_penalty(critic, real, fake, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    assert float(penalty) == pytest.approx(1.0, abs=1e-5)


# Checkpoints


def test_published_weights_keep_their_values_under_our_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the zoo's layout, with the settings that are an object of a class of its own."""
    zoo = types.ModuleType("models.utils.config")
    settings = type("BaseConfig", (), {"__module__": "models.utils.config"})
    zoo.BaseConfig = settings  # type: ignore[attr-defined]
    for name in ("models", "models.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "models.utils.config", zoo)
    config = settings()
    config.depthOtherScales = [8, 8]  # type: ignore[attr-defined]
    prior = Pggan(size=16, width=8)
    net, critic = prior.build(3), prior.critic(3)
    theirs = {"first": "formatLayer.module", "base": "groupScale0.0.module", "scales": "scaleLayers"}
    theirs |= {"to_colours": "toRGBLayers", "from_colours": "fromRGBLayers", "decision": "decisionLayer.module"}

    def named(network: torch.nn.Module, **others: str) -> OrderedDict[str, torch.Tensor]:
        names = theirs | others
        state = network.state_dict().items()
        return OrderedDict((".".join([names[key.split(".")[0]], *key.split(".")[1:]]), value) for key, value in state)

    content = {"config": config, "netG": named(net), "avgG": named(net)}
    content["netD"] = named(critic, base="groupScaleZero.0", last="groupScaleZero.1")
    torch.save(content, tmp_path / "zoo.pth", _use_new_zipfile_serialization=False)
    found = checkpoint.read(str(tmp_path / "zoo.pth"))
    checkpoint.check(found, prior.networks(3), "pggan")
    for name, network in {"generator": net, "averaged": net, "critic": critic}.items():
        loaded = checkpoint.part(checkpoint.unpacked(found.data), name)
        assert all(torch.equal(loaded[key], value) for key, value in network.state_dict().items())
    with pytest.raises(InputError, match=r"has another architecture: generator\.\S+ is \S+ in it, \S+ in pggan; give"):
        checkpoint.check(found, Pggan(size=16, width=4).networks(3), "pggan")
    with pytest.raises(InputError, match="missing in dcgan"):
        checkpoint.check(found, Dcgan(size=16, width=8).networks(3), "dcgan")


class Touches:
    """Would make a file if it were unpickled."""

    def __init__(self, path: Path, builtin: bool) -> None:
        self.calls = (eval, (f"__import__('os').mkdir({str(path)!r})",)) if builtin else (os.mkdir, (str(path),))

    def __reduce__(self) -> tuple[Any, ...]:
        return self.calls


@pytest.mark.parametrize("builtin", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_refused_and_not_run(tmp_path: Path, zipped: bool, builtin: bool) -> None:
    path = tmp_path / "bad.pt"
    torch.save({"netG": {}, "x": Touches(tmp_path / "run", builtin)}, path, _use_new_zipfile_serialization=zipped)
    called = "eval" if builtin else "posix.mkdir"
    with pytest.raises(InputError, match=rf"bad\.pt holds pickled code \({called}\), which is never run; give a"):
        checkpoint.read(str(path))
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.pt"
    torch.save({"generator_deconv.0.0.weight": torch.zeros(9)}, whole)
    assert list(checkpoint.read(str(whole)).shapes) == ["generator.blocks.0.0.weight"]
    (tmp_path / "cut.pt").write_bytes(whole.read_bytes()[:200])
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps({"weight": 1.0}))
    torch.save([1], tmp_path / "list.pt")
    torch.save({"epoch": 3}, tmp_path / "number.pt")
    tensors = {
        "sparse": torch.eye(3).to_sparse(),
        "nothing": torch.empty(3, device="meta"),
        "repeated": torch.zeros(3).expand(10**6, 10**6, 3),  # 12 TB in a file of 1 kB
        "nested": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
        "complex": torch.zeros(3, dtype=torch.complex64),
        "infinite": torch.tensor([1.0, torch.inf]),
    }
    for name, tensor in tensors.items():
        torch.save({"weight": tensor}, tmp_path / f"{name}.pt")
    sentences = {
        "cut": "is not a complete checkpoint of PyTorch; give an undamaged one",
        "text": "is not a complete checkpoint of PyTorch; give an undamaged one",
        "pickle": "is not a complete checkpoint of PyTorch; give an undamaged one",
        "list": "does not hold named weights; give a checkpoint of a generator",
        "number": "epoch is not a tensor; give a checkpoint of a generator",
        "none": "there is no checkpoint .*; give a file, or celebahq-256",
        **dict.fromkeys(tensors, "weight is not a dense tensor of finite numbers; give a checkpoint of a generator"),
    }
    for name, sentence in sentences.items():
        with pytest.raises(InputError, match=sentence):
            checkpoint.read(str(tmp_path / f"{name}.pt"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_a_published_checkpoint_is_downloaded_once_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    weight = torch.arange(9.0)
    torch.save({"netG": {"toRGBLayers.0.module.weight": weight}}, tmp_path / "face.pth")
    digest = hashlib.sha256((tmp_path / "face.pth").read_bytes()).hexdigest()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        for name, path, start in (("none", "none", ""), ("wrong", "face", "0" * 8), ("face", "face", digest[:8])):
            monkeypatch.setitem(checkpoint.PUBLISHED, name, (f"{url}/{path}.pth", start))
        with pytest.raises(InputError, match=r"could not download http\S+none\.pth \(404 .*; try again, or down"):
            checkpoint.read("none")
        with pytest.raises(InputError, match=r"face\.pth gave a file whose SHA-256 does not begin with 00000000; try"):
            checkpoint.read("wrong")
        assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
        checkpoint.read("face")
        server.shutdown()
    again = checkpoint.read("face")
    assert torch.equal(checkpoint.unpacked(again.data)["generator.to_colours.0.weight"], weight)


# Faces


def _save(path: Path, seed: int, size: tuple[int, int] = (24, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


def test_faces_are_split_by_content_whatever_they_are_called(tmp_path: Path) -> None:
    for seed in range(12):
        _save(tmp_path / f"{seed}.png", seed)
    first = faces.load(str(tmp_path), 16, 0.4)
    assert len(first.tuning) + len(first.held_out) == 12
    (tmp_path / "deeper").mkdir()
    for seed in range(12):
        (tmp_path / f"{seed}.png").rename(tmp_path / "deeper" / f"{99 - seed}.PNG")
    _save(tmp_path / "another.png", 50)
    _save(tmp_path / "twice.png", 50)
    second = faces.load(str(tmp_path), 16, 0.4)
    assert len(second.tuning) + len(second.held_out) == 13, "the same content counts once"
    for part in ("tuning", "held_out"):
        old, new = ({face.tobytes() for face in getattr(found, part)} for found in (first, second))
        assert old <= new
    assert faces.load("lfw", 16, 0.4).id == faces.load("lfw", 16, 0.4).id


def test_a_crop_takes_the_middle(tmp_path: Path) -> None:
    for seed in range(6):
        _save(tmp_path / f"{seed}.png", seed)
    whole, cut = (faces.load(str(tmp_path), 10, 0.5, crop) for crop in (1.0, 0.5))
    originals = [np.asarray(PIL.Image.open(path)) for path in tmp_path.iterdir()]
    assert any(np.array_equal(cut.tuning[0], image[7:17, 5:15]) for image in originals)
    assert whole.tuning.shape == cut.tuning.shape


def test_folders_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder of faces .*; give one, or lfw"):
        faces.load(str(tmp_path / "nothing"), 16, 0.4)
    (tmp_path / "notes.txt").write_text("no face")
    with pytest.raises(InputError, match=r"holds no JPEG or PNG image; give a folder of faces"):
        faces.load(str(tmp_path), 16, 0.4)
    _save(tmp_path / "one.png", 0)
    with pytest.raises(InputError, match=r"of 1 images \d are for tuning and \d held out; give more images"):
        faces.load(str(tmp_path), 16, 0.4)
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8 nothing")
    with pytest.raises(InputError, match=r"damaged\.jpg is damaged"):
        faces.load(str(tmp_path), 16, 0.4)


# Compressive sensing


def test_measurements_are_what_they_are_said_to_be() -> None:
    task = Sense(measurements=400, corrupted=8)
    clean = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    system = task.observe(clean, torch.Generator().manual_seed(0))
    assert system.shape == (400, 1 + clean.numel())
    assert float(system[:392, 1:].std()) == pytest.approx(392**-0.5, rel=0.02)
    residuals = task.residuals(clean, system)[:, 0]
    assert float(residuals[:392].std()) == pytest.approx(0.01, rel=0.1)
    assert (system[392:, 1:] == 1).all()
    assert residuals[392:].tolist() == pytest.approx([float((2 * clean - 1).sum()) - CORRUPT] * 8, rel=1e-5)
    rows = torch.tensor([5, 395])
    assert torch.allclose(task.residuals(clean, system, rows)[:, 0], residuals[rows], rtol=1e-4, atol=1e-4)


def test_a_recovery_is_the_tournament_of_the_definition(library: InputLibrary) -> None:
    """Two codes take turns, row by row: the first descends, then the second ascends, on its median block's mean."""
    fit = made(library, measurements=65, lr=0.05).fits[0]  # three blocks, and five rows left over
    recovery = Recovery(fit, library.inputs)
    trained = recovery.train(Mask.dense(recovery.layers))
    first, second = (code[None].clone().requires_grad_() for code in recovery._prior.codes(2, recovery.stream("z")))
    optimisers = [torch.optim.Adam([code], 0.05) for code in (first, second)]
    deal = recovery.stream("blocks")
    last = []
    for step in range(2 * fit.schedule.steps):
        outputs = [recovery.net(code) for code in (first, second)]
        x, other = ((2 * output - 1).flatten() for output in outputs)
        gaps = [(row[1:] @ x - row[0]) ** 2 - (row[1:] @ other - row[0]) ** 2 for row in recovery.observation]
        order = torch.randperm(65, generator=deal).tolist()
        blocks = [[gaps[row] for row in order[start : start + 20]] for start in (0, 20, 40)]
        _, median, _ = sorted(sum(block) / 20 for block in blocks)
        first.grad, second.grad = torch.autograd.grad(median, [first, second])
        second.grad.neg_()
        optimisers[step % 2].step()
        last = [*last, outputs[step % 2][0].detach().numpy()][-2:]
    assert np.allclose(trained.outputs["last"], last[0], atol=1e-4)
    assert not np.allclose(trained.outputs["last"], last[1], atol=1e-2)


def test_the_median_of_means_survives_what_least_squares_does_not(library: InputLibrary) -> None:
    values = {"measurements": 200, "steps": 150, "lr": 0.05, "rounds": 0}
    errors = {}
    for estimator in ("median_of_means", "least_squares"):
        fit = made(library, corrupted=4, estimator=estimator, **values).fits[0]
        recovery = Recovery(fit, library.inputs)
        target = recovery.net.eval()(recovery._prior.codes(1, torch.Generator().manual_seed(5))).detach()
        recovery.clean = target
        recovery.observation = recovery.task.observe(target, recovery.stream("observation"))
        errors[estimator] = mse(recovery.train(Mask.dense(recovery.layers)).scores["last"].psnr)
    assert errors["median_of_means"] < 0.2 * errors["least_squares"]


# Fits


@pytest.fixture(params=SMALL)
def generator(request: pytest.FixtureRequest) -> dict[str, Any]:
    return SMALL[request.param]


def test_every_mask_is_tuned_from_the_same_weights_and_then_recovers(
    library: InputLibrary, generator: dict[str, Any], tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    trajectories = [
        made(library, **generator),
        made(library, **generator, pruner="random"),
        parse_trajectory({**generator, **POINT, "task": "inpaint", "mask": "text"}, library, "demo.yaml"),
    ]
    for trajectory in trajectories:
        for fit in trajectory.fits:
            run_fit(fit, library.inputs, ledger)
    imp, random, inpaint = ([fit.start for fit in trajectory.fits] for trajectory in trajectories)
    assert imp == inpaint, "what is recovered does not change what tickets are found"
    assert imp[0] == random[0]
    (pretraining,) = {tuned.start for tuned in (*imp, *random)}
    assert len(ledger.fits()) == 1 + 3 + 2 + 8
    for trajectory in trajectories:
        for fit in trajectory.fits:
            (row,) = ledger.fits(ids=[fit.id]).to_pylist()
            assert row["n_kept"] == kept_after(row["n_prunable"], row["round"])
            assert row["mse_last"] == pytest.approx(mse(row["psnr_last"]))
            weights = ledger.weights(fit.start)
            mask = ledger.next_mask(fit.recipe.source_fit).bits if fit.recipe.source_fit else None
            if mask is not None:
                for part in ("generator", "averaged"):
                    net = trajectory.prior.build(1)
                    net.load_state_dict(checkpoint.part(weights, part))
                    flat = torch.cat([weight.detach().flatten() for _, weight in net.prunable_parameters()])
                    assert (flat[~torch.tensor(mask)] == 0).all()
                    assert not torch.equal(weights["generator." + next(iter(net.state_dict()))], torch.zeros(1))
    (row,) = ledger.fits(ids=[imp[1].id]).to_pylist()
    assert (row["task"], row["mask_task"], row["start"]) == ("generate", "generate", pretraining.id)
    assert row["mse_last"] is None
    assert len(row["curve_loss"]) == 3


def test_recovering_moves_the_code_and_nothing_else(library: InputLibrary, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    fit = made(library).fits[0]
    run_fit(fit.start, library.inputs, ledger)
    recovery = Recovery(fit, library.inputs)
    weights = ledger.weights(fit.start)
    recovery.train(Mask.dense(recovery.layers), weights)
    averaged = checkpoint.part(weights, "averaged")
    assert all(torch.equal(averaged[key], value) for key, value in recovery.net.state_dict().items())
    assert not fit.has_next_mask
    raw = made(library, compat=["raw_generator"]).fits[0]
    assert raw.start == fit.start
    recovery = Recovery(raw, library.inputs)
    recovery.train(Mask.dense(recovery.layers), weights)
    last = checkpoint.part(weights, "generator")
    assert all(torch.equal(last[key], value) for key, value in recovery.net.state_dict().items())


def test_of_several_codes_the_one_that_fits_best_is_kept(library: InputLibrary) -> None:
    one, three = (Recovery(made(library, restarts=n).fits[0], library.inputs) for n in (1, 3))
    single, best = (recovery.train(Mask.dense(recovery.layers)) for recovery in (one, three))
    assert best.loss <= single.loss
    assert made(library, restarts=3).fits[0].start == made(library).fits[0].start


def test_a_checkpoint_is_where_every_fit_starts(library: InputLibrary, tmp_path: Path) -> None:
    """Its critic is trained first where it has none, with the generator as it is."""
    net = Dcgan(size=16, width=4).build(1)
    state = {key.replace("blocks", "generator_deconv"): value for key, value in net.state_dict().items()}
    torch.save(state, tmp_path / "face.pt")
    trajectory = made(library, checkpoint=str(tmp_path / "face.pt"))
    ledger = Ledger(tmp_path / "ledger")
    tuned = trajectory.fits[1].start
    run_fit(tuned.start, library.inputs, ledger)
    before = ledger.weights(tuned.start)
    for part in ("generator", "averaged"):
        assert all(torch.equal(before[f"{part}.{key}"], value) for key, value in net.state_dict().items())
    fresh = Generation(tuned, library.inputs)
    assert torch.equal(fresh.net.state_dict()["blocks.0.0.weight"], net.state_dict()["blocks.0.0.weight"])
    assert not torch.equal(before["critic.decision.weight"], fresh.critic.state_dict()["decision.weight"])
    assert made(library, checkpoint=str(tmp_path / "face.pt"), pretraining=0).fits[0].start.start is None


def test_running_statistics_are_those_of_the_weights_in_the_end(library: InputLibrary) -> None:
    fit = made(library, batch=8).fits[0].start
    generation = Generation(fit, library.inputs)
    generation.train(Mask.dense(generation.layers))
    for net in (generation.net, generation.averaged):
        first = net.blocks[0]
        with torch.no_grad():
            maps = first[0](generation.prior.codes(4000, torch.Generator().manual_seed(9))[:, :, None, None])
        assert torch.allclose(first[1].running_var, maps.var(dim=(0, 2, 3)), rtol=0.3)


def test_tuning_is_repeatable_and_the_released_way_is_another(library: InputLibrary) -> None:
    def weights(fit: Fit) -> torch.Tensor:
        generation = Generation(fit, library.inputs)
        return generation.train(Mask.dense(generation.layers)).weights["generator.blocks.1.0.weight"]

    fit, released = (made(library, compat=compat).fits[0].start for compat in ([], ["gan_batch"]))
    assert torch.equal(weights(fit), weights(fit))
    assert not torch.equal(weights(fit), weights(released))


def test_an_untrained_prior_senses_by_least_squares(tmp_path: Path) -> None:
    library, ledger = InputLibrary(), Ledger(tmp_path / "ledger")
    point = {**SENSE, "estimator": "least_squares", "image": "camera", "size": 16, "width": 4, "scales": 2}
    fits = parse_trajectory({**point, "corrupted": 0, "steps": 20, "rounds": 1}, library, "demo.yaml").fits
    for fit in fits:
        run_fit(fit, library.inputs, ledger)
    row = ledger.fits(ids=[fits[1].id]).to_pylist()[0]
    assert row["curve_loss"][-1] < row["curve_loss"][0]
    assert row["psnr_last"] > 0


def test_only_one_matrix_of_measurements_is_there_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lip.cli import app

    observe = Sense.observe
    held: list[weakref.ref[torch.Tensor]] = []

    def watched(self: Sense, *arguments: Any) -> torch.Tensor:
        assert all(system() is None for system in held)
        system = observe(self, *arguments)
        held.append(weakref.ref(system))
        return system

    monkeypatch.setattr(Sense, "observe", watched)
    sizes = ["--size=16", "--width=4", "--scales=2", "--steps=2", "--rounds=1", "--threads=1", "--backend=dense"]
    keys = {**SENSE, "estimator": "least_squares"}
    more = [f"--set={key}={value}" for key, value in keys.items()]
    app(["fit", "camera", f"--out={tmp_path}", *sizes, *more], standalone_mode=False)
    assert len(held) == 3, "one that is looked at, and one a round"


# Bad input


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"measurements": 100, "corrupted": 60}, "corrupted: 60 of 100 measurements leave 40 usable ones, not more"),
        ({"rows": 61}, "rows: a block of 61 needs as many measurements, not 60"),
        ({"size": 24}, "size: input should be 16, 32, 64 or 128, not 24"),
        ({"pretraining": 0}, "dcgan has no pre-trained weights"),
        ({"image": "held-out/9999"}, r"there is no image held-out/9999; lfw has held-out/0 to \d+"),
        ({"image": "astronaut"}, "astronaut has 3 channels and the faces of lfw have 1"),
        ({"source_data": "nowhere"}, "there is no folder of faces nowhere"),
        ({"source_data": None}, "the key 'source_data' is missing; name the data of generate"),
        ({"rewind": 20.0}, "rewind: dcgan goes back to its pre-trained weights; use 0"),
        ({"source_task": "denoise"}, "source_task: tickets of dcgan are found by training it; remove it"),
        ({"pruner": "snip"}, "pruner: snip cannot prune for generate; use imp, random, layerwise, shuffled"),
        ({"precision": "bf16"}, "precision: the weights of dcgan are not trained; leave it at its default"),
        ({"schedule": "sgld"}, "backtrack_rule: the weights of dcgan are not trained; leave it at its default"),
        ({"checkpoint": "nothing.pt"}, "checkpoint: there is no checkpoint nothing.pt"),
        ({"prior": "hourglass"}, "tuning: it goes with task: generate; remove it, or use that"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(
    library: InputLibrary, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        made(library, **values)


def test_an_album_tells_crops_of_one_face_apart() -> None:
    library = InputLibrary()
    face = {(share, crop): library.held_out("0", "lfw", 16, share, crop) for share in (0.4, 0.9) for crop in (1.0, 0.5)}
    assert len({picture.content_hash for picture in face.values()}) == 4
    assert {picture.content_hash for picture in face.values()} <= library.inputs.keys()


def test_other_priors_generate_no_faces_and_have_no_checkpoint(library: InputLibrary) -> None:
    with pytest.raises(InputError, match="prior: hourglass does not generate faces; use prior: dcgan or pggan"):
        parse_trajectory({"task": "generate", "data": "lfw"}, library, "demo.yaml")
    with pytest.raises(InputError, match="checkpoint: hourglass is trained from scratch; remove it"):
        parse_trajectory({"image": "astronaut", "checkpoint": "face.pt"}, library, "demo.yaml")
    with pytest.raises(InputError, match="estimator: median_of_means needs a generator; use least_squares"):
        parse_trajectory({"image": "astronaut", "task": "sense", "size": 64}, library, "demo.yaml")
    with pytest.raises(InputError, match="is a face held out from a generator; name the faces with source_data"):
        parse_trajectory({"image": "held-out/0"}, library, "demo.yaml")
