import copy
import dataclasses
import pickle

import numpy as np
import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.prediction import (
    Binary,
    Categorical,
    Gaussian,
    HeteroscedasticGaussian,
    Identity,
    Poisson,
    Provenance,
    Summary,
    concatenate,
    from_draws,
)
from mcdrop.tree import map_tensors, named_tensors

DRAWS = torch.randn(20, 6, 4, generator=torch.Generator().manual_seed(0))
OUTPUTS = {
    Categorical(): DRAWS,
    Categorical(class_dim=-2): DRAWS.unsqueeze(-1).expand(20, 6, 4, 3) * torch.tensor([1.0, 2.0, 3.0]),
    Binary(): DRAWS[..., 0],
    Gaussian((1.0, 2.0, 3.0, 4.0)): DRAWS,
    HeteroscedasticGaussian(): (DRAWS, DRAWS / 9),
    Poisson(): DRAWS[..., :1],
    Identity(): {"a": DRAWS, "b": [DRAWS[..., 0]]},
}
every = pytest.mark.parametrize(("likelihood", "outputs"), OUTPUTS.items(), ids=repr)


def make(likelihood, outputs, **options):
    provenance = Provenance(num_samples=20, seed=7, design="Independent()", block_size=3)
    return from_draws(outputs, likelihood, block_size=3, provenance=provenance, **options)


def tensors_of(prediction):
    """All tensors of a record by name, so that two records can be compared bit by bit."""
    fields = {field.name: getattr(prediction, field.name) for field in dataclasses.fields(prediction)}
    fields.pop("structure", None)
    return dict(named_tensors(fields))


def assert_equal(one, two):
    assert type(one) is type(two)
    assert (one.likelihood, one.provenance) == (two.likelihood, two.provenance)
    first, second = tensors_of(one), tensors_of(two)
    assert list(first) == list(second)
    for name in first:
        assert first[name].dtype == second[name].dtype
        assert torch.equal(first[name], second[name]), name


@every
@pytest.mark.parametrize(
    "rows",
    [
        slice(1, 4),
        slice(None, None, 2),
        slice(None, None, -1),
        slice(3, 3),
        [0, 5, 0],
        [],
        np.array([-1, 2]),
        torch.tensor([4]),
        torch.tensor([True, False, True, False, False, True]),
        np.array([False] * 6),
    ],
    ids=str,
)
def test_rows_of_a_prediction_are_the_prediction_of_the_rows(likelihood, outputs, rows):
    index = list(
        np.arange(6)[np.asarray(rows, dtype=None if len(rows) else int) if not isinstance(rows, slice) else rows]
    )
    picked = make(likelihood, outputs, keep_samples=True)[rows]
    direct = make(likelihood, map_tensors(lambda tensor: tensor[:, index], outputs), keep_samples=True)
    assert len(picked) == len(index)
    for (name, one), two in zip(tensors_of(picked).items(), tensors_of(direct).values(), strict=True):
        torch.testing.assert_close(one, two, msg=name)


@every
def test_a_single_row_keeps_its_axis(likelihood, outputs):
    prediction = make(likelihood, outputs)
    for row in (2, -4, np.int64(2), torch.tensor(2)):
        assert_equal(prediction[row], prediction[2:3])
    assert [len(row) for row in prediction] == [1] * 6


def test_what_picks_no_rows():
    prediction = make(Binary(), OUTPUTS[Binary()])
    for row in (6, -7, [0, 6]):
        with pytest.raises(IndexError, match=r"Row .* given for a prediction of 6 rows"):
            prediction[row]
    with pytest.raises(InputError, match="A mask of 3 rows given for a prediction of 6 rows"):
        prediction[torch.tensor([True, False, True])]
    for index in (torch.zeros(2, 2, dtype=torch.int64), torch.tensor([0.5]), True):
        with pytest.raises(InputError, match="rows are picked by a number, a slice, a list of numbers or a mask"):
            prediction[index]


@every
@pytest.mark.parametrize("keep", [True, False])
def test_concatenate_undoes_slicing(likelihood, outputs, keep):
    whole = make(likelihood, outputs, keep_samples=keep)
    assert_equal(concatenate([whole[:2], whole[2:2], whole[2:3], whole[3:]]), whole)
    assert_equal(concatenate([whole]), whole)


def test_concatenate_joins_executions():
    whole = make(Binary(), OUTPUTS[Binary()])
    parts = [
        dataclasses.replace(whole[row], provenance=dataclasses.replace(whole.provenance, execution=execution))
        for row, execution in enumerate(["vectorised", "loop: too large", "vectorised"])
    ]
    assert concatenate(parts).provenance.execution == "vectorised; loop: too large"


def test_concatenate_refuses_what_does_not_compare():
    binary = make(Binary(), OUTPUTS[Binary()])

    def refused(match, other, first=binary):
        with pytest.raises(InputError, match=match):
            concatenate([first, other])

    other_seed = dataclasses.replace(binary, provenance=dataclasses.replace(binary.provenance, seed=8))
    refused(r"differ in seed given \(7 and 8\)", other_seed)
    gaussian = make(Gaussian(1.0), DRAWS)
    refused("differ in class given", gaussian)
    refused("differ in likelihood given", make(Gaussian(2.0), DRAWS), gaussian)
    refused(
        r"differ in having samples given \(True and False\)", make(Gaussian(1.0), DRAWS, keep_samples=False), gaussian
    )
    refused("differ in the shape of mean per row", make(Gaussian(1.0), DRAWS[..., :2]), gaussian)
    refused("differ in num_samples", from_draws(DRAWS[:5, :, 0], Binary()))
    refused(
        "differ in the names of outputs", from_draws({"b": DRAWS}, Identity()), from_draws({"a": DRAWS}, Identity())
    )
    summary = Summary.init(Binary())
    merged = summary.update(DRAWS[:3, :, 0]).merge(summary.update(DRAWS[3:, :, 0])).result(Provenance(num_samples=20))
    refused("differ in the groups of draws", merged, from_draws(DRAWS[..., 0], Binary()))
    with pytest.raises(InputError, match="No predictions given, concatenate needs at least one"):
        concatenate([])


@every
def test_to_another_precision_and_device(likelihood, outputs):
    prediction = make(likelihood, outputs)
    for single in (
        prediction.to(torch.float32),
        prediction.to(dtype=torch.float32),
        prediction.to("cpu", torch.float32),
    ):
        assert {tensor.dtype for tensor in tensors_of(single).values()} == {torch.float32}
    assert_equal(prediction.to("cpu"), prediction)
    meta = prediction.to("meta")
    assert {tensor.device.type for tensor in tensors_of(meta).values()} == {"meta"}
    with pytest.raises(InputError, match=r"dtype=torch.int64 given, predictions hold floating-point numbers"):
        prediction.to(torch.int64)


@every
def test_numpy_has_every_quantity(likelihood, outputs):
    prediction = make(likelihood, map_tensors(lambda tensor: tensor.clone().requires_grad_(), outputs))
    arrays = prediction.numpy()
    for name in prediction.quantities:
        for place, tensor in named_tensors(getattr(prediction, name), name):
            np.testing.assert_array_equal(arrays.pop(place), tensor.detach())
    assert not arrays


def test_numpy_of_one_draw_leaves_variances_out():
    assert list(from_draws(DRAWS[:1], Gaussian(1.0)).numpy()) == ["mean", "aleatoric"]


@every
def test_the_repr_says_what_there_is(likelihood, outputs):
    text = repr(make(likelihood, outputs))
    assert text.startswith(f"{type(make(likelihood, outputs)).__name__}: 6 rows, T=20, seed=7, {likelihood}\n")
    assert len(text.splitlines()) <= 8
    assert "mc_error" in text
    repr(make(likelihood, outputs)[:0])
    repr(from_draws(map_tensors(lambda tensor: tensor[:1], outputs), likelihood))


def test_the_repr_shows_means():
    text = repr(from_draws(torch.tensor([[1.0, 3.0], [2.0, 4.0]]), Gaussian(4.0)))
    assert text.splitlines()[1] == "  mean (2,): mean 2.5"
    assert text.splitlines()[-1] == "  samples kept"


@every
def test_records_can_be_copied_and_pickled(likelihood, outputs):
    prediction = make(likelihood, outputs)
    assert_equal(copy.deepcopy(prediction), prediction)
    assert_equal(pickle.loads(pickle.dumps(prediction)), prediction)


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make(Binary(), OUTPUTS[Binary()]).samples = None


def test_what_was_run_is_kept():
    prediction = make(Binary(), OUTPUTS[Binary()])
    assert (prediction.num_samples, prediction.seed, prediction.provenance.design) == (20, 7, "Independent()")
    assert (prediction.mc_degrees_of_freedom, prediction.mc_error_is_upper_bound) == (6, False)
