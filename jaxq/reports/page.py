"""A page of its own: HTML with its images inside, that asks nothing of the network.

Every text that is no `Html` is escaped where it is put in.
"""

import base64
import html
from collections.abc import Iterable, Sequence

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
h3 { font-size: 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block;
  overflow-x: auto; }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; border-bottom: 1px solid #eee; }
th { white-space: nowrap; }
img { max-width: 100%; } figure { margin: 1rem 0; } figcaption { color: #666; font-size: 13px; }
.note { background: #fff6dd; padding: .4rem .8rem; border-left: 3px solid #d9a400; }
"""
# Nothing is loaded from anywhere. The script of a figure that the reader can move compiles what it
# draws.
_POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'"
_POLICY_WITH_SCRIPT = f"{_POLICY}; script-src 'unsafe-inline' 'unsafe-eval'"


class Html(str):
    """Text that is HTML already."""


def escaped(value: object) -> Html:
    """Return a value as HTML that shows it."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def joined(parts: Iterable[object]) -> Html:
    """Put parts one after another."""
    return Html("\n".join(escaped(part) for part in parts))


def heading(level: int, text: str) -> Html:
    """Make a heading; 1 is the page's own."""
    return Html(f"<h{level}>{escaped(text)}</h{level}>")


def paragraph(text: object) -> Html:
    """Make a paragraph."""
    return Html(f"<p>{escaped(text)}</p>")


def note(text: str) -> Html:
    """Make a paragraph that the reader should not miss."""
    return Html(f'<p class="note">{escaped(text)}</p>')


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """Make a table."""
    lines = [_row("th", header), *(_row("td", row) for row in rows)]
    return Html("<table>\n" + "\n".join(lines) + "\n</table>")


def image(content: bytes, caption: str, kind: str = "png") -> Html:
    """Put an image in, with what it shows below it."""
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    text = escaped(caption)
    return Html(f'<figure><img alt="{text}" src="{source}"><figcaption>{text}</figcaption></figure>')


def folded(summary: str, *parts: object) -> Html:
    """Make a part that is shown on demand."""
    return Html(f"<details><summary>{escaped(summary)}</summary>{joined(parts)}</details>")


def page(title: str, parts: Iterable[object], *, scripts: bool = False) -> str:
    """Make the whole page.

    Args:
        title: What stands at its head.
        parts: What is on it.
        scripts: Whether one of the parts has a script.
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY_WITH_SCRIPT if scripts else _POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
{joined([heading(1, title), *parts])}
</body>
</html>
"""


def _row(cell: str, values: Sequence[object]) -> str:
    return "<tr>" + "".join(f"<{cell}>{escaped(value)}</{cell}>" for value in values) + "</tr>"
