"""Choose what computes a step.

"dense" is PyTorch, zeros included; "cuda_graph" the same, recorded once as a CUDA graph; "numba" kernels that skip
pruned weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from lip.errors import InputError, nearest

BACKENDS = ["auto", "dense", "numba", "cuda_graph"]
HELP = (
    "dense: PyTorch alone; numba: compiled modules that skip pruned weights; cuda_graph: dense, each step replayed "
    "as a CUDA graph; auto: numba where it works, else dense; a trajectory that began dense stays dense"
)


@dataclass(frozen=True)
class Backend:
    """Name the backend that was chosen ("dense", "numba" or "cuda_graph") and the reason."""

    name: str
    why: str


def check(asked: str) -> None:
    """Raises InputError unless `asked` is one of BACKENDS."""
    if asked not in BACKENDS:
        raise InputError(f"there is no backend {asked!r}; {nearest(asked, BACKENDS)}")


def choose(asked: str, device: str) -> Backend:
    """Choose a backend for a device; `auto` takes numba where it works.

    Raises InputError when what is asked for does not work there.
    """
    check(asked)
    if asked == "dense":
        return Backend("dense", "as asked")
    if asked == "cuda_graph":
        if not device.startswith("cuda"):
            raise InputError(f"backend cuda_graph cannot be used here: only CUDA has graphs, not {device}; use auto")
        return Backend("cuda_graph", "as asked")
    reason = obstacle() if device == "cpu" else f"the kernels are for the CPU, not for {device}"
    if reason is None:
        return Backend("numba", "pruned convolutions cost what their weights cost")
    if asked == "numba":
        raise InputError(f"backend numba cannot be used here: {reason}; use auto or dense")
    return Backend("dense", reason)


@cache
def obstacle() -> str | None:
    """Return what keeps the kernels from working here, or None; loads them, so that no fit has to compile any."""
    try:
        from lip.fast.prepare import prepare

        prepare()
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed (pip install '.[fast]')"
    except InputError as error:
        return str(error)
    except Exception as error:  # numba fails in many ways beside a NumPy, or on a CPU, that it does not know
        return f"numba does not work here ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
    return None
