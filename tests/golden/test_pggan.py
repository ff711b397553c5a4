"""Progressive GAN against PyTorch GAN zoo: images, their gradient in the code, and scores of the critic."""

import pytest
import torch

from lip.networks.generators import batch_deviation
from lip.priors.pggan import Pggan


@pytest.fixture
def arrays(golden):
    return golden("pggan")


def test_the_generator_is_that_of_the_zoo(arrays) -> None:
    net = Pggan(**arrays.json("config")).build(3).double()
    net.load_state_dict(arrays.state("generator"))
    z = arrays.double("z").requires_grad_()
    image = net.image(z)
    assert (image - arrays.double("image")).abs().max() < 1e-12
    (image * arrays.double("direction")).sum().backward()
    torch.testing.assert_close(z.grad, arrays.double("z_gradient"), rtol=1e-10, atol=0)


@pytest.mark.parametrize(("version", "interleaved"), [("new", False), ("old", True)])
@pytest.mark.parametrize("count", [1, 4, 8])
def test_the_critic_is_that_of_the_zoo(arrays, version: str, interleaved: bool, count: int) -> None:
    critic = Pggan(**arrays.json("config"), interleaved_groups=interleaved).critic(3).double()
    critic.load_state_dict(arrays.state("critic"))
    scores = critic(arrays.double("critic_images")[:count] / 32)
    assert (scores - arrays.double(f"critic_{version}{count}")).abs().max() < 1e-12


@pytest.mark.parametrize(("version", "interleaved"), [("new", False), ("old", True)])
def test_the_deviation_within_a_batch_is_that_of_the_zoo(arrays, version: str, interleaved: bool) -> None:
    deviation = batch_deviation(arrays.double("maps"), interleaved)[:, 0]
    assert (deviation - arrays.double(f"deviation_{version}")).abs().max() < 1e-12
