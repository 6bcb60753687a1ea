import math

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

import mcdrop
from mcdrop.errors import InputError
from mcdrop.noise import Masksembles, MasksemblesLaw, TiedMasksembles
from mcdrop.sites import insert
from tests.noise.laws import N

MASKS = torch.tensor([[1, 1, 0, 1, 0], [0, 1, 1, 1, 0], [0, 1, 1, 0, 1]], dtype=torch.bool)
KEEPERS = torch.tensor([1, 3, 2, 2, 1])
EXACT = {"rtol": 1e-10, "atol": 1e-12}
# The checks touch Python's random state, which the engine watches.
engine = pytest.mark.usefixtures("without_type_checks")


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("inverted", [True, False])
def test_the_law_against_its_closed_forms(inverted: bool) -> None:
    law = MasksemblesLaw(MASKS, inverted=inverted)
    z = law.sample((N, 5, 2), torch.Generator().manual_seed(0), torch.float64)
    assert z.shape == (N, 5, 1)
    share = KEEPERS.double() / 3
    factor = 1 / share if inverted else torch.ones(5, dtype=torch.float64)
    means, variances = factor * share, factor**2 * share * (1 - share)
    errors = (variances / N).sqrt() + 1e-6
    assert ((z.mean(0)[:, 0] - means).abs() <= 4 * errors).all()
    squares = (z[..., 0] - means).square()
    assert ((squares.mean(0) - variances).abs() <= 4 * squares.std(0) / math.sqrt(N) + 1e-6).all()
    assert law.mean == pytest.approx(means.mean().item())
    assert law.variance == pytest.approx(variances.mean().item())
    entropies = [stats.bernoulli(p).entropy() for p in share.tolist()]
    assert law.entropy == pytest.approx(sum(entropies) / 5)
    log_prob = law.log_prob(z).mean(dim=1)
    assert abs(log_prob.mean().item() + law.entropy) <= 4 * log_prob.std().item() / math.sqrt(N)


def test_every_mask_is_equally_likely_whole() -> None:
    law = MasksemblesLaw(MASKS, inverted=False)
    z = law.sample((30_000, 5), torch.Generator().manual_seed(0))
    found, counts = z.bool().unique(dim=0, return_counts=True)
    assert {tuple(mask) for mask in found.tolist()} == {tuple(mask) for mask in MASKS.tolist()}
    assert stats.chisquare(counts.numpy()).pvalue > 1e-4


def test_log_probabilities_by_hand() -> None:
    law = MasksemblesLaw(MASKS, dim=-1)
    z = torch.tensor([[3.0, 1.0, 0.0, 1.5, 2.0], [0.0, 0.0, 1.5, 0.0, 0.0]])
    expected = [
        [math.log(1 / 3), 0, math.log(1 / 3), math.log(2 / 3), -math.inf],
        [math.log(2 / 3), -math.inf, math.log(2 / 3), math.log(1 / 3), math.log(2 / 3)],
    ]
    torch.testing.assert_close(law.log_prob(z), torch.tensor(expected))


def test_overlap_by_hand() -> None:
    assert MasksemblesLaw(MASKS).overlap == pytest.approx((2 / 4 + 1 / 5 + 2 / 4) / 3)


@pytest.mark.parametrize("inverted", [True, False])
@pytest.mark.parametrize(("shape", "dim"), [((200, 12), 1), ((200, 12, 3, 2), 1), ((200, 4, 12), -1)])
def test_the_layer_by_hand(shape: tuple[int, ...], dim: int, inverted: bool) -> None:
    """Every row is the input times one of the masks; evaluation is the mean of the n members."""
    layer = Masksembles(12, 3, 2.0, dim=dim, inverted=inverted).double()
    x = normal(*shape)
    along = [1] * (len(shape) - 1)
    along[dim - 1 if dim > 0 else dim] = 12
    share = layer.masks.double().sum(0) / 3
    factors = (layer.masks / share if inverted else layer.masks.double()).view(3, *along)
    members = x[:, None] * factors
    output = layer(x)
    close = torch.stack([torch.isclose(output, members[:, i], rtol=1e-12).flatten(1).all(1) for i in range(3)], dim=1)
    assert (close.sum(dim=1) == 1).all()
    assert stats.chisquare(close.sum(dim=0).numpy()).pvalue > 1e-4
    torch.testing.assert_close(layer.eval()(x), members.mean(dim=1), **EXACT)
    assert not inverted or layer(x) is x


def test_half_precision_is_scaled_in_full() -> None:
    """A share of 5/13, say, rounded to bfloat16 before the division would give another number."""
    layer = Masksembles(100, 13, 1.5)
    output = layer(torch.ones(500, 100, dtype=torch.bfloat16))
    assert output.dtype == torch.bfloat16
    assert set(output.unique().tolist()) == {0.0, *layer.law.values.amax(dim=0).bfloat16().tolist()}


@pytest.mark.parametrize("model", [Masksembles(4, 2).double(), TiedMasksembles(Masksembles(4, 2)).double()])
def test_gradients_against_finite_differences(model: nn.Module) -> None:
    def run(x: Tensor) -> Tensor:
        torch.manual_seed(2)
        return model(x)

    assert torch.autograd.gradcheck(run, normal(5, 4, 3).requires_grad_())


@engine
def test_trained_weights_are_kept_to_the_bit() -> None:
    trained = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 3)).eval()
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    masked = insert(trained, Masksembles(8), before="1")
    kept = {name: value for name, value in masked.state_dict().items() if name in before}
    torch.testing.assert_close(kept, before, rtol=0, atol=0)
    x = torch.randn(4, 1, 6, 6)
    assert torch.equal(masked(x), trained(x))
    assert mcdrop.predict(masked, x, likelihood=mcdrop.Categorical(), seed=0).mutual_information.min() > 0


def test_the_masks_are_saved_with_the_weights() -> None:
    saved, other = Masksembles(16, seed=1), Masksembles(16, seed=2)
    assert not torch.equal(saved.masks, other.masks)
    other.load_state_dict(saved.state_dict())
    assert torch.equal(saved.masks, other.masks)


def network() -> nn.Sequential:
    """Two layers of masks, with different ones, and other noise between them in no mode."""
    return nn.Sequential(
        nn.Linear(4, 16), Masksembles(16, 5, seed=1), nn.Tanh(), nn.Linear(16, 12), Masksembles(12, 5, seed=2),
        nn.Tanh(), nn.Linear(12, 2),
    ).double().eval()  # fmt: skip


def members(model: nn.Sequential, x: Tensor) -> Tensor:
    """The n networks written out, (n, N, 2): the masks of one number at all layers."""
    outputs = []
    for number in range(5):
        h = x
        for layer in model:
            h = h * layer.law.values.double()[number] if isinstance(layer, Masksembles) else layer(h)
        outputs.append(h)
    return torch.stack(outputs)


def sampled(model: nn.Module, x: Tensor, **options) -> Tensor:
    options = {"num_samples": 5, "seed": 0, **options}
    return mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), **options).sample(x).detach()


def numbers(draws: Tensor, of: Tensor) -> Tensor:
    """Which member each row of each draw is, (T, N)."""
    close = torch.isclose(draws[:, None], of[None], rtol=1e-10).all(dim=-1)
    assert (close.sum(dim=1) == 1).all()
    return close.int().argmax(dim=1)


@engine
@pytest.mark.parametrize("shared", [True, False])
def test_a_stratified_block_of_n_draws_is_the_n_members(shared: bool) -> None:
    model, x = network(), normal(6, 4)
    draws = sampled(TiedMasksembles(model), x, design=mcdrop.Stratified(5), shared_masks=shared)
    found = numbers(draws, members(model, x))
    assert found.sort(dim=0).values.tolist() == [[number] * 6 for number in range(5)]
    assert (found == found[:, :1]).all().item() == shared


@engine
@pytest.mark.parametrize("shared", [True, False])
def test_independent_draws_pick_members_at_random(shared: bool) -> None:
    model, x = network(), normal(6, 4)
    found = numbers(sampled(TiedMasksembles(model), x, num_samples=1000, shared_masks=shared), members(model, x))
    for row in found.T:
        assert stats.chisquare(row.bincount(minlength=5).numpy()).pvalue > 1e-4
    pairs = found[:, 0] * 5 + found[:, 1]
    assert len(pairs.unique()) == (5 if shared else 25)


@engine
def test_untied_layers_mix_their_masks() -> None:
    model, x = network(), normal(1, 4)
    assert len(sampled(model, x, num_samples=400).unique(dim=0)) == 25
    assert len(sampled(TiedMasksembles(model), x, num_samples=400).unique(dim=0)) == 5


@engine
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_the_executions_agree(shared: bool, tied: bool) -> None:
    model, x = TiedMasksembles(network()) if tied else network(), normal(6, 4)
    together = sampled(model, x, num_samples=20, shared_masks=shared, plan=mcdrop.Plan(on_error="raise"))
    one_by_one = sampled(model, x, num_samples=20, shared_masks=shared, plan=mcdrop.Plan(execution="loop"))
    torch.testing.assert_close(together, one_by_one, **EXACT)
    assert together.std(dim=0).min() > 0


@engine
def test_the_audit_lists_its_draws() -> None:
    rows = {
        tied: mcdrop.audit(TiedMasksembles(network()) if tied else network(), normal(6, 4)).rows() for tied in (0, 1)
    }
    assert [(row["site"], row["law"], row["p"], row["rows on"]) for row in rows[0]] == [
        ("1:rand", "uniform(0, 1)", "-", "axis 0"),
        ("4:rand", "uniform(0, 1)", "-", "axis 0"),
    ]
    assert [(row["site"], row["law"], row["p"], row["rows on"]) for row in rows[1]] == [
        ("model.1:rand", "uniform(0, 1)", "-", "axis 0"),
    ]


def test_tied_in_training_every_row_is_a_member() -> None:
    model, x = network().train(), normal(300, 4)
    output = TiedMasksembles(model)(x).detach()
    found = numbers(output[None], members(model, x))[0]
    assert stats.chisquare(found.bincount(minlength=5).numpy()).pvalue > 1e-4
    assert all(layer._member is None for layer in model if isinstance(layer, Masksembles))


def test_tied_after_an_error_layers_are_as_before() -> None:
    model = network().train()
    with pytest.raises(RuntimeError):
        TiedMasksembles(model)(normal(3, 7))
    assert all(layer._member is None for layer in model if isinstance(layer, Masksembles))


@pytest.mark.usefixtures("without_type_checks")
def test_refuses_what_does_not_fit() -> None:
    for x in (torch.zeros(3, 5), torch.zeros(6), torch.zeros(6, 3)):
        with pytest.raises(
            InputError, match=r"of 6 features was given .*; expected rows on axis 0 and 6 features on axis 1"
        ):
            Masksembles(6)(x)
    for dim in (0, True, 1.0):
        with pytest.raises(InputError, match="expected the axis of the features, which is not axis 0"):
            Masksembles(6, dim=dim)
    for masks in (MASKS[0], MASKS.float(), MASKS[:2]):
        with pytest.raises(InputError, match=r"expected booleans, .* every feature kept by one mask at least"):
            MasksemblesLaw(masks)
    with pytest.raises(InputError, match="Linear has no Masksembles layer; expected such layers"):
        TiedMasksembles(nn.Linear(2, 2))
    with pytest.raises(InputError, match=r"numbers of masks \[2, 3\]; expected such layers with one number of masks"):
        TiedMasksembles(nn.Sequential(Masksembles(6, 2), Masksembles(6, 3)))
    folded = nn.Sequential(Masksembles(6, 2), nn.Flatten(0, 1), Masksembles(2, 2))
    with pytest.raises(InputError, match="A layer sees 18 rows where another saw 3"):
        TiedMasksembles(folded)(torch.zeros(3, 6, 2))
