"""`ray up cluster.yaml` for real: the commands of sweeps/README.md, with three hosts on this machine in place of AWS's.

A host is a set of namespaces with an sshd, a home, a network address and a copy of the environment of its own; beside
them is moto's bucket. Nothing leaves the machine: the bridge between them leads nowhere. It needs root and

    apt-get install openssh-server rsync && pip install 'ray[default]' 'moto[server]' boto3 'setuptools>=77'

Run as a program in namespaces of its own, this file is the laptop: `python test_ray_up.py FOLDER`.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import yaml

from lip.ledger.ledger import Ledger
from lip.ledger.schema import RESULTS

TOP = Path(__file__).parents[2]
NAMESPACES = ["unshare", "-n", "-m", "-p", "-u", "--fork", "--kill-child", "--mount-proc"]
LAPTOP, HEAD, WORKERS = "10.99.0.254", "10.99.0.1", ["10.99.0.2", "10.99.0.3"]
BUCKET = {
    "AWS_ACCESS_KEY_ID": "any",  # stands for the roles
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_DEFAULT_REGION": "us-west-2",
    "AWS_ENDPOINT_URL": f"http://{LAPTOP}:5000",
}
REFUSED = {
    "--storage /tmp/results": r"error: storage /tmp/results is not the same on node host\d \(10\.99\.0\.\d\) as here",
    "--storage s3://lip/lip --gpus 0.5": r"error: --gpus 0\.5 per trial: no node has more than 0; ask for less",
}
"""What nodes cannot do, and what is said about it."""
NEEDED = all(map(shutil.which, ("unshare", "sshd", "rsync"))) and all(map(find_spec, ("moto", "boto3", "aiohttp")))


@pytest.mark.chaos
@pytest.mark.skipif(os.geteuid() != 0 or not NEEDED, reason="makes hosts: see the head of this file")
def test_readme_brings_a_cluster_up_runs_a_sweep_on_it_and_takes_it_down(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(TOP), "COLUMNS": "200", "RAY_USAGE_STATS_ENABLED": "0"}
    sweeps = [sys.executable, "-m", "sweeps", "run", "smoke", "--storage", str(tmp_path / "undisturbed")]
    done = subprocess.run(sweeps, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(
        [*NAMESPACES, sys.executable, __file__, str(tmp_path)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    print(done.stdout)
    assert done.returncode == 0
    there, undisturbed = Ledger(tmp_path / "results"), Ledger(tmp_path / "undisturbed")
    assert set(there.fits(["host"])["host"].to_pylist()) == {"host2", "host3"}, "both workers, and never the head"
    columns = RESULTS
    assert there.fits(columns).to_pylist() == undisturbed.fits(columns).to_pylist()
    assert there.damaged() == []


def laptop(folder: Path) -> None:
    """Type what sweeps/README.md says. Raises CalledProcessError when one of its commands fails."""
    os.environ |= BUCKET | {
        "HOME": str(folder),
        "TMPDIR": "/run",  # where Ray keeps what it knows of clusters: see `network`
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "LIP_STORAGE": str(folder / "results"),
    }
    cluster = folder / "cluster.yaml"
    up, job, watch, dashboard, fetch, down = commands(cluster)
    network()
    with switched_on(folder) as hosts, bucket():
        typed("ray get-auth-token --generate")
        cluster.write_text(yaml.safe_dump(swapped(folder)))
        typed(f"{up} -y")
        wait_for_workers(cluster)
        for options, why in REFUSED.items():
            said = typed(f"ray exec {cluster} 'python -m sweeps run smoke --address auto {options}; echo status $?'")
            assert re.search(why, said), why
            assert "status 2" in said
        (number,) = set(re.findall(r"raysubmit_\w+", typed(job)))
        threading.Thread(target=lose, args=(hosts[-1], "host3"), daemon=True).start()
        typed(watch)
        log = typed(f"ray exec {cluster} 'ray job logs {number}'")
        assert "Ray's dashboard: http://127.0.0.1:8265" in log
        look_at(dashboard)
        typed(fetch)
        typed(f"{down} -y")


def commands(cluster: Path) -> list[str]:
    """sweeps/README.md's commands for a cluster, for a sweep that takes half a minute on CPUs."""
    (block,) = re.findall(
        r"```sh\n[^`]*?RAY_AUTH_MODE=token\n(ray up.*?)```", (TOP / "sweeps" / "README.md").read_text(), re.DOTALL
    )
    for theirs, ours in {
        r"\s+#.*": "",
        "cluster.yaml": str(cluster),
        "MY-BUCKET": "lip",
        "existence --profile paper": "smoke",
        " --gpus [0-9.]+": "",
    }.items():
        block = re.sub(theirs, ours, block)
    return block.strip().splitlines()


def swapped(folder: Path) -> dict[str, object]:
    """cluster.yaml with these hosts in place of AWS's machines and their containers."""
    cluster = yaml.safe_load((TOP / "cluster.yaml").read_text())
    for described_by_the_provider in ("docker", "available_node_types", "head_node_type", "initialization_commands"):
        del cluster[described_by_the_provider]
    stop, start = cluster["head_start_ray_commands"]
    alone = start.replace("ray start", "ray start --num-cpus=0")  # what the node type of AWS's head says
    return cluster | {
        "provider": {"type": "local", "head_ip": HEAD, "worker_ips": WORKERS},
        "auth": {"ssh_user": "root", "ssh_private_key": str(folder / "key")},
        # the autoscaler that is the default brings up one host of this provider only
        "head_start_ray_commands": [stop, f"export RAY_enable_autoscaler_v2=0; {alone}"],
    }


def typed(command: str) -> str:
    print(f"{time.strftime('%X')} $ {command}", flush=True)
    done = subprocess.run(command, shell=True, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, flush=True)
    done.check_returncode()
    return done.stdout


def wait_for_workers(cluster: Path) -> None:
    """Until both are there: of this provider's hosts the autoscaler does not know what they have."""
    for _ in range(60):
        if re.search(
            rf"^ {1 + len(WORKERS)} local\.cluster\.node", typed(f"ray exec {cluster} 'ray status'"), re.MULTILINE
        ):
            return
        time.sleep(2)
    raise TimeoutError("the workers did not come up")


def lose(host: psutil.Process, name: str) -> None:
    """Switch a host off once it has published a fit."""
    while name not in Ledger("s3://lip/lip").fits(["host"])["host"].to_pylist():
        time.sleep(1)
    print(f"{time.strftime('%X')} {name} is switched off", flush=True)
    host.kill()


def look_at(dashboard: str) -> None:
    """Ray's dashboard comes through ssh."""
    print(f"{time.strftime('%X')} $ {dashboard}", flush=True)
    tunnel = psutil.Popen(dashboard, shell=True, cwd=TOP, stdout=subprocess.DEVNULL)
    for attempt in range(30):
        time.sleep(1)
        try:
            with urllib.request.urlopen("http://127.0.0.1:8265", timeout=5) as page:
                assert b"<title>Ray Dashboard</title>" in page.read()
            break
        except OSError:
            if attempt == 29:
                raise
    for process in [*tunnel.children(recursive=True), tunnel]:
        process.kill()


def network() -> None:
    """A bridge that leads nowhere, with this laptop on it."""
    for command in (
        "mount -t tmpfs tmpfs /run",
        "ip link set lo up",
        "ip link add br0 type bridge",
        f"ip addr add {LAPTOP}/24 dev br0",
        "ip link set br0 up",
    ):
        subprocess.run(command.split(), check=True)


@contextmanager
def switched_on(folder: Path) -> Iterator[list[psutil.Process]]:
    """The hosts, reachable by ssh with the key in this folder."""
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    profile = {
        **BUCKET,
        "PATH": os.environ["PATH"],
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",  # all there is to install has been
        "PIP_NO_BUILD_ISOLATION": "0",  # which for pip means: none
    }
    (folder / "bashrc").write_text("".join(f"export {name}='{value}'\n" for name, value in profile.items()))
    hosts = []
    for number, address in enumerate([HEAD, *WORKERS], 1):
        arguments = [str(folder), sys.prefix, f"host{number}", address, LAPTOP]
        process = psutil.Popen([*NAMESPACES, "bash", "-ec", HOST, "host", *arguments])
        while not (inside := process.children()):
            time.sleep(0.1)
        for command in (
            f"ip link add v{number} type veth peer name eth9",
            f"ip link set eth9 netns {inside[0].pid}",
            f"ip link set v{number} master br0",
            f"ip link set v{number} up",
        ):
            subprocess.run(command.split(), check=True)
        hosts.append(process)
    time.sleep(2)
    try:
        yield hosts
    finally:
        for process in hosts:
            process.kill()


HOST = """
folder=$1 prefix=$2 address=$4
hostname $3
mount -t tmpfs tmpfs /run
mkdir -p /run/sshd /run/home /run/upper /run/work /run/lower
cp $folder/host_key /run/host_key
cp $folder/key.pub /run/authorized_keys
cp $folder/bashrc /run/home/.bashrc
sed 's|^\\(root:[^:]*:0:0:[^:]*\\):[^:]*|\\1:/run/home|' /etc/passwd > /run/passwd
mount --bind /run/passwd /etc/passwd
mount --bind $prefix /run/lower
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /dev/shm
mkdir -p $prefix
mount -t overlay overlay -o lowerdir=/run/lower,upperdir=/run/upper,workdir=/run/work $prefix
until ip link show eth9 > /dev/null 2>&1; do sleep 0.1; done
ip link set lo up
ip addr add $address/24 dev eth9
ip link set eth9 up
ip route add default via $5
exec $(command -v sshd) -D -e -h /run/host_key -o AuthorizedKeysFile=/run/authorized_keys -o StrictModes=no \
    -o UsePAM=no -o PidFile=none 2> /run/sshd.log
"""


@contextmanager
def bucket() -> Iterator[None]:
    """An object store with an empty bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for every request
    server = ThreadedMotoServer(LAPTOP, 5000, verbose=False)
    server.start()
    where = {"LocationConstraint": BUCKET["AWS_DEFAULT_REGION"]}
    boto3.client("s3").create_bucket(Bucket="lip", CreateBucketConfiguration=where)
    yield
    server.stop()


if __name__ == "__main__":
    laptop(Path(sys.argv[1]))
