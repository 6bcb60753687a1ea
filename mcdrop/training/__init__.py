"""Training networks with dropout, one or many at once."""

from mcdrop.training.comparison import Comparison as Comparison
from mcdrop.training.comparison import compare as compare
from mcdrop.training.concrete import ConcreteKL as ConcreteKL
from mcdrop.training.concrete import concrete_terms as concrete_terms
from mcdrop.training.contender import Contender as Contender
from mcdrop.training.curve import Curve as Curve
from mcdrop.training.fitting import fit as fit
from mcdrop.training.grid import Choice as Choice
from mcdrop.training.grid import Search as Search
from mcdrop.training.grid_search import search as search
from mcdrop.training.history import History as History
from mcdrop.training.objective import Objective as Objective
from mcdrop.training.over_seeds import OverSeeds as OverSeeds
from mcdrop.training.randomness import initialise as initialise
from mcdrop.training.rate_curves import AtRate as AtRate
from mcdrop.training.rate_curves import Sweep as Sweep
from mcdrop.training.rate_runs import sweep as sweep
from mcdrop.training.rates import dropout_rates as dropout_rates
from mcdrop.training.together import members as members
