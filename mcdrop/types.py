"""Shape names used in annotations.

`T` draws, `N` rows, `C` classes, `D` outputs, `K` blocks of draws; `*out` is what the model returns for one row.
"""

from typing import Any, TypeAlias

import numpy as np
import torch

Tree: TypeAlias = Any
"""A tensor, or tuples, lists, mappings, namedtuples and dataclasses of trees (see `mcdrop.tree`)."""

ArrayLike: TypeAlias = torch.Tensor | np.ndarray
"""What the functions on predictions take as targets."""
