"""Which readers of `training` are told True: the author's intention, and nothing else of training mode."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mcdrop.errors import InputError, NoSiteError, UncontrolledSiteError
from mcdrop.sites import Sites, discover

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def model(function, **parts) -> nn.Module:
    """A model that holds `parts` and whose forward is `function(self, x)`."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, part)

        def forward(self, x):
            return function(self, x)

    return Model().eval()


def names(net, **options) -> list[str]:
    found = discover(net, (X,), {}, **options)
    assert not found.uncontrolled
    return [site.name for site in found.active]


def test_functional_dropout_under_the_flag() -> None:
    assert names(model(lambda m, x: F.dropout(x, 0.5, m.training))) == ["(model):dropout"]


def test_a_call_under_an_if() -> None:
    assert names(model(lambda m, x: F.dropout(x) if m.training else x)) == ["(model):dropout"]


def test_what_the_author_switched_off_stays_off() -> None:
    net = model(
        lambda m, x: m.drop(F.dropout(F.dropout(x, 0.5, m.training and m.use), 0.5, False)),
        use=False,
        drop=nn.Dropout(),
    )
    found = discover(net, (X,), {})
    assert [site.name for site in found.sites] == ["drop:dropout"]
    assert found.off == (
        "(model):dropout: called with training=False",
        "(model):dropout#2: called with training=False",
    )
    net.use = True
    assert names(net) == ["(model):dropout", "drop:dropout"]


def test_a_call_that_is_always_on_is_said_to_be() -> None:
    (site,) = discover(model(lambda m, x: F.dropout(x, 0.5)), (X,), {}).sites
    assert site.always_on
    assert site.established == "called with training=True"


def test_side_effects_of_training_stay_off_beside_dropout() -> None:
    """BatchNorm, a moving average, a target that training demands, an auxiliary output: all in one model."""

    def forward(m, x):
        if m.training:
            m.average.mul_(0.9).add_(x.mean())
        h = m.norm(F.dropout(x, 0.5, training=m.training))
        if m.training:
            raise ValueError("a target is needed")
        return (h, x) if m.training else h

    net = model(forward, norm=nn.BatchNorm1d(3))
    net.register_buffer("average", torch.zeros(()))
    assert names(net) == ["(model):dropout"]
    off = discover(net, (X,), {}).off
    assert any("buffers (running statistics, say) change" in line for line in off)
    assert any("raises ValueError: a target is needed" in line for line in off)
    assert any("the output is tuple with" in line for line in off)


def test_a_buffer_that_every_pass_writes_to_tells_nothing_about_training() -> None:
    def forward(m, x):
        m.average.add_(1)
        return F.dropout(x, training=m.training)

    net = model(forward)
    net.register_buffer("average", torch.zeros(()))
    assert names(net) == ["(model):dropout"]


def test_one_flag_for_dropout_and_something_else_is_refused_by_name() -> None:
    def forward(m, x):
        if m.training:
            m.average.add_(1)
            x = F.dropout(x)
        return x

    net = model(forward)
    net.register_buffer("average", torch.zeros(()))
    found = discover(net, (X,), {})
    with pytest.raises(
        UncontrolledSiteError,
        match=r"\(model\):dropout: it wakes up where test_discovery.py:\d+ .* reads `training`, and buffers .* change",
    ):
        found.require_active(net)


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda m, x: x[torch.randperm(len(x))] if m.training else x, "randperm in Model"),
        (lambda m, x: x @ torch.rand(3, 3) if m.training else x, r"\(model\):rand at .*: an operand of matmul"),
        (lambda m, x: torch.rand(3) if m.training else x, r"\(model\):rand at .*: its use is not seen"),
        (lambda m, x: x * (random.random() > 0.5) if m.training else x, "Python's random in Model"),
        (lambda m, x: x * float(np.random.rand() > 0.5) if m.training else x, "Python's numpy.random in"),  # noqa: NPY002
        (lambda m, x: x + torch.randn_like(x), "randn_like at .*additive noise.*: it draws in evaluation mode too"),
    ],
)
def test_random_operations_that_are_no_dropout_operation_are_refused_by_name(function, what) -> None:
    net = model(lambda m, x: m.drop(function(m, x)), drop=nn.Dropout())
    with pytest.raises(UncontrolledSiteError, match=what):
        discover(net, (X,), {}).require_active(net)


def test_numbers_drawn_by_the_model_itself() -> None:
    net = model(lambda m, x: x * (torch.rand_like(x) > 0.5) if m.training else x + 0.0)
    (site,) = discover(net, (X,), {}).sites
    assert (site.name, site.law, site.p) == ("(model):rand_like", "uniform(0, 1)", None)
    assert site.established.startswith("read of training at test_discovery.py:")


def test_numbers_drawn_in_evaluation_mode_too() -> None:
    (site,) = discover(model(lambda m, x: x * (torch.rand_like(x) > 0.5)), (X,), {}).sites
    assert site.always_on
    assert site.established == "drawn in evaluation mode too"


def test_noise_and_corruption_stay_off_and_are_listed() -> None:
    def forward(m, x):
        x = x + torch.randn_like(x) if m.training else x
        x = torch.where(torch.rand_like(x) < 0.9, x, x.flip(0)) if m.training else x
        return m.drop(x)

    found = discover(model(forward, drop=nn.Dropout()), (X,), {})
    assert [site.name for site in found.active] == ["drop:dropout"]
    assert not found.uncontrolled
    assert ["additive noise" in found.off[0], "replacement of values" in found.off[1]] == [True, True]


def test_noise_and_dropout_under_one_flag_are_refused_by_name() -> None:
    net = model(lambda m, x: F.dropout(x) + torch.randn_like(x) if m.training else x)
    with pytest.raises(UncontrolledSiteError, match=r"\(model\):dropout: it wakes up .*additive noise\) wakes up"):
        discover(net, (X,), {}).require_active(net)


def test_layers_skipped_by_the_host_are_dropout_and_other_decisions_are_not() -> None:
    def skips(m, x):
        return x if m.training and torch.rand(()) < 0.5 else m.linear(x)

    def augments(m, x):
        return x.flip(1) if m.training and torch.rand(()) < 0.5 else x

    def skips_by_python(m, x):
        return x if m.training and random.random() < 0.5 else m.linear(x)

    assert names(model(skips, linear=nn.Linear(3, 3))) == ["(model):rand"]
    assert names(model(skips_by_python, linear=nn.Linear(3, 3))) == ["(model):random"]
    net = model(augments, linear=nn.Linear(3, 3))
    with pytest.raises(UncontrolledSiteError, match="decision of the host program"):
        discover(net, (X,), {}).require_active(net)


def test_numbers_drawn_in_every_mode_and_used_in_training_alone() -> None:
    """LayerDrop as transformers writes it."""

    def forward(m, x):
        number = torch.rand([])
        return x if m.training and number < 0.3 else m.linear(x)

    net = model(forward, linear=nn.Linear(3, 3))
    assert names(net) == ["(model):rand"]
    assert names(model(lambda m, x: (torch.rand([]), m.drop(x))[1], drop=nn.Dropout())) == ["drop:dropout"]


@pytest.mark.parametrize("momentum", [0.1, 0.0])
def test_a_functional_normalisation_under_the_flag_of_dropout_is_refused(momentum) -> None:
    """Its kernel writes to the running statistics without counting a write; with momentum 0 it writes nothing."""

    def forward(m, x):
        flag = m.training
        return F.dropout(F.batch_norm(x, m.mean, m.var, training=flag, momentum=momentum), 0.3, flag)

    net = model(forward)
    net.register_buffer("mean", torch.zeros(3))
    net.register_buffer("var", torch.ones(3))
    with pytest.raises(UncontrolledSiteError, match=r"dropout: it wakes up .*(buffers|statistics of the batch)"):
        discover(net, (X,), {}).require_active(net)


def test_a_reader_stays_the_same_when_python_specialises_its_code() -> None:
    def forward(m, x):
        for _ in range(3):
            x = F.dropout(x, 0.5, getattr(m, "training"))  # noqa: B009 (a call, of several instructions)
        return x

    net = model(forward)
    for _ in range(20):  # the code grows hot
        assert len(names(net)) == 3


def test_attention_whose_p_and_flag_are_read_apart() -> None:
    """Both readers are needed (eager attention in transformers); either alone changes nothing."""

    def attention(owner, x, dropout):
        return F.dropout(x, p=dropout, training=owner.training)

    net = model(lambda m, x: attention(m, x, 0.0 if not m.training else 0.3))
    (site,) = discover(net, (X,), {}).active
    assert site.p == 0.3


def test_what_draws_itself_is_chosen_with_its_reader() -> None:
    def by_hand(m, x):
        return x * (torch.rand_like(x) > 0.5) if m.training else x

    net = model(lambda m, x: m.drop(m.hand(x)), hand=model(by_hand), drop=nn.Dropout())
    assert names(net) == ["hand:rand_like", "drop:dropout"]
    assert names(net, sites=Sites(only="hand")) == ["hand:rand_like"]
    assert names(net, sites=Sites(exclude="hand")) == ["drop:dropout"]
    assert names(net, sites=Sites(p={"drop": 0.1})) == ["hand:rand_like", "drop:dropout"]
    with pytest.raises(InputError, match="whose probability is written in the model's own code"):
        discover(net, (X,), {}, sites=Sites(p=0.1))


def test_randomness_of_evaluation_mode_is_not_taken_for_rows_that_influence_each_other() -> None:
    net = model(lambda m, x: F.gumbel_softmax(m.drop(x)), drop=nn.Dropout())
    with pytest.raises(UncontrolledSiteError, match=r"gumbel_softmax in Model .*: it draws in evaluation mode too"):
        discover(net, (X,), {}, batch_dim=0).require_active(net)


def test_recurrent_layers_without_dropout_are_no_obstacle() -> None:
    net = model(lambda m, x: m.drop(m.lstm(x[None])[0][0]), lstm=nn.LSTM(3, 4, 2), drop=nn.Dropout())
    assert names(net) == ["drop:dropout"]


def test_excluded_modules_may_hold_what_cannot_be_controlled() -> None:
    def shuffle(m, x):
        return x[torch.randperm(len(x))] if m.training else x

    net = model(lambda m, x: m.drop(m.shuffle(x)), shuffle=model(shuffle), drop=nn.Dropout())
    assert names(net, sites=Sites(exclude="shuffle")) == ["drop:dropout"]


def test_modules_held_by_something_that_is_no_module_are_refused() -> None:
    class Holder:
        def __init__(self) -> None:
            self.drop = nn.Dropout().eval()

    net = model(lambda m, x: m.holder.drop(x), holder=Holder())
    with pytest.raises(UncontrolledSiteError, match="held by something that is no module"):
        discover(net, (X,), {}).require_active(net)


def test_traced_graphs_with_the_flag_baked_in_are_refused() -> None:
    net = torch.fx.symbolic_trace(model(lambda m, x: F.dropout(x, 0.5, m.training)))
    with pytest.raises(UncontrolledSiteError, match="the traced graph holds training=False as a constant"):
        discover(net, (X,), {}).require_active(net)


@pytest.mark.parametrize(
    ("net", "options", "message"),
    [
        (nn.Linear(3, 2), {}, "No stochastic site in Linear: no dropout operation runs in it"),
        (nn.Sequential(nn.Dropout(0.0)), {}, "No stochastic site in Sequential: all of its 1 sites have p = 0"),
        (
            nn.Sequential(nn.Dropout(), nn.Dropout()),
            {"sites": Sites(exclude=nn.Dropout)},
            "No stochastic site in Sequential: all of its sites are excluded",
        ),
    ],
)
def test_nothing_to_sample_is_an_error(net, options, message) -> None:
    with pytest.raises(NoSiteError, match=message):
        discover(net, (X,), {}, **options).require_active(net)


def test_sites_are_chosen_by_path_class_and_position() -> None:
    net = nn.Sequential(nn.Dropout(0.1), nn.Linear(3, 3), nn.AlphaDropout(0.2), nn.Dropout(0.3))
    everything = ["0:dropout", "2:alpha_dropout", "3:dropout"]
    assert names(net) == everything
    assert names(net, sites=Sites(only="3")) == everything[2:]
    assert names(net, sites=Sites(only="*:dropout")) == [everything[0], everything[2]]
    assert names(net, sites=Sites(only=nn.AlphaDropout)) == everything[1:2]
    assert names(net, sites=Sites(only=-1)) == everything[2:]
    assert names(net, sites=Sites(exclude=(0, "2"))) == everything[2:]
    assert [site.p for site in discover(net, (X,), {}, sites=Sites(p={"*": 0.5, -1: 0.7})).sites] == [0.5, 0.5, 0.7]


def test_another_p_wakes_sites_of_p_zero() -> None:
    net = nn.Sequential(nn.Dropout(0.0))
    assert names(net, sites=Sites(p=0.2)) == ["0:dropout"]


@pytest.mark.parametrize("sites", [Sites(only="heads.*"), Sites(exclude=nn.LSTM), Sites(only=7), Sites(p={"a": 0.5})])
def test_a_pattern_that_matches_nothing_is_refused_by_name(sites) -> None:
    with pytest.raises(NoSiteError, match=r"matches no dropout site. The model's sites: 0:dropout"):
        discover(nn.Sequential(nn.Dropout()), (X,), {}, sites=sites)


def test_what_the_model_raises_is_raised_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        discover(nn.Sequential(nn.Linear(5, 2), nn.Dropout()), (X,), {})
