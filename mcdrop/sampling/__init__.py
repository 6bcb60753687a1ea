"""Running T passes and reading them."""

from mcdrop.sampling.enumerated import Forest as Forest
from mcdrop.sampling.enumerated import forest as forest
from mcdrop.sampling.forecast import Forecast as Forecast
from mcdrop.sampling.integrated import ClosedHead as ClosedHead
from mcdrop.sampling.last_site import closed_head as closed_head
from mcdrop.sampling.mcdropout import MCDropout as MCDropout
from mcdrop.sampling.mcdropout import predict as predict
from mcdrop.sampling.plan import Plan as Plan
from mcdrop.sampling.predictor import Predictor as Predictor
from mcdrop.sampling.stochastic_function import StochasticFunction as StochasticFunction
from mcdrop.sampling.stochastic_function import from_callable as from_callable
from mcdrop.sampling.subnetwork import SubNetwork as SubNetwork
from mcdrop.sampling.subnetwork import units_for as units_for
from mcdrop.sampling.until import Until as Until
