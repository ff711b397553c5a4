"""What kills sweeps in the wild: every one ends as if undisturbed, nothing lost, nothing made twice. `pytest -m chaos`.

LIP_SOAK_SECONDS is for how long the soak kills at random (default 60).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from lip.ledger.ledger import Ledger
from sweeps.plan import Plan
from sweeps.spec import read
from tests.sweeps.helpers import ENVIRONMENT, WAIT, Run, kill, results, wait_for_fits

pytestmark = [pytest.mark.chaos, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("spec") / "tiny.yaml"
    path.write_text(
        """
name: tiny
profile: smoke
fixed: {image: astronaut, jitter: 0.05}
grid: {pruner: [imp, random, magnitude], rewind: [0, 50], seed: [0, 1]}
profiles: {smoke: {width: 8, scales: 2, steps: 200, rounds: 4}}
"""
    )
    return str(path)


@pytest.fixture(scope="module")
def undisturbed(spec: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("undisturbed")
    code, output = Run("run", spec, "--storage", storage).finish()
    assert code == 0, output
    return storage


@pytest.fixture
def names_seen(tmp_path: Path) -> Iterator[set[str]]:
    """The names of all files of fits that ever were in a storage, looked at every few milliseconds from now on."""
    import threading

    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.01):
            with suppress(FileNotFoundError):  # the soak deletes the results between two sweeps
                seen.update(path.name for path in (tmp_path / "results").glob("fits/*/*.parquet"))

    thread = threading.Thread(target=look)
    thread.start()
    yield seen
    stop.set()
    thread.join()


def assert_as_undisturbed(storage: Path, undisturbed: Path) -> None:
    assert results(storage) == results(undisturbed)
    assert Ledger(storage).damaged() == []


def test_a_worker_that_is_killed_is_replaced_within_the_run(spec: str, undisturbed: Path, tmp_path: Path) -> None:
    run = Run("run", spec, "--storage", tmp_path)
    wait_for_fits(tmp_path, 3)
    for _ in range(3):
        for process in run.descendants("ray::ImplicitFunc")[:1]:
            kill(process)
        time.sleep(2)
    code, output = run.finish()
    assert code == 0, output
    assert "starts again" in output
    assert_as_undisturbed(tmp_path, undisturbed)


@pytest.mark.parametrize("name", ["raylet/raylet", "gcs_server"])
def test_without_its_node_or_its_head_a_run_ends_and_the_same_command_goes_on(
    spec: str, undisturbed: Path, tmp_path: Path, name: str
) -> None:
    run = Run("run", spec, "--storage", tmp_path)
    wait_for_fits(tmp_path, 3)
    for process in run.descendants(name):
        kill(process)
    try:
        run.process.communicate(timeout=150)
    except subprocess.TimeoutExpired:
        os.killpg(run.process.pid, signal.SIGKILL)
        run.process.communicate()
    code, output = Run("run", spec, "--storage", tmp_path).finish()
    assert code == 0, output
    assert_as_undisturbed(tmp_path, undisturbed)


def test_a_run_goes_on_without_tunes_own_state(spec: str, undisturbed: Path, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="lip-", dir="/tmp") as temporary:  # sockets need short paths
        run = Run("run", spec, "--storage", tmp_path, TMPDIR=temporary)
        wait_for_fits(tmp_path, 3)
        (state,) = Path(temporary).glob("lip-*/sweep")
        files = [path for path in state.rglob("*") if path.is_file()]
        assert files
        for path in files:
            os.truncate(path, path.stat().st_size // 2)
        wait_for_fits(tmp_path, 6)
        shutil.rmtree(state)
        code, output = run.finish()
    assert code == 0, output
    assert_as_undisturbed(tmp_path, undisturbed)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1, 2, 3, 4, 6, 8])
def test_an_interrupt_at_any_moment_of_the_start_ends_cleanly(spec: str, tmp_path: Path, seconds: float) -> None:
    run = Run("run", spec, "--storage", tmp_path, RAY_TMPDIR=(folder := tempfile.mkdtemp(dir="/tmp")))
    time.sleep(seconds)
    run.process.send_signal(signal.SIGINT)
    code, output = run.finish()
    assert code in (130, -signal.SIGINT), output  # the latter before Python itself is ready
    assert "core dumped" not in output
    assert "Segmentation" not in output
    assert not os.listdir(folder)


def test_drivers_of_overlapping_sweeps_on_one_storage(
    spec: str, undisturbed: Path, tmp_path: Path, names_seen: set[str]
) -> None:
    part = tmp_path / "part.yaml"
    part.write_text(Path(spec).read_text().replace("name: tiny", "name: part").replace(", magnitude", ""))
    storage = tmp_path / "results"
    runs = [Run("run", name, "--storage", storage, "--slots", "1") for name in (spec, spec, part)]
    for code, output in [run.finish() for run in runs]:
        assert code == 0, output
    assert_as_undisturbed(storage, undisturbed)
    assert len(names_seen) == len(results(undisturbed)), "none is trained twice"
    assert [name for name in Ledger(storage).storage.names() if name.startswith(".")] == [], "no lease is left"


def test_folding_beside_a_run_loses_nothing(spec: str, undisturbed: Path, tmp_path: Path) -> None:
    storage = tmp_path / "results"
    run = Run("run", spec, "--storage", storage)
    seen: set[str] = set()
    while run.process.poll() is None:
        ledger = Ledger(storage)
        ledger.compact()
        ids = set(ledger.fits(["fit"])["fit"].to_pylist())
        assert seen <= ids
        seen = ids
        time.sleep(0.05)
    code, output = run.finish()
    assert code == 0, output
    assert_as_undisturbed(storage, undisturbed)


def test_a_storage_that_goes_away_and_comes_back_is_waited_for(spec: str, undisturbed: Path, tmp_path: Path) -> None:
    storage, aside = tmp_path / "results", tmp_path / "aside"
    run = Run("run", spec, "--storage", storage)
    wait_for_fits(storage, 5)
    storage.rename(aside)
    time.sleep(10)
    assert not storage.exists(), "nothing is written below a mount point without its disk"
    aside.rename(storage)
    code, output = run.finish()
    assert code == 0, output
    assert_as_undisturbed(storage, undisturbed)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="mounts a small disk")
def test_a_full_disk_is_said_and_with_more_room_the_same_command_goes_on(
    spec: str, undisturbed: Path, tmp_path: Path
) -> None:
    storage, kept = tmp_path / "small", tmp_path / "kept"
    storage.mkdir()
    script = (
        f"mount -t tmpfs -o size=400k tmpfs '{storage}' && '{sys.executable}' -m sweeps run '{spec}' --storage "
        f"'{storage}'; code=$?; cp -a '{storage}' '{kept}'; exit $code"
    )
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", script], capture_output=True, text=True, env=ENVIRONMENT, timeout=WAIT
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No space left on device" in done.stdout
    assert 0 < len(results(kept)) < len(results(undisturbed))
    code, output = Run("run", spec, "--storage", kept).finish()
    assert code == 0, output
    assert_as_undisturbed(kept, undisturbed)


def test_damaged_files_are_made_again_and_nothing_else(spec: str, undisturbed: Path, tmp_path: Path) -> None:
    storage = tmp_path / "results"
    shutil.copytree(undisturbed, storage)
    hurt = random.Random(0).sample(sorted((storage / "fits").rglob("*.parquet")), 5)
    user = next(fit for fit in Plan(read(spec)).fits.values() if fit.recipe.round == 2 and fit.source_fit)
    hurt += {next(storage.glob(f"fits/*/{user.id}-*"))} - set(hurt)
    hurt.append(next(storage.glob(f"next_masks/*/{user.source_fit.id}-*")))
    sound = {path for path in storage.glob("fits/*/*") if path not in hurt}
    for path in hurt:
        path.write_bytes(path.read_bytes()[:-1])
    code, output = Run("run", spec, "--storage", storage).finish()
    assert code == 0, output
    assert_as_undisturbed(storage, undisturbed)
    again = {path.name.split("-")[0] for path in hurt}
    assert {path for path in sound if path.name.split("-")[0] not in again} <= set(storage.glob("fits/*/*"))


def test_a_folded_ledger_without_its_next_masks_repeats_only_what_a_longer_sweep_needs(
    spec: str, undisturbed: Path, tmp_path: Path
) -> None:
    storage, longer = tmp_path / "results", tmp_path / "tiny.yaml"
    shutil.copytree(undisturbed, storage)
    Ledger(storage).compact()
    shutil.rmtree(storage / "next_masks")
    files = list(storage.glob("fits/*/*"))
    code, output = Run("run", spec, "--storage", storage).finish()
    assert code == 0, output
    assert list(storage.glob("fits/*/*")) == files
    longer.write_text(Path(spec).read_text().replace("rounds: 4", "rounds: 5"))
    plan = Plan.make(read(str(longer)), Ledger(storage))
    code, output = Run("run", longer, "--storage", storage).finish()
    assert code == 0, output
    again = {path.name.split("-")[0] for path in storage.glob("fits/*/*")} - {"all.pack"}
    assert again == plan.missing.keys()
    assert Ledger(storage).conflicts() == {}
    assert Plan.make(read(str(longer)), Ledger(storage)).missing == {}


def test_no_flipped_bit_and_no_truncation_of_a_fit_is_read(undisturbed: Path, tmp_path: Path) -> None:
    path = next((undisturbed / "fits").rglob("*.parquet"))
    copy = tmp_path / path.relative_to(undisturbed)
    copy.parent.mkdir(parents=True)
    data = path.read_bytes()
    ledger = Ledger(tmp_path)
    draw = random.Random(0)
    wrong = 0
    for place in range(len(data)):
        copy.write_bytes(data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :])
        wrong += ledger.rows.blobs.read(str(copy.relative_to(tmp_path))) is not None
    for length in range(0, len(data), 64):
        copy.write_bytes(data[:length])
        wrong += len(ledger.fits(["fit"])) + bool(ledger.published([], verified=True))
    assert wrong == 0
    copy.write_bytes(data)
    assert len(ledger.fits(["fit"])) == 1


def test_nodes_come_and_go_and_the_run_uses_what_there_is(spec: str, undisturbed: Path, tmp_path: Path) -> None:
    """A cluster of a head without CPUs and two nodes; one is killed, a third comes."""
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    cluster = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=ENVIRONMENT,
    )
    assert cluster.stdin
    assert cluster.stdout
    try:
        address = cluster.stdout.readline().strip()
        storage = tmp_path / "results"
        run = Run("run", spec, "--storage", storage, "--address", address)
        wait_for_fits(storage, 5)
        cluster.stdin.write("kill\n")
        cluster.stdin.flush()
        assert cluster.stdout.readline().strip() == "killed"
        cluster.stdin.write("add\n")
        cluster.stdin.flush()
        assert cluster.stdout.readline().strip() == "added"
        code, output = run.finish()
        assert code == 0, output
        assert "starts again" in output
        assert_as_undisturbed(storage, undisturbed)
        code, output = Run("run", spec, "--storage", tmp_path / "x", "--address", address, "--gpus", "2").finish()
        assert code == 2
        assert output.splitlines()[-1] == "error: --gpus 2 per trial: no node has more than 0; ask for less"
        code, output = Run(
            "run", spec, "--storage", tmp_path / "x", "--address", address, "--backend", "cuda_graph"
        ).finish()
        assert code == 2
        assert re.fullmatch(
            r"error: node .*: backend cuda_graph cannot be used here: only CUDA .*; use auto", output.splitlines()[-1]
        )
    finally:
        os.killpg(cluster.pid, signal.SIGKILL)
        cluster.wait()


CLUSTER = """
import sys, ray
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 10**8})
nodes = [cluster.add_node(num_cpus=1, object_store_memory=10**8) for _ in range(2)]
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "kill":
        cluster.remove_node(nodes.pop(0), allow_graceful=False)
        print("killed", flush=True)
    else:
        cluster.add_node(num_cpus=1, object_store_memory=10**8)
        print("added", flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs a network of its own")
def test_waiting_trials_bring_workers_up_and_idle_ones_go(spec: str, undisturbed: Path, tmp_path: Path) -> None:
    """The node types of cluster.yaml under Ray's own autoscaler, with Ray's fake provider in place of AWS."""
    script = tmp_path / "autoscaled.py"
    script.write_text(AUTOSCALED)
    storage = tmp_path / "results"
    arguments = [str(Path(__file__).parents[2] / "cluster.yaml"), spec, str(storage)]
    done = subprocess.run(
        [*["unshare", "-n", "-p", "--fork", "--kill-child", "--mount-proc"], sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=WAIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    before, most, after = map(int, done.stdout.splitlines()[-1].split())
    assert (before, after) == (0, 0)
    assert most >= 2
    ids = [[row["fit"] for row in results(folder)] for folder in (storage, undisturbed)]
    assert ids[0] == ids[1]  # no more than that: four threads add up in another order than one
    assert Ledger(storage).damaged() == []


AUTOSCALED = """
import json, os, subprocess, sys, tempfile, time, yaml
cluster, spec, storage = sys.argv[1:]
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
wanted = yaml.safe_load(open(cluster))
head = "f" * 51 + "00000"
kinds = ("initialization setup head_setup worker_setup head_start_ray worker_start_ray").split()
kind = "ray.head.default"  # what the fake provider calls its head
types = {kind: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}}
for name, node in wanted["available_node_types"].items():
    if name != wanted["head_node_type"]:
        types[name] = node | {"node_config": {}, "resources": node["resources"] | {"object_store_memory": 10**8}}
config = {f"{kind}_commands": [] for kind in kinds} | {
    "cluster_name": "fake", "max_workers": 3, "idle_timeout_minutes": 0.25, "upscaling_speed": 1.0, "auth": {},
    "docker": {}, "file_mounts": {}, "file_mounts_sync_continuously": False, "cluster_synced_files": [],
    "rsync_exclude": [], "rsync_filter": [], "head_node_type": kind, "available_node_types": types,
    "provider": {
        "type": "external", "use_node_id_as_ip": True, "launch_multiple": True, "disable_node_updaters": True,
        "disable_launch_config_check": True, "head_node_id": head,
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
    },
}
os.environ["HOME"] = tempfile.mkdtemp()
path = os.path.join(os.environ["HOME"], "ray_bootstrap_config.yaml")  # where `ray up` puts it on the head
json.dump(config, open(path, "w"))
environment = os.environ | {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    "RAY_enable_autoscaler_v2": "1", "RAY_CLOUD_INSTANCE_ID": head, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": head}
ray = os.path.join(os.path.dirname(sys.executable), "ray")
temporary = tempfile.mkdtemp(prefix="ray-fake-")
subprocess.Popen([ray, "start", "--head", "--block", "--num-cpus=0", "--port=6379", "--include-dashboard=false",
    f"--autoscaling-config={path}", "--disable-usage-stats", f"--temp-dir={temporary}"], env=environment,
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

import ray
for _ in range(60):
    try:
        ray.init("127.0.0.1:6379", logging_level="error", log_to_driver=False)
        break
    except Exception:
        time.sleep(1)
def workers():
    return sum(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in ray.nodes())
before, most, started = workers(), 0, time.monotonic()
run = subprocess.Popen([sys.executable, "-m", "sweeps", "run", spec, "--storage", storage, "--address",
    "127.0.0.1:6379", "--gpus", "0", "--cpus", "4", "--slots", "3"])
while run.poll() is None:
    if workers() > most:
        most = workers()
        print(f"{most} workers after {time.monotonic() - started:.0f} s", flush=True)
    time.sleep(0.5)
ended = time.monotonic()
while workers() and time.monotonic() - ended < 120:
    time.sleep(1)
print(f"none {time.monotonic() - ended:.0f} s after the sweep")
print(before, most, workers())
sys.exit(run.returncode)
"""


def test_soak_kills_at_random(
    spec: str, undisturbed: Path, tmp_path: Path, names_seen: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Workers, nodes, heads and drivers are killed every few seconds; when all is published it begins anew."""
    seconds = float(os.environ.get("LIP_SOAK_SECONDS", "60"))
    storage = tmp_path / "results"
    draw = random.Random(0)
    deadline = time.monotonic() + seconds
    kills: dict[str, int] = {}
    rounds = duplicates = 0
    ids = {fit for fit in Plan(read(spec)).fits}
    while time.monotonic() < deadline:
        run = Run("run", spec, "--storage", storage)
        while run.process.poll() is None and time.monotonic() < deadline:
            time.sleep(draw.uniform(1, 6))
            what = draw.choice(["ray::ImplicitFunc"] * 3 + ["raylet/raylet", "gcs_server", "driver"])
            victims: list[Any] = [run.process] if what == "driver" else run.descendants(what)
            if victims and storage.exists():
                kill(psutil.Process(victims[0].pid)) if what != "driver" else run.process.kill()
                kills[what] = kills.get(what, 0) + 1
                if what in ("raylet/raylet", "gcs_server"):  # Ray notices by itself, after a minute: not worth the wait
                    time.sleep(2)
                    run.process.kill()
        run.process.kill()
        run.process.communicate()
        if storage.exists() and Ledger(storage).published(Plan(read(spec)).fits.values(), verified=True) == ids:
            assert_as_undisturbed(storage, undisturbed)
            duplicates += len({name for name in names_seen}) - len(ids)
            rounds += 1
            shutil.rmtree(storage)
            time.sleep(0.1)
            names_seen.clear()
    code, output = Run("run", spec, "--storage", storage).finish()
    assert code == 0, output
    assert_as_undisturbed(storage, undisturbed)
    duplicates += len(names_seen) - len(ids)
    with capsys.disabled():
        print(f"\n{seconds:.0f} s: killed {kills}; {rounds + 1} sweeps of {len(ids)} fits, made twice: {duplicates}")
    assert duplicates <= 2 * sum(kills.values()), "no more than were in flight"
