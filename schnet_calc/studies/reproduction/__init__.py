"""The page with every table and figure of the paper and the thesis, theirs and ours side by side."""

from schnet_calc.studies.reproduction.page import write_reproduction

__all__ = ["write_reproduction"]
