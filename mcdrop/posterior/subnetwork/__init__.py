"""Sub-networks to hold: a mask baked into a smaller network that needs torch alone."""

from mcdrop.posterior.subnetwork.arithmetic import Savings as Savings
from mcdrop.posterior.subnetwork.arithmetic import savings as savings
from mcdrop.posterior.subnetwork.baking import bake as bake
