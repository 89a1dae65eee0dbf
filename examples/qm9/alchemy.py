"""Fig. 3.16 of the thesis with the shipped qm9: benzene turns into s-triazine over pyridine and pyrimidine.

    pip install -c constraints.txt '.[qm9]'
    python examples/qm9/alchemy.py alchemy.png

Energies are less the reference energies of the model's elements, which depend on the composition alone.
"""

import sys
from pathlib import Path

from schnet_calc import plots
from schnet_calc.data import read_frames
from schnet_calc.studies.alchemy import study_alchemy
from schnet_calc.studies.figures import draw_alchemy

study = study_alchemy("qm9", read_frames("qm9pack"))
for name, path in study.paths.items():
    at_molecules = zip(study.names, path[:: study.points], strict=True)
    print(name, *(f"{n} {e:.1f}" for n, e in at_molecules), "kcal/mol", sep="  ")
labels = zip(study.names, study.labels, strict=True)
print("labels", *(f"{n} {e:.1f}" for n, e in labels), "kcal/mol", sep="  ")
figure, axes = plots.new_figure(5.5, 3.6)
draw_alchemy(axes, study)
plots.save_figure(figure, Path(sys.argv[1]).with_suffix(""))
