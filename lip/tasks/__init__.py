"""The restoration tasks. To add one: a file beside this one and a line in TASKS."""

from lip.tasks.denoise import Denoise
from lip.tasks.task import Task

TASKS: dict[str, type[Task]] = {"denoise": Denoise}

__all__ = ["TASKS", "Denoise", "Task"]
