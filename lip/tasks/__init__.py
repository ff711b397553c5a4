"""The tasks. To add one: a file beside this one and a line in TASKS."""

from lip.tasks.classify import Classify
from lip.tasks.denoise import Denoise
from lip.tasks.generate import Generate
from lip.tasks.inpaint import Inpaint
from lip.tasks.reconstruct import Reconstruct
from lip.tasks.restore import Restore
from lip.tasks.sense import Sense
from lip.tasks.superres import SuperResolution
from lip.tasks.task import Task

TASKS: dict[str, type[Task]] = {
    "classify": Classify,
    "denoise": Denoise,
    "generate": Generate,
    "inpaint": Inpaint,
    "reconstruct": Reconstruct,
    "restore": Restore,
    "sense": Sense,
    "superres": SuperResolution,
}

__all__ = ["TASKS", "Denoise", "Reconstruct", "Task"]
