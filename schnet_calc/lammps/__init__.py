"""LAMMPS drives a SchNet: atoms on any number of MPI ranks, features exchanged between the blocks."""

from schnet_calc.lammps.external import attach

__all__ = ["attach"]
