from __future__ import annotations

import pytest
import torch

from lip.errors import InputError


def test_a_gpu_that_torch_does_not_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray counts devices, whatever their driver."""
    from sweeps.execute import _require

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"torch .* sees no GPU, but Ray counts one"):
        _require("auto", "cuda", set())
    _require("dense", "cpu", set())
