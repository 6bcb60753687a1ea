"""Any function that answers every call with a fresh draw, read as `MCDropout` reads a network."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from mcdrop.errors import InputError, NoSpreadError, OutputError
from mcdrop.prediction import AnyPrediction, Likelihood, Provenance
from mcdrop.sampling.batches import Unpack, read_batches
from mcdrop.sampling.output import Output, selector
from mcdrop.sampling.predictor import Draws, Predictor, Reading
from mcdrop.sampling.until import Until
from mcdrop.tree import describe, from_arrays, map_tensors, tensors
from mcdrop.types import Tree


class StochasticFunction(Predictor[AnyPrediction]):
    """A function whose every call is a fresh draw; made by `from_callable`, which says all of it.

    Args:
        fn: The function.
        likelihood: How its output is read.
        num_samples: T, the number of draws, >= 1, or `Until(...)`.
        draws_per_call: Draws on the leading axis of what one call returns; None where a call returns one draw.
        keep_samples: Whether predictions hold the T outputs; None is the likelihood's default.
        output: Which part of what `fn` returns is read.
        grad: Whether results carry gradients.

    Raises:
        InputError: An argument is of the wrong kind or out of range.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        likelihood: Likelihood[AnyPrediction],
        num_samples: int | Until = 100,
        draws_per_call: int | None = None,
        keep_samples: bool | None = None,
        output: Output = None,
        grad: bool = False,
    ) -> None:
        if not callable(fn):
            raise InputError(f"{type(fn).__name__} was given as the function; expected something that can be called.")
        if draws_per_call is not None and (
            isinstance(draws_per_call, bool) or not isinstance(draws_per_call, int) or draws_per_call < 1
        ):
            raise InputError(
                f"draws_per_call={draws_per_call!r} was given; expected an integer >= 1, the length of the leading "
                "axis of what one call returns, or None where a call returns a single draw."
            )
        self._reading = Reading(likelihood, num_samples, keep_samples)
        self.fn = fn
        self.draws_per_call = draws_per_call
        self._select = selector(output)
        self._grad = grad

    def __repr__(self) -> str:
        return (
            f"StochasticFunction({_name(self.fn)}, likelihood={self.likelihood}, num_samples={self.num_samples}, "
            f"draws_per_call={self.draws_per_call})"
        )

    def _batches(
        self, loader: Iterable[Any], unpack: Unpack | None
    ) -> Iterator[tuple[tuple[Any, ...], dict[str, Any], Tree, int]]:
        for args, kwargs, target in read_batches(self.fn, loader, unpack, name=_name(self.fn)):
            yield args, kwargs, target, 0  # the function has no masks whose rows could be numbered

    def _draws(self, args: tuple[Any, ...], kwargs: dict[str, Any], first_row: int) -> Draws:
        def call() -> Tree:
            with torch.set_grad_enabled(self._grad):
                return self._select(self._as_tensors(self.fn(*args, **kwargs)))

        return _Calls(call, _name(self.fn), self._reading, self.draws_per_call)

    def _as_tensors(self, result: Any) -> Tree:
        try:
            return from_arrays(result)
        except TypeError as error:
            raise OutputError(f"{_name(self.fn)} returned an array that holds no numbers: {error}.") from error


class _Calls(Draws):
    """The draws that calls of a function make, one chunk per call."""

    def __init__(self, call: Callable[[], Tree], name: str, reading: Reading, draws_per_call: int | None) -> None:
        self._call = call
        self._name = name
        self._total, self._drawn = reading.most, 0
        self._until = reading.until
        self._looks = [self._total] if self._until is None else self._until.looks(self.block_size)
        self._draws_per_call = draws_per_call
        self._rest: Tree = None

    @property
    def block_size(self) -> int:
        return 1

    @property
    def provenance(self) -> Provenance:
        at_once = "" if self._draws_per_call is None else f", {self._draws_per_call} draws per call"
        return Provenance(
            num_samples=self._drawn,
            until="" if self._until is None else repr(self._until),
            design="Independent()",
            shared_masks=False,  # nothing is known of what its rows share
            execution=f"callable: {self._name}{at_once}",
        )

    def __iter__(self) -> Iterator[Tree]:
        first: Tree = None
        spread = False
        while self._drawn < self._total:
            chunk = self._chunk(next(look for look in self._looks if look > self._drawn) - self._drawn)
            one = map_tensors(lambda tensor: tensor[:1].detach(), chunk)
            if first is None:
                first = one
            elif describe(one) != describe(first):
                raise OutputError(
                    f"{self._name} returned {_of_one(one)} after {_of_one(first)}; expected the same shapes from every "
                    "call with the same input."
                )
            spread = spread or any(
                not torch.equal(new, old.expand_as(new))
                for new, old in zip(tensors(chunk), tensors(first), strict=True)
            )
            self._drawn += tensors(chunk)[0].shape[0]
            yield chunk
        if self._drawn > 1 and not spread:
            raise NoSpreadError(
                f"All {self._drawn} draws of {self._name} are bit-identical; expected a fresh draw from every call. "
                "Turn its dropout on (a Keras model is called with training=True, a torch model switched to train(), a "
                "flax one called with deterministic=False), and see that it is given no fixed seed, key or cache. A "
                "torch model needs none of this: mcdrop.MCDropout(model)."
            )

    def enough(self) -> None:
        self._total = self._drawn

    def _chunk(self, wanted: int) -> Tree:
        """At most `wanted` draws of one call, in memory of their own: a function may write to the same array again."""
        if self._rest is not None:
            return self._taken(self._rest, wanted)
        draws = self._call()
        if self._draws_per_call is None:
            return map_tensors(lambda tensor: tensor.clone()[None], draws)
        for tensor in tensors(draws):
            if tensor.ndim == 0 or tensor.shape[0] != self._draws_per_call:
                raise OutputError(
                    f"{self._name} returned {describe(draws)} and draws_per_call={self._draws_per_call}; expected that "
                    "many draws on the leading axis of each tensor."
                )
        return self._taken(map_tensors(torch.clone, draws), wanted)

    def _taken(self, draws: Tree, wanted: int) -> Tree:
        """The first draws; the rest is kept for the next chunk."""
        more = len(tensors(draws)[0]) > wanted
        self._rest = map_tensors(lambda tensor: tensor[wanted:], draws) if more else None
        return map_tensors(lambda tensor: tensor[:wanted], draws)


def from_callable(
    fn: Callable[..., Any],
    *,
    likelihood: Likelihood[AnyPrediction],
    num_samples: int | Until = 100,
    draws_per_call: int | None = None,
    keep_samples: bool | None = None,
    output: Output = None,
    grad: bool = False,
) -> StochasticFunction[AnyPrediction]:
    """Reads a function that gives a fresh draw per call as `MCDropout` reads a network.

    p(y | x) is approximated by (1/T) sum_t p(y | y_t), y_t the t-th draw of fn(x) (Gal & Ghahramani 2016,
    arXiv:1506.02142, eq. 6). The function may be a model of TensorFlow or JAX, one of scikit-learn, one on another
    machine. Draws are taken as independent: `mc_error` is s / sqrt(T), s with divisor T - 1.

    What a function does not tell cannot be promised: there is no seed, no mask shared by the rows, no check that the
    randomness is dropout's alone. For torch models use `MCDropout`.

    Args:
        fn: Called with the inputs as they are given. Returns one draw for N rows: a torch tensor or an array of another
            library (anything with `__array__`) of shape (N, *out), or tuples, lists, mappings and dataclasses of these.
        likelihood: How the output is read: `Categorical()`, `Binary()`, `Gaussian(precision)`,
            `HeteroscedasticGaussian()`, `Poisson()`, `Identity()`.
        num_samples: T, the number of draws, >= 1, or `Until(...)`: as many as a wanted Monte Carlo error takes.
        draws_per_call: n >= 1 where each call returns n independent draws, (n, N, *out); the last call's surplus is
            not read. None: each call returns one draw, without that axis.
        keep_samples: Whether predictions hold the T outputs. None: where the likelihood needs them, that is everywhere
            but for `Categorical` and `Binary`.
        output: Which part of what `fn` returns is read: a key, an index, or a function of it.
        grad: Whether results carry gradients, where `fn` computes with torch.

    Returns:
        An object with the face of `MCDropout`: call it with one input, or use `predict`, `evaluate` and `sample`.
        Calling it raises `NoSpreadError` when T > 1 draws are bit-identical, and `OutputError` when the shapes of two
        calls differ.

    Raises:
        InputError: An argument is of the wrong kind or out of range.

    Example:
        >>> import numpy as np, mcdrop
        >>> rng = np.random.default_rng(0)
        >>> def noisy(x):  # dropout on the inputs, then a sum
        ...     return (x * (rng.random(x.shape) < 0.5) / 0.5).sum(1, keepdims=True)
        >>> mc = mcdrop.from_callable(noisy, likelihood=mcdrop.Identity(), num_samples=10_000)
        >>> prediction = mc(np.ones((3, 4)))  # each input is 0 or 2: mean 4, variance 4
        >>> prediction.mean.round().flatten().tolist(), prediction.variance.round().flatten().tolist()
        ([4.0, 4.0, 4.0], [4.0, 4.0, 4.0])
    """
    return StochasticFunction(
        fn,
        likelihood=likelihood,
        num_samples=num_samples,
        draws_per_call=draws_per_call,
        keep_samples=keep_samples,
        output=output,
        grad=grad,
    )


def _name(fn: Callable[..., Any]) -> str:
    return str(getattr(fn, "__qualname__", type(fn).__qualname__))


def _of_one(draws: Tree) -> str:
    return describe(map_tensors(lambda tensor: tensor[0], draws))
