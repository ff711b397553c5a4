"""Running the missing fits of a plan on Ray Tune: one trial is one trajectory. The only module that uses ray.

Tune schedules and the ledger remembers: Tune's own state is thrown away. A trial asks the ledger what is there, trains
what is not, and publishes after every round, so a run can be ended anywhere, by any means, and started again.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import pickle
import platform
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from math import ceil, inf
from pathlib import Path
from typing import Any

for _name, _value in {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a table even where none is wanted
    "RAY_AUTH_MODE": "disabled",  # a local cluster that nobody else can reach
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "600",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "10",  # a bucket takes its time
}.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402  # it reads the environment when it is imported
import yaml  # noqa: E402
from ray import tune  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

from lip.errors import InputError  # noqa: E402
from lip.fast.backend import choose  # noqa: E402
from lip.fast.precision import require  # noqa: E402
from lip.ledger.ledger import Ledger  # noqa: E402
from lip.specs.fit import Fit  # noqa: E402
from lip.specs.schedule import Training  # noqa: E402
from lip.training.run import run_fit  # noqa: E402
from sweeps.plan import Plan  # noqa: E402
from sweeps.progress import SHOWN, Progress, preceded  # noqa: E402
from sweeps.scheduler import Scheduler  # noqa: E402

SECONDS_BETWEEN_REPORTS = 1.0
PATIENCE = 600.0
"""Seconds that a trial waits for a storage that has gone away, before it gives up its slot."""
ANSWER_WITHIN = 120.0
"""Seconds in which every node of a cluster has to say whether it sees the storage; it may have to compile kernels."""
BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")
"""Where `ray up` leaves cluster.yaml on the head. A driver is told by nothing else what the autoscaler can add."""
NODE_LOSS_SEEN_WITHIN = 30.0
"""Seconds that may lie between the deaths of processes and Ray's hearing that their node is lost, or the reverse."""
PENDING_ON_A_CLUSTER = 64
"""Trials that wait for resources at a time: what an autoscaler sees and brings nodes up for."""


@dataclass(frozen=True)
class Resources:
    """The resources of a run.

    `cpus` and `gpus` are per trial; `slots` limits the trials at a time on this machine, and on a cluster those that
    wait for nodes.

    `gpus` None means `share` if a node of the cluster has any, else none. `backend` (`lip.fast.backend`) is chosen
    where the trial runs.
    """

    address: str = "local"
    slots: int = 1
    cpus: float = 1
    gpus: float | None = None
    share: float = 1
    backend: str = "auto"


@contextmanager
def connected(resources: Resources, plan: Plan, ledger: Ledger) -> Iterator[Resources]:
    """Ray, with every node seeing the storage, able to compute what is asked for, and one of them large enough.

    Gives the resources, with `gpus` decided. Raises InputError before anything has been started there.
    """
    image_bytes = sum(pixels.nbytes for pixels in plan.sweep.pixels.values())
    local: dict[str, Any] = {}
    if resources.address == "local":
        local = {
            "num_cpus": ceil(resources.slots * resources.cpus),
            "include_dashboard": False,
            "object_store_memory": 10**8 + 2 * image_bytes,  # it holds the images and little else
        }
    elif resources.address != "auto":
        _knock(resources.address)
    try:
        ray.init(
            resources.address,
            log_to_driver=False,
            logging_level=logging.WARNING,
            runtime_env={"env_vars": {"RAY_CHDIR_TO_TRIAL_DIR": "0", **_threads(resources.cpus)}},
            **local,
        )
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        if local:
            raise
        raise InputError(
            f"there is no Ray cluster at --address {resources.address} ({_first_line(error)}); is it up, and does "
            "RAY_AUTH_MODE here say what it says there?"
        ) from error
    try:
        shapes = [node["Resources"] for node in _nodes()] + ([] if local else addable())
        gpus = resources.gpus
        if gpus is None:
            gpus = resources.share if any(shape.get("GPU", 0) >= 1 for shape in shapes) else 0.0
        decided = replace(resources, gpus=gpus)
        for option, name, wanted in (("--cpus", "CPU", resources.cpus), ("--gpus", "GPU", gpus)):
            most = max(shape.get(name, 0) for shape in shapes)
            if wanted > most:
                raise InputError(f"{option} {wanted:g} per trial: no node has more than {most:g}; ask for less")
        if not any(_holds(shape, decided) for shape in shapes):
            raise InputError(f"--cpus {resources.cpus:g} --gpus {gpus:g} per trial: no node has both; ask for less")
        if not local:
            _check_storage(ledger)
        _check_able(plan, decided)
        yield decided
    finally:
        ray.shutdown()


def dashboard() -> str | None:
    """The address of Ray's dashboard, if there is one."""
    return ray._private.worker.get_dashboard_url()


def execute(plan: Plan, ledger: Ledger, resources: Resources, progress: Progress) -> None:
    """Train and publish what the plan lacks, while `connected`. Returns when all is done or has failed, or on Ctrl-C.

    What is published then is for the ledger to say; failures are recorded there with their cause.
    """
    for chatter in ("ray.tune.tune", "ray.tune.analysis.experiment_analysis"):  # of trials that others have taken over
        logging.getLogger(chatter).setLevel(logging.CRITICAL)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(resources.slots)
    todo = plan.todo()
    work = {key: pickle.dumps(fits) for key, fits in todo.items()}  # Ray hands every trial a copy of all of it
    needs = {key: [fit.id for fit in todo[key]] for key in progress.order()}
    control = Scheduler(needs, progress, resources.gpus or 0.0)
    shared = {
        "pixels": plan.sweep.pixels,
        "outputs": plan.sweep.outputs,
        "storage": ledger.url,
        "sign": progress.sign,
        "backend": resources.backend,
    }
    trial = tune.with_parameters(_trial, work=work, **shared)
    scratch = tempfile.mkdtemp(prefix="lip-tune-")
    try:
        tune.Tuner(
            tune.with_resources(trial, lambda config: tune.PlacementGroupFactory([_bundle(resources.cpus, config)])),
            tune_config=tune.TuneConfig(
                search_alg=_FromControl(control),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=lambda t: t.config["key"],
                trial_dirname_creator=lambda t: t.trial_id,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=scratch,
                verbose=0,
                callbacks=[_Follow(control, progress)],
                failure_config=tune.FailureConfig(max_failures=0),  # what is tried again is for `Scheduler` to say
            ),
        ).fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _bundle(cpus: float, config: dict[str, Any]) -> dict[str, float]:
    return {"CPU": cpus} | ({"GPU": config["gpus"]} if config["gpus"] else {})


def _threads(cpus: float) -> dict[str, str]:
    """Environment that keeps the numerical libraries of a trial to its own CPUs."""
    threads = str(max(1, int(cpus)))
    return {name: threads for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def _knock(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"nothing answers at --address {address} ({error}); give the host:port of a running Ray cluster, or local"
        ) from error


def addable() -> list[dict[str, float]]:
    """The resources of every kind of node that the autoscaler can add, if this is the head of what `ray up` made."""
    try:
        described = yaml.safe_load(BOOTSTRAP.expanduser().read_text())
    except OSError:
        return []
    types = described["available_node_types"].values()
    return [kind["resources"] for kind in types if kind.get("max_workers")]


def _holds(shape: dict[str, float], resources: Resources) -> bool:
    """Tell whether a trial fits on a node."""
    return shape.get("CPU", 0) >= resources.cpus and shape.get("GPU", 0) >= (resources.gpus or 0)


def _check_storage(ledger: Ledger) -> None:
    """Every node reads what this one has written to the storage, and the other way round. Raises InputError."""
    probe = f".probe-{uuid.uuid4().hex}"
    storage = ledger.storage
    storage.write(probe, probe.encode())
    answers: dict[Any, dict[str, Any]] = {}
    try:
        for node in _nodes():
            answers[_on(node, _answer, ledger.url, probe, f"{probe}-{node['NodeID']}")] = node
        for asked, node in answers.items():
            try:
                said = ray.get(asked, timeout=ANSWER_WITHIN)
                seen = said is None and storage.read(f"{probe}-{node['NodeID']}") == probe.encode()
            except FileNotFoundError:
                said, seen = None, False
            except (ray.exceptions.RayError, OSError) as error:
                said, seen = _first_line(error), False
            if not seen:
                raise InputError(
                    f"storage {storage} is not the same on node {_name_of(node)} as here "
                    f"({said or 'what it writes there is not seen here'}); use a folder that every node mounts, or a "
                    "URL such as s3://bucket/lip"
                )
    finally:
        for path in (probe, *(f"{probe}-{node['NodeID']}" for node in answers.values())):
            with suppress(OSError):
                storage.remove(path)


def _answer(url: str, probe: str, answer: str) -> str | None:
    """Runs on a node: what is wrong with the storage as it is seen from there, if anything."""
    try:
        storage = Ledger(url).storage
        if storage.read(probe) != probe.encode():
            return "what is written here is read differently there"
        storage.write(answer, probe.encode())
    except FileNotFoundError:
        return "what is written here is not seen there"
    except (InputError, OSError) as error:
        return _first_line(error)
    return None


def _check_able(plan: Plan, resources: Resources) -> None:
    """This machine, or every node that a trial finds room on, can compute what is asked for. Raises InputError."""
    asked = resources.backend, "cuda" if resources.gpus else "cpu", {fit.schedule for fit in plan.missing.values()}
    if resources.address == "local":
        _require(*asked)
        return
    answers = [(node, _on(node, _require, *asked)) for node in _nodes() if _holds(node["Resources"], resources)]
    for node, answer in answers:
        try:
            ray.get(answer, timeout=ANSWER_WITHIN)
        except ray.exceptions.RayError as error:
            raise InputError(f"node {_name_of(node)}: {_first_line(getattr(error, 'cause', error))}") from error


def _require(backend: str, device: str, schedules: set[Training]) -> None:
    """Runs on a node. Raises InputError when it cannot compute what is asked for."""
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError(
                f"torch {torch.__version__} sees no GPU, but Ray counts one; install a torch that suits the driver"
            )
    choose(backend, device)
    for schedule in schedules:
        require(schedule, device)


def _nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _name_of(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def _on(node: dict[str, Any], work: Callable[..., Any], *arguments: Any) -> ray.ObjectRef:
    """Start some work on a node, in a process that ends with it: what it touches of a GPU it gives back."""
    place = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    task = ray.remote(num_cpus=0, max_retries=0, max_calls=1)(work)
    return task.options(scheduling_strategy=place).remote(*arguments)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class _Disposable:
    """Tune pickles what it is given into its own state, which nobody reads: nothing of this goes in."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _FromControl(_Disposable, Searcher):
    """Hands Tune the next trajectory that can start. How they end is heard by `_Follow`, which is told the reason."""

    def __init__(self, control: Scheduler) -> None:
        super().__init__()
        self.control = control

    def suggest(self, trial_id: str) -> Any:
        start = self.control.next()
        if start is None:
            return None if self.control else Searcher.FINISHED
        return {"key": start.key, "gpus": start.gpus}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        pass


class _Follow(_Disposable, tune.Callback):
    """Passes on to control and display what trials report and how they end."""

    def __init__(self, control: Scheduler, progress: Progress) -> None:
        self.control = control
        self.progress = progress
        self.dead = _dead_nodes()
        self.lost_at = -inf
        self.unexplained: dict[str, float] = {}

    def on_step_end(self, iteration: int, trials: Any, **info: Any) -> None:
        self.progress.alive()
        self.unexplained = {key: died for key, died in self.unexplained.items() if _just_now(died)}
        if self.unexplained and self._lost_a_node():
            for key in self.unexplained:
                self.control.excused(key)
            self.unexplained = {}

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.progress.started(trial.config["key"])

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        self.control.heard(trial.config["key"], result)
        self.progress.heard(trial.config["key"], result)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.control.ended(trial.config["key"])
        self.progress.ended(trial.config["key"])

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        error = trial.get_pickled_error()  # written by this process, a moment ago
        key = trial.config["key"]
        if isinstance(error, ray.exceptions.RayTaskError):  # outside of what `_trial` catches: Tune, Ray or an import
            self.control.heard(key, {"failed": str(error).strip().splitlines()[-1]})
            self.control.ended(key)
        else:
            lost = self._lost_a_node()
            self.control.died(key, _first_line(error or RuntimeError("killed")), lost)
            if not lost:
                self.unexplained[key] = time.monotonic()
        self.progress.ended(key)

    def _lost_a_node(self) -> bool:
        """Tell whether a node has gone just now."""
        if (dead := _dead_nodes()) - self.dead:
            self.dead, self.lost_at = dead, time.monotonic()
        return _just_now(self.lost_at)


def _just_now(moment: float) -> bool:
    return time.monotonic() - moment < NODE_LOSS_SEEN_WITHIN


def _dead_nodes() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if not node["Alive"]}


def _trial(
    config: dict[str, Any],
    work: dict[str, bytes],
    pixels: dict[str, Any],
    outputs: frozenset[str],
    storage: str,
    sign: str,
    backend: str,
) -> None:
    """One trial: what one trajectory lacks, fit by fit. Runs in a worker process, which serves many trials."""
    import torch

    _settle()
    ledger = Ledger(storage)
    fits: list[Fit] = pickle.loads(work[config["key"]])  # from the driver
    device = "cuda" if ray.get_gpu_ids() else "cpu"
    torch.set_num_threads(max(1, int(tune.get_context().get_trial_resources().head_cpus)))
    gc.collect()  # what the trial before left behind in this process
    if device == "cuda":
        torch.cuda.empty_cache()
        if config["gpus"] < 1:  # so that the one which wants too much fails, and not its neighbour
            torch.cuda.set_per_process_memory_fraction(config["gpus"])
    for fit in fits:
        if preceded(ledger, sign, config["key"]):
            tune.report({"elsewhere": True})
            return
        try:
            trained = _publish(fit, pixels, fit.id in outputs, ledger, sign, device, backend)
        except Exception as error:  # say so and leave the slot to others
            memory = isinstance(error, torch.OutOfMemoryError)
            tune.report({"failed": f"{type(error).__name__} in {fit.recipe}: {error}", "out_of_memory": memory})
            return
        row: list[dict[str, Any]] = []
        with suppress(OSError):  # a storage that goes away now does not undo what is published
            row = ledger.fits(SHOWN, [fit.id]).to_pylist()[:1] if trained else []
        tune.report({"published": fit.id, "row": json.dumps(row)})  # as text: Tune keeps count of every number


@cache
def _settle() -> None:
    """Once in a process: no trial needs to look for garbage in all that is imported, a tenth of a second long."""
    gc.collect()
    gc.freeze()


def _publish(
    fit: Fit, pixels: dict[str, Any], outputs: bool, ledger: Ledger, sign: str, device: str, backend: str
) -> bool:
    """Publish a fit to the storage of this run, however often that goes away meanwhile."""
    while True:
        _wait_for(ledger, sign)
        try:
            trained = run_fit(fit, pixels, ledger, device, _report_now_and_then, outputs, backend)
        except (OSError, LookupError):
            if _there(ledger, sign):
                raise
        else:
            if _there(ledger, sign):  # else it went to the empty folder below a disk that is no longer mounted
                return trained


def _there(ledger: Ledger, sign: str) -> bool:
    try:
        ledger.storage.read(sign)
        return True
    except OSError:
        return False


def _wait_for(ledger: Ledger, sign: str) -> None:
    """Wait until the storage shows the sign of life of this run: it is away, or not the same on this node."""
    began = time.monotonic()
    while not _there(ledger, sign):
        if time.monotonic() - began > PATIENCE:
            raise InputError(f"storage {ledger.storage} is not seen on node {platform.node()}")
        tune.report({"waiting": f"for storage {ledger.storage} on {platform.node()}"})
        time.sleep(min(10.0, 0.5 + 0.2 * (time.monotonic() - began)))


def _report_now_and_then(fit: Fit) -> Callable[[int, float], None]:
    reported = time.monotonic()

    def watch(step: int, score: float) -> None:
        nonlocal reported
        if time.monotonic() - reported >= SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            tune.report({"place": str(fit.recipe), "step": step, "said": fit.task.format_score(score)})

    return watch
