"""Distributions over sub-networks."""

from mcdrop.posterior.designs import Antithetic as Antithetic
from mcdrop.posterior.designs import Design as Design
from mcdrop.posterior.designs import Independent as Independent
from mcdrop.posterior.designs import Stratified as Stratified
from mcdrop.posterior.dropout import Dropout as Dropout
from mcdrop.posterior.ensemble import Ensemble as Ensemble
from mcdrop.posterior.enumeration import Enumeration as Enumeration
from mcdrop.posterior.mask import Mask as Mask
from mcdrop.posterior.parameters import EffectiveWeights as EffectiveWeights
from mcdrop.posterior.prior import Prior as Prior
from mcdrop.posterior.replay import MeanMask as MeanMask
from mcdrop.posterior.replay import Replay as Replay
from mcdrop.posterior.subnetwork import Savings as Savings
from mcdrop.posterior.subnetwork import bake as bake
from mcdrop.posterior.subnetwork import savings as savings
from mcdrop.posterior.units import Units as Units
from mcdrop.posterior.units import check_same as check_same
from mcdrop.posterior.units import units_of as units_of
