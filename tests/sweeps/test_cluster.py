from __future__ import annotations

import pytest
import torch

from lip.errors import InputError
from sweeps.cluster import require_support


def test_a_gpu_that_torch_does_not_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray counts devices, whatever their driver."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"torch .* sees no GPU, but Ray counts one"):
        require_support("auto", "cuda", set())
    require_support("dense", "cpu", set())
