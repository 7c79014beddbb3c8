"""The moving picture of the lesson: its page in Chromium, snapshot by snapshot.

Makes the page as `jaxq view --lesson` does, and moves its slider over the training of the table.

    python benchmarks/lesson_picture.py [--chromium PATH] [--write]

Needs playwright (it comes with `jaxq[test]`) and a Chromium that is installed.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from report import RESULTS, option_parser

FILE = RESULTS.parent.parent / "docs" / "lesson.gif"
VIEW = {"width": 1_060, "height": 900}
WIDTH, COLORS = 800, 256
MILLISECONDS, HOLD = 110, 4_000  # of each picture, and of the last one


def pictures(page: Page) -> list[Image.Image]:
    """Take a picture of the grid and the landscape at each snapshot."""
    panel = page.locator("#training")
    panel.evaluate("panel => panel.scrollIntoView({block: 'start'})")
    box, last = panel.bounding_box(), int(page.locator("#snapshot").get_attribute("max"))
    bottom = panel.locator("button", has_text="Turn").bounding_box()
    clip = {**box, "height": bottom["y"] - box["y"]}
    found = []
    for number in range(last + 1):
        page.locator("#snapshot").evaluate(
            "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')) }",
            number,
        )
        page.wait_for_timeout(60)
        found.append(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"))
    return found


def moving(found: list[Image.Image]) -> bytes:
    """Put pictures together as a GIF that plays again and again, and holds its end."""
    height = round(found[0].height * WIDTH / found[0].width)
    small = [picture.resize((WIDTH, height), Image.Resampling.LANCZOS) for picture in found]
    # Colours of losses are gone in the end.
    sample = Image.fromarray(np.concatenate(small[::10] + small[-1:]))
    palette = sample.quantize(COLORS)
    first, *others = (each.quantize(palette=palette, dither=Image.Dither.NONE) for each in small)
    file = io.BytesIO()
    times = [MILLISECONDS] * len(others) + [HOLD]
    first.save(file, "GIF", save_all=True, append_images=others, duration=times, loop=0, optimize=True)
    return file.getvalue()


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="path of the browser")
    options = parser.parse_args()
    command = [sys.executable, "-c", "import sys, jaxq.cli; sys.exit(jaxq.cli.main())"]
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        html = Path(directory) / "lesson.html"
        subprocess.run([*command, "view", "--lesson", "--no-open", "--out", str(html)], check=True)
        browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=VIEW, color_scheme="light", reduced_motion="reduce")
        page.goto(html.as_uri())
        picture = moving(pictures(page))
        browser.close()
    print(f"{len(picture):,} bytes")
    if options.write:
        FILE.write_bytes(picture)


if __name__ == "__main__":
    main()
