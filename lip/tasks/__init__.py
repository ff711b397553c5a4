"""The tasks. To add one: a file beside this one and a line in TASKS."""

from lip.tasks.classify import Classify
from lip.tasks.denoise import Denoise
from lip.tasks.inpaint import Inpaint
from lip.tasks.reconstruct import Reconstruct
from lip.tasks.restore import Restore
from lip.tasks.superres import SuperResolution
from lip.tasks.task import Task

TASKS: dict[str, type[Task]] = {
    "classify": Classify,
    "denoise": Denoise,
    "inpaint": Inpaint,
    "reconstruct": Reconstruct,
    "restore": Restore,
    "superres": SuperResolution,
}

__all__ = ["TASKS", "Reconstruct", "Task"]
