import pytest

from tests.benchmarks import designs


@pytest.fixture(scope="module")
def gains():
    """Squared error of independent draws over that of each design at T = 100, from a smaller run."""
    return designs.gains(designs.measure(total=2000, epochs=10, shrink=4))


@pytest.mark.slow
def test_stratified_means_need_fewer_passes_everywhere(gains) -> None:
    assert min(by_statistic["mean"]["Stratified(20)"] for by_statistic in gains.values()) > 1.5


@pytest.mark.slow
def test_a_rate_that_fits_the_block_gains_most(gains, data_dir) -> None:
    fits, does_not = (gains[f"UCI energy, p = {p}"]["mean"]["Stratified(20)"] for p in (".1", ".03"))
    assert fits > 10 > does_not
    assert fits > 3 * gains["UCI energy, p = .1"]["mean"]["Stratified(8)"]


@pytest.mark.slow
def test_nothing_is_lost_on_variance_and_mutual_information(gains) -> None:
    """Both come from few stretches of draws, so a bound of one half is as sharp as they allow."""
    for by_statistic in gains.values():
        for statistic, row in by_statistic.items():
            assert row["Stratified(20)"] > 0.5, statistic


@pytest.mark.slow
def test_masks_cost_less_than_a_millisecond() -> None:
    assert max(designs.mask_milliseconds().values()) < 1
