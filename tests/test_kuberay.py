"""sweeps/kuberay.yaml and sweeps/Dockerfile. Nothing is contacted.

LIP_RAYJOB_CRD names KubeRay's ray-operator/config/crd/bases/ray.io_rayjobs.yaml, a megabyte that is not copied here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

import sweeps.cli

TOP = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    return yaml.safe_load((TOP / "sweeps" / "kuberay.yaml").read_text())


@pytest.mark.skipif("LIP_RAYJOB_CRD" not in os.environ, reason="LIP_RAYJOB_CRD names no CRD")
def test_it_is_what_the_crd_describes(job: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    crd = yaml.safe_load(Path(os.environ["LIP_RAYJOB_CRD"]).read_text())
    (schema,) = [v["schema"]["openAPIV3Schema"] for v in crd["spec"]["versions"] if v["name"] == "v1"]
    jsonschema.validate(job, _closed(schema))
    misspelt = job | {"spec": job["spec"] | {"entryPoint": "python"}}
    with pytest.raises(jsonschema.ValidationError, match="entryPoint"):
        jsonschema.validate(misspelt, _closed(schema))


def _closed(schema: Any) -> Any:
    """Refuse keys that a schema does not name, as `kubectl apply` does."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    if schema.get("type") == "object" and schema.get("properties"):
        closed.setdefault("additionalProperties", False)
    return closed


def test_its_entrypoint_is_a_command_on_the_cluster(job: dict[str, Any]) -> None:
    python, dash, package, name, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert (python, dash, package) == ("python", "-m", "sweeps")
    context = get_command(sweeps.cli.app).commands[name].make_context(name, arguments)  # type: ignore[attr-defined]
    assert context.params["address"] == "auto"


def test_it_and_the_container_run_the_ray_that_is_pinned(job: dict[str, Any]) -> None:
    dependencies = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["dependencies"]
    (minor,) = re.findall(r"ray\[tune\]>=(\d+\.\d+)", " ".join(dependencies))
    assert job["spec"]["rayClusterSpec"]["rayVersion"].startswith(f"{minor}.")
    assert re.search(
        rf"^ARG RAY={re.escape(minor)}\.\d+-py311-gpu$", (TOP / "sweeps/Dockerfile").read_text(), re.MULTILINE
    )


def test_trials_fit_a_worker_that_comes_when_needed_and_never_the_head(job: dict[str, Any]) -> None:
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"]
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0"}
    (workers,) = cluster["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    assert workers["minReplicas"] == 0
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    declared = {"CPU": int(limits["cpu"]), "GPU": int(limits["nvidia.com/gpu"])}
    assert {one["name"]: json.loads(one["value"]) for one in head["env"]} == {"LIP_NODE_TYPES": [declared]}
    assert int(container["resources"]["limits"]["nvidia.com/gpu"]) >= 1


def test_nothing_outlives_the_job_and_nobody_else_submits_one(job: dict[str, Any]) -> None:
    assert job["spec"]["shutdownAfterJobFinishes"]
    assert job["spec"]["ttlSecondsAfterFinished"] <= 900
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}


def test_the_container_copies_what_the_package_needs() -> None:
    copied = re.findall(r"^COPY --chown=ray:users (.*) lip-src", (TOP / "sweeps/Dockerfile").read_text(), re.MULTILINE)
    files = [file for line in copied for file in line.split()]
    assert all((TOP / file).exists() for file in files)
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    assert {project["readme"], *project["license-files"], "pyproject.toml", "lip", "sweeps", "analysis"} == set(files)
