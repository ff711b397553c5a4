"""The image priors. To add one: a file beside this one and a line in PRIORS."""

from lip.priors.decoder import Decoder
from lip.priors.hourglass import Hourglass
from lip.priors.nas import Nas
from lip.priors.prior import Prior
from lip.priors.unet import Unet

PRIORS: dict[str, type[Prior]] = {"decoder": Decoder, "hourglass": Hourglass, "nas": Nas, "unet": Unet}

__all__ = ["PRIORS", "Decoder", "Hourglass", "Prior"]
