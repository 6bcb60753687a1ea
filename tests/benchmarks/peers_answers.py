"""What is right on the models that the table of conformance expects to be refused.

mcdrop refuses them because masks that have a seed and are shared by rows cannot be had there. That says nothing about
a library that promises neither, so each has a reference too: the dropout that its author wrote, and nothing else of
training mode.
"""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import nn

from tests.conformance.case import Case, Pass, training_mode
from tests.conformance.stays_off import dropping_alone


def batch_norm_and_dropout(model: nn.Module) -> Pass:
    norm = model[0]
    return lambda x: F.dropout(F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias), 0.3)


def before_it_was_traced(model: nn.Module) -> Pass:
    graph = model[0]

    def one_pass(x):
        hidden = F.dropout(F.dropout(graph.norm(graph.first(x)).tanh(), 0.4), 0.2)
        return F.dropout(graph.last(hidden), 0.5)

    return one_pass


ANSWERS: Mapping[str, object] = {
    "one flag: an average and dropout": lambda m: lambda x: m.last(F.dropout(x, 0.4) - m.average),
    "one flag: batch_norm and dropout": batch_norm_and_dropout,
    "one flag: noise and dropout": lambda m: lambda x: m.last(F.dropout(x, 0.4)),
    "one flag: dropout and another output": lambda m: lambda x: m.head(F.dropout(m.body(x), 0.3)),
    "rows mixed": dropping_alone,
    "a law that is not known": training_mode,
    "rows left out of a block": training_mode,
    "a random subset of the rows": training_mode,
    "a random number of layers": training_mode,
    "a module in a closure": lambda m: lambda x: m.last(F.dropout(x, 0.4)),
    "a compiled function": lambda m: lambda x: F.dropout(m.a(x), 0.4),
    "a compiled function, in training mode alone": lambda m: lambda x: F.dropout(F.dropout(x, 0.5), 0.4),
    "traced in evaluation mode, inside a model": before_it_was_traced,
    "scripted with dropout, inside a model": training_mode,
    "a generator of its own that fills no mask": training_mode,
    "coins from a generator of its own": training_mode,
}


def one_pass(case: Case, model: nn.Module) -> Pass:
    """The hand-written reference of a case around a model that nobody else uses."""
    return (ANSWERS[case.name] if case.refused else case.reference)(model)
