import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcdrop.errors import InputError, RowAxisError
from mcdrop.sites import RowAxis, discover
from mcdrop.sites.rows import Profile, close, count_rows, finest, first_rows, orders, picked_rows, row_axis
from tests.networks import FAMILIES, family


def rows_of(model: nn.Module, *inputs, batch_dim: int | None = 0) -> list[RowAxis | None]:
    return [site.row for site in discover(model, inputs, {}, batch_dim=batch_dim).sites]


def wrapped(function) -> nn.Module:
    """A model that calls `function(self, x)`, with a dropout layer and a linear map from 4 to 4."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            return function(self, x)

    return Model().eval()


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda m, x: m.drop(m.linear(x)), RowAxis(0)),
        (lambda m, x: m.drop(m.linear(x).transpose(0, 1)).transpose(0, 1), RowAxis(1)),
        (lambda m, x: m.drop(m.linear(x).flatten(0, 1)).view(x.shape), RowAxis(0, 1, 3)),
        (
            lambda m, x: m.drop(m.linear(x).transpose(0, 1).flatten(0, 1)).view(3, len(x), 4).transpose(0, 1),
            RowAxis(0, 3, 1),
        ),
        (  # windows before rows before halves
            lambda m, x: (
                m.drop(m.linear(x).view(-1, 3, 2, 2).permute(1, 0, 2, 3).reshape(-1, 2))
                .view(3, -1, 2, 2).permute(1, 0, 2, 3).reshape(x.shape)
            ),
            RowAxis(0, 3, 2),
        ),
        (lambda m, x: x * m.drop(m.linear.bias), None),
    ],
    ids=["plain", "second axis", "rows outside", "rows inside", "rows between", "a weight"],
)  # fmt: skip
def test_the_row_axis_is_found(function, expected, rows) -> None:
    x = torch.randn(rows, 3, 4, generator=torch.Generator().manual_seed(0))
    (found,) = rows_of(wrapped(function), x)
    if rows == 1 and expected not in (None, RowAxis(0), RowAxis(1)):
        assert found is not None
        assert found.outer * found.inner == expected.outer * expected.inner  # one row: every layout is the same
    else:
        assert found == expected


def test_a_length_equal_to_the_number_of_rows_does_not_mislead() -> None:
    model = wrapped(lambda m, x: m.drop(m.linear(x).transpose(0, 1)).transpose(0, 1))
    assert rows_of(model, torch.randn(3, 3, 4)) == [RowAxis(1)]


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_of_each_family(name) -> None:
    model, x = family(name)
    expected = {
        "tokens in rows": {RowAxis(0, 1, 5)},
        "rows in tokens": {RowAxis(0, 5, 1)},
        "encoder, attention with its weights": {RowAxis(0), RowAxis(0, 1, 2)},
        "GRU on packed sequences": {RowAxis(1)},
        "masks by hand": {RowAxis(0), None},
        "locked dropout": {RowAxis(1)},
    }.get(name, {RowAxis(0)})
    assert set(rows_of(model, x)) == expected


def test_rows_that_influence_each_other_are_refused() -> None:
    model = wrapped(lambda m, x: m.drop(x - x.mean(dim=0)))
    with pytest.raises(RowAxisError, match=r"influence each other.*batch_dim=None.*shared_masks=False"):
        rows_of(model, torch.randn(4, 4))
    assert rows_of(model, torch.randn(4, 4), batch_dim=None) == [None]


def test_a_graph_is_refused_as_rows_and_taken_as_one() -> None:
    """Node features and an adjacency: one node more changes the degrees of the others."""

    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout()

        def forward(self, x, edges):
            return torch.zeros_like(x).index_add(0, edges[0], self.drop(x)[edges[1]])

    x, edges = torch.randn(5, 3), torch.tensor([[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 2]])
    with pytest.raises(RowAxisError, match="influence each other"):
        rows_of(Graph(), x, edges)
    assert rows_of(Graph(), x, edges, batch_dim=None) == [None]


def test_a_model_that_fixes_its_batch_size_is_refused_with_the_remedy() -> None:
    model = wrapped(lambda m, x: m.drop(x.view(4, 4)))
    with pytest.raises(RowAxisError, match=r"on one row more the model raised RuntimeError.*batch_dim=None"):
        rows_of(model, torch.randn(4, 4))


def test_dropout_called_once_for_each_row_is_refused() -> None:
    model = wrapped(lambda m, x: torch.stack([m.drop(row) for row in x]))
    with pytest.raises(RowAxisError, match=r"With one row more, other dropout operations run \(drop:dropout#5\)"):
        rows_of(model, torch.randn(4, 4))


def test_an_output_with_tensors_for_each_row_is_refused_with_the_remedy() -> None:
    """Torchvision's detectors return a list with a dictionary for each image, all of one shape or not."""
    model = wrapped(lambda m, x: [{"boxes": row} for row in m.drop(x)])
    message = (
        "With one row more the output holds 5 tensors instead of 4, so the rows lie along no axis .*batch_dim=None"
    )
    for x in (torch.randn(4, 4), torch.ones(4, 4)):
        with pytest.raises(RowAxisError, match=message):
            rows_of(model, x)
    assert rows_of(model, torch.randn(4, 4), batch_dim=None) == [None]


def each_step(m, x):
    """Dropout on the steps of all rows in one tensor; steps of 0 are none."""
    steps = x[..., 0] != 0
    return torch.zeros_like(x).masked_scatter(steps[..., None], m.drop(m.linear(x[steps])))


def ragged(*lengths: int) -> Tensor:
    x = torch.randn(len(lengths), 6, 4, generator=torch.Generator().manual_seed(0))
    return x * (torch.arange(6) < torch.tensor(lengths)[:, None])[..., None]


@pytest.mark.parametrize("lengths", [(2, 6, 4, 4, 4), (4, 2, 6, 4, 4), (3, 5, 4, 4)])
def test_rows_of_several_lengths_that_add_up_are_refused(lengths) -> None:
    """4 steps in the mean, and 4 in the row that stands in the input twice, but row r is not at 4 r to 4 r + 3."""
    with pytest.raises(RowAxisError, match="no layout of its rows explains"):
        rows_of(wrapped(each_step), ragged(*lengths))


def test_packed_steps_of_several_lengths_that_add_up_are_refused() -> None:
    def packed(m, x):
        steps = nn.utils.rnn.pack_padded_sequence(x, (x[..., 0] != 0).sum(1), batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(steps._replace(data=m.drop(steps.data)), batch_first=True)[0]

    assert rows_of(wrapped(packed), ragged(4, 4, 4)) == [RowAxis(0, 4, 1)]
    with pytest.raises(RowAxisError, match="no layout of its rows explains"):
        rows_of(wrapped(packed), ragged(2, 6, 4, 4))


def test_what_sizes_depend_on_is_noted() -> None:
    """Where boolean masks make a size, equal rows may be an accident; heads and tokens are as many in every input."""
    found = discover(wrapped(each_step), (ragged(4, 4, 4),), {}, batch_dim=0)
    assert [site.row for site in found.sites] == [RowAxis(0, 1, 4)]
    assert found.rows_may_be_ragged
    by_shape = wrapped(lambda m, x: m.drop(m.linear(x).flatten(0, 1)).view(x.shape))
    assert not discover(by_shape, (ragged(4, 4, 4),), {}, batch_dim=0).rows_may_be_ragged
    not_folded = wrapped(lambda m, x: m.drop(x * x[x > 0].sum().sign()))
    assert not discover(not_folded, (ragged(4, 4),), {}, batch_dim=None).rows_may_be_ragged


def test_rows_that_the_model_wants_sorted_are_told() -> None:
    def checked(m, x):
        if not bool((x.diff(dim=0) <= 0).all()):
            raise ValueError("not sorted")
        return m.drop(m.linear(x))

    assert rows_of(wrapped(checked), torch.arange(12.0).flip(0).view(3, 4)) == [RowAxis(0)]


@pytest.mark.parametrize("mean_over", [(0, 1), (1,)], ids=["the batch", "the row"])
def test_masks_scaled_by_the_batch_are_refused(mean_over) -> None:
    """DropBlock (Ghiasi et al. 2018) divides by the share that is kept: of the batch in the authors' code."""

    class DropBlock(nn.Module):
        def forward(self, x):
            if not self.training:
                return x
            keep = 1 - F.max_pool1d((torch.rand_like(x) < 0.2).to(x.dtype), 3, stride=1, padding=1)
            return x * keep / keep.mean(mean_over, keepdim=True).clamp(min=0.1)

    x = torch.randn(3, 8)
    assert rows_of(DropBlock(), x, batch_dim=None) == [None]
    if mean_over == (1,):
        assert rows_of(DropBlock(), x) == [RowAxis(0)]
        return
    with pytest.raises(RowAxisError, match=r"drawn at \(model\):rand_like for other rows .* shared_masks=False"):
        rows_of(DropBlock(), x)
    assert rows_of(DropBlock(), x[:1]) == [RowAxis(0)]  # one row has nothing to share


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_rows_of_sparse_inputs_are_told(layout) -> None:
    model = wrapped(lambda m, x: m.drop(torch.sparse.mm(x, m.linear.weight)))
    x = torch.eye(4)[[0, 2, 1, 3, 0]].to_sparse(layout=layout)
    assert rows_of(model, x) == [RowAxis(0)]
    assert torch.equal(first_rows(x, 0, 2).to_dense(), x.to_dense()[:2])
    assert first_rows(x, 0, 2).layout == layout


def test_rows_of_a_sparse_output_are_told() -> None:
    assert rows_of(wrapped(lambda m, x: m.drop(x).to_sparse()), torch.randn(3, 4)) == [RowAxis(0)]


@pytest.mark.filterwarnings("ignore:(Sparse BSR|The PyTorch API of nested)")
def test_nested_and_blocked_inputs_are_refused() -> None:
    with pytest.raises(InputError, match=r"A nested tensor was given.*batch_dim=None"):
        count_rows(torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged), 0)
    with pytest.raises(InputError, match=r"A sparse_bsr tensor was given.*COO, CSR or CSC"):
        count_rows(torch.eye(4).to_sparse_bsr((2, 2)), 0)


def test_rows_too_alike_to_tell_are_refused() -> None:
    flat = Profile.of(torch.zeros(6, 2), 2)
    more = Profile.of(torch.zeros(9, 2), 3)
    with pytest.raises(RowAxisError, match="too alike to tell"):
        row_axis("site", flat, more, 2, orders(2)[0])


def test_two_growing_axes_are_refused() -> None:
    with pytest.raises(RowAxisError, match=r"its input is \(2, 2\) for 2 rows, \(3, 3\) for one more"):
        row_axis("site", Profile((2, 2)), Profile((3, 3)), 2, orders(2)[0])


@pytest.mark.parametrize("row", [RowAxis(0), RowAxis(1), RowAxis(1, 3, 1), RowAxis(1, 1, 3), RowAxis(0, 2, 3)])
def test_fold_undoes_unfold_and_the_unit_broadcasts(row) -> None:
    x = torch.randn(6, 6, 2)
    unfolded = row.unfold(x)
    assert torch.equal(row.fold(unfolded), x)
    unit = row.unit(x.shape)
    assert torch.broadcast_shapes(unit, unfolded.shape) == unfolded.shape
    rows = 6 // (row.outer * row.inner)
    assert torch.Size(unit).numel() * rows == x.numel()


def test_rows_are_picked_from_every_tensor_that_has_them() -> None:
    inputs = {"ids": torch.arange(3), "table": torch.ones(5, 2), "flag": True}
    more = picked_rows(inputs, 0, orders(3)[0])
    assert more["ids"].tolist() == [2, 2, 1, 0]
    assert more["table"].shape == (5, 2)
    assert more["flag"] is True


def test_inputs_without_tensor_or_axis_are_refused() -> None:
    with pytest.raises(InputError, match=r"The input is a tuple with no tensor; expected at least one tensor"):
        count_rows(({}, "text"), 0)
    with pytest.raises(InputError, match=r"batch_dim=1 was given for an input float32 \(3,\)"):
        count_rows(torch.zeros(3), 1)


def test_results_are_close_to_the_precision_that_they_were_computed_in() -> None:
    one = torch.tensor([1.0, -4.0], dtype=torch.float64)
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        allowed = 4 * torch.finfo(dtype).eps ** 0.5
        assert close(one + 0.9 * allowed, one, computed_in=dtype)
        assert not close(one + 1.1 * allowed, one, computed_in=dtype)
    assert close(one.float() + 4 * 0.9 * torch.finfo(torch.float32).eps ** 0.5, one.float())  # its own, if coarser


def test_the_finest_type_is_the_one_of_most_precision() -> None:
    tensors = [torch.ones(2, dtype=dtype) for dtype in (torch.bfloat16, torch.float16, torch.int64)]
    assert finest([*tensors, torch.ones(1, dtype=torch.float32)]) == torch.float32
    assert finest(tensors, [torch.ones(1, dtype=torch.float64)]) == torch.float16  # weights, then inputs
    whole = [torch.ones(2, dtype=torch.int64)]
    assert finest(whole, {"inputs": torch.ones(1, dtype=torch.complex64)}) == torch.complex64
    assert finest(whole, whole) == torch.float64


class Restored(nn.Module):
    """float32 inside and float64 outside, as units of the targets kept in float64 make it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 1))
        self.register_buffer("unit", torch.tensor([2.0], dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x) * self.unit


@pytest.mark.parametrize("rows", [1, 2, 3, 10])
def test_a_finer_output_is_held_to_what_it_was_computed_in(rows) -> None:
    assert len(rows_of(Restored(), torch.randn(rows, 8, generator=torch.Generator().manual_seed(rows)))) == 1


@pytest.mark.parametrize("rows", [1, 3, 10])
def test_complex_outputs_are_held_to_their_precision(rows) -> None:
    model = wrapped(lambda self, x: torch.fft.fft(self.linear(self.drop(x)), dim=1))
    assert len(rows_of(model, torch.randn(rows, 4, generator=torch.Generator().manual_seed(rows)))) == 1
