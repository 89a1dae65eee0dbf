"""What i-PI loads: the name of the class that evaluates the model."""

from schnet_calc.ipi.pes import SchNetPES

__DRIVER_NAME__ = "schnet_calc"
__DRIVER_CLASS__ = "SchNetPES"
__all__ = ["SchNetPES"]
