"""Pages: a study as one HTML file that works from disk, without network."""

from schnet_calc.report.folder import write_report
from schnet_calc.report.study import write_c20_report

__all__ = ["write_c20_report", "write_report"]
