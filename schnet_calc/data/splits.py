"""Splits of a data set into training, validation and test frames."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schnet_calc.data.archives import load_arrays
from schnet_calc.folders import replaced


class Split(NamedTuple):
    """Indices of frames."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    def save(self, path: str | Path) -> None:
        """Write the indices to an ``.npz`` file, replaced in one step."""
        with replaced(Path(path)) as scratch, scratch.open("wb") as stream:
            np.savez_compressed(stream, **self._asdict())  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path, n_frames: int | None = None) -> "Split":
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        path : path
            The file.
        n_frames : int, optional
            Of the data that it is for.

        Raises
        ------
        ValueError
            It is no split, a frame occurs twice, or lies beyond those that there are.
        """
        archive = load_arrays(path)
        missing = [name for name in cls._fields if name not in archive]
        if missing:
            raise ValueError(f"{path} is no saved split: it lacks {', '.join(missing)}")
        split = cls(*(archive[name] for name in cls._fields))
        together = np.concatenate(split)
        if len(np.unique(together)) != len(together):
            raise ValueError(f"{path}: a frame occurs twice in this split")
        last = int(together.max(initial=-1))
        if n_frames is not None and last >= n_frames:
            raise ValueError(f"the split {path} names frame {last}, but the data hold {n_frames} frames")
        return split


def split_frames(
    n_frames: int,
    n_train: int,
    n_validation: int,
    *,
    method: str = "random",
    n_test: int | None = None,
    n_blocks: int = 10,
    seed: int = 0,
) -> Split:
    """Choose frames for training and validation; the rest, or ``n_test`` of it, is for the test.

    Parameters
    ----------
    n_frames, n_train, n_validation, n_test : int
        Numbers of frames.
    method : str
        ``"random"``: drawn one by one. ``"blocks"``: the data are cut into ``n_blocks`` blocks of
        time; the last of them that hold ``n_test`` frames are the test set, and training and
        validation frames are drawn from the blocks before: neighbouring frames of a trajectory are
        near copies, and only this way none of them is in the training set.
    seed : int
        Of the draw.

    Raises
    ------
    ValueError
        More frames are asked for than there are, or the method is unknown.
    """
    if method not in ("random", "blocks"):
        raise ValueError(f"method is 'random' or 'blocks', got {method!r}")
    asked = n_train + n_validation + (n_test or 0)
    if min(n_train, n_validation) < 1 or asked > n_frames:
        raise ValueError(
            f"{n_train} frames to train on, {n_validation} to validate and {n_test or 0} to test "
            f"were asked for, but there are {n_frames}"
        )
    rng = np.random.default_rng(seed)
    if method == "random":
        order = rng.permutation(n_frames)
        test = order[n_train + n_validation :]
        test = test if n_test is None else test[:n_test]
        return Split(order[:n_train], order[n_train : n_train + n_validation], np.sort(test))
    edges = np.linspace(0, n_frames, n_blocks + 1).astype(int)
    wanted = max(n_test or 1, 1)
    first_test = int(edges[np.searchsorted(edges, n_frames - wanted, side="right") - 1])
    if n_train + n_validation > first_test:
        raise ValueError(
            f"the blocks before the test set hold {first_test} frames, "
            f"but {n_train} + {n_validation} were asked for"
        )
    order = rng.permutation(first_test)
    test = np.arange(first_test, n_frames)
    return Split(order[:n_train], order[n_train : n_train + n_validation], test)
