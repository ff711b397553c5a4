"""Masks leave as files and as plain tensors, and fit the networks that they come from."""

from pathlib import Path

import pytest
import torch
from torch.nn.utils import prune

from lip import load_ticket, mask_of
from lip.errors import InputError
from lip.ledger.ledger import Ledger
from lip.training.run import build_mask, build_model


def test_a_mask_is_exported_by_the_names_of_the_state_dict(tiny, ledger: Ledger) -> None:
    fit = tiny.trajectory(rounds=2).fits[2]
    tiny.run_fit(fit, ledger)
    masks = mask_of(fit, ledger, tiny.images)
    net = build_model(fit, tiny.images).net
    for name, mask in masks.items():
        assert mask.dtype == torch.bool
        module, _, parameter = name.rpartition(".")
        prune.custom_from_mask(net.get_submodule(module), parameter, mask)
    assert not set(masks) - {name.removesuffix("_orig") for name in net.state_dict()}
    bits = build_mask(fit, build_model(fit, tiny.images), ledger).bits
    assert torch.equal(torch.cat([mask.flatten() for mask in masks.values()]), torch.from_numpy(bits.copy()))


def test_the_mask_of_a_fit_that_nobody_trained_is_missed(tiny, ledger: Ledger) -> None:
    with pytest.raises(LookupError, match="next mask of fit"):
        mask_of(tiny.trajectory(rounds=1).fits[1], ledger, tiny.images)


def test_a_ticket_is_a_file_of_the_ledger(tiny, ledger: Ledger) -> None:
    dense = tiny.trajectory(rounds=1).fits[0]
    tiny.run_fit(dense, ledger)
    (file,) = (ledger.root / "next_masks").rglob("*.safetensors")
    assert load_ticket(file) == ledger.next_mask(dense)


def test_what_is_no_ticket_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"cat")
    with pytest.raises(InputError, match=r"cat.png is not a mask: .*; give a file of a ledger's next_masks"):
        load_ticket(tmp_path / "cat.png")
    with pytest.raises(InputError, match=r"cannot be read .No such file or directory.; correct the path"):
        load_ticket(tmp_path / "dog.png")
