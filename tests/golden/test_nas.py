"""The search space of NAS-DIP against its published code: what cells are, their outputs, and the three nets' sizes."""

import json
from pathlib import Path

import pytest

from lip.networks.cells import BUILDABLE, CELLS, cell
from lip.networks.nas import upsampling_cell
from lip.priors.nas import PUBLISHED, Nas

PUBLIC = json.loads(Path(__file__).with_name("nas.json").read_text())


def test_every_cell_is_the_published_one() -> None:
    assert [list(cell(number)) for number in range(CELLS)] == PUBLIC["cells"]
    assert list(BUILDABLE) == PUBLIC["usable"]


@pytest.mark.parametrize("task", PUBLISHED)
def test_the_published_nets_have_the_parameters_that_their_forward_pass_uses(task: str) -> None:
    assert int(PUBLISHED[task].split()[0]) == PUBLIC["published"][task]
    channels, used, _ = PUBLIC["parameters"][task]
    assert sum(p.numel() for p in Nas(net=task).build(channels).parameters()) == used


@pytest.mark.parametrize("number", [158, 86, 119, 284])
def test_a_cell_doubles_a_map_as_published(golden, number: int) -> None:
    arrays = golden("nas")
    net = upsampling_cell(cell(number), 16).double()
    for index, parameter in enumerate(net.parameters()):
        parameter.data.copy_(arrays.double(f"{number}_w{index}") / 256)
    assert f"{number}_w{index + 1}" not in arrays.arrays
    assert (net(arrays.double(f"{number}_x")) - arrays.double(f"{number}_y")).abs().max() < 1e-11
