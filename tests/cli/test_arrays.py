import numpy as np
import pytest

from mcdrop.cli import arrays
from mcdrop.errors import InputError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_archive_by_key_and_without_one_where_it_holds_one_array(folder):
    np.savez("two.npz", x=np.arange(3), y=np.eye(2))
    np.savez("one.npz", x=np.arange(3))
    np.save("one.npy", np.eye(2))
    np.testing.assert_array_equal(arrays.read("two.npz:y"), np.eye(2))
    np.testing.assert_array_equal(arrays.read("one.npz"), [0, 1, 2])
    np.testing.assert_array_equal(arrays.read(f"{folder}/one.npy"), np.eye(2))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_of_a_table(folder, delimiter):
    text = '"a",b,c\n1,2,3\n4,5,6e1\n'.replace(",", delimiter)
    (folder / "data.csv").write_text("\ufeff" + text, encoding="utf-8")  # as spreadsheets write it
    np.testing.assert_array_equal(arrays.read("data.csv"), [[1, 2, 3], [4, 5, 60]])
    np.testing.assert_array_equal(arrays.read("data.csv:c, a"), [[3, 1], [60, 4]])
    np.testing.assert_array_equal(arrays.read("data.csv:-b"), [[1, 3], [4, 60]])
    np.testing.assert_array_equal(arrays.read("data.csv:-b,-c"), [[1], [4]])
    np.testing.assert_array_equal(arrays.read("data.csv:1"), [[2], [5]])


def test_a_table_without_names(folder):
    (folder / "data.tsv").write_text("1\t2\n3\t4\n")
    np.testing.assert_array_equal(arrays.read("data.tsv"), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(arrays.read("data.tsv:1"), [[2], [4]])
    (folder / "column.txt").write_text("5\n6\n")
    np.testing.assert_array_equal(arrays.read("column.txt"), [[5], [6]])


def test_a_file_with_a_colon_in_its_name(folder):
    np.savez("a:b.npz", x=np.arange(2))
    np.testing.assert_array_equal(arrays.read("a:b.npz"), [0, 1])
    np.testing.assert_array_equal(arrays.read("a:b.npz:x"), [0, 1])


def test_numbers_of_another_byte_order_and_layout(folder):
    np.save("big.npy", np.arange(6, dtype=">f4").reshape(2, 3).T)
    array = arrays.read("big.npy")
    assert array.dtype.isnative
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, [[0, 3], [1, 4], [2, 5]])


FILES = {
    "objects.npz": lambda path: np.savez(path, x=np.array([{}], dtype=object)),
    "two.npz": lambda path: np.savez(path, x=np.eye(2), y=np.eye(2)),
    "text.npz": lambda path: np.savez(path, x=np.array(["a"])),
    "empty.npz": lambda path: np.savez(path),
    "no_rows.npz": lambda path: np.savez(path, x=np.zeros((0, 2))),
    "number.npz": lambda path: np.savez(path, x=np.float64(3)),
    "nan.npz": lambda path: np.savez(path, x=np.array([[0, 1], [np.nan, np.inf]])),
    "broken.npz": lambda path: path.write_bytes(b"PK\x03\x04 cut short"),
    "words.npz": lambda path: path.write_text("words"),
    "cut.npy": lambda path: path.write_bytes(b"\x93NUMPY\x01"),
    "data.csv": lambda path: path.write_text("a,b\n1,2\n3,4\n"),
    "hole.csv": lambda path: path.write_text("a,b\n1,\n3,4\n"),
    "ragged.csv": lambda path: path.write_text("1,2\n3\n"),
    "names.csv": lambda path: path.write_text("a,b\n"),
    "nothing.csv": lambda path: path.write_text(""),
    "latin.csv": lambda path: path.write_bytes(b"a\xe9,b\n1,2\n"),
    "page.html": lambda path: path.write_text("<p>"),
}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent.npz", "There is no file absent.npz"),
        ("absent.npz:x", "There is no file absent.npz"),
        ("objects.npz", "objects.npz cannot be read: Object arrays cannot be loaded"),
        ("two.npz", "two.npz was given with no key; it holds x, y. two.npz:NAME picks one of them"),
        ("two.npz:z", "two.npz was given with the key 'z'; it holds x, y"),
        ("text.npz", "text.npz holds an array of <U1; expected numbers"),
        ("empty.npz", "empty.npz was given with no key; it holds nothing"),
        ("no_rows.npz", r"holds an array of shape \(0, 2\); expected at least one row"),
        ("number.npz", r"holds an array of shape \(\); expected at least one row"),
        ("nan.npz", r"holds 2 NaN or infinite numbers, the first in row 1 \(counted from 0\)"),
        ("broken.npz", "broken.npz cannot be read"),
        ("words.npz", "words.npz cannot be read"),
        ("cut.npy", "cut.npy cannot be read"),
        ("data.csv:c", "data.csv has no column 'c'. Its columns: a, b"),
        ("data.csv:a,2", "data.csv has no column '2'. Its columns: a, b"),
        ("data.csv:", "data.csv has no column ''"),
        ("hole.csv", "hole.csv cannot be read: could not convert string '' to float64 at row 0, column 2"),
        ("ragged.csv", "ragged.csv cannot be read: the number of columns changed from 2 to 1 at row 2"),
        ("ragged.csv:7", r"no column '7'. Its columns: 0 to 1 \(it has no line of names\)"),
        ("names.csv", r"names.csv holds an array of shape \(0, .*\); expected at least one row"),
        ("nothing.csv", "nothing.csv holds an array of shape .*; expected at least one row"),
        ("latin.csv", "latin.csv cannot be read: 'utf-8' codec can't decode"),
        ("page.html", r"page.html was given; expected FILE.npz\[:key\], FILE.npy or FILE.csv\[:columns\]"),
        ("cut.npy:x", r"cut.npy:x was given; expected FILE.npz"),
        (".", r"\. was given; expected FILE"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(folder, source, message):
    for name, make in FILES.items():
        make(folder / name)
    with pytest.raises(InputError, match=message):
        arrays.read(source)


def test_an_archive_under_another_name_is_refused(folder):
    with open("x.npz", "wb") as file:
        np.save(file, np.eye(2))
    with pytest.raises(InputError, match=r"x\.npz is no archive of arrays, whatever its name says"):
        arrays.read("x.npz")


def test_nothing_pickled_is_loaded(folder):
    class Trap:
        def __reduce__(self):
            return (open, ("trap was sprung", "w"))

    np.savez("trap.npz", x=np.array([Trap()], dtype=object))
    np.save("trap.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    for name in ("trap.npz", "trap.npy"):
        with pytest.raises(InputError, match="cannot be read"):
            arrays.read(name)
    assert not (folder / "trap was sprung").exists()
