"""How good predictions are, each number with its errors."""

from mcdrop.calibration.score import Score as Score
from mcdrop.calibration.scores import accuracy as accuracy
from mcdrop.calibration.scores import brier_score as brier_score
from mcdrop.calibration.scores import error_rate as error_rate
from mcdrop.calibration.scores import negative_log_likelihood as negative_log_likelihood
from mcdrop.calibration.scores import rmse as rmse
from mcdrop.calibration.tally import Tally as Tally
