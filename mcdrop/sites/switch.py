"""Who reads `self.training`, and what each reader is told.

A module's one flag answers many questions: is dropout on, are running statistics updated, is a target required. So
the skeleton of a model (see `shadow`) holds no flag. `nn.Module.__getattr__` then looks among the buffers, and a
dictionary there answers every *reader*, that is every place in the code, on its own.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch

from mcdrop.errors import UncontrolledSiteError

_TORCH_MODULES = Path(torch.nn.modules.__file__).parent
# In these, the flag decides about dropout alone (and about the fused transformer kernels that skip it).
_ALWAYS = {str(_TORCH_MODULES / name) for name in ("dropout.py", "rnn.py", "activation.py", "transformer.py")}
# RReLU's random slope is no 0/1 or unit-mean factor, and a norm that reads True overwrites its running statistics.
_NEVER = {str(_TORCH_MODULES / name) for name in ("batchnorm.py", "instancenorm.py")}
_RRELU = torch.nn.RReLU.forward.__code__


def _known(code: CodeType) -> bool | None:
    """The answer for code of PyTorch's own layers, True where the flag is dropout's; None where it must be found."""
    if code.co_filename in _ALWAYS:
        return code is not _RRELU
    return False if code.co_filename in _NEVER else None


def is_dropout_layer(module: type[torch.nn.Module]) -> bool:
    """Whether the class is one of PyTorch's own whose flag is dropout's."""
    code = getattr(module.forward, "__code__", None)
    return code is not None and bool(_known(code))


@dataclass(frozen=True)
class Reader:
    """One place in the code that reads `training`.

    Args:
        code: The code object that holds the read.
        instruction: Offset of the reading instruction in it.
        line: Its line number.
    """

    code: CodeType
    instruction: int
    line: int = field(compare=False)

    def __str__(self) -> str:
        return f"{Path(self.code.co_filename).name}:{self.line} ({self.code.co_qualname})"


@lru_cache(maxsize=4096)
def _first_instruction(code: CodeType, offset: int) -> int:
    """The first instruction of the expression that the one at `offset` belongs to.

    A call is several instructions (PRECALL, CALL), and which of them runs changes once Python has specialised the code.
    """
    positions = list(code.co_positions())
    here = positions[offset // 2]
    return offset if None in here else 2 * positions.index(here)


class Switch:
    """Answers reads of `training`: what is known, then what was decided, then False.

    Args:
        on: Readers that are told True.
        off: Whether everybody is told False, PyTorch's own dropout layers too: evaluation mode.

    Attributes:
        readers: Every reader met so far that had no known answer, in order.
        is_over: Whether the pass has ended: who is told True after it has no masks.
    """

    def __init__(self, on: Iterable[Reader] = (), *, off: bool = False) -> None:
        self.on = frozenset(on)
        self._off = off
        self.is_over = False
        self.readers: dict[Reader, None] = {}

    def answer(self, frame: FrameType) -> bool:
        """What the code running in `frame` is told."""
        is_on = self._is_on(frame)
        if is_on and self.is_over:
            raise UncontrolledSiteError(
                "Dropout runs again after the pass, where it is given no masks: torch.utils.checkpoint does that in "
                "backward. Switch checkpointing off for passes with grad=True."
            )
        return is_on

    def _is_on(self, frame: FrameType) -> bool:
        if self._off:
            return False
        code = frame.f_code
        known = _known(code)
        if known is not None:
            return known
        reader = Reader(code, _first_instruction(code, frame.f_lasti), frame.f_lineno)
        self.readers.setdefault(reader)
        return reader in self.on


_holds = dict.__contains__


class SwitchedBuffers(dict[str, Any]):
    """The buffers of one skeleton module, and the answer to `training`."""

    __slots__ = ("_switch",)

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    # A forward reads its buffers through these two, so that they are as short as can be.
    def __contains__(self, name: object) -> bool:
        if name != "training":
            return _holds(self, name)
        # Only a read finds it here: `module.train()` inside a forward assigns, and must find a plain attribute.
        return sys._getframe(1).f_code.co_name == "__getattr__"

    def __missing__(self, name: str) -> Any:
        if name != "training":
            raise KeyError(name)
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_name in ("__getattr__", "getattr"):
            frame = frame.f_back
        return frame is not None and self._switch.answer(frame)
