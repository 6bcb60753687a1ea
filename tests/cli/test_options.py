import argparse

import pytest

from mcdrop.cli import options
from mcdrop.posterior import Antithetic, Independent, Stratified
from mcdrop.prediction import Binary, Categorical, Gaussian, HeteroscedasticGaussian, Identity, Poisson


@pytest.mark.parametrize(
    ("text", "likelihood"),
    [
        ("categorical", Categorical()),
        ("categorical:1", Categorical(class_dim=1)),
        ("categorical:-1", Categorical(class_dim=-1)),
        ("categorical:probs", Categorical(probs=True)),
        ("categorical:probs,1", Categorical(class_dim=1, probs=True)),
        ("binary", Binary()),
        ("binary:probs", Binary(probs=True)),
        ("gaussian:25", Gaussian(25.0)),
        ("gaussian:25,.5", Gaussian((25.0, 0.5))),
        ("heteroscedastic", HeteroscedasticGaussian("log_variance")),
        ("heteroscedastic:std", HeteroscedasticGaussian("std")),
        ("poisson", Poisson()),
        ("identity", Identity()),
    ],
)
def test_likelihoods(text, likelihood):
    assert options.likelihood(text) == likelihood


@pytest.mark.parametrize(
    ("text", "design"),
    [
        ("independent", Independent()),
        ("antithetic", Antithetic()),
        ("stratified", Stratified(20)),
        ("stratified:10", Stratified(10)),
    ],
)
def test_designs(text, design):
    assert options.design(text) == design


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (options.likelihood, "softmax", "'softmax' is no likelihood; expected one of categorical, binary, gaussian"),
        (options.likelihood, "categorical:logits", "'categorical:logits' cannot be read; see --help"),
        (options.likelihood, "categorical:1,2", "cannot be read"),
        (options.likelihood, "categorical:0", "'categorical:0': class_dim=0 given, which is the axis of rows"),
        (options.likelihood, "binary:1", "cannot be read"),
        (options.likelihood, "gaussian", "'gaussian' cannot be read; see --help for the forms of a likelihood"),
        (options.likelihood, "gaussian:-1", "'gaussian:-1': precision=-1.0 given"),
        (options.likelihood, "gaussian:x", "cannot be read"),
        (options.likelihood, "heteroscedastic:sd", "'heteroscedastic:sd': scale=\"sd\" given"),
        (options.likelihood, "poisson:1", "cannot be read"),
        (options.likelihood, "identity:x", "cannot be read"),
        (options.design, "sobol", "'sobol' is no design; expected one of independent, antithetic, stratified"),
        (options.design, "stratified:1", r"'stratified:1': Stratified\(block=1\) was given"),
        (options.design, "stratified:x", "cannot be read; see --help for the forms of a design"),
        (options.design, "independent:2", "cannot be read"),
        (options.integer(1), "0", "'0' is not an integer, at least 1"),
        (options.integer(0, 5), "6", "'6' is not an integer, from 0 to 5"),
        (options.integer(0, 5), "1.0", "'1.0' is not an integer, from 0 to 5"),
    ],
)
def test_words_that_say_nothing_are_refused(parse, text, message, without_type_checks):
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        parse(text)
