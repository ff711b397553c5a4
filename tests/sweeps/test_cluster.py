"""The checks before a run, without starting Ray."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray
import torch

from lip.errors import InputError
from lip.ledger.ledger import Ledger
from sweeps import cluster
from sweeps.cluster import Resources, connected, require_support
from sweeps.plan import Plan
from sweeps.spec import read


def decide(resources: Resources, spec: str, folder: Path) -> Resources:
    with connected(resources, Plan(read(spec)), Ledger(folder / "results")) as (decided, _):
        return decided


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes: one with many CPUs, the other with a GPU; and one that has been lost."""
    shapes = [(True, {"CPU": 8.0}), (True, {"CPU": 2.0, "GPU": 1.0}), (False, {"CPU": 64.0, "GPU": 8.0})]
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": alive, "Resources": shape} for alive, shape in shapes])
    monkeypatch.setattr(cluster, "_connect", lambda *_: None)
    monkeypatch.setattr(cluster, "require_support", lambda *_: None)


@pytest.mark.usefixtures("nodes")
def test_without_gpus_asked_for_a_trial_has_its_share_if_there_are_any(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert decide(Resources(share=0.25), spec, tmp_path).gpus == 0.25
    assert decide(Resources(share=0.25, gpus=0.0), spec, tmp_path).gpus == 0
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 8.0}}])
    assert decide(Resources(share=0.25), spec, tmp_path).gpus == 0


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        (Resources(cpus=9), "--cpus 9 per trial: no node has more than 8; ask for less"),
        (Resources(gpus=2), "--gpus 2 per trial: no node has more than 1; ask for less"),
        (Resources(cpus=4, gpus=0.5), "--cpus 4 --gpus 0.5 per trial: no node has both; ask for less"),
    ],
)
def test_a_trial_that_fits_on_no_living_node_is_refused(
    resources: Resources, sentence: str, spec: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        decide(resources, spec, tmp_path)
    assert str(error.value) == sentence


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere"])
def test_an_address_where_nothing_answers_is_refused(address: str, spec: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"^nothing answers at --address {address} \(.*\); give the host:port"):
        decide(Resources(address=address), spec, tmp_path)


def test_a_gpu_that_torch_does_not_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray counts devices, whatever their driver."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"torch .* sees no GPU, but Ray counts one"):
        require_support("auto", "cuda", set())
    require_support("dense", "cpu", set())
