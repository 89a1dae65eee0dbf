"""NVE and NVT dynamics that stream to disk and can be continued.

Set CI=1 for a run of a few steps.
"""

import os
import tempfile
from pathlib import Path

from schnet_calc import MDSettings, SchNetCalculator, run_md
from schnet_calc.simulate.relax import relax
from schnet_calc.studies.c20 import dodecahedron

picoseconds = 0.02 if os.environ.get("CI") else 2.0
calculator = SchNetCalculator("c20")
start = dodecahedron()
start.rattle(0.05, seed=0)
atoms = relax(start, calculator, fmax=1e-2).atoms

with tempfile.TemporaryDirectory() as folder:
    # It begins with ten time constants of a thermostat that aren't written, so that vibrations have 300 K.
    nve = MDSettings(temperature=300, time=picoseconds, timestep=0.5, thermostat="none")
    total = run_md(atoms, calculator, nve, Path(folder) / "nve").table()["total_ev"]
    print(f"NVE: the total energy stays within {1e3 * (total.max() - total.min()):.2f} meV")

    nvt = MDSettings(temperature=300, time=picoseconds, thermostat="langevin", time_constant=50)
    run_md(atoms, calculator, nvt, Path(folder) / "nvt")

    # The same call with a longer time and resume=True goes on where the run ended.
    longer = MDSettings(temperature=300, time=1.5 * picoseconds, thermostat="langevin", time_constant=50)
    table = run_md(atoms, calculator, longer, Path(folder) / "nvt", resume=True).table()
    print(f"NVT: {len(table['time_ps'])} frames, mean temperature {table['temperature_k'].mean():.0f} K")
