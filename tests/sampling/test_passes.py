"""The central test of the engine: the same masks give the same outputs however the passes are run, and the law of a
row's whole output is that of a hand-written loop."""

import pytest
import torch
from scipy import stats
from torch import nn

import mcdrop
from mcdrop.sampling import SubNetwork
from tests.networks import FAMILIES, LayerDrop, family, trained_looking

EXECUTIONS = ("loop", "vectorised")


def sampled(model, x, execution, **options):
    options = {"num_samples": 12, "seed": 3, "likelihood": mcdrop.Identity(), **options}
    mc = mcdrop.MCDropout(model, plan=mcdrop.Plan(execution=execution, on_error="raise"), **options)
    draws = mc.sample(x)
    assert mc(x).provenance.execution.startswith(execution)
    return draws


@pytest.mark.parametrize("shared", [True, False], ids=["shared masks", "own masks"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_execution_gives_the_same_outputs(name, shared) -> None:
    model, x = family(name)
    loop, vectorised = (sampled(model, x, execution, shared_masks=shared) for execution in EXECUTIONS)
    assert loop.std(dim=0).min() > 0
    torch.testing.assert_close(vectorised, loop, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("design", [mcdrop.Antithetic(), mcdrop.Stratified(4)], ids=repr)
def test_designs_too(design) -> None:
    model, x = family("mlp")
    loop, vectorised = (sampled(model, x, execution, design=design) for execution in EXECUTIONS)
    torch.testing.assert_close(vectorised, loop, rtol=1e-10, atol=1e-12)


def naive_draws(model, x, count):
    """The hand-written loop: dropout in training mode, everything else in evaluation mode."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(11)
        draws = torch.stack([model(x) for _ in range(count)])
    model.eval()
    return draws


@pytest.mark.parametrize("shared", [True, False], ids=["shared masks", "own masks"])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_joint_law_of_a_row_is_that_of_the_naive_loop(name, shared) -> None:
    """Random projections of each row's whole output: tying anything inside a row (tokens, channels) would show."""
    model, x = family(name)
    count = 3000
    ours = sampled(model, x, "vectorised", shared_masks=shared, num_samples=count).flatten(2)
    theirs = naive_draws(model, x, count).flatten(2)
    generator = torch.Generator().manual_seed(5)
    directions = torch.randn(ours.shape[2], 4, dtype=torch.float64, generator=generator)
    pvalues = [
        stats.ks_2samp(first, second).pvalue
        for row in range(x.shape[0])
        for first, second in zip((ours[:, row] @ directions).T, (theirs[:, row] @ directions).T, strict=True)
    ]
    assert min(pvalues) > 1e-4 / len(pvalues)  # Bonferroni: a false alarm once in ten thousand


def test_whole_layers_left_out_by_the_host_program() -> None:
    """LayerDrop: its law, in the loop, because no vmap can follow the host's decisions."""
    model = trained_looking(LayerDrop())
    x = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=2000, seed=3)
    prediction = mc(x)
    assert prediction.provenance.execution.startswith("loop: not vectorised")
    ours = prediction.samples.flatten(1)
    theirs = naive_draws(model, x, 2000).flatten(1)
    for outcome in theirs.unique(dim=0):  # eight sub-networks
        share, expected = ((draws == outcome).all(dim=1).double().mean() for draws in (ours, theirs))
        assert abs(share - expected) < 4 * (2 * expected * (1 - expected) / 2000) ** 0.5
    assert len(ours.unique(dim=0)) == 8


def test_the_projections_see_tied_tokens() -> None:
    """The test above can fail: one mask for all tokens of a row keeps each element's law and not the row's."""
    model, x = family("tokens in rows")
    count = 3000
    theirs = naive_draws(model, x, count)
    kept = (torch.rand(count, 1, 1, 4, generator=torch.Generator().manual_seed(0)) > 0.5).double() * 2
    with torch.no_grad():
        tied = model.linear(x) * kept
    element = stats.ks_2samp(tied[:, 0, 0, 0], theirs[:, 0, 0, 0]).pvalue
    whole = stats.ks_2samp(tied[:, 0].flatten(1).sum(1), theirs[:, 0].flatten(1).sum(1)).pvalue
    assert element > 1e-4
    assert whole < 1e-10


def test_shared_masks_are_one_function_of_the_input() -> None:
    """Equal rows get equal outputs in every draw; with masks of their own they do not."""
    model, x = family("mlp")
    x = x[:1].expand(4, -1).contiguous()
    shared = sampled(model, x, "vectorised")
    assert torch.equal(shared, shared[:, :1].expand_as(shared))
    own = sampled(model, x, "vectorised", shared_masks=False)
    assert (own[:, 0] - own[:, 1]).abs().min() > 0


@pytest.mark.parametrize("name", ["tokens in rows", "rows in tokens"])
def test_one_row_first_and_several_later(name) -> None:
    """One row fits every layout; what was established from it must not be used for several."""
    model, x = family(name)
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=5, seed=0)
    first = mc.sample(x[:1])
    torch.testing.assert_close(mc.sample(x)[:, :1], first, rtol=1e-10, atol=1e-12)


def test_packed_sequences_of_any_length_share_the_masks_of_the_steps_they_have() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.GRU(3, 4, 2, dropout=0.5, batch_first=True)

        def forward(self, x, lengths):
            pack = nn.utils.rnn.pack_padded_sequence
            return self.recurrent(pack(x, lengths, batch_first=True, enforce_sorted=False))[1][-1]

    model = trained_looking(Reader())
    x, lengths = torch.randn(3, 5, 3, dtype=torch.float64), torch.tensor([3, 5, 2])
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=9, seed=0)
    together = mc.sample(x, lengths)
    for row in range(3):
        alone = mc.sample(x[row : row + 1], lengths[row : row + 1])
        torch.testing.assert_close(alone[:, 0], together[:, row], rtol=1e-10, atol=1e-12)


def test_one_coin_that_falls_alike_in_few_draws_is_a_result() -> None:
    class OneCoin(nn.Module):
        def forward(self, x):
            return x * torch.empty(1).bernoulli_(0.9) if self.training else x

    for seed in range(10):  # three draws agree in 73 % of the seeds
        prediction = mcdrop.predict(OneCoin(), torch.ones(2, 3), likelihood=mcdrop.Identity(), num_samples=3, seed=seed)
        assert prediction.mean.shape == (2, 3)


def test_a_site_that_only_values_lead_to() -> None:
    """Steps until something is small: discovered with the identity, fewer steps run than with masks."""

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            for _ in range(4):
                x = nn.functional.dropout(self.linear(x).tanh(), 0.4, self.training)
                if x.abs().max() < 1.2:
                    break
            return x

    model = trained_looking(Steps())
    x = torch.randn(2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    options = {"likelihood": mcdrop.Identity(), "num_samples": 20, "seed": 0}
    assert mcdrop.predict(model, x, batch_dim=None, **options).epistemic.min() > 0
    with pytest.raises(
        mcdrop.errors.UncontrolledSiteError, match="did not run when the model's sites were established"
    ):
        mcdrop.predict(model, x, **options)


def test_one_object_without_rows() -> None:
    model, x = family("mlp")
    whole = sampled(model, x, "vectorised", batch_dim=None)
    assert (whole[:, 0] - whole[:, 1]).abs().min() > 0


def test_what_cannot_be_vectorised_falls_back_and_says_so() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout()

        def forward(self, x):
            x = self.drop(x)
            return x * 2 if x.sum() > 0 else x

    x = torch.rand(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mc = mcdrop.MCDropout(Branch(), likelihood=mcdrop.Identity(), num_samples=8, seed=0)
    prediction = mc(x)
    assert prediction.provenance.execution.startswith("loop: not vectorised (RuntimeError: vmap: It looks like")
    looped = mcdrop.MCDropout(
        Branch(), likelihood=mcdrop.Identity(), num_samples=8, seed=0, plan=mcdrop.Plan(execution="loop")
    )
    assert torch.equal(prediction.samples, looped.sample(x))
    strict = mcdrop.Plan(on_error="raise")
    with pytest.raises(mcdrop.errors.VectorisationError, match="vmap: It looks like"):
        mcdrop.MCDropout(Branch(), likelihood=mcdrop.Identity(), num_samples=8, plan=strict)(x)


class InPlace(nn.Module):
    """In-place dropout whose result is used through its input, on the model's own input."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5, inplace=True)

    def forward(self, x):
        self.drop(x)
        return x + 0


def test_in_place_dropout_is_in_place_and_the_users_input_survives() -> None:
    x = torch.ones(4, 50)
    draws = mcdrop.MCDropout(InPlace(), likelihood=mcdrop.Identity(), num_samples=20, seed=0).sample(x)
    assert set(draws.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(x, torch.ones(4, 50))


def test_native_randomness_runs_with_masks_of_its_own_and_a_seed() -> None:
    class ByHand(nn.Module):
        def forward(self, x):
            return x * torch.empty_like(x).exponential_() if self.training else x

    model, x = ByHand(), torch.ones(2, 50)
    options = {"likelihood": mcdrop.Identity(), "num_samples": 10, "seed": 0}
    mc = mcdrop.MCDropout(model, sites=mcdrop.Sites(uncontrolled="native"), **options)
    before = torch.get_rng_state()
    first, second = mc(x), mc(x)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.samples, second.samples)
    assert len(first.samples.unique()) == 10 * 2 * 50
    assert (first.samples[:, 0] != first.samples[:, 1]).any()
    assert not first.provenance.shared_masks
    assert first.provenance.execution == "loop: random operations run with torch's own randomness"


@pytest.mark.parametrize("name", FAMILIES)
def test_a_mask_taken_out_replays_its_draw(name) -> None:
    model, x = family(name)
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=6, seed=0)
    draws = mc.sample(x)
    torch.testing.assert_close(SubNetwork(model, mc.masks(3))(x), draws[3], rtol=1e-10, atol=1e-12)
