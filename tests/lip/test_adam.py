"""Our Adam is PyTorch's, bit for bit, without its compiler."""

import subprocess
import sys

import pytest
import torch

from lip.training.adam import Adam


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("decay", [0.0, 1e-2])
@pytest.mark.parametrize("undoes", [False, True])
def test_every_step_is_that_of_pytorch(dtype: torch.dtype, decay: float, undoes: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(1003, generator=draw, dtype=dtype)
    ours, theirs = (start.clone().requires_grad_() for _ in range(2))
    adam, published = Adam(ours, 0.01, decay), torch.optim.Adam([theirs], lr=0.01, weight_decay=decay, fused=True)
    for n in range(20):
        ours.grad = torch.randn(1003, generator=draw, dtype=dtype)
        theirs.grad = ours.grad.clone()
        undone = torch.tensor(n % 3 == 1) if undoes else None
        if undone is not None:
            published.found_inf = undone.float()  # type: ignore[attr-defined]
        adam.step(undone)
        published.step()
        assert torch.equal(ours.data, theirs.data), n


def test_training_does_not_load_the_compiler() -> None:
    code = """
import sys, tempfile, lip
library = lip.InputLibrary()
keys = {"image": "astronaut", "size": 16, "width": 4, "scales": 2, "steps": 3, "rounds": 0}
(fit,) = lip.parse_trajectory(keys, library, "test").fits
lip.run_fit(fit, library.inputs, lip.Ledger(tempfile.mkdtemp()), backend="dense")
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "False\n"
