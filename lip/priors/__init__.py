"""The image priors. To add one: a file beside this one and a line in PRIORS."""

from lip.priors.hourglass import Hourglass
from lip.priors.prior import Prior

PRIORS: dict[str, type[Prior]] = {"hourglass": Hourglass}

__all__ = ["PRIORS", "Hourglass", "Prior"]
