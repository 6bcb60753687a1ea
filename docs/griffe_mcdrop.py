"""Reads mcdrop's source as mcdrop means it, for the API pages."""

import re
from typing import Any

import griffe


class Conventions(griffe.Extension):
    """A name that a package's `__init__.py` takes from its own files is public; `Example:` holds doctests."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Called once, with the whole package loaded."""
        for member in pkg.members.values():
            if member.is_alias:
                member.public = member.target_path.startswith("mcdrop.")
            elif member.is_module:
                self.on_package(pkg=member)

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for every object; griffe knows the section by its plural alone."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
