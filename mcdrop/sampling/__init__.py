"""Running T passes and reading them."""

from mcdrop.sampling.mcdropout import MCDropout as MCDropout
from mcdrop.sampling.mcdropout import predict as predict
from mcdrop.sampling.plan import Plan as Plan
from mcdrop.sampling.predictor import Predictor as Predictor
from mcdrop.sampling.stochastic_function import StochasticFunction as StochasticFunction
from mcdrop.sampling.stochastic_function import from_callable as from_callable
