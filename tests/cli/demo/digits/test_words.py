from dataclasses import replace

import pytest

from mcdrop.calibration import Score
from mcdrop.cli.demo.digits import words
from mcdrop.cli.demo.digits.measurements import Measurements, Uncertainty


def _kind(images, information, error=None):
    return Uncertainty(images, Score(0.5, 0.01, None), Score(information, 0.01, None), error)


def _found(**changes):
    scores = {"error": Score(0.02, 0.006, 0.001), "nll": Score(0.07, 0.014, 0.003), "brier": Score(0.03, 0.005, 0.001)}
    found = Measurements(
        num_rows=540,
        num_samples=100,
        weight_scaled=scores,
        sub_networks={**scores, "nll": Score(0.1, 0.01, 0.002)},
        spread={"error": 0.004, "nll": 0.02, "brier": 0.01},
        mc_dropout=scores,
        nll_difference=Score(0.0, 0.003, 0.004),  # hypot: 0.005
        own=_kind("digits", 0.1),
        foreign=[_kind("turned", 0.2, Score(0.9, 0.01, None)), _kind("noise", 0.4)],
    )
    return replace(found, **changes)


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (-0.0101, "it helps: its NLL is 0.0101 ± 0.0050 nats lower."),
        (-0.0099, "it does not help: the NLLs are 0.0099 ± 0.0050 nats apart, which 540 rows cannot tell from"),
        (0.0099, "it does not help: the NLLs are 0.0099 ± 0.0050 nats apart, which 540 rows cannot tell from"),
        (0.0101, "it does not help, it hurts: its NLL is 0.0101 ± 0.0050 nats higher."),
    ],
)
def test_the_first_sentence_says_help_harm_or_neither_at_two_standard_errors(difference, said):
    sentence = words.say_what_averaging_does(_found(nll_difference=Score(difference, 0.003, 0.004)))
    assert said in sentence
    assert "from 0.1000 for a single one to 0.0700" in sentence


def test_the_second_sentence_where_disagreement_helps_everywhere():
    assert words.say_what_disagreement_tells(_found()) == (
        "Compared with digits, mutual information is 2.0 times as high on turned and 4.0 times as high on noise: "
        "there the sub-networks' disagreement helps."
    )


def test_the_second_sentence_where_it_helps_in_part():
    found = _found(foreign=[_kind("turned", 0.1, Score(0.9, 0.01, None)), _kind("noise", 0.4)])
    helps, does_not = words.say_what_disagreement_tells(found).split("; ")
    assert helps == (
        "Compared with digits, mutual information is 4.0 times as high on noise: "
        "there the sub-networks' disagreement helps"
    )
    assert does_not == "it does not help on turned (90 % of them misread), where it is no higher than on digits."


def test_the_second_sentence_where_it_does_not_help():
    found = _found(foreign=[_kind("turned", 0.05, Score(0.9, 0.01, None)), _kind("noise", 0.12)])
    # 0.12 - 0.1 is less than 2 hypot(.01, .01) = 0.028.
    assert words.say_what_disagreement_tells(found) == (
        "Mutual information does not help on turned (90 % of them misread) and noise, where it is no higher than on "
        "digits."
    )


def test_three_kinds_are_listed_as_prose():
    found = _found(foreign=[_kind(name, 0.3) for name in "abc"])
    assert (
        "3.0 times as high on a, 3.0 times as high on b and 3.0 times as high on c:"
        in words.say_what_disagreement_tells(found)
    )


def test_no_ratio_is_taken_to_nothing():
    assert "above 0 on turned" in words.say_what_disagreement_tells(_found(own=_kind("digits", 0.0)))


def test_the_tables_show_every_number_with_its_error():
    text = words.tell(_found(), num_train=1257, epochs=100)
    rows = {line[:29].strip(): " ".join(line[29:].split()) for line in text.splitlines()}
    assert rows["weight-scaled network"] == "2.00 ± 0.60 0.0700 ± 0.0140 0.0300 ± 0.0050"
    assert rows["a single sub-network, mean"] == "2.00 ± 0.60 0.1000 ± 0.0100 0.0300 ± 0.0050"
    assert rows["spread over sub-networks"] == "0.40 0.0200 0.0100"
    assert rows["MC dropout, T = 100"] == "2.00 ± 0.60 0.0700 ± 0.0140 0.0300 ± 0.0050"
    assert rows["Monte Carlo error"] == "0.10 0.0030 0.0010"
    assert rows["turned"] == "90.00 ± 1.00 0.5000 ± 0.0100 0.2000 ± 0.0100"
    assert rows["noise"] == "- 0.5000 ± 0.0100 0.4000 ± 0.0100"
    assert "1257 training digits, 100 epochs" in text


def test_the_text_fits_on_a_narrow_terminal():
    text = words.tell(_found(), num_train=1257, epochs=100)
    assert max(len(line) for line in text.splitlines()) <= 80
