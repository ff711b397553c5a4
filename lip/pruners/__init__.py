"""The pruners. To add one: a file beside this one and a line in PRUNERS."""

from lip.pruners.dense import Dense
from lip.pruners.imp import Imp
from lip.pruners.random import Random
from lip.pruners.recipe import Recipe
from lip.pruners.snip import Snip

PRUNERS: dict[str, type[Recipe]] = {"imp": Imp, "random": Random, "snip": Snip}

__all__ = ["PRUNERS", "Dense", "Imp", "Random", "Recipe", "Snip"]
