"""Where other libraries have no public way: one function each, and a test of each in ``tests/test_compat.py``.

Libraries are imported inside, so that nobody waits for one that is not asked.
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger("schnet_calc")


def make_known(name: str, shape: tuple[int | str, ...] = ()) -> None:
    """Let ASE carry a result that it has no name for: in trajectories and single-point calculators, too.

    Parameters
    ----------
    name : str
        Of the result.
    shape : tuple of int or str
        Of its value; ``"natoms"`` stands for the number of atoms.
    """
    from ase.calculators.calculator import all_properties
    from ase.outputs import _defineprop, all_outputs

    if name not in all_outputs:
        _defineprop(name, float, shape=shape)
    if name not in all_properties:
        all_properties.append(name)


def calculator_plugin(name: str, citation: str, implementation: str) -> Any:
    """Return what ASE's plugin system takes for a calculator.

    Parameters
    ----------
    name : str
        Of the calculator.
    citation : str
        Of the method.
    implementation : str
        Where the class is.
    """
    from ase._4.plugins.plugin import CalculatorPlugin

    return CalculatorPlugin(name, citation=citation, implementation=implementation)


def adam_update(
    gradient: "Tensor", mean: "Tensor", square: "Tensor", count: int, options: dict[str, Any]
) -> "Tensor":
    """Update Adam's moments in one pass over the memory, and return its step.

    Parameters
    ----------
    gradient, mean, square : Tensor
        (...,) of one shape; the moments are changed.
    count : int
        Of this step, from one.
    options : dict
        ``lr``, ``betas`` and ``eps``.
    """
    import torch

    update = torch.zeros_like(gradient)
    beta1, beta2 = options["betas"]
    torch._fused_adam_(
        [update],
        [gradient],
        [mean],
        [square],
        [],
        [torch.full((), float(count), device=gradient.device)],
        lr=options["lr"],
        beta1=beta1,
        beta2=beta2,
        weight_decay=0.0,
        eps=options["eps"],
        amsgrad=False,
        maximize=False,
    )
    return update


def cache_folder(dispatcher: Any) -> Path | None:
    """Return where numba keeps a compiled function; None if it doesn't."""
    path = getattr(getattr(dispatcher, "_cache", None), "cache_path", None)
    return None if path is None else Path(path)


def keep_compiled(dispatcher: Any, stamp: str) -> None:
    """Have numba compile anew where more than a function's own file has changed, or where its cache is damaged.

    Parameters
    ----------
    dispatcher : Dispatcher
        Of the function, with a cache.
    stamp : str
        Hash of all that the function calls.
    """
    kept = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if kept is not None:
        kept._source_stamp = (kept._source_stamp, stamp)
        _forgive(dispatcher._cache)


def _forgive(cache: Any) -> None:
    """Compile anew where the cache is damaged, and go on where the disk is full: it only saves time."""
    # An index that can't be read can't be written, either: it may name classes of another version.
    emptied = partial(_tried, cache.flush, "emptied (%r)")
    cache.load_overload = partial(
        _tried, cache.load_overload, "read (%r): compiling anew", otherwise=emptied
    )
    cache.save_overload = partial(_tried, cache.save_overload, "written (%r)")


def _tried(
    call: Callable[..., Any], what: str, *arguments: Any, otherwise: Callable[[], Any] | None = None
) -> Any:
    """Return what a call returns; None, a word in the log and another call, where it raises."""
    try:
        return call(*arguments)
    except Exception as error:  # unpickling what was damaged raises anything
        logger.warning(f"numba's cache can't be {what}", error)
        if otherwise is not None:
            otherwise()
        return None
