from .crystals import draw_equation_of_state as draw_equation_of_state, draw_phonons as draw_phonons
from .dynamics import (
    draw_distribution as draw_distribution,
    draw_energy_and_temperature as draw_energy_and_temperature,
    draw_grades as draw_grades,
    draw_pimd as draw_pimd,
)
from .filters import (
    draw_cut as draw_cut,
    draw_embeddings as draw_embeddings,
    draw_filter_curves as draw_filter_curves,
    draw_filter_cuts as draw_filter_cuts,
    draw_sensitivity as draw_sensitivity,
)
from .insight import (
    draw_attribution as draw_attribution,
    draw_contributions as draw_contributions,
    draw_ring as draw_ring,
    draw_rings as draw_rings,
    draw_skeleton as draw_skeleton,
    draw_surface as draw_surface,
)
from .spectra import (
    draw_band as draw_band,
    draw_dynamic_spectra as draw_dynamic_spectra,
    draw_frequency_errors as draw_frequency_errors,
    draw_infrared as draw_infrared,
    draw_relaxation as draw_relaxation,
    draw_spectrum as draw_spectrum,
)
from .structures import (
    draw_cage as draw_cage,
    draw_frame as draw_frame,
    draw_graded as draw_graded,
    flat_side as flat_side,
)
from .style import (
    COLORS as COLORS,
    class_color as class_color,
    draw_to as draw_to,
    new_figure as new_figure,
    save_figure as save_figure,
)
from .training import (
    draw_errors as draw_errors,
    draw_learning_curve as draw_learning_curve,
    draw_learning_curves as draw_learning_curves,
    draw_overview as draw_overview,
)
