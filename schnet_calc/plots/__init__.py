"""One function per figure: results in, axes drawn on."""

from schnet_calc.plots.crystals import draw_equation_of_state, draw_phonons
from schnet_calc.plots.datasets import draw_overview
from schnet_calc.plots.dynamics import (
    draw_distribution,
    draw_energy_and_temperature,
    draw_grades,
    draw_pimd,
)
from schnet_calc.plots.filters import (
    draw_cut,
    draw_embeddings,
    draw_filter_curves,
    draw_filter_cuts,
    draw_sensitivity,
)
from schnet_calc.plots.insight import (
    draw_attribution,
    draw_contributions,
    draw_ring,
    draw_rings,
    draw_skeleton,
    draw_surface,
)
from schnet_calc.plots.spectra import (
    draw_band,
    draw_dynamic_spectra,
    draw_frequency_errors,
    draw_infrared,
    draw_relaxation,
    draw_spectrum,
)
from schnet_calc.plots.structures import draw_cage, draw_frame, draw_graded, flat_side
from schnet_calc.plots.style import COLORS, class_color, new_figure, save_figure
from schnet_calc.plots.training import (
    draw_errors,
    draw_learning_curve,
    draw_learning_curves,
)

__all__ = [
    "COLORS",
    "class_color",
    "draw_attribution",
    "draw_band",
    "draw_cage",
    "draw_contributions",
    "draw_cut",
    "draw_distribution",
    "draw_dynamic_spectra",
    "draw_embeddings",
    "draw_energy_and_temperature",
    "draw_equation_of_state",
    "draw_errors",
    "draw_filter_curves",
    "draw_filter_cuts",
    "draw_frame",
    "draw_frequency_errors",
    "draw_graded",
    "draw_grades",
    "draw_infrared",
    "draw_learning_curve",
    "draw_learning_curves",
    "draw_overview",
    "draw_phonons",
    "draw_pimd",
    "draw_relaxation",
    "draw_ring",
    "draw_rings",
    "draw_sensitivity",
    "draw_skeleton",
    "draw_spectrum",
    "draw_surface",
    "flat_side",
    "new_figure",
    "save_figure",
]
