"""Telling that memory ran out from other failures."""

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("shapes do not fit"))
        (True, False)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # PyTorch raises no class of its own where the processor's memory runs out.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator: " in str(error)
