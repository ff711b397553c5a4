"""`sweeps/slurm.sh` under a real slurmctld and slurmd, in namespaces of their own. `pytest -n 0 -m slurm`.

It needs root and `apt-get install slurm-wlm munge`. Run as a program in those namespaces, this file is the cluster: a
node that claims to have eight cores. `python test_slurm.py FOLDER SPEC`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from lip.ledger.ledger import Ledger
from sweeps.plan import Plan
from sweeps.spec import read
from tests.sweeps.helpers import ENVIRONMENT, Run, results

TOP = Path(__file__).parents[2]
SCRIPT = TOP / "sweeps" / "slurm.sh"
NAMESPACES = ["unshare", "-n", "-m", "-p", "-u", "--fork", "--kill-child", "--mount-proc"]
NEEDED = all(map(shutil.which, ("unshare", "munged", "slurmctld", "slurmd", "setpriv")))
TASKS = 8
SPEC = """
name: tiny
profile: smoke
fixed: {image: astronaut, jitter: 0.05}
grid: {pruner: [imp, random, magnitude], rewind: [0, 50], seed: [0, 1]}
profiles: {smoke: {width: 16, scales: 3, steps: 300, rounds: 3, size: 64}}
"""
CONF = """
ClusterName=lip
SlurmctldHost=node(10.99.0.1)
SlurmUser=root
SlurmdUser=root
AuthInfo=socket=/run/munge/socket
StateSaveLocation=/run/state
SlurmdSpoolDir=/run/spool
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/run/slurmctld.log
SlurmdLogFile=/run/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
KillWait=20
NodeName=node NodeAddr=10.99.0.1 CPUs=8 RealMemory=8000
PartitionName=all Nodes=node Default=YES MaxTime=INFINITE
"""
START = """
hostname node
ip link set lo up
ip link add br0 type bridge
ip addr add 10.99.0.1/24 dev br0
ip link set br0 up
mount -t tmpfs tmpfs /run
mkdir /run/munge /run/state /run/spool
printf '127.0.0.1 localhost\\n10.99.0.1 node\\n' > /run/hosts
mount --bind /run/hosts /etc/hosts
head -c 1024 /dev/urandom > /run/munge/key
chmod 400 /run/munge/key
chown -R munge:munge /run/munge
setpriv --reuid munge --regid munge --clear-groups munged --key-file=/run/munge/key --socket=/run/munge/socket \\
    --pid-file=/run/munge/pid --log-file=/run/munge/log --seed-file=/run/munge/seed
slurmctld
slurmd
until sinfo -h -o %T | grep -q idle; do sleep 0.5; done
"""


@pytest.mark.slurm
@pytest.mark.skipif(os.geteuid() != 0 or not NEEDED, reason="needs root and Slurm: see the head of this file")
def test_eight_tasks_one_cancelled_one_requeued_one_warned_lose_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(SPEC)
    code, output = Run("run", spec, "--storage", tmp_path / "undisturbed").finish()
    assert code == 0, output
    done = subprocess.run(
        [*NAMESPACES, sys.executable, __file__, str(tmp_path), str(spec)],
        env=ENVIRONMENT | {"PYTHONPATH": str(TOP), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
    )
    with capsys.disabled():
        print(done.stdout)
    assert done.returncode == 0
    assert results(tmp_path / "results") == results(tmp_path / "undisturbed")
    assert Ledger(tmp_path / "results").damaged() == []


def cluster(folder: Path, spec: str) -> None:
    """Run the array, and disturb three of its tasks. Raises AssertionError when something is lost or made twice."""
    (folder / "slurm.conf").write_text(CONF)
    os.environ |= {
        "SLURM_CONF": str(folder / "slurm.conf"),
        "LIP_STORAGE": str(folder / "results"),
        "LIP_WARNING": "30",
    }
    subprocess.run(["bash", "-ec", START], check=True, stdout=subprocess.DEVNULL)
    os.chdir(folder)
    seen = watch_fits(folder / "results")
    began = time.monotonic()
    said = typed(f"{SCRIPT} --array=1-{TASKS} --time=20 -- {spec} --slots 1")
    array = re.findall(r"Submitted batch job (\d+)", said)[0]
    wait_for(lambda: states(array) == {number: "RUNNING" for number in range(1, TASKS + 1)}, "all run")
    starts = set(re.findall(r"StartTime=(\S+)", typed(f"scontrol show job {array}")))
    ids = set(Plan(read(spec)).fits)
    wait_for(lambda: len(working(folder)) == TASKS, "every task trains a fit")
    print(
        f"{time.monotonic() - began:.0f} s: all train, started at {starts}; {len(seen)} of {len(ids)} fits", flush=True
    )
    typed(f"scancel {array}_2; scontrol requeue {array}_3; scancel --batch --signal=USR1 {array}_4")
    wait_for(lambda: len(published(seen)) > len(ids) // 2, "half is published")
    wait_for(lambda: allow_restart(array), "all end")
    print(f"{time.monotonic() - began:.0f} s: {len(published(seen))} fits in {len(seen)} files", flush=True)
    for log in sorted(folder.glob("slurm-*.out")):
        print(f"== {log.name}", *log.read_text().splitlines()[-3:], sep="\n")
    assert len(starts) <= 2, "a second begins while they start"
    assert published(seen) == ids
    assert len(seen) == len(ids), "none is published twice"
    warned = (folder / f"slurm-{array}_4.out").read_text()
    assert "still to do (SIGUSR1 asked for it)" in warned
    assert warned.splitlines()[-1].startswith("tiny (smoke): 48 of 48 results published"), "it has queued itself again"


def watch_fits(storage: Path) -> set[str]:
    """Return the names of all files of fits that ever are in a storage, looked at every few milliseconds."""
    seen: set[str] = set()

    def look() -> None:
        while True:
            seen.update(path.name for path in storage.glob("fits/*/*.parquet"))
            time.sleep(0.02)

    threading.Thread(target=look, daemon=True).start()
    return seen


def published(seen: set[str]) -> set[str]:
    return {name.partition("-")[0] for name in list(seen)}


def working(folder: Path) -> set[str]:
    """Return the runs that hold or ask for a lease."""
    return {path.name.rpartition("-")[2] for path in (folder / "results").glob(".lease-*")}


def states(array: str) -> dict[int, str]:
    """Return the state of every task of an array that is in the queue."""
    lines = typed(f"squeue -h -r -j {array} -o '%K %T'", quiet=True).splitlines()
    return {int(number): state for number, state in map(str.split, lines)}


def allow_restart(array: str) -> bool:
    """Let tasks that are queued again start at once, not after two minutes; tell whether none is left."""
    left = states(array)
    for number, state in left.items():
        if state == "PENDING":
            with suppress(subprocess.CalledProcessError):
                typed(f"scontrol update JobId={array}_{number} StartTime=now", quiet=True)
    return not left


def wait_for(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 900
    while not done():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.5)


def typed(command: str, quiet: bool = False) -> str:
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if not quiet:
        print(f"{time.strftime('%X')} $ {command}\n{done.stdout}"[:600], flush=True)
    done.check_returncode()
    return done.stdout


if __name__ == "__main__":
    cluster(Path(sys.argv[1]), sys.argv[2])
