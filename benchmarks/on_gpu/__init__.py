"""The parts of ``benchmarks/gpu.py``, by name, in their order; each returns plain values for JSON."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Trial(NamedTuple):
    """What is tried."""

    device: str
    quick: bool


def _later(module: str, name: str) -> Callable[[Trial], dict[str, Any]]:
    """A part whose module is imported in its own process."""

    def run(trial: Trial) -> dict[str, Any]:
        from importlib import import_module

        return getattr(import_module(f"on_gpu.{module}"), name)(trial)

    return run


PARTS = {
    "machine": _later("machine", "machine"),
    "tests": _later("machine", "marked_tests"),
    "errors": _later("right", "errors"),
    "trouble": _later("right", "trouble"),
    "full": _later("crowded", "full_card"),
    "ranks": _later("crowded", "two_ranks"),
    "lists": _later("lists", "lists"),
    "call": _later("fast", "parts_of_a_call"),
    "graph": _later("fast", "graph"),
    "sizes": _later("fast", "sizes"),
    "uses": _later("uses", "uses"),
    "training": _later("uses", "training"),
}


def verdict(found: dict[str, Any]) -> tuple[list[str], bool]:
    """A few lines to paste, and whether all is right."""
    failed = [name for name, values in found.items() if "failed" in values]
    errors = found.get("errors", {})
    wrong = list(errors.get("too_much", []))
    for name in ("trouble", "full", "ranks", "lists"):
        wrong += [k for k, v in found.get(name, {}).items() if v is False]
    if found.get("tests", {}).get("status", 0):
        wrong.append("pytest -m gpu")
    lines = [f"VERDICT: {'right' if not failed and not wrong else 'NOT RIGHT'}"]
    lines += [f"failed parts: {', '.join(failed) or 'none'}", f"wrong: {', '.join(wrong) or 'nothing'}"]
    machine = found.get("machine", {})
    lines.append(
        f"card: {machine.get('card')}, driver {machine.get('driver')}, torch {machine.get('torch')}"
    )
    lines.append(f"engine: {machine.get('sequence')}, Triton {machine.get('triton')}")
    lines.append(f"largest errors of forces, eV/Å: {errors.get('worst')}")
    for name in ("lists", "call", "graph", "sizes", "uses"):
        lines.append(f"{name}: {found.get(name, {}).get('summary')}")
    return lines, not failed and not wrong
