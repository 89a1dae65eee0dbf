"""Pages: a study as one HTML file that works from disk, without network."""

from schnet_calc.report.molecule_page import write_report

__all__ = ["write_report"]
