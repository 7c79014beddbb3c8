"""One HTML file with everything inside: modules, style, text, data; it asks nothing of the network."""

import html
import json
import re
from importlib import resources
from typing import Any

from jaxq.reports.page import digest, static

# In the order in which they need each other.
_SHARED = ("table.js", "scale.js", "dom.js", "theme.js", "layout.js", "grid.js")
LESSON = (
    *(*_SHARED, "network.js", "surface.js", "chart.js", "training.js", "bellman.js", "lab.js"),
    *("deep.js", "questions.js", "quiz.js", "main.js"),
)
RUN = (
    *(*_SHARED, "surface.js", "chart.js", "training.js", "plot.js", "costs.js", "population.js"),
    *("episode.js", "expectations.js", "learning.js", "states.js", "replay.js", "run_main.js"),
)
_IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class|let))", re.MULTILINE)


def view_page(data: dict[str, Any], title: str = "Seeing Q-learning") -> str:
    """Make the page of the lesson or of a run.

    Args:
        data: What `train_lesson` or `run_data` returns.
        title: What stands in the window's title; shown as text.

    Returns:
        HTML whose content-security policy allows its own script and style by their hashes, no request.
    """
    body, modules = ("run.html", RUN) if data.get("kind") == "run" else ("lesson.html", LESSON)
    script, style = _bundle(modules), static("theme.css") + _static("view.css")
    policy = (
        f"default-src 'none'; script-src {digest(script)}; style-src {digest(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    filled = {
        "POLICY": policy,
        "TITLE": html.escape(title),
        "STYLE": style,
        "BODY": _static(body),
        # Text that would end the element must not stand in it.
        "DATA": json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "SCRIPT": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: filled[found[1]], _static("template.html"))


def _bundle(modules: tuple[str, ...]) -> str:
    """Join the modules into one, whose names are therefore unique among all of them."""
    sources = (_static(name) for name in modules)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", source)) for source in sources)


def _static(name: str) -> str:
    return (resources.files("jaxq.view") / "static" / name).read_text(encoding="utf-8")
