"""What makes a start shorter that somebody waits for; whoever wants it imports this before all else.

What modules are made of is there to stay. The garbage collector would go through it again and again while they are
imported, which takes a tenth of the time, and find nothing.
"""

from __future__ import annotations

import gc
import os
import sys

gc.disable()
# pydantic would look into every package that is installed for plugins of its own, of which there are none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
# FastAPI, where it is there, would load pydantic's first version to tell models of that one, of which there are none.
sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]


def ended() -> None:
    """Have the collector work from now on, and leave alone what is there already."""
    if sys.modules["pydantic.v1"] is None:
        del sys.modules["pydantic.v1"]
    gc.freeze()
    gc.enable()
