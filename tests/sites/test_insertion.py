import copy
import pickle

import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.errors import InputError, NoSiteError
from mcdrop.sites import insert


def plain() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Sequential(nn.Linear(5, 5), nn.Tanh()), nn.Linear(5, 2)).eval()


X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def test_the_model_is_left_alone_and_the_copy_computes_the_same() -> None:
    model = plain()
    before = copy.deepcopy(model.state_dict())
    new = insert(model, nn.Dropout(0.5), before=nn.Linear)
    assert torch.equal(new(X), model(X))
    assert list(new.state_dict()) == list(before)
    assert not any(isinstance(module, nn.Dropout) for module in model.modules())
    assert not any(module.training for module in new.modules())
    assert new[0].weight is not model[0].weight


@pytest.mark.parametrize(
    ("before", "paths"),
    [
        (nn.Linear, ["0", "2.0", "3"]),
        ("2.*", ["2.0", "2.1"]),
        (4, ["3"]),
        (["0", nn.Tanh], ["0", "2.1"]),
        (nn.Sequential, ["", "2"]),
    ],
)
def test_layers_are_chosen_by_class_path_and_position(before, paths) -> None:
    new = insert(plain(), nn.Dropout(0.5), before=before)
    found = [path for path, module in new.named_modules() if isinstance(module, nn.Dropout)]
    assert sorted(path.removesuffix("noise_before").rstrip(".") for path in found) == sorted(paths)


def test_what_is_inserted_is_a_site() -> None:
    new = insert(plain(), nn.Dropout(0.5), before="3")
    (site,) = mcdrop.audit(new, X).sites
    assert (site.name, site.p) == ("3.noise_before:dropout", 0.5)
    prediction = mcdrop.predict(new, X, likelihood=mcdrop.Gaussian(1.0), num_samples=20_000, seed=0, keep_samples=False)
    # Closed form: dropout before the last linear map W h has variance p / (1 - p) sum_j W_ij^2 h_j^2.
    with torch.no_grad():
        hidden = new[:3](X)
        expected = hidden.square() @ new[3].weight.square().T
    # Relative standard error of a variance from T draws of five coins, at most sqrt(2 / T).
    torch.testing.assert_close(prediction.epistemic.float(), expected, rtol=4 * (2 / 20_000) ** 0.5, atol=0)


def test_it_can_be_copied_saved_and_trained() -> None:
    new = insert(plain(), nn.Dropout(0.5), before=nn.Linear)
    again = pickle.loads(pickle.dumps(copy.deepcopy(new)))
    assert torch.equal(again(X), new(X))
    again.train()
    assert not torch.equal(again(X), again(X))


def test_what_cannot_be_inserted() -> None:
    with pytest.raises(NoSiteError, match=r"Conv2d.* matches no layer. The model has Linear, ReLU, Sequential"):
        insert(plain(), nn.Dropout(), before=nn.Conv2d)
    with pytest.raises(InputError, match="float was given as the noise"):
        insert(plain(), 0.5, before=nn.Linear)
    new = insert(plain(), nn.Dropout(), before="3")
    with pytest.raises(InputError, match="3 has noise before it already"):
        insert(new, nn.Dropout(), before="3")
