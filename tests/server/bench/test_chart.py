"""The chart of a bench in a real browser: everything on it is to be seen, in light and dark."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "http"))

from test_page import browser, browsing

from server.bench.report import chart
from server.bench.run import Sample

pytestmark = pytest.mark.anyio
MODELS = ("openai/gpt-6", "anthropic/claude-haiku-5-5-of-a-very-long-name", 'evil/<script>alert("x")</script>&')

SEEN = """() => {
  const svg = document.documentElement, [x, y, width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  const inside = box => box.x >= x && box.y >= y && box.x + box.width <= x + width && box.y + box.height <= y + height;
  const texts = [...svg.querySelectorAll("text")];
  return {
    outside: texts.filter(one => !inside(one.getBBox())).map(one => one.textContent),
    bars: [...svg.querySelectorAll("rect")].filter(one => one.getBBox().width > 1 && inside(one.getBBox())).length,
    texts: texts.map(one => one.textContent), fill: getComputedStyle(texts[0]).fill, scripts: document.scripts.length,
  };
}"""


def samples() -> list[Sample]:
    return [
        Sample(model, "math", "ok", 0.4 * (place + 1) + 0.1 * turn, 0.001 * (place + 1), 100, 0.9 - 0.1 * place)
        for place, model in enumerate(MODELS)
        for turn in range(3)
    ]


@browsing
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_bar_and_word_of_the_chart_is_to_be_seen(tmp_path: Path, scheme: str) -> None:
    file = tmp_path / "chart.svg"
    file.write_text(chart(samples()), "utf-8")
    async with browser(color_scheme=scheme) as (sheet, wrong):
        await sheet.goto(file.as_uri())
        seen = await sheet.evaluate(SEEN)
        picture = await sheet.screenshot()
    assert seen["outside"] == []
    assert seen["bars"] == 3 * len(MODELS)
    assert {"seconds ± sd", "USD per answer", "quality"} <= set(seen["texts"])
    assert seen["scripts"] == 0 and any(text.startswith("evil/<script>") for text in seen["texts"])
    assert (int(seen["fill"][4:-1].split(",")[0]) > 128) is (scheme == "dark")
    assert picture.startswith(b"\x89PNG") and len(picture) > 5_000
    assert wrong == []
