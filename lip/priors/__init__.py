"""The image priors. To add one: a file beside this one and a line in PRIORS, or in GENERATORS if it is pre-trained."""

from lip.priors.dcgan import Dcgan
from lip.priors.decoder import Decoder
from lip.priors.generator import Pretrained
from lip.priors.hourglass import Hourglass
from lip.priors.nas import Nas
from lip.priors.pggan import Pggan
from lip.priors.prior import Prior
from lip.priors.unet import Unet

PRIORS: dict[str, type[Prior]] = {"decoder": Decoder, "hourglass": Hourglass, "nas": Nas, "unet": Unet}

GENERATORS: dict[str, type[Pretrained]] = {"dcgan": Dcgan, "pggan": Pggan}

__all__ = ["GENERATORS", "PRIORS", "Decoder", "Hourglass", "Pretrained", "Prior"]
