"""What the pages' style says of paper and of narrow windows; templates may use nothing else."""

import re
from importlib.resources import files

import pytest

TEMPLATES = {
    path.name: path.read_text(encoding="utf-8")
    for path in files("napari_globalxai.report").iterdir()
    if path.name.endswith(".j2")
}
STYLE = re.sub(
    r"/\*.*?\*/", "", re.search(r"<style>(.*)</style>", TEMPLATES["page.html.j2"], re.DOTALL)[1],
    flags=re.DOTALL,
)  # fmt: skip


def rules(medium: str) -> dict[str, dict[str, str]]:
    """What a medium says by selector; what it says of one twice is put together."""
    block = re.search(r"@media " + re.escape(medium) + r" \{((?:[^{}]*\{[^{}]*\})*)\s*\}", STYLE)
    found: dict[str, dict[str, str]] = {}
    for selector, text in re.findall(r"([^{}]+)\{([^{}]*)\}", block[1]):
        pairs = dict(part.split(":", 1) for part in text.split(";") if ":" in part)
        said = {name.strip(): value.strip() for name, value in pairs.items()}
        for each in selector.split(","):
            found.setdefault(each.strip(), {}).update(said)
    return found


def test_paper_is_white_whatever_the_screen_shows():
    plain = re.search(r":root \{([^}]*)\}", STYLE)[1]
    light = dict(re.findall(r"(--[\w-]+): ([^;]+);", plain))
    dark = rules("(prefers-color-scheme: dark)")[":root"]
    printed = rules("print")[":root"]
    assert set(dark) <= set(light)
    assert {name: printed[name] for name in dark} == {name: light[name] for name in dark}
    assert printed["color-scheme"] == "light"
    # The later rule holds.
    assert STYLE.index("@media print") > max(
        STYLE.rindex("prefers-color-scheme"), STYLE.index("@media (max-width")
    )


def test_nothing_is_cut_or_closed_on_paper():
    printed = rules("print")
    assert printed["details::details-content"] == {
        "content-visibility": "visible",
        "block-size": "auto",
    }
    screen = re.sub(r"@media print .*", "", STYLE, flags=re.DOTALL)
    moved = {
        selector.strip()
        for selector, text in re.findall(r"([^{}]+)\{([^{}]*overflow-x: auto[^{}]*)\}", screen)
    }
    assert moved == {".scroll", "pre", "figure"}
    assert all(printed[each]["overflow"] == "visible" for each in moved)
    assert printed["pre"]["white-space"] == "pre-wrap"
    assert printed["figure img"]["max-width"] == "100%"
    assert all(printed[each]["break-inside"] == "avoid" for each in ("figure", "tr", ".notice"))
    assert all(printed[each]["break-after"] == "avoid" for each in ("h1", "h2", "h3", "caption"))


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_wide_tables_can_be_moved_and_words_may_wrap(name):
    text = TEMPLATES[name]
    for at in (match.start() for match in re.finditer(r"<table(?! class=\"facts\")", text)):
        assert text[:at].rstrip().endswith('<div class="scroll">')
    # A verdict of ten words would make a narrow page wider than its window.
    assert not re.search(r"\.word[^{]*\{[^}]*nowrap", text)
