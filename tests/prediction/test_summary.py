import pytest
import torch

from mcdrop.errors import InputError, NonFiniteError, OutputError
from mcdrop.prediction import (
    Binary,
    Categorical,
    Gaussian,
    HeteroscedasticGaussian,
    Identity,
    Provenance,
    Summary,
    from_draws,
)
from mcdrop.tree import map_tensors, named_tensors

DRAWS = torch.randn(20, 6, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("likelihood", "outputs"),
    [
        (Categorical(), DRAWS),
        (HeteroscedasticGaussian(), DRAWS),
        (HeteroscedasticGaussian(), [DRAWS, DRAWS]),
        (Identity(), {"a": DRAWS, "b": (DRAWS,)}),
    ],
)
@pytest.mark.parametrize("cuts", [(), (1,), (3, 4, 11), tuple(range(1, 20))])
def test_chunks_do_not_matter(likelihood, outputs, cuts):
    summary = Summary.init(likelihood, block_size=3, keep_samples=True)
    for start, stop in zip((0, *cuts), (*cuts, 20), strict=True):
        summary = summary.update(map_tensors(lambda tensor, a=start, b=stop: tensor[a:b], outputs))
    result = summary.result(Provenance(num_samples=20, block_size=3))
    whole = from_draws(outputs, likelihood, block_size=3, keep_samples=True)
    for name, array in result.numpy().items():
        torch.testing.assert_close(torch.from_numpy(array), torch.from_numpy(whole.numpy()[name]), msg=name)
    for (_, one), (_, two) in zip(named_tensors(result.samples), named_tensors(outputs), strict=True):
        assert torch.equal(one, two)
    assert type(result.samples) is type(outputs)


def test_samples_are_kept_where_the_likelihood_needs_them():
    for likelihood, kept in ((Categorical(), False), (Binary(), False), (Gaussian(1.0), True), (Identity(), True)):
        assert (from_draws(DRAWS, likelihood).samples is not None) == kept
        assert from_draws(DRAWS, likelihood, keep_samples=not kept).samples is None or not kept


def test_merge_is_one_stream():
    first = Summary.init(Gaussian(1.0), block_size=4).update(DRAWS[:8])
    second = Summary.init(Gaussian(1.0), block_size=4).update(DRAWS[8:])
    merged = first.merge(second).result(Provenance(num_samples=20, block_size=4))
    whole = from_draws(DRAWS, Gaussian(1.0), block_size=4)
    torch.testing.assert_close(merged.mc_error, whole.mc_error)
    assert torch.equal(merged.samples, whole.samples)
    empty = Summary.init(Gaussian(1.0), block_size=4)
    assert empty.merge(first) is first
    assert first.merge(empty) is first
    for other in (
        Summary.init(Gaussian(2.0), block_size=4),
        Summary.init(Gaussian(1.0), block_size=2),
        Summary.init(Gaussian(1.0), block_size=4, keep_samples=False),
    ):
        with pytest.raises(InputError, match=r"Summaries of \w+=.* given: merge needs the same"):
            first.merge(other)


def test_group_means_follow_the_precision_of_the_outputs():
    for draws, dtype in ((DRAWS, torch.float32), (DRAWS.double(), torch.float64), (DRAWS.half(), torch.float32)):
        assert from_draws(draws, Categorical()).moments["probs"].group_means.dtype == dtype


def test_memory_does_not_grow_with_the_draws():
    def numbers(total):
        summary = Summary.init(Categorical(), block_size=3)
        for chunk in DRAWS[:1].expand(total, 6, 4).split(50):
            summary = summary.update(chunk)
        return sum(tensor.numel() for _, tensor in named_tensors(summary.moments)) + len(summary.samples)

    assert numbers(3 * 32) == numbers(3 * 1024)


def test_draws_must_agree():
    summary = Summary.init(Categorical()).update(DRAWS)
    with pytest.raises(InputError, match=r"draws of float32 \(5, 4\) given after float32 \(6, 4\)"):
        summary.update(DRAWS[:, :5])
    with pytest.raises(OutputError, match="no class axis"):
        summary.update(DRAWS[..., 0])
    with pytest.raises(NonFiniteError, match="in draw 2 of this chunk"):
        summary.update(DRAWS.index_fill(0, torch.tensor([2]), torch.nan))
    with pytest.raises(InputError, match="num_samples=21, block_size=1: they must agree"):
        summary.result(Provenance(num_samples=21))
    with pytest.raises(InputError, match=r"20 draws in blocks of 1 given.*block_size=2"):
        summary.result(Provenance(num_samples=20, block_size=2))
    with pytest.raises(InputError, match="0 draws given, a prediction needs at least 1"):
        Summary.init(Categorical()).result(Provenance(num_samples=0))
    with pytest.raises(InputError, match="0 draws given"):
        from_draws(DRAWS[:0], Categorical())
    with pytest.raises(InputError, match="block_size=0 given"):
        Summary.init(Categorical(), block_size=0)


def test_draws_are_left_alone_and_not_shared():
    draws = DRAWS.clone()
    prediction = from_draws(draws, Gaussian(1.0))
    assert torch.equal(draws, DRAWS)
    draws.zero_()
    assert torch.equal(prediction.samples, DRAWS)
