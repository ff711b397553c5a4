"""Run sweeps on Ray Tune; `sweeps.run(...)` does so from Python.

Ray and Tune read these settings when they are imported. They are set here because this file runs before any other
module of the package. What the user has set wins.
"""

import os
from typing import Any

__all__ = ["run"]

os.environ.update(
    {
        "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a table even where none is wanted
        "RAY_AUTH_MODE": "token",  # who can speak to a Ray without one runs code on its nodes
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # not every report is of a round
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "600",
        "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
        "TUNE_WARN_THRESHOLD_S": "10",  # a bucket takes its time
    }
    | os.environ
)


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'sweeps' has no attribute {name!r}")
    from sweeps import launch

    return getattr(launch, name)
