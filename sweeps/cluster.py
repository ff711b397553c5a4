"""Connect to Ray, and check that its nodes can do the work."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import ray
import yaml
from ray.core.generated.autoscaler_pb2 import ClusterConfig  # type: ignore[attr-defined]  # it is generated
from ray.experimental import internal_kv

from lip.errors import InputError
from lip.fast.backend import choose
from lip.fast.precision import require
from lip.ledger.ledger import Ledger
from lip.specs.schedule import Training
from lip.terminal import end_on_sigterm
from sweeps.plan import Plan
from sweeps.session import interrupts_deferred, private_folder

ANSWER_WITHIN = 120.0
"""Seconds in which every node of a cluster has to pass its checks; it may have to compile kernels."""
BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")
"""The copy of cluster.yaml that `ray up` leaves on the head."""
CLUSTER_CONFIG = "__autoscaler_cluster_config"
"""Where autoscalers write Ray's cluster configuration."""

PAUSES = (5.0, 15.0, 0.0)
"""Seconds after each failed start of Ray on this machine."""

Node = dict[str, Any]
"""A node as `ray.nodes` describes it."""


@dataclass(frozen=True)
class Resources:
    """The resources of a run. `cpus` and `gpus` are per trial."""

    address: str = "local"
    slots: int = 1
    """Trials at a time on this machine; on a cluster, trials that wait for nodes."""
    cpus: float = 1
    gpus: float | None = None
    """None: `share` if a node of the cluster has a GPU, else 0."""
    share: float = 1
    backend: str = "auto"
    """Chosen where the trial runs (`lip.fast.backend`)."""


@contextmanager
def connected(resources: Resources, plan: Plan, ledger: Ledger) -> Iterator[tuple[Resources, str | None]]:
    """Connect to Ray, and check its nodes: size, storage and backend.

    Yields the resources with `gpus` decided, and the address of Ray's dashboard if there is one. Raises InputError
    before any work has started.
    """
    with private_folder() if resources.address == "local" else nullcontext() as folder:
        try:
            with interrupts_deferred():
                dashboard = _connect(resources, plan, folder)
                end_on_sigterm()  # Ray has set a handler that exits at once
            decided = _decided(resources)
            if resources.address != "local":
                _check_storage(ledger)
            _check_backend(plan, decided)
            yield decided, dashboard
        finally:
            with interrupts_deferred():
                ray.shutdown()


def autoscaler_node_types() -> list[dict[str, float]]:
    """List the resources of the node types that an autoscaler can add.

    An autoscaler may have told Ray. Ray's own have not: then LIP_NODE_TYPES says it, as in sweeps/kuberay.yaml, or the
    file of `ray up` on the head. Raises InputError.
    """
    return _types_told_to_ray() or _types_declared() or _types_in_file()


def _types_told_to_ray() -> list[dict[str, float]]:
    """List them by Ray's cluster configuration, which no documented function of Ray gives."""
    told = internal_kv._internal_kv_get(CLUSTER_CONFIG, namespace="__autoscaler")
    groups = ClusterConfig.FromString(told or b"").node_group_configs
    return [{name: float(number) for name, number in group.resources.items()} for group in groups if group.max_count]


def _types_declared() -> list[dict[str, float]]:
    text = os.environ.get("LIP_NODE_TYPES", "[]")
    try:
        return [{str(name): float(number) for name, number in shape.items()} for shape in json.loads(text)]
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f'LIP_NODE_TYPES is {text!r}; give the nodes as in \'[{{"CPU": 4, "GPU": 1}}]\'') from error


def _types_in_file() -> list[dict[str, float]]:
    try:
        config = yaml.safe_load(BOOTSTRAP.expanduser().read_text())
    except OSError:
        return []
    types = config["available_node_types"].values()
    return [node_type["resources"] for node_type in types if node_type.get("max_workers")]


def first_line(error: Exception) -> str:
    """Return the first line of an error, or its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _connect(resources: Resources, plan: Plan, folder: Path | None) -> str | None:
    """Start a Ray here, or connect to one. Returns the address of its dashboard, if it has one. Raises InputError."""
    environment = {"env_vars": {"RAY_CHDIR_TO_TRIAL_DIR": "0", **_threads(resources.cpus)}}
    shared: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING, "runtime_env": environment}
    if folder:
        _start(shared, resources, plan, folder)
        return None
    if resources.address != "auto":
        _check_reachable(resources.address)
    try:
        return ray.init(resources.address, **shared).dashboard_url or None
    except Exception as error:  # of any kind, from OSError to Exception itself
        raise InputError(
            f"no Ray cluster at --address {resources.address} ({first_line(error)}); check that it is up and that "
            "RAY_AUTH_MODE and ~/.ray/auth_token are the same here and there"
        ) from error


def _start(shared: dict[str, Any], resources: Resources, plan: Plan, folder: Path) -> None:
    """Start a Ray of this machine, which may be too busy for it at first. Raises InputError."""
    image_bytes = sum(pixels.nbytes for pixels in plan.sweep.pixels.values())
    for pause in PAUSES:
        try:
            ray.init(
                "local",
                num_cpus=ceil(resources.slots * resources.cpus),
                include_dashboard=False,
                object_store_memory=10**8 + 2 * image_bytes,  # it holds the images and little else
                _temp_dir=str(folder / "r"),  # Ray lets everybody enter this folder, but not the one that it is in
                **shared,
            )
            return
        except Exception as error:  # of any kind, from OSError to Exception itself
            cause = error
            ray.shutdown()
            time.sleep(pause)
    raise InputError(
        f"Ray does not start on this machine ({first_line(cause)}); if it is busy try again later, else see that "
        "/dev/shm and the folder for temporary files (RAY_TMPDIR) have room"
    ) from cause


def _threads(cpus: float) -> dict[str, str]:
    """Return the environment that keeps a trial to its own CPUs."""
    threads = str(max(1, int(cpus)))
    return {name: threads for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def _check_reachable(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"nothing answers at --address {address} ({error}); give the host:port of a running Ray cluster, or local"
        ) from error


def _decided(resources: Resources) -> Resources:
    """Decide `gpus`. Raises InputError if a trial fits on no node."""
    shapes = [node["Resources"] for node in _nodes()]
    if resources.address != "local":
        shapes += autoscaler_node_types()
    gpus = resources.gpus
    if gpus is None:
        gpus = resources.share if any(shape.get("GPU", 0) >= 1 for shape in shapes) else 0.0
    for option, name, wanted in (("--cpus", "CPU", resources.cpus), ("--gpus", "GPU", gpus)):
        most = max(shape.get(name, 0) for shape in shapes)
        if wanted > most:
            raise InputError(f"{option} {wanted:g} per trial: no node has more than {most:g}; ask for less")
    decided = replace(resources, gpus=gpus)
    if not any(_fits_on(shape, decided) for shape in shapes):
        raise InputError(f"--cpus {resources.cpus:g} --gpus {gpus:g} per trial: no node has both; ask for less")
    return decided


def _fits_on(shape: dict[str, float], resources: Resources) -> bool:
    """Tell whether a trial fits on a node."""
    return shape.get("CPU", 0) >= resources.cpus and shape.get("GPU", 0) >= (resources.gpus or 0)


def _check_storage(ledger: Ledger) -> None:
    """Check that every node and this machine read what the other writes. Raises InputError."""
    probe = f".probe-{uuid.uuid4().hex}"
    storage, nodes = ledger.storage, _nodes()
    replies = [f"{probe}-{node['NodeID']}" for node in nodes]
    storage.write(probe, probe.encode())
    try:
        tasks = [
            _run_on_node(node, _probe_storage, ledger.url, probe, reply)
            for node, reply in zip(nodes, replies, strict=True)
        ]
        for node, reply, task in zip(nodes, replies, tasks, strict=True):
            if fault := _storage_fault(task, ledger, probe, reply):
                raise InputError(
                    f"storage {storage} is not the same on node {_name_of(node)} as here ({fault}); use a "
                    "folder that every node mounts, or a URL such as s3://bucket/lip"
                )
    finally:
        for path in (probe, *replies):
            with suppress(OSError):
                storage.remove(path)


def _storage_fault(task: ray.ObjectRef, ledger: Ledger, probe: str, reply: str) -> str | None:
    """Wait for a node's probe, and read its reply here. Returns what is wrong, or None."""
    try:
        fault: str | None = ray.get(task, timeout=ANSWER_WITHIN)
        seen = fault is not None or ledger.storage.read(reply) == probe.encode()
    except FileNotFoundError:
        seen = False
    except (ray.exceptions.RayError, OSError) as error:
        return first_line(error)
    return fault if seen else "files written there are not visible here"


def _probe_storage(url: str, probe: str, reply: str) -> str | None:
    """Read the probe and write a reply. Runs on a node. Returns what is wrong, or None."""
    try:
        storage = Ledger(url).storage
        if storage.read(probe) != probe.encode():
            return "files written here have other content there"
        storage.write(reply, probe.encode())
    except FileNotFoundError:
        return "files written here are not visible there"
    except (InputError, OSError) as error:
        return first_line(error)
    return None


def _check_backend(plan: Plan, resources: Resources) -> None:
    """Check that nodes with room for a trial support backend and precision.

    Raises InputError.
    """
    device = "cuda" if resources.gpus else "cpu"
    wanted = resources.backend, device, {fit.schedule for fit in plan.missing.values()}
    if resources.address == "local":
        require_support(*wanted)
        return
    nodes = [node for node in _nodes() if _fits_on(node["Resources"], resources)]
    for node, task in [(node, _run_on_node(node, require_support, *wanted)) for node in nodes]:
        try:
            ray.get(task, timeout=ANSWER_WITHIN)
        except ray.exceptions.RayError as error:
            raise InputError(f"node {_name_of(node)}: {first_line(getattr(error, 'cause', error))}") from error


def require_support(backend: str, device: str, schedules: set[Training]) -> None:
    """Check that this machine supports a backend and the precision of schedules. Raises InputError."""
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError(
                f"torch {torch.__version__} sees no GPU, but Ray counts one; install a torch that suits the driver"
            )
    choose(backend, device)
    for schedule in schedules:
        require(schedule, device)


def _nodes() -> list[Node]:
    return [node for node in ray.nodes() if node["Alive"]]


def _name_of(node: Node) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def _run_on_node(node: Node, work: Callable[..., Any], *arguments: Any) -> ray.ObjectRef:
    """Start a function on a node, in a process of its own.

    The process ends with the function, and so releases the GPU.
    """
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    task = ray.remote(num_cpus=0, max_retries=0, max_calls=1)(work)
    return task.options(scheduling_strategy=strategy).remote(*arguments)
