"""The pruners. To add one: a file beside this one and a line in PRUNERS."""

from lip.pruners.grasp import Grasp
from lip.pruners.imp import Imp
from lip.pruners.layerwise import Layerwise
from lip.pruners.magnitude import Magnitude
from lip.pruners.oes import Oes
from lip.pruners.one_shot import OneShot
from lip.pruners.pruner import Pruner
from lip.pruners.random import Random
from lip.pruners.shuffled import Shuffled
from lip.pruners.snip import Snip
from lip.pruners.synflow import Synflow

PRUNERS: dict[str, type[Pruner]] = {
    "grasp": Grasp,
    "imp": Imp,
    "layerwise": Layerwise,
    "magnitude": Magnitude,
    "oes": Oes,
    "one_shot": OneShot,
    "random": Random,
    "shuffled": Shuffled,
    "snip": Snip,
    "synflow": Synflow,
}

__all__ = ["PRUNERS", "Imp"]
