"""Hooks of the manual's build: the benchmarks' results are pages of it, without a copy below docs/."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

RESULTS = "benchmarks/results/"
# A link as it works in the repository: out of docs/, and into the results.
_LINK = re.compile(r"(?<=\]\()(?:\.\./)+benchmarks/results/")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the results to the files of the manual."""
    root = Path(config.config_file_path).parent
    for path in sorted((root / RESULTS).iterdir()):
        if path.suffix in (".md", ".png"):
            name = f"results/{path.name}"
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point links to the results at their pages in the manual."""
    up = posixpath.relpath("results", posixpath.dirname(page.file.src_uri) or ".")
    return _LINK.sub(f"{up}/", markdown)
