import json

import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.prediction import Provenance


def test_json_and_back():
    provenance = Provenance(num_samples=100, seed=2**62 + 1, design="Stratified(block=20)", block_size=20)
    assert Provenance.from_dict(json.loads(json.dumps(provenance.to_dict()))) == provenance
    assert provenance.torch_version == torch.__version__
    assert type(provenance.torch_version) is str


def test_unknown_fields_are_refused():
    with pytest.raises(InputError, match=r"Not the fields of a Provenance: \['samples'\] given"):
        Provenance.from_dict({"samples": 3})
