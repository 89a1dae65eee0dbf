"""From a molecule and any ASE calculator to a potential that knows where it can be trusted.

The loop of labelling, training, dynamics and doubt: :func:`learn`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from schnet_calc.learn.diversity import choose_diverse
    from schnet_calc.learn.loop import learn
    from schnet_calc.learn.result import LearnResult, Round
    from schnet_calc.learn.settings import LearnSettings

PLACES = {
    "LearnResult": "result",
    "LearnSettings": "settings",
    "Round": "result",
    "choose_diverse": "diversity",
    "learn": "loop",
}
"""The module that each public name comes from; imported on first use: processes that label need no torch."""

__all__ = ["LearnResult", "LearnSettings", "Round", "choose_diverse", "learn"]


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{PLACES[name]}"), name)
    globals()[name] = value
    return value
