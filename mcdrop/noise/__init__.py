"""Laws of noise and their layers, one file each; they know no model."""

from mcdrop.noise.additive import AdditiveLaw as AdditiveLaw
from mcdrop.noise.additive import GaussianNoise as GaussianNoise
from mcdrop.noise.bernoulli import BernoulliDropout as BernoulliDropout
from mcdrop.noise.bernoulli import BernoulliLaw as BernoulliLaw
from mcdrop.noise.bernoulli import OriginalDropout as OriginalDropout
from mcdrop.noise.droppath import DropPath as DropPath
from mcdrop.noise.droppath import DropPathLaw as DropPathLaw
from mcdrop.noise.gaussian import GaussianDropout as GaussianDropout
from mcdrop.noise.gaussian import GaussianLaw as GaussianLaw
from mcdrop.noise.law import Law as Law
from mcdrop.noise.law import check_probability as check_probability
from mcdrop.noise.spatial import SpatialDropout as SpatialDropout
from mcdrop.noise.spatial import SpatialLaw as SpatialLaw
from mcdrop.noise.thresholds import keep as keep
from mcdrop.noise.thresholds import threshold as threshold
from mcdrop.noise.thresholds import used_probability as used_probability
from mcdrop.noise.words import uniform_words as uniform_words
