"""``python -m schnet_calc.cli``."""

from schnet_calc.cli import main

main()
