"""Uncertainty from dropout in PyTorch: complete, exact, reproducible."""

from mcdrop.errors import McdropError as McdropError
from mcdrop.posterior import Antithetic as Antithetic
from mcdrop.posterior import Ensemble as Ensemble
from mcdrop.posterior import Independent as Independent
from mcdrop.posterior import Stratified as Stratified
from mcdrop.prediction import Binary as Binary
from mcdrop.prediction import Categorical as Categorical
from mcdrop.prediction import Gaussian as Gaussian
from mcdrop.prediction import HeteroscedasticGaussian as HeteroscedasticGaussian
from mcdrop.prediction import Identity as Identity
from mcdrop.prediction import Poisson as Poisson
from mcdrop.prediction import Prediction as Prediction
from mcdrop.prediction import load as load
from mcdrop.sampling import MCDropout as MCDropout
from mcdrop.sampling import Plan as Plan
from mcdrop.sampling import Until as Until
from mcdrop.sampling import from_callable as from_callable
from mcdrop.sampling import predict as predict
from mcdrop.sites import Sites as Sites
from mcdrop.sites import audit as audit
