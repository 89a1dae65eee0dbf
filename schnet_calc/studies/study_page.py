"""What the pages of the studies have in common."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from schnet_calc.modelfile import load_potential
from schnet_calc.report.page import Commands, Page, Part, Section, write_page
from schnet_calc.report.sections import model_section


@dataclass(frozen=True)
class StudyPage:
    """Where a study's page is written, and where its numbers come from."""

    directory: Path
    model_name: str
    command: str
    """As the reader would type them."""

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Of the model file."""
        return load_potential(self.model_name).metadata.raw

    def last_sections(self, *after: Part) -> list[Section]:
        """Return the model's section and the command, with what comes after it."""
        return [
            model_section(self.metadata, self.model_name),
            Section("To repeat it", [Commands([self.command]), *after]),
        ]

    def write(self, page: Page) -> Path:
        """Write ``index.html`` and return its path."""
        return write_page(page, self.directory / "index.html")
