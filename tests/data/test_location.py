from pathlib import Path

import pytest

from mcdrop.data.location import data_folder
from mcdrop.errors import InputError


def test_the_variable_names_the_folder_which_need_not_exist(monkeypatch, tmp_path):
    monkeypatch.setenv("MCDROP_DATA", str(tmp_path / "a" / "b"))
    assert data_folder() == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


def test_home_and_relative_folders_become_absolute(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MCDROP_DATA", "~/sets")
    assert data_folder() == tmp_path / "sets"
    monkeypatch.setenv("MCDROP_DATA", "sets")
    assert data_folder() == Path.cwd() / "sets"


@pytest.mark.parametrize("named", [None, ""])
def test_without_it_the_users_cache_is_taken(monkeypatch, tmp_path, named):
    if named is None:
        monkeypatch.delenv("MCDROP_DATA", raising=False)
    else:
        monkeypatch.setenv("MCDROP_DATA", named)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/mine")
    assert data_folder() == Path("/var/cache/mine/mcdrop")
    for not_absolute in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", not_absolute)
        assert data_folder() == tmp_path / ".cache" / "mcdrop"


def test_a_file_in_the_place_of_the_folder_is_refused(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MCDROP_DATA", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"MCDROP_DATA='.*file' is no folder: name one, or unset MCDROP_DATA"):
        data_folder()
