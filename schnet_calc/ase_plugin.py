"""What ASE's plugin system finds under the entry point ``ase.plugins``."""

from schnet_calc.compat import calculator_plugin

__ase_plugins__ = {
    calculator_plugin("schnet", "Schütt et al., NeurIPS 2017", "schnet_calc.calculator.SchNetCalculator")
}
