"""cluster.yaml as Ray itself reads it. Nothing is contacted."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    return yaml.safe_load((TOP / "cluster.yaml").read_text())


def test_ray_accepts_it(cluster: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(cluster))


def test_its_image_runs_the_ray_that_is_pinned(cluster: dict[str, Any]) -> None:
    pins = [
        pin for pin in tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["dependencies"] if "ray" in pin
    ]
    (minor,) = re.findall(r">=(\d+\.\d+)", pins[0])
    assert f":{minor}." in cluster["docker"]["image"]


def test_trials_fit_a_worker_and_never_the_head(cluster: dict[str, Any]) -> None:
    types = cluster["available_node_types"]
    assert not any(types[cluster["head_node_type"]]["resources"].values())
    assert any(node["resources"].get("GPU", 0) >= 0.25 and node["resources"]["CPU"] >= 1 for node in types.values())


def test_every_start_says_how_it_authenticates_and_installs_this_project(cluster: dict[str, Any]) -> None:
    starts = [*cluster["head_start_ray_commands"], *cluster["worker_start_ray_commands"]]
    assert all("RAY_AUTH_MODE=" in command for command in starts if "ray start" in command)
    assert any("pip install" in command and "~/lip" in command for command in cluster["setup_commands"])
