"""The pictures of the documentation are those that the committed results give."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.chart import Bar, Chart
from benchmarks.pictures import CHARTS, PICTURES, RESULTS, pictures, taken

PAGE = Path(__file__).resolve().parents[3] / "docs/benchmarks.md"


def test_the_pictures_are_those_of_the_results() -> None:
    drawn = pictures(json.loads(RESULTS.read_text()))
    kept = {path.name: path.read_text() for path in PICTURES.iterdir()}
    assert kept == drawn, "run 'make pictures'"


@pytest.mark.parametrize("name", CHARTS)
def test_the_page_shows_each_picture_and_says_what_it_shows(name: str) -> None:
    before, _, _ = PAGE.read_text().partition(f"](pictures/{name}.svg)")
    assert before != PAGE.read_text(), "not shown"
    _, _, alternative = before.rpartition("![")
    assert len(alternative) > 20


@pytest.mark.parametrize("picture", pictures(json.loads(RESULTS.read_text())).values())
def test_a_picture_is_sound_and_its_texts_stay_inside(picture: str) -> None:
    root = ElementTree.fromstring(picture)
    width = float(root.attrib["width"])
    texts = [text for text in root.iter("{http://www.w3.org/2000/svg}text") if text.text]
    ends = [
        float(text.attrib["x"]) + 7 * len(text.text or "")
        for text in texts
        if text.attrib.get("class") is None
    ]
    assert ends
    assert max(ends) < width


def test_bars_are_as_long_as_their_values() -> None:
    bars = [Bar("one & all", 10, "10"), Bar("half", 5, "5", target=2.5, is_ours=False)]
    root = ElementTree.fromstring(Chart("Title", "Note", bars).svg())
    found = {
        rect.attrib["class"]: float(rect.attrib["width"])
        for rect in root.iter("{http://www.w3.org/2000/svg}rect")
    }
    assert found["ours"] == 2 * found["other"]


def test_new_figures_take_the_place_of_old_ones() -> None:
    lines = ["Published 3 events\n", '{"benchmark": "relay", "events": 2}\n']
    results = {"relay": {"events": 1}, "latency": {"events": 3}}
    assert taken(results, lines) == {
        "relay": {"benchmark": "relay", "events": 2},
        "latency": {"events": 3},
    }
