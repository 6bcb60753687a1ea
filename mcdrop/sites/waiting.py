"""Code that reads `training` and then waits for a value: dropout that only some inputs switch on."""

from typing import Any

from torch import nn

from mcdrop.sites.observe import observe
from mcdrop.sites.randomness import devices_of, preserved_randomness
from mcdrop.sites.site import Discovery


def wakes(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], discovery: Discovery) -> bool:
    """Whether readers of `training` that showed nothing where sites were looked for show something on this input.

    Two passes are observed where there are such readers, and none otherwise.

    Args:
        model: The network; it is only read.
        args: Its positional inputs.
        kwargs: Its keyword inputs.
        discovery: What was found with other inputs of this kind.
    """
    if not discovery.waiting:
        return False
    with preserved_randomness(devices_of(model, (args, kwargs))) as given:
        before, after = (
            observe(model, args, kwargs, on, given=given) for on in (discovery.on, discovery.on | discovery.waiting)
        )
    earlier = {seen.name: seen for seen in before.seen}
    return after.draws != before.draws or any(seen.has_grown(earlier.get(seen.name)) for seen in after.seen)
