"""The application that the commands register with."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from schnet_calc import __version__

app = App(
    name="schnet-calc",
    help="Trained SchNet potentials: relaxation, normal modes, molecular dynamics, training.",
    version=__version__,
    suppress_keyboard_interrupt=False,  # main() says what an interruption leaves behind
)
Output = Annotated[Path, Parameter(name=["--output", "-o"])]
