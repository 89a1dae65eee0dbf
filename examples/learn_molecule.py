"""From a molecule and GFN2-xTB to a committee for path integrals that knows where it can be trusted.

    python examples/learn_molecule.py [MOLECULE.xyz] [FOLDER]

Methanol without arguments. The same on the command line, with any ASE calculator in a file of your own:

    schnet-calc learn molecule.xyz --reference gfn2-xtb --temperature 300 --beads 8 -o learned
    schnet-calc learn molecule.xyz --calculator my_dft.py --workers 4 --budget 400 -o learned

where my_dft.py defines calculator(), which returns the calculator. Interrupted, even killed, it goes on with
--resume. Ten to twenty minutes on two cores; set CI=1 for a run of seconds, good for nothing.
"""

import os
import sys
import time

import ase.io
from ase.build import molecule

from schnet_calc.learn import learn
from schnet_calc.report.learn_page import write_learn_report

quick = bool(os.environ.get("CI"))
start = ase.io.read(sys.argv[1]) if len(sys.argv) > 1 else molecule("CH3OH")
folder = sys.argv[2] if len(sys.argv) > 2 else "learned"
clock = time.perf_counter()
options = {"temperature": 300, "beads": 8, "time": 5.0}
if quick:
    options |= {"beads": 2, "time": 0.05, "start": 24, "reference_steps": 20, "rounds": 1, "members": 2}
    options |= {"first_steps": 30, "steps_per_label": 0, "features": 8, "check": 6}


def say(line: str) -> None:
    print(f"{(time.perf_counter() - clock) / 60:4.1f} min  {line}", flush=True)


found = learn(start, "GFN2-xTB", folder, resume=True, say=say, **options)
proof = found.proof["dynamics"]
if "force_mae_mev_ang" in proof:
    say(
        f"{found.labels} labels; on {proof['n_frames']} new structures of its own dynamics the force MAE is "
        f"{proof['force_mae_mev_ang']:.1f} meV/Å"
    )
say("trusted" if found.trusted else "not trusted yet: more budget, or more rounds")
say(f"page: {write_learn_report(folder)}; models: {folder}/committee.txt")
