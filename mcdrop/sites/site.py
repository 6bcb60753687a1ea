"""What a discovery knows: the sites of a model, what stays off, what cannot be controlled."""

from dataclasses import dataclass

from torch import nn

from mcdrop.errors import NoSiteError, UncontrolledSiteError
from mcdrop.sites.containers import is_graph
from mcdrop.sites.rows import RowAxis
from mcdrop.sites.sizes import Sizes
from mcdrop.sites.switch import Reader

HOST_OPERATIONS = ("random", "numpy.random")
"""Operations of sites that are decisions by Python's or NumPy's generator."""


@dataclass(frozen=True)
class Site:
    """One place where a mask enters the model.

    Args:
        name: "path:operation", with "#2" and so on for further calls of the same operation by the same module.
        path: The module that calls it; "" for the root.
        owner: That module's class, by name.
        operation: PyTorch's name of the operation.
        law: The law of its mask, in words.
        p: The probability of zeroing in use; None where the model draws the mask itself.
        mask_shape: Shape of the mask for the rows at hand, one mask for each row.
        row: Where the rows lie; None if the mask does not depend on them, or the whole input is one row.
        source: The line that calls it, outside PyTorch.
        always_on: Whether it fires in plain evaluation mode too.
        established: By which evidence it is known to be a switched site.
        chosen: Whether it takes part (see `Sites`).
        stepwise: Whether each step of packed sequences has a mask of its own.
    """

    name: str
    path: str
    owner: str
    operation: str
    law: str
    p: float | None
    mask_shape: tuple[int, ...]
    row: RowAxis | None
    source: str
    always_on: bool
    established: str
    chosen: bool = True
    stepwise: bool = False


@dataclass(frozen=True)
class Uncontrolled:
    """A random operation, or a switch, that cannot be controlled.

    Args:
        what: The operation and where it stands, in words.
        why: What was observed.
        reader: The reader of `training` that wakes it; None if it runs in evaluation mode too.
    """

    what: str
    why: str
    reader: Reader | None

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


@dataclass(frozen=True)
class Discovery:
    """What is known of a model for one kind of input.

    Args:
        sites: The dropout sites in order of execution.
        off: What stays off and why, in words.
        uncontrolled: What mcdrop cannot control.
        on: Readers of `training` that are told True.
        unused: Names of draws of random numbers on which nothing depends.
        native: Whether random operations of the model run with torch's own randomness (`Sites(uncontrolled="native")`).
        output_axis: Axis of the output that holds the rows; None if there is none or it was not looked for.
        made: Sizes of the results of one pass's operations.
        masked: Of those from the first mask on: what there is of each draw.
        readers: Readers of `training` that such a pass meets.
        waiting: Those that changed nothing when told True. With other values in the input they may.
        sized_by_values: Whether one of its operations made a size of values, as packed sequences and boolean masks do.
    """

    sites: tuple[Site, ...]
    off: tuple[str, ...]
    uncontrolled: tuple[Uncontrolled, ...]
    on: frozenset[Reader]
    unused: frozenset[str]
    native: bool
    output_axis: int | None
    made: Sizes
    masked: Sizes
    readers: frozenset[Reader]
    waiting: frozenset[Reader]
    sized_by_values: bool

    @property
    def rows_may_be_ragged(self) -> bool:
        """Whether the row axes hold for the very input alone: several places of each row are folded into one axis, of
        which another row may have more or fewer."""
        return self.sized_by_values and any(site.row is not None and site.row.is_folded for site in self.sites)

    @property
    def active(self) -> tuple[Site, ...]:
        """The sites that take part and have p > 0."""
        return tuple(site for site in self.sites if site.chosen and site.p != 0)

    @property
    def host_decides(self) -> bool:
        """Whether Python's or NumPy's generator decides about some site."""
        return any(site.operation in HOST_OPERATIONS for site in self.sites)

    def require_active(self, model: nn.Module) -> None:
        """Raises unless there is something to sample.

        Raises:
            UncontrolledSiteError: Something random cannot be controlled.
            NoSiteError: No chosen site has p > 0.
        """
        name = type(model).__name__
        if self.uncontrolled:
            listed = "\n".join(f"  - {item}" for item in self.uncontrolled)
            raise UncontrolledSiteError(
                f"{name} has random operations that cannot be controlled:\n{listed}\n"
                "Leave them off with Sites(exclude=<their module's path>), or run them with torch's own randomness "
                "with Sites(uncontrolled='native')."
            )
        if self.active or self.native:
            return
        if not self.sites and is_graph(type(model)):
            raise NoSiteError(
                f"No stochastic site in {name}: this traced graph holds no dropout operation. Trace or export the "
                "model in training mode, without decompositions, or pass the model that the graph was made from."
            )
        if not self.sites:
            found = "no dropout operation runs in it"
        elif not any(site.chosen for site in self.sites):
            found = "all of its sites are excluded"
        else:
            found = f"all of its {len(self.sites)} sites have p = 0"
        raise NoSiteError(
            f"No stochastic site in {name}: {found}. Give its layers p > 0, or choose another with Sites(p=...)."
        )
