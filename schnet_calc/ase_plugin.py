"""What ASE's plugin system finds under the entry point ``ase.plugins``."""

from ase._4.plugins.plugin import CalculatorPlugin

__ase_plugins__ = {
    CalculatorPlugin(
        "schnet",
        citation="Schütt et al., NeurIPS 2017",
        implementation="schnet_calc.calculator.SchNetCalculator",
    )
}
