"""Check which precisions a device can compute with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lip.errors import InputError

if TYPE_CHECKING:
    from lip.specs.schedule import Training


def require(training: Training, device: str) -> None:
    """Raises InputError when a device has no arithmetic of a schedule's precision."""
    from lip.specs.schedule import Schedule

    if isinstance(training, Schedule) and training.precision == "bf16" and not has_bf16(device):
        raise InputError(f"precision: bf16: the {device} here has no bfloat16 arithmetic; use float32")


def has_bf16(device: str) -> bool:
    """Tell whether a device multiplies bfloat16 numbers in hardware, without converting them to float32."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
