"""`sweeps/slurm.sh` with programs in place of Slurm's and of Python."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "sweeps" / "slurm.sh"
Task = Callable[..., "subprocess.CompletedProcess[str]"]


def program(folder: Path, name: str, text: str) -> None:
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That of a task with an hour left, whose storage is shared and whose run ends well."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / ".submitted-1").touch()
    program(tmp_path, "squeue", 'date -d "+${LEFT:-3600} seconds" +%FT%T')
    program(tmp_path, "scontrol", f'echo "$@" >> {tmp_path}/scontrol')
    program(
        tmp_path, "python", f'[[ $1 == -c ]] && echo "$SEES" || {{ echo "$@" > {tmp_path}/run; exit ${{STATUS:-0}}; }}'
    )
    return {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "LIP_STORAGE": str(tmp_path / "results"),
        "LIP_SUBMITTED": ".submitted-1",
        "SLURM_JOB_ID": "7",
        "SLURMD_NODENAME": "node3",
    }


@pytest.fixture
def task(environment: dict[str, str]) -> Task:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [str(SCRIPT), *(arguments or ("existence", "--slots", "1"))]
        return subprocess.run(command, env=environment | variables, capture_output=True, text=True)

    return run


def test_a_task_runs_the_sweep_within_its_time_limit(task: Task, tmp_path: Path) -> None:
    done = task()
    assert (done.returncode, done.stderr) == (0, "")
    *words, hours = (tmp_path / "run").read_text().split()
    assert words == ["-m", "sweeps", "run", "existence", "--slots", "1", "--hours"]
    assert float(hours) == pytest.approx(1, abs=0.02)
    assert not (tmp_path / "scontrol").exists()


def test_without_a_time_limit_there_is_no_budget(task: Task, tmp_path: Path) -> None:
    program(tmp_path, "squeue", "echo N/A")
    assert task().returncode == 0
    assert (tmp_path / "run").read_text() == "-m sweeps run existence --slots 1\n"


@pytest.mark.parametrize(
    ("status", "restarts", "requeued"), [(0, 0, False), (1, 0, False), (2, 0, False), (3, 0, True), (3, 50, False)]
)
def test_a_task_with_work_left_queues_itself_again(
    task: Task, tmp_path: Path, status: int, restarts: int, requeued: bool
) -> None:
    assert task(STATUS=str(status), SLURM_RESTART_COUNT=str(restarts)).returncode == status
    assert (tmp_path / "scontrol").exists() == requeued
    assert not requeued or (tmp_path / "scontrol").read_text() == "requeue 7\n"


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"LIP_STORAGE": "/nowhere"},
            "error: storage /nowhere on node3 is not that of the login node; set LIP_STORAGE to",
        ),
        ({"LEFT": "300"}, "seconds, of which 600 are for publishing; give a longer --time, or lower LIP_WARNING"),
        ({"LEFT": "-5"}, "error: this job ends in -"),
        (
            {"SLURM_GPUS_ON_NODE": "2", "SEES": "False"},
            "error: Slurm gives this job 2 GPUs on node3, but PyTorch sees none",
        ),
    ],
)
def test_what_cannot_work_is_one_sentence(task: Task, tmp_path: Path, variables: dict[str, str], sentence: str) -> None:
    done = task(**variables)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert sentence in done.stderr
    assert not (tmp_path / "run").exists()


def test_gpus_that_are_seen_are_used(task: Task) -> None:
    assert task(SLURM_GPUS_ON_NODE="2", SEES="True").returncode == 0


def test_a_url_need_not_be_mounted(task: Task) -> None:
    assert task(LIP_STORAGE="s3://bucket/lip").returncode == 0


@pytest.mark.parametrize(("number", "name"), [(signal.SIGUSR1, "USR1"), (signal.SIGTERM, "TERM")])
def test_signals_reach_the_run_whose_status_is_waited_for(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals, name: str
) -> None:
    program(
        tmp_path,
        "python",
        f"trap 'echo {name} >> {tmp_path}/got; ended=1' {name}; touch {tmp_path}/ready\n"
        "until [[ ${ended:-} ]]; do sleep 0.1; done; sleep 0.5; exit 3",
    )
    run = subprocess.Popen([str(SCRIPT), "existence"], env=environment)
    while not (tmp_path / "ready").exists():
        time.sleep(0.05)
    run.send_signal(number)
    assert run.wait(30) == 3
    assert (tmp_path / "got").read_text() == f"{name}\n"


def test_submitting_marks_the_storage_and_passes_options_on(environment: dict[str, str], tmp_path: Path) -> None:
    program(tmp_path, "sbatch", f'echo "$LIP_STORAGE $LIP_SUBMITTED $*" > {tmp_path}/submitted')
    del environment["LIP_SUBMITTED"]
    command = [str(SCRIPT), "--array=1-8", "--gpus=1", "--", "existence", "--profile", "paper"]
    done = subprocess.run(
        command, env=environment | {"LIP_STORAGE": "new"}, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    storage, marker, *options = (tmp_path / "submitted").read_text().split()
    assert storage == str(tmp_path / "new")
    assert (tmp_path / "new" / marker).exists()
    assert options == [
        *["--job-name=lip", "--requeue", "--open-mode=append", "--signal=B:USR1@600", "--array=1-8", "--gpus=1"],
        *[str(SCRIPT), "existence", "--profile", "paper"],
    ]


def test_submitting_no_sweep_is_refused(environment: dict[str, str]) -> None:
    del environment["LIP_SUBMITTED"]
    done = subprocess.run([str(SCRIPT), "--array=1-8"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no sweep is named; give options of sbatch, then --, then those of")
