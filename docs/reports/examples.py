"""The three reports of the page "The report": of classes, of numbers, and of two predictors beside each other.

python docs/reports/examples.py digits --out docs/reports
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

import mcdrop
from mcdrop import calibration, report
from mcdrop.data import digits as digits_data
from mcdrop.data import scaling, uci


def classifier() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 200),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(200, 200),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(200, 10),
    )


def trained(model: nn.Module, x: Tensor, y: Tensor, loss: nn.Module, *, steps: int, lr: float) -> nn.Module:
    """The network fitted to all rows at once."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    return model.eval()


def of_digits(seed: int) -> nn.Module:
    """A network that 90 digits made overconfident."""
    data = digits_data.load(test_share=0.95, seed=0)
    torch.manual_seed(seed)
    return trained(classifier(), data.train_images, data.train_labels, nn.CrossEntropyLoss(), steps=400, lr=2e-3)


def held_out() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Digits that no network saw: 500 to fit recalibration on, 1208 to report on."""
    data = digits_data.load(test_share=0.95, seed=0)
    images, labels = data.test_images, data.test_labels
    return images[:500], labels[:500], images[500:], labels[500:]


def digits(path: Path) -> None:
    """MC dropout on digits, the single network beside it, before and after a temperature."""
    model, (fit_x, fit_y, x, y) = of_digits(seed=0), held_out()
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=100, seed=0)
    prediction = mc(x)
    temperature = calibration.Temperature.fit(mc(fit_x), fit_y)
    with torch.no_grad():
        single = model(x).softmax(dim=1)
    report.write(
        prediction,
        y,
        path,
        weight_scaled=single,
        recalibrated=temperature(prediction),
        audit=mcdrop.audit(model, x[:4]),
        images=x,
        title="Handwritten digits: may this network be believed?",
        metadata={
            "data": "scikit-learn's 8 x 8 digits: 90 for training, 500 for the temperature, 1208 for this report",
            "model": "64-200-200-10, ReLU, dropout .5 after both hidden layers, 400 steps of Adam",
        },
    )


class InUnitsOfTheData(nn.Module):
    """A network that takes and returns raw numbers, and works on standardised ones."""

    def __init__(self, network: nn.Module, x: scaling.Scaling, y: scaling.Scaling) -> None:
        super().__init__()
        self.network, self.x, self.y = network, x, y

    def forward(self, raw: Tensor) -> Tensor:
        return self.y.restore(self.network(self.x.standardise(raw)))


def energy(path: Path) -> None:
    """MC dropout on the heating loads of buildings, with one noise for all rows, before and after a scaled variance."""
    split = uci.load("energy", split=0)
    train_x, train_y, fit_x, fit_y = (
        split.train_x[:-150],
        split.train_y[:-150],
        split.train_x[-150:],
        split.train_y[-150:],
    )
    of_x, of_y = scaling.measure(train_x), scaling.measure(train_y)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 50), nn.ReLU(), nn.Dropout(0.05), nn.Linear(50, 1)).double()
    model = InUnitsOfTheData(network, of_x, of_y)
    loss = nn.MSELoss()
    trained(network, of_x.standardise(train_x), of_y.standardise(train_y), loss, steps=3000, lr=3e-3)
    with torch.no_grad():
        precision = 1 / loss(model(train_x), train_y).item()
        single = model(split.test_x)
    likelihood = mcdrop.Gaussian(precision)
    mc = mcdrop.MCDropout(model, likelihood=likelihood, num_samples=200, seed=0)
    prediction = mc(split.test_x)
    scaled = calibration.VarianceScaling.fit(mc(fit_x), fit_y)
    alone = mcdrop.prediction.Provenance(num_samples=1, members=True)
    report.write(
        prediction,
        split.test_y,
        path,
        weight_scaled=mcdrop.prediction.from_draws(single[None], likelihood, provenance=alone),
        recalibrated=scaled(prediction),
        audit=mcdrop.audit(model, split.test_x[:4]),
        unit="kWh/m²",
        title="Heating loads of buildings: do the intervals hold?",
        metadata={
            "data": "UCI energy efficiency, split 0 of 20: 541 rows for training, 150 for the variance, 77 for this "
            "report",
            "model": "8-50-1, ReLU, dropout .05, 3000 steps of Adam; one noise, of the residuals in training",
        },
    )


def rivals(path: Path) -> None:
    """MC dropout of one network against an ensemble of five, on the same digits."""
    _, _, x, y = held_out()
    members = [of_digits(seed) for seed in range(5)]
    one = mcdrop.MCDropout(members[0], likelihood=mcdrop.Categorical(), num_samples=100, seed=0)
    five = mcdrop.MCDropout(mcdrop.Ensemble(members), likelihood=mcdrop.Categorical())
    with torch.no_grad():
        single = members[0](x).softmax(dim=1)
    report.write(
        one(x),
        y,
        path,
        weight_scaled=single,
        other=five(x),
        names=("MC dropout", "the ensemble of five"),
        audit=mcdrop.audit(members[0], x[:4]),
        images=x,
        title="One network with dropout, or five networks?",
        metadata={
            "data": "scikit-learn's 8 x 8 digits: 90 for training, 1208 for this report",
            "models": "64-200-200-10, ReLU, dropout .5, 400 steps of Adam; five seeds, dropout off in the ensemble",
        },
    )


REPORTS = {"digits": digits, "energy": energy, "rivals": rivals}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", choices=REPORTS)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    given = parser.parse_args()
    torch.set_num_threads(1)  # the order of a sum, and so its last bits, depend on the number of threads
    REPORTS[given.report](given.out / f"{given.report}.html")
