from mcdrop.training import History


def test_grows_by_what_was_measured() -> None:
    history = History().after(2.0, None, None).after(1.0, None, None)
    assert history == History(train_loss=(2.0, 1.0))
    assert (len(history), history.best_epoch) == (2, None)


def test_the_best_epoch_is_the_first_of_the_lowest() -> None:
    history = History().after(2.0, 3.0, 2.5).after(1.0, 1.5, 1.4).after(0.5, 1.5, 1.3)
    assert (history.best_epoch, history.mc_loss) == (1, (2.5, 1.4, 1.3))
