"""What was seen while a network was trained."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class History:
    """Losses after each epoch, in the unit of the objective (nats per row), without the KL term.

    Training sees one sampled sub-network at a time, and sees it while its weights still move; the other two losses are
    of the weights at the end of the epoch, on rows that were held out. So the first may well lie above the others.

    Args:
        train_loss: Of the sampled sub-networks as training saw them: the mean over the epoch's rows.
        weight_scaled_loss: Of the weight-scaled network (evaluation mode) on the validation data; empty without.
        mc_loss: Of the average of T sub-networks on the validation data; empty unless asked for.

    Example:
        >>> history = History(train_loss=(2.0, 1.5, 1.2), weight_scaled_loss=(1.9, 1.6, 1.7))
        >>> len(history), history.best_epoch
        (3, 1)
    """

    train_loss: tuple[float, ...] = ()
    weight_scaled_loss: tuple[float, ...] = ()
    mc_loss: tuple[float, ...] = ()

    def __len__(self) -> int:
        """The number of epochs."""
        return len(self.train_loss)

    @property
    def best_epoch(self) -> int | None:
        """Number, from 0, of the first epoch with the lowest `weight_scaled_loss`; None without validation data."""
        losses = self.weight_scaled_loss
        return losses.index(min(losses)) if losses else None

    def after(self, train_loss: float, weight_scaled_loss: float | None, mc_loss: float | None) -> "History":
        """The history with one more epoch."""
        more = {"train_loss": train_loss, "weight_scaled_loss": weight_scaled_loss, "mc_loss": mc_loss}
        return replace(self, **{name: (*getattr(self, name), x) for name, x in more.items() if x is not None})
