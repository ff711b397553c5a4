"""Run sweeps on Ray Tune.

Ray and Tune read these settings when they are imported. They are set here because this file runs before any other
module of the package. What the user has set wins.
"""

import os

os.environ.update(
    {
        "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a table even where none is wanted
        "RAY_AUTH_MODE": "disabled",  # a local cluster that nobody else can reach
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "600",
        "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
        "TUNE_WARN_THRESHOLD_S": "10",  # a bucket takes its time
    }
    | os.environ
)
