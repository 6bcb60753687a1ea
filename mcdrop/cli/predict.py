"""`mcdrop predict`: what T sub-networks say about rows of a file, written to another."""

import argparse
from pathlib import Path
from typing import Any

from torch import nn

from mcdrop.cli import inputs, model, options, recorded
from mcdrop.cli.answer import as_json
from mcdrop.cli.arrays import FORMS
from mcdrop.cli.inputs import Inputs, add_inputs
from mcdrop.cli.model import add_model
from mcdrop.cli.recorded import Recorded
from mcdrop.errors import RowAxisError
from mcdrop.posterior import Ensemble, Independent
from mcdrop.prediction import Prediction
from mcdrop.sampling import MCDropout
from mcdrop.sites import Audit, Sites, audit

DESCRIPTION = """\
Run T passes of the model with its dropout on, as in training, and write what
they say about every row: their moments, the means of blocks of draws from which
Monte Carlo errors follow, the draws themselves where the likelihood needs them
or --keep-samples asks for them, beside the answer of the usual network, dropout
off, and the audit of the dropout sites. `mcdrop report` and `mcdrop compare`
read the file, and so does `mcdrop.load` in Python. It holds numbers alone:
reading it runs no code. The same command writes the same file again."""

EPILOG = f"""\
{FORMS}

{options.LIKELIHOODS}

examples:
  mcdrop predict network:build --weights trained.pt --input data.npz:x \\
      --likelihood categorical --out predictions.npz
  mcdrop predict network:build --weights trained.pt --input test.csv:-price \\
      --likelihood gaussian:0.04 --num-samples 500 --out prices.npz"""

_ROWS = 8
"""Of the audit, and of the plain model's trial."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `predict` to the commands."""
    parser = options.add_command(
        commands, "predict", summary="what T sub-networks say about data", description=DESCRIPTION, epilog=EPILOG
    )
    add_model(parser)
    add_inputs(parser)
    parser.add_argument(
        "--likelihood",
        type=options.likelihood,
        required=True,
        metavar="NAME",
        help="how the output is read, one of those below",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write; replaced if it exists")
    parser.add_argument(
        "--num-samples", type=options.integer(1), default=100, metavar="T", help="sub-networks to draw (default: 100)"
    )
    parser.add_argument(
        "--seed", type=options.integer(0), default=0, metavar="N", help="decides the masks (default: 0)"
    )
    _add_drawing(parser)
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.set_defaults(run=run)


def _add_drawing(parser: argparse.ArgumentParser) -> None:
    """The options that most predictions leave as they are."""
    group = parser.add_argument_group("how the masks are drawn and the passes run")
    group.add_argument(
        "--design",
        type=options.design,
        default=Independent(),
        metavar="NAME",
        help="how the T masks hang together: independent (default), antithetic, or stratified:20, blocks of 20 draws",
    )
    group.add_argument(
        "--own-masks",
        action="store_true",
        help="every row has masks of its own, as in training (in Python shared_masks=False); by default the rows share "
        "the mask of a pass",
    )
    group.add_argument(
        "--only", action="append", metavar="SITE", help="sample this site alone, by its name in the audit or a pattern"
    )
    group.add_argument(
        "--exclude", action="append", default=[], metavar="SITE", help="leave this site off; both may be given again"
    )
    group.add_argument(
        "--output", type=_key, metavar="KEY", help="the part of the model's output to read, by name or number"
    )
    group.add_argument(
        "--keep-samples",
        action=argparse.BooleanOptionalAction,
        help="whether the file holds all T outputs; by default for all likelihoods but categorical and binary",
    )
    group.add_argument(
        "--batch-size",
        type=options.integer(1),
        default=1024,
        metavar="N",
        help="rows that run at once; no number depends on it, but for the rounding (default: 1024)",
    )


def run(given: argparse.Namespace) -> None:
    """Predict, write the file, say what is in it."""
    recorded.check_destination(given.out)
    network = model.load(given.model, weights=given.weights, device=given.device)
    data = inputs.load(given.input, network)
    first = inputs.rows_of(data, 0, _ROWS, device=given.device)
    model.try_out(network, given.model, first)
    with model.stray_output():
        found = Recorded(
            prediction=_predicted(network, data, given),
            weight_scaled=_predicted(Ensemble([network]), data, given),
            audit=_audited(network, first),
            run=_run(given, data),
        )
    recorded.save(given.out, found)
    print(as_json(_summary(found, given)) if given.json else _words(found, given))


def _predicted(network: nn.Module | Ensemble, data: Inputs, given: argparse.Namespace) -> Prediction:
    sampled: dict[str, Any] = {}
    if isinstance(network, nn.Module):
        sampled = {
            "num_samples": given.num_samples,
            "design": given.design,
            "shared_masks": not given.own_masks,
            "sites": Sites(only=given.only, exclude=given.exclude),
        }
    mc = MCDropout(
        network,
        likelihood=given.likelihood,
        seed=given.seed,
        keep_samples=given.keep_samples,
        output=given.output,
        **sampled,
    )
    rows = range(0, inputs.num_rows(data), given.batch_size)
    batches = [inputs.rows_of(data, start, start + given.batch_size) for start in rows]
    return mc.predict(batches, unpack=lambda batch: (batch[1] or batch[0], None))


def _audited(network: nn.Module, first: Inputs) -> Audit | None:
    args, kwargs = first
    try:
        return audit(network, *args, **kwargs)
    except RowAxisError:  # which a prediction with masks for each row does without
        return None


def _run(given: argparse.Namespace, data: Inputs) -> dict[str, Any]:
    return {
        "model": given.model,
        "weights": given.weights,
        "inputs": given.input,
        "rows": inputs.num_rows(data),
        "only": given.only,
        "exclude": given.exclude,
        "output": given.output,
        "device": given.device,
    }


def _summary(found: Recorded, given: argparse.Namespace) -> dict[str, Any]:
    prediction = found.prediction
    means = {
        name: float(array.mean())
        for name, array in prediction.numpy().items()
        if name.partition(".")[0] in prediction.shown
    }
    return {
        "file": str(given.out),
        "prediction": type(prediction).__name__,
        "likelihood": repr(prediction.likelihood),
        "rows": len(prediction),
        "means": means,
        "samples_kept": prediction.samples is not None,
        "provenance": prediction.provenance.to_dict(),
        "sites": None if found.audit is None else [site.name for site in found.audit.sites],
        "run": found.run,
    }


def _words(found: Recorded, given: argparse.Namespace) -> str:
    beside = "the answer of the weight-scaled network" + (" and the audit" if found.audit is not None else "")
    return f"{found.prediction!r}\nwritten to {given.out}, with {beside}"


def _key(text: str) -> str | int:
    return int(text) if text.isdecimal() else text
