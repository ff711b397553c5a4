"""Tickets leave as files, say where they come from, and rebuild the network that they are for."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch.nn.utils import prune

from lip import load_ticket, mask_of, restore, tickets
from lip.errors import InputError
from lip.export import FORMATS, export
from lip.ledger.ledger import Ledger
from lip.masks import Mask
from lip.tickets import Ticket, ticket_of
from lip.training.run import build_mask, build_model

Make = Callable[..., Ticket]
TINY = {"steps": 3, "threads": 1, "backend": "dense", "progress": False}


@pytest.fixture
def made(tiny, ledger: Ledger) -> Make:
    """Trains a ticket; keywords are fields of its trajectory."""

    def make(rounds: int = 2, **fields: object) -> Ticket:
        fit = tiny.trajectory(rounds=rounds, **fields).fits[-1]
        tiny.run_fit(fit, ledger, backend="dense")
        return ticket_of(fit, ledger, tiny.images)

    return make


def written(ticket: Ticket, folder: Path, to: str = "ticket") -> Path:
    path = folder / "found.safetensors"
    export(ticket, {}, to, path)
    return path


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


def test_a_mask_of_the_ledger_is_a_ticket_without_a_card(tiny, ledger: Ledger) -> None:
    dense = tiny.trajectory(rounds=1).fits[0]
    tiny.run_fit(dense, ledger)
    (file,) = (ledger.root / "next_masks").rglob("*.safetensors")
    assert load_ticket(file).mask == ledger.next_mask(dense)
    with pytest.raises(InputError, match="does not say what network it is for; use lip export"):
        load_ticket(file).network()


@pytest.mark.parametrize(
    "fields", [{}, {"rewind": 40}, {"covers": "all"}, {"pruner": "snip"}, {"theta_seed": 7}], ids=str
)
def test_a_ticket_rebuilds_the_network_that_trained(made: Make, tiny, tmp_path: Path, fields, ledger: Ledger) -> None:
    ticket = load_ticket(written(made(**fields), tmp_path))
    fit = tiny.trajectory(rounds=2, **fields).fits[-1]
    model = build_model(fit, tiny.images)
    if fit.start:
        model.start_from(ledger.weights(fit.start))
    model.prune(ticket.mask)
    net = ticket.network()
    modules = dict(net.named_modules())
    for name, value in model.net.state_dict().items():
        module, _, parameter = name.rpartition(".")
        assert torch.equal(getattr(modules[module], parameter), value), name
    assert ticket.card["fit"] == fit.id
    assert 1 - sum(mask.sum() for mask in ticket.masks().values()) / ticket.mask.bits.size == ticket.mask.sparsity


def test_equal_tickets_are_equal_files(made: Make, tmp_path: Path) -> None:
    ticket = made()
    assert ticket.to_bytes() == load_ticket(written(ticket, tmp_path)).to_bytes()


def test_masks_for_pytorch_prune_another_network_of_the_same_shape(made: Make, tiny, tmp_path: Path) -> None:
    ticket = made()
    masks = load_file(written(ticket, tmp_path, "torch"))
    net = tiny.model(seed=5).net
    for name, mask in masks.items():
        module, _, parameter = name.rpartition(".")
        prune.custom_from_mask(net.get_submodule(module), parameter, mask)
    pruned = [buffer for name, buffer in net.named_buffers() if name.endswith("_mask")]
    zeros, size = sum(int((mask == 0).sum()) for mask in pruned), sum(mask.numel() for mask in pruned)
    assert zeros / size == ticket.mask.sparsity


def test_a_state_dict_for_prune_is_loaded_by_a_pruned_network(made: Make, tiny, tmp_path: Path) -> None:
    ticket = made()
    state = load_file(written(ticket, tmp_path, "prune"))
    net = tiny.model(seed=5).net
    for name in ticket.masks():
        module, _, parameter = name.rpartition(".")
        prune.identity(net.get_submodule(module), parameter)
    net.load_state_dict(state)
    same = ticket.network()
    code = torch.rand(1, 32, 32, 32)
    assert torch.equal(net.train()(code), same.train()(code))


def test_trained_weights_are_exported_where_they_are_kept(made: Make, tiny, tmp_path: Path) -> None:
    ticket = made()
    weights = {name: value + 1 for name, value in tiny.model().weights().items()}
    files = export(ticket, weights, "torch", tmp_path / "a.safetensors")
    assert [file.name for file in files] == ["a.safetensors", "a.weights.safetensors"]
    assert load_file(files[1]).keys() == weights.keys()
    (file,) = export(ticket, weights, "prune", tmp_path / "b.safetensors")
    pruned = load_file(file)
    for name, value in weights.items():
        assert torch.equal(pruned[f"{name}_orig" if name in ticket.masks() else name], value)


def test_a_folder_for_a_hub_has_a_card_and_is_loaded(made: Make, tiny, tmp_path: Path) -> None:
    ticket = made()
    export(ticket, tiny.model().weights(), "hub", tmp_path / "mine")
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {
        "README.md",
        "config.json",
        "model.safetensors",
        "ticket.safetensors",
    }
    _, header, text = (tmp_path / "mine" / "README.md").read_text().split("---\n", 2)
    described = yaml.safe_load(header)
    assert described["license"] == "apache-2.0"
    (result,) = described["model-index"][0]["results"]
    assert "psnr_last_ema" in {metric["type"] for metric in result["metrics"]}
    assert "36.0% pruned by imp" in text
    assert json.loads((tmp_path / "mine" / "config.json").read_text())["fit"] == ticket.card["fit"]
    assert load_ticket(tmp_path / "mine").mask == ticket.mask


def test_a_ticket_brings_its_network_and_its_seed_to_a_restoration(
    made: Make, photo: np.ndarray, tmp_path: Path
) -> None:
    ticket = made(seed=3)
    restored = restore(photo, ticket=written(ticket, tmp_path), **TINY)
    assert restored.record["prior"]["width"] == 8
    assert restored.record["ticket"] == {"fit": ticket.card["fit"], "sparsity": ticket.mask.sparsity}
    bare = restore(photo, ticket=ticket.mask, width=8, scales=2, **TINY)
    assert not np.array_equal(bare.image, restored.image), "theta_0 of seed 0"
    with pytest.raises(InputError, match="width: the ticket is for a network with 8; leave it out"):
        restore(photo, ticket=ticket, width=9, **TINY)
    with pytest.raises(InputError, match="it is for images of 3 channels, and array has 1; use another ticket"):
        restore(photo[..., 0], ticket=ticket, **TINY)


def test_a_shipped_ticket_is_found_by_its_name(made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "SHIPPED", tmp_path)
    ticket = made()
    written(ticket, tmp_path)
    assert load_ticket("found").mask == ticket.mask
    assert tickets.describe(load_ticket("found")).startswith("hourglass, 36.0% pruned by imp, denoise photo, ")
    with pytest.raises(InputError, match=r"there is no file and no ticket 'foun'; did you mean 'found'\?"):
        load_ticket("foun")


def test_a_ticket_of_another_network_is_refused(made: Make, tmp_path: Path) -> None:
    ticket = made()
    other = Mask(ticket.mask.layers[:2], np.ones(sum(layer.size for layer in ticket.mask.layers[:2]), np.bool_))
    with pytest.raises(InputError, match="a mask of 2 layers does not fit this network; use its own"):
        Ticket(other, ticket.card).network()


def test_a_theta_0_that_this_pytorch_draws_otherwise_is_refused(made: Make) -> None:
    ticket = made()
    with pytest.raises(InputError, match="draws another theta_0 than"):
        Ticket(ticket.mask, {**ticket.card, "theta_0": "another"}).network()


@pytest.mark.parametrize("part", ["bits", "card", "end"])
def test_a_changed_ticket_is_refused(made: Make, tmp_path: Path, part: str) -> None:
    path = written(made(), tmp_path)
    data = bytearray(path.read_bytes())
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    start = 8 + int.from_bytes(data[:8], "little")
    place = len(data) - 1 if part == "end" else start + header[part]["data_offsets"][0] + 5
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"found.safetensors is .*; give a file that lip export wrote"):
        load_ticket(path)
    path.write_bytes(data[:-7])
    with pytest.raises(InputError, match=r"found.safetensors is .*; give a file that lip export wrote"):
        load_ticket(path)


@pytest.mark.parametrize(
    "change", [{"prior": {"kind": "nothing"}}, {"prior": {"kind": "hourglass", "width": "x"}}, {"image": {}}], ids=str
)
def test_a_card_that_describes_no_network_is_refused(made: Make, change: dict[str, object]) -> None:
    ticket = made()
    with pytest.raises(InputError, match="its card does not describe a network of this version"):
        Ticket(ticket.mask, {**ticket.card, **change}).network()


def test_weights_of_another_network_are_refused(made: Make, tiny) -> None:
    ticket = made()
    with pytest.raises(InputError, match="its card does not describe a network of this version"):
        Ticket(ticket.mask, ticket.card, tiny.model(width=4).weights()).network()


def test_what_is_no_ticket_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"cat")
    with pytest.raises(InputError, match=r"cat.png is not a mask: .*; give a file that lip export wrote"):
        load_ticket(tmp_path / "cat.png")
    with pytest.raises(InputError, match=r"cannot be read .No such file or directory.; correct the path"):
        load_ticket(tmp_path / "dog.png")


def test_every_format_is_tested() -> None:
    assert list(FORMATS) == ["ticket", "torch", "prune", "hub"]
