import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from mcdrop.errors import InputError
from mcdrop.training.rows import Arrays, Loader, rows_of, shuffled_rows

MODEL = nn.Linear(2, 1)
X, Y = torch.arange(20.0).reshape(10, 2), torch.arange(10.0)


def test_an_order_is_a_permutation_of_the_seed_and_the_epoch() -> None:
    order = shuffled_rows(100, 0, 0)
    assert order.sort().values.tolist() == list(range(100))
    assert torch.equal(order, shuffled_rows(100, 0, 0))
    assert not torch.equal(order, shuffled_rows(100, 0, 1))
    assert not torch.equal(order, shuffled_rows(100, 1, 0))


def test_inputs_and_targets_keep_together() -> None:
    rows = Arrays(X, Y, 4, MODEL)
    assert (rows.num_rows, rows.num_batches) == (10, 3)
    for batches in (rows.shuffled(0, 0), rows.in_order()):
        for (x,), _, y in batches:
            assert torch.equal(x[:, 0], 2 * y)


def test_rows_in_order_are_in_order() -> None:
    assert torch.cat([y for _, _, y in Arrays(X, Y, 4, MODEL).in_order()]).tolist() == Y.tolist()


def test_a_pair_is_known_by_its_numbers() -> None:
    one = Arrays(X, Y, 4, MODEL).fingerprint()
    assert one == Arrays(X.numpy(), Y.numpy(), 4, MODEL).fingerprint()
    changed = X.clone()
    changed[3, 1] += 1
    others = [Arrays(changed, Y, 4, MODEL), Arrays(X.reshape(10, 1, 2), Y, 4, MODEL), Arrays(X, Y.int(), 4, MODEL)]
    assert len({one, *(other.fingerprint() for other in others)}) == 4


def test_read_only_arrays_are_read_and_left_alone() -> None:
    x = X.numpy().copy()
    x.flags.writeable = False
    rows = Arrays(x, Y.numpy(), 4, MODEL)
    assert torch.equal(rows.inputs, X)
    assert isinstance(rows.targets, torch.Tensor)


def test_a_loader_tells_what_it_knows() -> None:
    loader = DataLoader(TensorDataset(X, Y), batch_size=4)
    rows = rows_of(loader, None, None, MODEL)
    assert (rows.num_rows, rows.num_batches) == (10, 3)
    plain = Loader([(X, Y)], None, MODEL)
    assert (plain.num_rows, plain.num_batches) == (None, 1)
    assert [y.tolist() for _, _, y in plain.in_order()] == [Y.tolist()]


def test_numpy_batches_of_a_loader_become_tensors() -> None:
    (((x,), _, y),) = Loader([(X.numpy(), Y.numpy())], None, MODEL).in_order()
    assert torch.equal(x, X)
    assert torch.equal(y, Y)


def test_unpack_takes_batches_apart() -> None:
    rows = rows_of([{"features": X, "label": Y}], None, lambda b: (b["features"], b["label"]), MODEL)
    (((x,), _, y),) = rows.in_order()
    assert torch.equal(x, X)
    assert torch.equal(y, Y)


def test_strings_are_no_data(without_type_checks) -> None:
    with pytest.raises(InputError, match="expected inputs and targets as tensors or arrays"):
        Arrays("text", np.zeros(4), 2, MODEL)


def test_numbers_that_numpy_does_not_know_have_a_fingerprint() -> None:
    one, other = (Arrays(x.bfloat16(), Y, 4, MODEL).fingerprint() for x in (X, X + 1))
    assert one != other


def test_the_generator_of_a_batch_sampler_is_seeded_and_left_as_it_was() -> None:
    generator = torch.Generator().manual_seed(5)
    sampler = BatchSampler(RandomSampler(range(10), generator=generator), 4, drop_last=False)
    rows = Loader(DataLoader(TensorDataset(X, Y), batch_sampler=sampler), None, MODEL)
    before = generator.get_state()
    orders = [torch.cat([y for _, _, y in rows.shuffled(seed, 0)]).tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert torch.equal(generator.get_state(), before)
