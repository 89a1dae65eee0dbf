"""From a configuration to a tested model file."""

from collections.abc import Callable

from schnet_calc.calculator import SchNetCalculator
from schnet_calc.training import Run, export_model
from schnet_calc.training.evaluate import Evaluation, evaluate


def finish(
    run: Run, command: str | None = None, progress: Callable[[int, int], None] | None = None
) -> Evaluation | None:
    """Export the best weights of a run to ``model.pt``, and test them on the frames never used.

    Parameters
    ----------
    run : Run
        A run that has validated at least once.
    command : str, optional
        The command that trained it, for the metadata.
    progress : callable, optional
        Called with the number of test frames done, and their number.

    Returns
    -------
    Evaluation or None
        On the test frames; None if the split has none.
    """
    path = run.directory / "model.pt"
    export_model(run.directory, path, command)
    frames = run.frames.select(run.split.test)
    if not len(frames):
        return None
    calculator = SchNetCalculator(path, device=str(run.device))
    test = evaluate(calculator, frames, progress and (lambda done: progress(done, len(frames))))
    errors = {**test.errors.to_dict(), "n_frames": test.n_frames}
    export_model(run.directory, path, command, errors)
    return test
