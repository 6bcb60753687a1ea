"""Monte Carlo dropout: T stochastic passes, read through a likelihood."""

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from mcdrop.errors import InputError, UnavailableError
from mcdrop.posterior import Design, Ensemble, Independent, Mask
from mcdrop.prediction import AnyPrediction, Likelihood, Provenance
from mcdrop.sampling.batches import Unpack, read_batches
from mcdrop.sampling.drawing import Drawing
from mcdrop.sampling.forecast import Forecast
from mcdrop.sampling.held_masks import HeldMasks
from mcdrop.sampling.known import Known, Settings, establish
from mcdrop.sampling.members import InTurn, OnePass, draws_of, member_seeds
from mcdrop.sampling.output import Output, selector
from mcdrop.sampling.plan import Plan
from mcdrop.sampling.predictor import Draws, Predictor, Reading
from mcdrop.sampling.signature import input_kind, model_fingerprint
from mcdrop.sampling.subnetwork import mask_of_draw
from mcdrop.sampling.until import Until
from mcdrop.sites import Sites, advice, count_rows, opened
from mcdrop.tree import map_tensors
from mcdrop.types import Tree

_CACHE_SIZE = 32
"""Kinds of inputs of a model that are remembered."""


class MCDropout(Predictor[AnyPrediction]):
    """A trained network whose dropout stays on: T sub-networks, one prediction.

    p(y | x) is approximated by (1/T) sum_t p(y | f(x, z_t)) with masks z_t drawn as in training (Gal & Ghahramani 2016,
    arXiv:1506.02142, eq. 6). Everything else in the model behaves as in evaluation mode, and the model is left as it
    was. It is held by reference: what is trained later is seen.

    Args:
        model: The trained network; or an `Ensemble`, whose members are the draws (without masks, and so without seed)
            unless it says that dropout stays on inside them.
        likelihood: How its output is read: `Categorical()`, `Binary()`, `Gaussian(precision)`,
            `HeteroscedasticGaussian()`, `Poisson()`, `Identity()`.
        num_samples: T, the number of passes, >= 1; None is 100, or the number of members. With dropout inside the
            members it is a multiple of their number. `Until(...)`: as many as a wanted Monte Carlo error takes.
        seed: Of the masks, an integer >= 0. Same seed, same masks, whatever the batch size and the execution. None
            draws one from torch's global generator, now, so that `torch.manual_seed` reproduces it.
        shared_masks: Whether the rows of the input share the mask of a pass, so that each pass is one function of the
            input; False gives every row masks of its own, as training does. The law of one row is the same.
        batch_dim: Axis of the inputs that holds the rows; None where the whole input is one object (a graph, an
            unbatched sample).
        design: How the T masks hang together: `Independent()`, `Antithetic()`, `Stratified(block)`. The default keeps
            `mc_error` sharp for any T and p; `Stratified(20)` makes means more precise where 20 p is an integer.
        sites: Which dropout sites take part, and with which p; see `Sites`.
        plan: How the passes are run; see `Plan`.
        keep_samples: Whether predictions hold the T outputs. None: where the likelihood needs them for intervals and
            densities, that is everywhere but for `Categorical` and `Binary`.
        output: Which part of the model's output is read: a key, an index, or a function of it.
        grad: Whether results carry gradients.

    Raises:
        InputError: An argument is of the wrong kind or out of range; when called, no tensor, or no rows.
        NoSiteError: When called: there is nothing to sample.
        UncontrolledSiteError: When called: something random cannot be controlled.
        RowAxisError: When called: it cannot be told where the rows lie, so no mask can be shared.
        NoSpreadError: When called: all draws are bit-identical although their masks differ.

    Example:
        >>> import torch, mcdrop
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 3))
        >>> mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=50, seed=0)
        >>> prediction = mc(torch.randn(8, 4))
        >>> prediction.probs.shape, prediction.mutual_information.shape
        (torch.Size([8, 3]), torch.Size([8]))
    """

    def __init__(
        self,
        model: nn.Module | Ensemble,
        *,
        likelihood: Likelihood[AnyPrediction],
        num_samples: int | Until | None = None,
        seed: int | None = None,
        shared_masks: bool = True,
        batch_dim: int | None = 0,
        design: Design = Independent(),  # noqa: B008 (frozen)
        sites: Sites = Sites(),  # noqa: B008 (frozen)
        plan: Plan = Plan(),  # noqa: B008 (frozen)
        keep_samples: bool | None = None,
        output: Output = None,
        grad: bool = False,
    ) -> None:
        if not isinstance(model, nn.Module | Ensemble):
            raise InputError(
                f"{type(model).__name__} was given as the model; expected a torch.nn.Module or a mcdrop.Ensemble."
                f"{advice(model)}"
            )
        num_samples = draws_of(model, num_samples)
        self._reading = Reading(likelihood, num_samples, keep_samples)
        for name, value, kind in (("design", design, Design), ("sites", sites, Sites), ("plan", plan, Plan)):
            if not isinstance(value, kind):
                raise InputError(f"{name}={value!r} was given; expected a mcdrop.{kind.__name__}.")
        if seed is None:
            seed = int(torch.randint(2**62, ()))
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise InputError(f"seed={seed!r} was given; expected an integer >= 0, or None to draw one.")
        if batch_dim is not None and (isinstance(batch_dim, bool) or not isinstance(batch_dim, int)):
            raise InputError(f"batch_dim={batch_dim!r} was given; expected an axis, or None for one single row.")
        self.model = model
        self._num_models = len(model.members) if isinstance(model, Ensemble) else 1
        self._settings = Settings(
            self.num_samples, seed, design, shared_masks, batch_dim, sites, plan, grad, selector(output),
            self._reading.until,
        )  # fmt: skip
        if self._reading.until is not None:
            self._reading.until.looks(design.block_size)
        self._known: OrderedDict[Hashable, Known] = OrderedDict()
        self._last: Known | None = None
        self._held = HeldMasks()

    def __repr__(self) -> str:
        s = self._settings
        name = repr(self.model) if isinstance(self.model, Ensemble) else type(self.model).__name__
        if isinstance(self.model, Ensemble) and not self.model.dropout:
            return f"MCDropout({name}, likelihood={self.likelihood})"
        return (
            f"MCDropout({name}, likelihood={self.likelihood}, num_samples={self._reading.num_samples}, "
            f"seed={s.seed}, shared_masks={s.shared_masks}, design={s.design})"
        )

    def __getstate__(self) -> dict[str, Any]:
        """A copy looks again: what was established is of these very modules, and of code, which no pickle holds."""
        return self.__dict__ | {"_known": OrderedDict(), "_last": None, "_held": HeldMasks()}

    @property
    def seed(self) -> int:
        """The seed of the masks."""
        return self._settings.seed

    def masks(self, t: int) -> Mask:
        """The mask of draw t for the kind of input that was predicted last: one sub-network, as a value.

        Args:
            t: Number of the draw, from 0 to T - 1.

        Raises:
            UnavailableError: Nothing was predicted yet; every row has masks of its own; or the model is an ensemble.
            InputError: t is no such number.

        Example:
            >>> import torch, mcdrop
            >>> from torch import nn
            >>> model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 3))
            >>> mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=50, seed=0)
            >>> _ = mc(torch.randn(8, 4))
            >>> mc.masks(7).num_units, 0 < mc.masks(7).num_kept < 32
            (32, True)
        """
        if isinstance(self.model, Ensemble):
            raise UnavailableError(
                "masks(t) was asked of an ensemble, whose draws are of different networks. Ask one member: "
                "mcdrop.MCDropout(ensemble.members[0], ...)."
            )
        return mask_of_draw(self._last, self._settings, t)

    def plan(self, *args: Any, **kwargs: Any) -> Forecast:
        """How the passes for such an input run, how many at once, what that costs, and why.

        A few passes are run to see that it works; nothing is timed.

        Args:
            *args: The model's positional inputs.
            **kwargs: Its keyword inputs.

        Raises:
            UnavailableError: The model is an ensemble.
            McdropError: As calling the object does.

        Example:
            >>> import torch, mcdrop
            >>> from torch import nn
            >>> model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 3))
            >>> mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=50, seed=0)
            >>> print(mc.plan(torch.randn(8, 4)))
            50 passes, 50 at once
              chain: all draws at once
              why: small products: one tall product for many draws saves more than leaving out could
              cost: 3.94e+04 multiplications with additions, 8.96e+04 in a loop of plain passes (2.27 times as many)
        """
        if isinstance(self.model, Ensemble):
            raise UnavailableError(
                "plan(x) was asked of an ensemble, whose members may differ. Ask one member: "
                "mcdrop.MCDropout(ensemble.members[0], ...).plan(x)."
            )
        return self._drawing(self.model, args, kwargs, self._settings, first_row=0).forecast()

    def clear(self) -> None:
        """Forgets what was established about the model; the next call looks again."""
        self._known.clear()
        self._last = None
        self._held = HeldMasks()

    def _batches(
        self, loader: Iterable[Any], unpack: Unpack | None
    ) -> Iterator[tuple[tuple[Any, ...], dict[str, Any], Tree, int]]:
        if self._settings.batch_dim is None:
            raise InputError("A loader was given with batch_dim=None: call mc(x) for each single object instead.")
        row = 0
        model = self.model.members[0] if isinstance(self.model, Ensemble) else self.model
        device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), None)
        for args, kwargs, target in read_batches(opened(model).forward, loader, unpack, name=type(model).__name__):
            if device is not None:
                args, kwargs = map_tensors(lambda tensor: tensor.to(device), (args, kwargs))
            yield args, kwargs, target, row
            row += count_rows((args, kwargs), self._settings.batch_dim)

    def _draws(self, args: tuple[Any, ...], kwargs: dict[str, Any], first_row: int) -> Draws:
        settings = self._settings
        if not isinstance(self.model, Ensemble):
            return self._passes(self.model, args, kwargs, settings, first_row)
        if not self.model.dropout:
            return OnePass(self.model, args, kwargs, settings)
        members = self.model.members
        share = settings.num_samples // len(members)
        draws = [
            self._passes(member, args, kwargs, replace(settings, num_samples=share, seed=seed), first_row)
            for member, seed in zip(members, member_seeds(settings.seed, len(members)), strict=True)
        ]
        return InTurn(self.model, draws, settings)

    def _passes(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], settings: Settings, first_row: int
    ) -> Draws:
        return _Passes(self._drawing(model, args, kwargs, settings, first_row), settings)

    def _drawing(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], settings: Settings, first_row: int
    ) -> Drawing:
        """The passes of one network, with what is established about it for this kind of input."""
        key = (model_fingerprint(model), input_kind((args, kwargs), settings.batch_dim, settings.rows((args, kwargs))))
        known = self._known.get(key)
        if known is None or (known.rows > 1 and known.discovery.rows_may_be_ragged):
            known = establish(model, args, kwargs, settings)
            self._known[key] = known
            while len(self._known) > _CACHE_SIZE * self._num_models:
                self._known.popitem(last=False)
        self._last = known
        return Drawing(model, args, kwargs, known=known, settings=settings, first_row=first_row, held=self._held)


class _Passes(Draws):
    """The passes of a network, with the words that say what was run."""

    def __init__(self, drawing: Drawing, settings: Settings) -> None:
        self._drawing = drawing
        self._settings = settings

    @property
    def block_size(self) -> int:
        return self._settings.design.block_size

    @property
    def provenance(self) -> Provenance:
        return Provenance(
            num_samples=self._drawing.drawn,
            seed=self._settings.seed,
            design=repr(self._settings.design),
            until="" if self._settings.until is None else repr(self._settings.until),
            block_size=self.block_size,
            shared_masks=self._drawing.shared,
            execution=self._drawing.execution,
        )

    def __iter__(self) -> Iterator[Tree]:
        return iter(self._drawing)

    def enough(self) -> None:
        self._drawing.total = self._drawing.drawn


def predict(
    model: nn.Module | Ensemble,
    *args: Any,
    likelihood: Likelihood[AnyPrediction],
    num_samples: int | Until | None = None,
    seed: int | None = None,
    **kwargs: Any,
) -> AnyPrediction:
    """One prediction in one call: `MCDropout(model, likelihood=..., num_samples=..., seed=...)(*args, **kwargs)`.

    Args:
        model: The trained network, or an `Ensemble`.
        *args: Its positional inputs.
        likelihood: How its output is read.
        num_samples: T, the number of passes, >= 1, or `Until(...)`; None is 100, or the number of members.
        seed: Of the masks; None draws one from torch's global generator.
        **kwargs: Options of `MCDropout` by their names; everything else is a keyword input of the model.

    Raises:
        McdropError: As `MCDropout` and calling it.

    Example:
        >>> import torch, mcdrop
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 3))
        >>> prediction = mcdrop.predict(model, torch.randn(8, 4), likelihood=mcdrop.Categorical(), seed=0)
        >>> prediction.predictive_entropy.shape
        torch.Size([8])
    """
    names = ("shared_masks", "batch_dim", "design", "sites", "plan", "keep_samples", "output", "grad")
    options = {name: kwargs.pop(name) for name in names if name in kwargs}
    mc = MCDropout(model, likelihood=likelihood, num_samples=num_samples, seed=seed, **options)
    return mc(*args, **kwargs)
