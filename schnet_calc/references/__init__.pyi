from .pyscf import PySCF as PySCF
from .sources import make_calculator as make_calculator, name_of as name_of, portable as portable
from .table import REFERENCES as REFERENCES, reference_calculator as reference_calculator
