"""Every example runs, leaves a picture, stays short, and its numbers bear out what its text claims."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
FAST = {"01_dropout_from_scratch"}  # under 3 s; the others are marked slow


NEED_DATA = {"07_single_net_against_forest"}


def _named(*names: str) -> list:
    """The examples as parameters, the slow ones marked; those that need data sets are skipped without them."""

    def marks(name: str) -> list:
        absent = name in NEED_DATA and not os.environ.get("MCDROP_DATA")
        skipped = [pytest.mark.skip("MCDROP_DATA names no folder with the data sets")] if absent else []
        return skipped + ([] if name in FAST else [pytest.mark.slow])

    return [pytest.param(name, marks=marks(name)) for name in names]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    """Runs an example once, in a folder of its own; what it printed and the folder."""
    done: dict[str, tuple[str, Path]] = {}

    def start(name: str) -> tuple[str, Path]:
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-W", "error", ROOT / "examples" / f"{name}.py", "--out", "shown"]
            process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            assert process.returncode == 0, process.stderr
            done[name] = process.stdout, folder / "shown"
        return done[name]

    return start


def _numbers(run, name: str) -> dict:
    return json.loads((run(name)[1] / f"{name}.json").read_text())


def _z_scores(differences: np.ndarray) -> np.ndarray:
    """Means in standard errors; the repetitions, the same for all that is compared, are the last axis."""
    return differences.mean(-1) / (differences.std(-1, ddof=1) / np.sqrt(differences.shape[-1]))


def test_there_are_examples() -> None:
    assert [path.stem[:2] for path in EXAMPLES[:9]] == ["01", "02", "03", "04", "05", "06", "07", "08", "09"]


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
def test_short_and_explained(name: str) -> None:
    lines = (ROOT / "examples" / f"{name}.py").read_text().splitlines()
    assert len(lines) < 100
    assert lines[0].startswith(f'"""{name[:2]}. ')


def test_every_example_has_a_page() -> None:
    contents, navigation = ((ROOT / "docs" / page).read_text() for page in ("examples/index.md", "mkdocs.yml"))
    for path in EXAMPLES:
        assert f"({path.stem}.md)" in contents
        assert f"examples/{path.stem}.md\n" in navigation


@pytest.mark.parametrize("name", _named(*(path.stem for path in EXAMPLES)))
def test_runs_and_leaves_a_picture(run, name: str) -> None:
    printed, folder = run(name)
    assert printed.strip()
    picture = (folder / f"{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000  # an empty figure of this size takes less


@pytest.mark.parametrize("name", _named("01_dropout_from_scratch"))
def test_01_works_the_example_out(run, name: str) -> None:
    numbers = _numbers(run, name)
    assert numbers["output"] == [[8.75, 16.25], [8.75, 16.25], [20, 0], [20, 0]]
    np.testing.assert_allclose(numbers["gradient"], [[10.9375, 20.3125]] * 2 + [[25, 0]] * 2, rtol=1e-12)
    assert numbers["gradient_gap"] < 1e-9
    assert abs(numbers["share"] - 0.2) < 4 * numbers["share_error"]
    assert numbers["largest_z"] < 4


@pytest.mark.parametrize("name", _named("02_sub_networks"))
def test_02_weights_are_bernoulli_and_the_whole_net_stands_for_the_forest(run, name: str) -> None:
    numbers = _numbers(run, name)
    assert abs(numbers["zero"] - 0.5) < 4 * 0.5 / np.sqrt(10**5)
    assert abs(numbers["mean"] - numbers["w"]) < 4 * numbers["error"]
    assert numbers["sub_networks"] == 2**10
    # 12 weights and 6 biases with chance 1/2, 24 with 1/4, 4 biases and 8 weights with 1/2, 2 biases always.
    assert numbers["in_use"] == pytest.approx((12 / 2 + 6 / 2 + 24 / 4 + 4 / 2 + 8 / 2 + 2) / 56)
    assert numbers["forest"] > numbers["tree"] + 0.05
    assert abs(numbers["forest"] - numbers["whole"]) < 0.03


@pytest.mark.parametrize("name", _named("03_rates"))
def test_03_training_loss_rises_with_the_rate_while_test_loss_falls_then_rises(run, name: str) -> None:
    """Training as it was seen, training with the whole net, test: the last axis. Rates 0, .2, .5, .8."""
    numbers = {key: np.array(value) for key, value in _numbers(run, name).items()}
    rise, error = numbers["rise"]
    assert (rise[:, :2] > 3 * error[:, :2]).all()
    assert (rise[:2, 2] < -2 * error[:2, 2]).all()
    assert rise[2, 2] > 3 * error[2, 2]
    gap, error = numbers["gap"]
    assert (abs(gap) < 4 * error + 1e-3).all()  # by hand and built in agree
    (train, _, test), _ = numbers["by hand"][:, 3]
    assert test < train  # at p = 0.8 the forest does better on new digits than the trees on those they learned


@pytest.mark.parametrize("name", _named("04_mc_dropout_on_digits"))
def test_04_where_sub_networks_agree_the_net_is_right(run, name: str) -> None:
    numbers = {key: np.array(value) for key, value in _numbers(run, name).items()}  # each a value per net
    bands = ("under 50 %", "50 to 70", "70 to 90", "90 to 99", "99 to 100")
    accuracy, agreement, share = (
        np.array([numbers[f"{band}: {what}"] for band in bands]) for what in ("accuracy", "agreement", "share")
    )
    np.testing.assert_allclose(share.sum(0), 1)
    np.testing.assert_allclose((share * accuracy).sum(0), numbers["accuracy: forest"])
    assert (_z_scores(np.diff(accuracy, axis=0)) > 3).all()
    assert accuracy[-1].mean() > 0.99
    assert _z_scores(accuracy[0] - 0.5) < 0
    assert (_z_scores(accuracy - agreement)[2:4] > 3).all()
    assert (abs(accuracy - agreement).mean(1) < 0.1).all()
    assert _z_scores(numbers["accuracy: forest"] - numbers["accuracy: a tree"]) > 3
    assert abs(_z_scores(numbers["accuracy: forest"] - numbers["accuracy: whole net"])) < 3
    found = {key.removeprefix("errors found: "): value for key, value in numbers.items() if "errors found" in key}
    assert _z_scores(found["agreement"] - found["entropy, whole net"]) < 2
    assert _z_scores(found["mutual information"] - found["entropy, whole net"]) < -2


@pytest.mark.parametrize("name", _named("05_unbiased_noise"))
def test_05_noise_is_unbiased_and_trades_variance_for_bias(run, name: str) -> None:
    numbers = _numbers(run, name)
    for noise, variance in (("Gaussian", 1.0), ("Bernoulli", 1.0)):
        mean, error, observed = numbers[f"moments {noise}"]
        assert abs(mean - 2) < 4 * error
        assert observed == pytest.approx(variance, rel=0.01)
    mean, error, _ = numbers["moments masked, not scaled"]
    assert abs(mean - 1.6) < 4 * error

    for noise in ("Bernoulli", "Gaussian"):
        squared_bias, variance, total, roughness = np.array(numbers[noise]).swapaxes(0, 1)
        assert (_z_scores(np.diff(squared_bias, axis=0))[2:] > 3).all()  # before, it is too small to be told from 0
        assert (_z_scores(np.diff(variance, axis=0)) < -2).all()
        assert (_z_scores(np.diff(roughness, axis=0)) < -3).all()
        assert _z_scores(total[0] - total[3]) > 3
        assert _z_scores(total[5] - total[3]) > 3
    biased, unbiased = np.array(numbers["masked, not scaled"])[0], np.array(numbers["Bernoulli"])[2]
    assert _z_scores(biased[2] - unbiased[2]) > 3


@pytest.mark.parametrize("name", _named("06_where_to_drop"))
def test_06_every_site_helps_and_convolutional_ones_most(run, name: str) -> None:
    z_scores = {key: mean / error for key, (mean, error) in _numbers(run, name).items()}
    assert all(z_scores[f"{site} - none, epoch 50"] < -3 for site in "ABCD")
    assert z_scores["conv - dense, epoch 50"] < -2.5
    assert z_scores["A - none, epoch 15"] > 3
    assert z_scores["early - late, epoch 50"] < 0


@pytest.mark.parametrize("name", _named("07_single_net_against_forest"))
def test_07_trees_lose_against_the_forest_and_the_whole_net_stands_for_it(run, name: str) -> None:
    numbers = _numbers(run, name)
    for contenders in (numbers["test"], numbers["train"]):
        tree, forest, net = (contenders[who] for who in ("one tree", "forest", "weight-scaled net"))
        assert forest["loss"] < tree["loss"] - 4 * tree["loss_mc_error"]
        assert net["loss"] < tree["loss"] - 4 * tree["loss_mc_error"]
    for who in ("one tree", "forest", "weight-scaled net"):  # like with like: new images are harder
        assert numbers["test"][who]["loss"] > numbers["train"][who]["loss"]
    assert abs(numbers["test"]["weight-scaled net"]["error"] - 0.137) < 0.007
    assert abs(numbers["test"]["forest"]["error"] - numbers["test"]["weight-scaled net"]["error"]) < 0.003
    assert len(numbers["answers"]) == 3


LAWS = ("Bernoulli", "Gaussian", "Concrete", "Spatial", "DropBlock", "DropPath", "Masksembles", "DropConnect")


def _tables_of_the_page() -> list[list[str]]:
    """The lines of the tables in docs/laws.md: of example 08 and of example 09."""
    return [
        part.split("```")[0].splitlines() for part in (ROOT / "docs" / "laws.md").read_text().split("```text\n")[1:]
    ]


def _means_and_errors(text: str) -> np.ndarray:
    return np.array(text.replace("+-", " ").split(), dtype=float).reshape(-1, 2)


def _agree(values: np.ndarray, shown: np.ndarray) -> bool:
    """Whether values (net, score) agree with means and errors: another machine trains other nets of the same kind."""
    mean, error = values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))
    return bool((abs(mean - shown[:, 0]) <= 4 * np.hypot(error, shown[:, 1]) + 1e-3).all())


@pytest.mark.parametrize("name", _named("08_laws"))
def test_08_noise_of_half_the_values_makes_a_forest_doubt_too_much_and_see_what_is_foreign(run, name: str) -> None:
    numbers = {
        law: np.array(values)[:, :4] for law, values in _numbers(run, name).items()
    }  # (net, score), without cost
    nll, ece, auroc = 1, 2, 3
    for law in ("Bernoulli", "Gaussian", "DropBlock", "DropConnect"):
        assert _z_scores((numbers[law] - numbers["none"])[:, ece]) > 3
    several = np.mean([numbers[law] for law in ("Bernoulli", "Gaussian", "Concrete", "DropConnect")], axis=0)
    assert _z_scores((several - numbers["none"])[:, auroc]) > 2
    assert _z_scores((numbers["DropPath"] - numbers["none"])[:, auroc]) < -2
    assert _z_scores((numbers["Concrete"] - numbers["Bernoulli"])[:, nll]) < -2
    assert _z_scores((numbers["Recurrent"] - numbers["none, LSTM"])[:, ece]) > 5


@pytest.mark.parametrize("name", _named("08_laws"))
def test_08_the_page_shows_what_the_script_prints(run, name: str) -> None:
    shown = {line[:12].strip(): _means_and_errors(line[12:]) for line in _tables_of_the_page()[0][1:]}
    assert list(shown) == ["none", *LAWS, "none, LSTM", "Recurrent"]
    assert all(_agree(np.array(values)[:, :4], shown[law][:4]) for law, values in _numbers(run, name).items())


@pytest.mark.parametrize("name", _named("09_what_if"))
def test_09_noise_that_was_not_trained_with_helps_a_little_if_it_is_little(run, name: str) -> None:
    numbers = {law: {p: np.array(v) for p, v in rates.items()} for law, rates in _numbers(run, name).items()}
    nll, ece, auroc = range(3)  # changes (net, score)
    assert _z_scores(numbers["Bernoulli"]["0.05"][:, nll]) < -1.5
    for law in ("Bernoulli", "Gaussian", "Spatial", "DropBlock", "Masksembles"):
        assert _z_scores(numbers[law]["0.7"][:, nll]) > 4
        assert _z_scores(numbers[law]["0.7"][:, ece]) > 3
        assert all(_z_scores(changes[:, auroc]) < -2 for changes in numbers[law].values())
    untrained, trained = (numbers[law]["0.4"] for law in ("Bernoulli", "trained at .5"))
    assert _z_scores((untrained - trained)[:, nll]) > 4


@pytest.mark.parametrize("name", _named("09_what_if"))
def test_09_the_page_shows_what_the_script_prints(run, name: str) -> None:
    shown: dict[str, dict[str, np.ndarray]] = {}
    for line in _tables_of_the_page()[1][1:]:
        law, text = line.split("p = ")
        shown.setdefault(law.strip(), {})[text.split()[0]] = _means_and_errors(text.split(maxsplit=1)[1])
    numbers = _numbers(run, name)
    assert {law: list(rates) for law, rates in shown.items()} == {law: list(rates) for law, rates in numbers.items()}
    assert all(_agree(np.array(v), shown[law][p]) for law, rates in numbers.items() for p, v in rates.items())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "more"), [("08_laws", ["--only", "DropBlock"]), ("09_what_if", [])])
def test_quick_runs_of_the_studies(tmp_path: Path, name: str, more: list[str]) -> None:
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", ROOT / "examples" / f"{name}.py", "--quick", "--out", tmp_path, *more]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    numbers = json.loads((tmp_path / f"{name}.json").read_text())
    assert list(numbers) == ["DropBlock"] if more else len(numbers) == 7
