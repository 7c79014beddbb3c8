"""Hooks of the manual's build: benchmark results and the lesson are in it without a copy in docs/."""

import functools
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

RESULTS = "benchmarks/results/"
# Where links lead in the repository, out of docs/, and where in the manual.
_MOVED = {RESULTS: "results/", "jaxq/view/static/lesson.html": "lesson.html"}
_LINK = re.compile(rf"(?<=\]\()(?:\.\./)+({'|'.join(map(re.escape, _MOVED))})")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the results and the lesson to the files of the manual."""
    root = Path(config.config_file_path).parent
    for path in sorted((root / RESULTS).iterdir()):
        if path.suffix in (".md", ".png"):
            name = f"results/{path.name}"
            files.append(File.generated(config, name, abs_src_path=str(path)))
    files.append(File.generated(config, "lesson.html", content=_lesson()))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point links to the results and to the lesson at their places in the manual."""
    up = "../" * page.file.src_uri.count("/")
    return _LINK.sub(lambda link: up + _MOVED[link[1]], markdown)


# MkDocs loads a hook once, so that its server does not train again whenever a page is saved.
@functools.cache
def _lesson() -> str:
    from jaxq.view import train_lesson, view_page

    return view_page(train_lesson())
