"""The hourglass against that of deep image prior: output, gradient and batch norm's statistics after one pass."""

import pytest
import torch

from lip.priors import Hourglass


@pytest.mark.parametrize("net", ["a", "b"])
def test_the_hourglass_computes_what_deep_image_prior_computes(golden, net: str) -> None:
    arrays = golden("hourglass")
    config = arrays.json(f"{net}_config")
    module = Hourglass(**{key: value for key, value in config.items() if key != "channels"}).build(config["channels"])
    module.double().train()
    arrays.load(module, f"{net}_theta", f"{net}_layout")

    output = module(arrays.double(f"{net}_z"))
    assert (output - arrays.double(f"{net}_output")).abs().max() < 1e-12
    loss = (output - arrays.double(f"{net}_target")).square().mean()
    assert loss.item() == pytest.approx(float(arrays[f"{net}_loss"]), rel=1e-12)

    loss.backward()
    gradient, published = (
        torch.cat([p.grad.flatten() for p in module.parameters()]),
        arrays.double(f"{net}_gradient"),
    )
    assert (gradient - published).abs().max() < 1e-10 * published.abs().max()

    norms = _norms(module)
    for statistic in ("running_mean", "running_var"):
        ours = torch.cat([getattr(norms[name], statistic) for name in arrays.json(f"{net}_norms")])
        assert (ours - arrays.double(f"{net}_{statistic}")).abs().max() < 1e-12


def _norms(net: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Batch norms by their place: of scale 0, the full resolution, `s0 skip norm` follows its skip connection."""
    found = {}
    for s, (down, up) in enumerate(zip(net.down, reversed(net.up), strict=True)):
        blocks = {"skip": down.skip, "stride": down.stride, "conv": down.conv, "up": up.up, "mix": up.mix}
        found |= {f"s{s} {name} norm": block[1] for name, block in blocks.items() if block is not None}
        found[f"s{s} norm"] = up.norm
    return found
