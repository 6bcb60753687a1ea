"""Outputs beyond one vector of classes, read by the likelihoods that are made for them."""

import pytest
import torch
import transformers

import mcdrop
from mcdrop.errors import InputError
from tests import reference
from tests.conformance.case import Case, Net
from tests.conformance.outputs import CASES

BY_NAME = {case.name: case for case in CASES}
T = 20


def sampler(case: Case, **options) -> mcdrop.MCDropout:
    options = {"likelihood": mcdrop.Identity(), "batch_dim": case.batch_dim, "output": case.output} | options
    return mcdrop.MCDropout(case.model(), num_samples=T, seed=0, **options)


@pytest.mark.parametrize(
    ("name", "class_dim", "shape"),
    [
        ("a class for each token, BERT", -1, (3, 4)),
        ("a class for each token, LSTM", 2, (3, 4)),
        ("a class for each pixel, U-Net", 1, (3, 8, 8)),
    ],
)
def test_a_class_for_each_token_or_pixel(name, class_dim, shape) -> None:
    """Every token and pixel gets the entropies of its own T softmaxes."""
    case = BY_NAME[name]
    args, kwargs = case.inputs()
    prediction = sampler(case, likelihood=mcdrop.Categorical(class_dim=class_dim))(*args, **kwargs)
    draws = sampler(case).sample(*args, **kwargs).movedim(class_dim + 1 if class_dim > 0 else -1, -1)
    probs = torch.from_numpy(reference.softmax(draws.numpy()))
    entropy = torch.special.entr(probs.mean(0)).sum(-1)
    assert prediction.predictive_entropy.shape == shape
    torch.testing.assert_close(prediction.probs.movedim(class_dim, -1), probs.mean(0))
    torch.testing.assert_close(prediction.predictive_entropy, entropy)
    torch.testing.assert_close(prediction.mutual_information, entropy - torch.special.entr(probs).sum(-1).mean(0))
    labels = prediction.probs.movedim(class_dim, -1).argmax(-1)
    expected = probs.mean(0).gather(-1, labels[..., None])[..., 0].log()
    torch.testing.assert_close(prediction.log_prob(labels), expected)


@pytest.mark.parametrize("name", ["boxes on levels, a list of dictionaries", "boxes, a dictionary for each image"])
def test_boxes_come_back_in_the_models_own_structure(name) -> None:
    case = BY_NAME[name]
    args, kwargs = case.inputs()
    prediction, draws = sampler(case)(*args, **kwargs), sampler(case).sample(*args, **kwargs)
    model_output = case.model()(*args, **kwargs)
    assert [list(part) for part in prediction.mean] == [list(part) for part in model_output]
    for mean, variance, drawn, out in zip(prediction.mean, prediction.epistemic, draws, model_output, strict=True):
        for key in out:
            assert drawn[key].shape == (T, *out[key].shape)
            torch.testing.assert_close(mean[key], drawn[key].mean(0))
            torch.testing.assert_close(variance[key], drawn[key].var(0))


def test_a_record_of_transformers_comes_back_as_its_own_class() -> None:
    case = BY_NAME["a class for each token, BERT"]
    args, _ = case.inputs()
    mean = sampler(case, output=None)(*args, output_hidden_states=True).mean
    assert type(mean) is transformers.modeling_outputs.TokenClassifierOutput
    assert mean.loss is None
    assert [tuple(state.shape) for state in mean.hidden_states] == [(3, 4, 16)] * 2
    torch.testing.assert_close(mean.logits, sampler(case)(*args).mean)


def test_boxes_whose_number_depends_on_the_draw_are_refused_in_words() -> None:
    def confident(m, images):
        found = m.inner(images)
        return {"boxes": found["boxes"][0][found["logits"][0].amax(-1) > 3.5]}

    queries = BY_NAME["boxes of queries, a dictionary"]
    case = Case("boxes above a score", lambda: Net(confident, inner=queries.make()), queries.args, batch_dim=None)
    with pytest.raises(InputError, match=r"boxes: float64 \(\d, 4\) given after .*: all draws .* have the same shapes"):
        sampler(case)(*case.args)
