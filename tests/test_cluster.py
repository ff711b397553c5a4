"""cluster.yaml as Ray itself reads it. Nothing is contacted."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).parents[1]


@pytest.fixture(scope="module", params=["aws", "gcp"])
def cluster(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The file as it is, and with the commented blocks in place of those of the same name."""
    text = (TOP / "cluster.yaml").read_text()
    blocks = {"aws": "", "gcp": "\n".join(re.findall(r"^#gcp (.*)$", text, re.MULTILINE))}
    return yaml.safe_load(text) | (yaml.safe_load(blocks[request.param]) or {})


def test_ray_accepts_it(cluster: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(cluster))


def test_its_image_runs_the_ray_that_is_pinned(cluster: dict[str, Any]) -> None:
    pins = [
        pin for pin in tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["dependencies"] if "ray" in pin
    ]
    (minor,) = re.findall(r">=(\d+\.\d+)", pins[0])
    assert all(f":{minor}." in image for name, image in cluster["docker"].items() if name.endswith("image"))


def test_trials_fit_a_worker_and_never_the_head(cluster: dict[str, Any]) -> None:
    types = cluster["available_node_types"]
    assert not any(types[cluster["head_node_type"]]["resources"].values())
    assert any(node["resources"].get("GPU", 0) >= 0.25 and node["resources"]["CPU"] >= 1 for node in types.values())


def test_workers_are_spot_machines_that_come_when_they_are_needed_and_may_write_results(
    cluster: dict[str, Any],
) -> None:
    types = [node for name, node in cluster["available_node_types"].items() if name != cluster["head_node_type"]]
    assert all(node["min_workers"] == 0 for node in types)
    workers = [node for node in types if node["max_workers"]]
    said = [yaml.safe_dump(node["node_config"]) for node in workers]
    assert all(re.search("MarketType: spot|preemptible: true", text) for text in said)
    assert all(re.search("IamInstanceProfile|serviceAccounts", text) for text in said)
    assert cluster["idle_timeout_minutes"] <= 15


def test_every_start_asks_for_the_token_which_every_node_is_given(cluster: dict[str, Any]) -> None:
    starts = [
        command
        for kind in ("head", "worker")
        for command in cluster[f"{kind}_start_ray_commands"]
        if "ray start" in command
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token ray start" in command for command in starts)
    assert cluster["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert any("export RAY_AUTH_MODE=token" in command for command in cluster["setup_commands"])
    assert "--dashboard-host=127.0.0.1" in starts[0]


def test_every_node_installs_this_project(cluster: dict[str, Any]) -> None:
    assert cluster["file_mounts"]["~/lip"] == "."
    assert any("pip install" in command and '"$HOME/lip[fast]"' in command for command in cluster["setup_commands"])


def test_every_machine_has_an_image_of_its_own_and_switches_itself_off_in_the_end(cluster: dict[str, Any]) -> None:
    """Without ImageId Ray takes an image of 2022 on AWS, with a driver that is too old for torch."""
    for node in cluster["available_node_types"].values():
        assert re.search(r"ImageId: MY-AMI|sourceImage: .*nvidia-580", yaml.safe_dump(node["node_config"], width=999))
    assert any("shutdown -h" in command for command in cluster["initialization_commands"])


def test_a_driver_on_the_head_knows_what_the_autoscaler_can_add(
    cluster: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.autoscaler._private.util import prepare_config

    from sweeps.cluster import autoscaler_node_types

    monkeypatch.setattr("ray.experimental.internal_kv._internal_kv_get", lambda key, namespace: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert autoscaler_node_types() == []
    (tmp_path / "ray_bootstrap_config.yaml").write_text(json.dumps(prepare_config(cluster)))
    assert {"CPU": 4, "GPU": 1} in autoscaler_node_types()
    assert all(shape["GPU"] for shape in autoscaler_node_types()), "and not the head"


def test_a_driver_knows_what_any_autoscaler_has_told_ray_that_it_can_add(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray._raylet import GCS_AUTOSCALER_CLUSTER_CONFIG_KEY, GCS_AUTOSCALER_STATE_NAMESPACE
    from ray.core.generated.autoscaler_pb2 import ClusterConfig

    from sweeps.cluster import autoscaler_node_types

    config = ClusterConfig()
    for name, most, resources in (
        ("head", 0, {"CPU": 2}),
        ("gpu", 8, {"CPU": 4, "GPU": 1}),
        ("endless", -1, {"CPU": 16}),
    ):
        config.node_group_configs.add(name=name, max_count=most, resources=resources)
    told = {(GCS_AUTOSCALER_CLUSTER_CONFIG_KEY, GCS_AUTOSCALER_STATE_NAMESPACE): config.SerializeToString()}
    monkeypatch.setattr("ray.experimental.internal_kv._internal_kv_get", lambda key, namespace: told[key, namespace])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert autoscaler_node_types() == [{"CPU": 4, "GPU": 1}, {"CPU": 16}]


def test_a_driver_knows_what_is_declared_that_an_autoscaler_can_add(monkeypatch: pytest.MonkeyPatch) -> None:
    from lip.errors import InputError
    from sweeps.cluster import autoscaler_node_types

    monkeypatch.setattr("ray.experimental.internal_kv._internal_kv_get", lambda key, namespace: None)
    monkeypatch.setenv("LIP_NODE_TYPES", '[{"CPU": 4, "GPU": 1}]')
    assert autoscaler_node_types() == [{"CPU": 4, "GPU": 1}]
    for text in ("4", "CPU", '{"CPU": 4}', '[{"CPU": "many"}]'):
        monkeypatch.setenv("LIP_NODE_TYPES", text)
        with pytest.raises(InputError, match=r"LIP_NODE_TYPES is .*; give the nodes as in"):
            autoscaler_node_types()
