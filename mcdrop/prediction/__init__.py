"""What samples say, without knowing the model they came from."""

from mcdrop.prediction.binary import Binary as Binary
from mcdrop.prediction.categorical import Categorical as Categorical
from mcdrop.prediction.classification import BinaryPrediction as BinaryPrediction
from mcdrop.prediction.classification import CategoricalPrediction as CategoricalPrediction
from mcdrop.prediction.gaussian import Gaussian as Gaussian
from mcdrop.prediction.heteroscedastic import HeteroscedasticGaussian as HeteroscedasticGaussian
from mcdrop.prediction.identity import Identity as Identity
from mcdrop.prediction.likelihood import Likelihood as Likelihood
from mcdrop.prediction.likelihood import RegressionLikelihood as RegressionLikelihood
from mcdrop.prediction.loading import load as load
from mcdrop.prediction.loading import load_parts as load_parts
from mcdrop.prediction.moments import Moments as Moments
from mcdrop.prediction.poisson import Poisson as Poisson
from mcdrop.prediction.provenance import Provenance as Provenance
from mcdrop.prediction.raw import RawPrediction as RawPrediction
from mcdrop.prediction.recalibrated import RecalibratedPrediction as RecalibratedPrediction
from mcdrop.prediction.recomputed import Recomputed as Recomputed
from mcdrop.prediction.regression import RegressionPrediction as RegressionPrediction
from mcdrop.prediction.result import AnyPrediction as AnyPrediction
from mcdrop.prediction.result import Prediction as Prediction
from mcdrop.prediction.result import concatenate as concatenate
from mcdrop.prediction.summary import Summary as Summary
from mcdrop.prediction.summary import from_draws as from_draws
