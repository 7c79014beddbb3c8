"""A page of its own: HTML with its figures, style and script inside, that asks nothing of the network.

Every text that is no `Html` is escaped where it is put in.
"""

import base64
import functools
import hashlib
import html
import re
from collections.abc import Iterable, Sequence
from importlib import resources

from jaxq.reports.plot import Figure, shortened

_LEGEND, _LINE = 300, 24
_COLOR = re.compile(r"(--[\w-]+): ([^;]+);")


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


def section(title: str, *parts: object) -> Html:
    """Make a part of the page with a heading of its own."""
    return Html(f"<section>\n{joined([heading(2, title), *parts])}\n</section>")


def panel(*parts: object) -> Html:
    """Frame what belongs together."""
    return Html(f'<div class="panel">\n{joined(parts)}\n</div>')


def pair(*parts: object) -> Html:
    """Put parts side by side where there is room."""
    columns = joined(Html(f"<div>{escaped(part)}</div>") for part in parts)
    return Html(f'<div class="pair">\n{columns}\n</div>')


def table(header: Sequence[object], rows: Iterable[Sequence[object]], best: bool = False) -> Html:
    """Make a table.

    Args:
        header: Names of its columns.
        rows: Its cells; those that look like numbers are set flush right.
        best: Whether the first row is the best one, and stands out.
    """
    rows = [[*row] for row in rows]
    numeric = [all(_is_number(row[place]) for row in rows) for place in range(len(header))]
    kinds = [' class="best"' * best, *[""] * len(rows)]
    lines = [_row("th", header, numeric)]
    lines += [_row("td", row, numeric, kind) for row, kind in zip(rows, kinds, strict=False)]
    return Html('<div class="table"><table>\n' + "\n".join(lines) + "\n</table></div>")


def facts(rows: Iterable[Sequence[object]]) -> Html:
    """Make a table of names with their values."""
    lines = [_row("td", row, (False, False)) for row in rows]
    return Html(
        '<div class="table facts"><table><tbody>\n' + "\n".join(lines) + "\n</tbody></table></div>"
    )


def figure(drawn: Figure, caption: str, kind: str = "") -> Html:
    """Put a figure in, its legend and what it shows below it.

    Args:
        drawn: The figure.
        caption: What it shows.
        kind: A class that tells the page's script what the reader can do with it.
    """
    text, kinds = escaped(caption), f"figure {kind}".strip()
    entries = "".join(
        f'<li class="{color}"><i></i><span>{escaped(label)}</span></li>' for color, label in drawn.legend
    )
    legend = f'<ul class="legend">{entries}</ul>' if entries else ""
    return Html(
        f'<figure><svg class="{kinds}" viewBox="0 0 {drawn.width:g} {drawn.height:g}" role="img" '
        f'aria-label="{text}">{drawn.content}</svg>{legend}<figcaption>{text}</figcaption></figure>'
    )


def standalone(drawn: Figure, caption: str) -> str:
    """Return a figure as an SVG file: its legend beside it, in the page's light colours."""
    style = static("figure.css")
    for name, value in _COLOR.findall(static("theme.css").partition("}")[0]):
        style = style.replace(f"var({name})", value)
    entries = "".join(
        f'<g class="{kind}" transform="translate({drawn.width + 8:g} {40 + _LINE * place})">'
        f'<path class="swatch" d="M0 0H20"/><text x="28" y="5">{escaped(shortened(label))}</text></g>'
        for place, (kind, label) in enumerate(drawn.legend)
    )
    width = drawn.width + _LEGEND * bool(drawn.legend)
    height = max(drawn.height, 40 + _LINE * len(drawn.legend))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="figure" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}"><title>{escaped(caption)}</title><style>{style}</style>'
        f"{drawn.content}{entries}</svg>\n"
    )


def interval(low: float, value: float, high: float) -> Html:
    """Draw a value in its interval as a mark of one line, all given as shares of a scale in [0, 1]."""
    left, middle, right = (4 + 192 * share for share in (low, value, high))
    return Html(
        '<svg class="interval" viewBox="0 0 200 16" aria-hidden="true">'
        f'<path class="scale" d="M4 8H196"/><path class="reach" d="M{left:.1f} 8H{right:.1f}"/>'
        f'<circle cx="{middle:.1f}" cy="8" r="5"/></svg>'
    )


def image(content: bytes, caption: str, kind: str) -> Html:
    """Put an image in, with what it shows below it."""
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    text = escaped(caption)
    return Html(f'<figure><img alt="{text}" src="{source}"><figcaption>{text}</figcaption></figure>')


def folded(summary: str, *parts: object) -> Html:
    """Make a part that is shown on demand."""
    return Html(f"<details><summary>{escaped(summary)}</summary>{joined(parts)}</details>")


def page(title: str, kicker: str, lead: Sequence[object], sections: Iterable[object]) -> str:
    """Make the whole page.

    Args:
        title: What stands at its head.
        kicker: What stands above that.
        lead: What is said first: paragraphs and notes.
        sections: What is on it.
    """
    script, style = static("report.js"), "".join(map(static, ("theme.css", "figure.css", "report.css")))
    # Of scripts and styles only these, whatever the names of a run hold.
    policy = (
        f"default-src 'none'; script-src {digest(script)}; style-src {digest(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escaped(f"{title} · jaxq")}</title>
<style>{style}</style>
</head>
<body>
<button type="button" id="theme" aria-label="Switch between light and dark">◐</button>
<header>
<p class="kicker">{escaped(kicker)}</p>
{joined([heading(1, title), *lead])}
</header>
<main>
{joined(sections)}
</main>
<footer>Made by <code>jaxq report</code>. This page holds all that it shows.</footer>
<script>{script}</script>
</body>
</html>
"""


def digest(text: str) -> str:
    """Return what a content-security policy knows a script or a style by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@functools.cache
def static(name: str) -> str:
    """Return a style sheet or a script that pages share."""
    return (resources.files("jaxq.reports") / "static" / name).read_text(encoding="utf-8")


def _row(cell: str, values: Sequence[object], numeric: Sequence[bool], kind: str = "") -> str:
    cells = (
        f"<{cell}{' class=n' * flush}>{escaped(value)}</{cell}>"
        for value, flush in zip(values, numeric, strict=True)
    )
    return f"<tr{kind}>" + "".join(cells) + "</tr>"


def _is_number(value: object) -> bool:
    return not isinstance(value, Html) and not re.search(r"[A-Za-z_]", str(value).removesuffix(" *"))
