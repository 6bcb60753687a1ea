"""`mcdrop audit`: where dropout enters a model."""

import argparse

from mcdrop.cli import inputs, model, options
from mcdrop.cli.arrays import FORMS
from mcdrop.cli.inputs import add_inputs
from mcdrop.cli.model import add_model
from mcdrop.sites import audit

DESCRIPTION = """\
Run the model a few times on the first rows of the inputs and list every place
where dropout enters: the line of code, the probability p, the law of the mask,
the axis that holds the rows, and how it is known. Below the table stands what
stays off, and what mcdrop cannot control. The values of the inputs do not
matter, their shapes do."""

EPILOG = f"""\
{FORMS}

example: network.py in this folder holds

  from torch import nn
  def build():
      return nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Dropout(0.2),
                           nn.Linear(64, 3))

and `mcdrop audit network:build --input data.npz:x` prints

  Sequential: 1 dropout site
    site       source  p    law                  rows on  established by
    2:dropout          0.2  Bernoulli(keep 0.8)  axis 0   Dropout"""

_ROWS = 8
"""As many rows are enough to tell their axis."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `audit` to the commands."""
    parser = options.add_command(
        commands, "audit", summary="where dropout enters a model", description=DESCRIPTION, epilog=EPILOG
    )
    add_model(parser)
    add_inputs(parser)
    parser.add_argument("--json", action="store_true", help="print everything that is known as JSON")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Print the table."""
    network = model.load(given.model, weights=given.weights, device=given.device)
    args, kwargs = first = inputs.rows_of(inputs.load(given.input, network), 0, _ROWS, device=given.device)
    model.try_out(network, given.model, first)
    with model.stray_output():
        found = audit(network, *args, **kwargs)
    print(found.to_json() if given.json else found)
