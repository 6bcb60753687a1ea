from dataclasses import replace

import pytest
import torch

from mcdrop.calibration.predictive_kind import PredictiveKind
from mcdrop.errors import InputError
from mcdrop.prediction import Binary, Categorical, Gaussian, Identity, Provenance, from_draws

RAN = Provenance(num_samples=6, seed=3, design="Stratified(block=2)", block_size=2)
CLASSES = Categorical()


def predicted(provenance=RAN, likelihood=CLASSES, shape=(4, 3)):
    draws = torch.randn(provenance.num_samples, *shape, generator=torch.Generator().manual_seed(0))
    return from_draws(draws, likelihood, block_size=provenance.block_size, provenance=provenance)


FITTED = PredictiveKind.of(predicted())


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (predicted(replace(RAN, num_samples=8)), "num_samples=8 given, and this Thing was fitted on one with num_samp"),
        (predicted(replace(RAN, seed=4)), "seed=4 given, and this Thing was fitted on one with seed=3"),
        (predicted(replace(RAN, seed=None)), "seed=None given"),
        (predicted(replace(RAN, design="Independent()", block_size=1)), r"design='Independent\(\)' given"),
        (predicted(replace(RAN, block_size=3)), "block_size=3 given"),
        (predicted(replace(RAN, shared_masks=False)), "shared_masks=False given"),
        (predicted(replace(RAN, members=True)), "members=True given"),
        (
            predicted(replace(RAN, recalibrated="Temperature 1f")),
            "by Temperature 1f given, .* by nothing: apply",
        ),
        (predicted(shape=(4, 5)), r"outputs=\(5,\) given"),
        (predicted(likelihood=Categorical(class_dim=1)), r"likelihood='Categorical\(class_dim=1"),
        (predicted(likelihood=Binary()), "likelihood='Binary"),
    ],
)
def test_another_predictive_is_refused_with_the_remedy(other, words):
    with pytest.raises(InputError, match=words) as error:
        FITTED.check(other, "Thing")
    assert "predict with" in str(error.value) or "apply the same recalibrators" in str(error.value)


@pytest.mark.parametrize(
    "same",
    [
        predicted()[:1],
        predicted(shape=(9, 3)),
        predicted().to(torch.float32),
        predicted(replace(RAN, execution="loop", torch_version="9", mcdrop_version="9")),
        from_draws(torch.zeros(6, 4, 3), Categorical(), block_size=2, keep_samples=True, provenance=RAN),
    ],
)
def test_other_rows_and_ways_of_computing_are_no_other_predictive(same):
    FITTED.check(same, "Thing")


@pytest.mark.parametrize("change", [{"shared_masks": False}, {"members": True}])
def test_where_rows_share_no_masks_of_a_seed_another_seed_is_no_other_predictive(change):
    one, other = (predicted(replace(RAN, seed=seed, **change)) for seed in (1, 2))
    PredictiveKind.of(one).check(other, "Thing")


def test_outputs_are_those_of_a_row_without_pixels():
    images = predicted(likelihood=Categorical(class_dim=1), shape=(2, 3, 4, 5))
    assert PredictiveKind.of(images).outputs == (3,)
    assert PredictiveKind.of(predicted(likelihood=Categorical(class_dim=-1), shape=(2, 4, 5, 3))).outputs == (3,)
    assert PredictiveKind.of(predicted(likelihood=Binary())).outputs == ()
    assert PredictiveKind.of(predicted(likelihood=Gaussian(1.0), shape=(4, 2))).outputs == (2,)


def test_raw_outputs_are_refused():
    with pytest.raises(InputError, match=r"of Identity\(\) given, which says nothing about targets"):
        PredictiveKind.of(predicted(likelihood=Identity()))
