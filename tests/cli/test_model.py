import builtins
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mcdrop.cli import inputs, model
from mcdrop.errors import InputError


def test_a_function_a_class_and_the_model_itself(project):
    assert isinstance(model.load("network:build"), nn.Sequential)
    assert type(model.load("network:Two")).__name__ == "Two"
    assert model.load("network:ready") is sys.modules["network"].ready


def test_the_model_is_in_eval_mode(project):
    assert not any(module.training for module in model.load("network:build").modules())


def test_a_module_in_a_package(project):
    (project / "nets").mkdir()
    (project / "nets" / "digits.py").write_text("from torch import nn\nclass Zoo:\n    small = nn.Linear(2, 2)\n")
    assert isinstance(model.load("nets.digits:Zoo.small"), nn.Linear)


@pytest.mark.parametrize("form", ["torch", "safetensors", "part of a file"])
def test_weights(project, form):
    state = torch.load("weights.pt", weights_only=True)
    if form == "safetensors":
        save_file(state, "weights.safetensors")
    torch.save({"epoch": 3, "state_dict": state}, "run.ckpt")
    source = {"torch": "weights.pt", "safetensors": "weights.safetensors", "part of a file": "run.ckpt:state_dict"}
    loaded = model.load("network:build", weights=source[form])
    assert torch.equal(loaded[0].weight, torch.ones(32, 4))
    assert torch.equal(loaded[3].bias, torch.arange(3.0))
    assert not torch.equal(model.load("network:build")[0].weight, torch.ones(32, 4))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("network", "'network' was given as the model; expected MODULE:FACTORY, such as network:build"),
        (":build", "':build' was given as the model"),
        ("network:", "'network:' was given as the model"),
        ("net work:build", "'net work:build' was given as the model"),
        ("network.py:build", "'network.py:build' names a file; expected a module: network:build"),
        ("./nets/digits.py:build", "names a file; expected a module: nets.digits:build"),
        ("absent:build", "There is no module 'absent' in .* or on PYTHONPATH"),
        ("network.deeper:build", "There is no module 'network.deeper'"),
        ("network:bild", "The module network holds no 'bild'"),
        ("network:number", "network:number gave int; expected torch.nn.Module"),
        ("network:fails", r"network:fails raised KeyError: 'oh\\nno' \(.*network.py, line \d+\)"),
        ("network:leaves", r"network:leaves raised SystemExit: usage: train.py DATA \(.*network.py, line \d+\)"),
        ("wrong:build", r"wrong:build raised SyntaxError: .*\(wrong.py, line 2\)$"),
        (
            "needs:build",
            r"needs:build raised ModuleNotFoundError: No module named 'absent_package' \(.*needs.py, line 1\)",
        ),
        ("asks:build", r"asks:build raised AttributeError: module 'torch' has no attribute 'nonsense' \(.*asks.py"),
    ],
)
def test_a_model_that_cannot_be_had_is_refused_in_words(project, name, message):
    (project / "wrong.py").write_text("import torch\ndef build(:\n")
    (project / "needs.py").write_text("import absent_package\n")
    (project / "asks.py").write_text("import torch\ntorch.nonsense\n")
    with pytest.raises(InputError, match=message):
        model.load(name)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("absent.pt", r"There is no file absent\.pt"),
        ("absent.pt:model", r"There is no file absent\.pt"),
        ("weights.pt:model", r"weights\.pt holds no 'model'. It holds 0\.weight, 0\.bias, 3\.weight, 3\.bias"),
        ("run.ckpt", r"run\.ckpt holds epoch, state_dict; expected a state dict.* run\.ckpt:key picks it"),
        ("tensor.pt", r"tensor\.pt holds no state dict; expected a state dict"),
        ("other.pt", r"(?s)The weights other\.pt do not fit the model of network:build: .*Missing key"),
        ("text.pt", r"text\.pt cannot be read as weights alone"),
        ("whole.pt", r"whole\.pt cannot be read as weights alone: .*Whole models are code and are not loaded"),
        ("text.safetensors", r"text\.safetensors is no file of safetensors"),
    ],
)
def test_weights_that_cannot_be_had_are_refused_in_words(project, weights, message):
    torch.save({"epoch": 3, "state_dict": {}}, "run.ckpt")
    torch.save(torch.ones(3), "tensor.pt")
    torch.save({"other": torch.ones(3)}, "other.pt")
    torch.save(model.load("network:build"), "whole.pt")
    (project / "text.pt").write_text("text")
    (project / "text.safetensors").write_text("text")
    with pytest.raises(InputError, match=message):
        model.load("network:build", weights=weights)


def test_weights_cannot_run_code(project):
    class Trap:
        def __reduce__(self):
            return (open, ("trap was sprung", "w"))

    torch.save({"weight": Trap()}, "trap.pt")
    with pytest.raises(InputError, match="cannot be read as weights alone"):
        model.load("network:build", weights="trap.pt")
    assert not (project / "trap was sprung").exists()


def test_safetensors_are_optional(project, monkeypatch):
    (project / "weights.safetensors").write_text("")
    importing = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("safetensors"):
            raise ImportError(name)
        return importing(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="needs the package safetensors: pip install safetensors"):
        model.load("network:build", weights="weights.safetensors")


def test_a_device_that_is_not_there(project):
    with pytest.raises(InputError, match="The model cannot be moved to the device 'nowhere'"):
        model.load("network:build", device="nowhere")


def test_what_the_model_raises_is_said_to_be_the_models(project):
    network = model.load("network:build")
    rows = inputs.rows_of(((torch.zeros(9, 5),), {}), 0, 8)
    message = r"network:build, run on the first rows of the inputs \(float32 \(8, 5\)\), raised RuntimeError: mat1"
    with pytest.raises(InputError, match=message):
        model.try_out(network, "network:build", rows)


def test_what_the_users_code_prints_goes_to_stderr(project, capsys):
    (project / "loud.py").write_text(
        "from torch import nn\nprint('import')\ndef build():\n    print('build')\n    return nn.Linear(2, 2)\n"
    )
    model.load("loud:build")
    model.try_out(model.load("network:Two"), "network:Two", ((torch.ones(2, 4), torch.ones(2, 4)), {}))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "import\nbuild\nforward\n"
