import io
import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from rich.console import Console

from tests.load.charts import line_chart
from tests.load.factories import histogram, plan, progress
from tests.load.fleet import Progress
from tests.load.page import page, write_page
from tests.load.report import print_report, remarks
from tests.load.tally import Tally
from tests.load.view import live_view, view


def printed(shown: Progress) -> str:
    out = io.StringIO()
    print_report(shown, Console(file=out, width=120))
    return out.getvalue()


def test_a_report_has_rate_percentiles_histogram_and_errors() -> None:
    text = printed(progress())

    assert "10 of 10 events acknowledged in 1.0 s: 10/s (500/s asked), 10 requests" in text
    assert re.search(r"p50 .*p99\.9 .*most", text)
    assert len(re.findall(r"\d ms ", text)) > 5
    assert "1 failed: 503 draining" in text


def test_a_load_that_nothing_answered_is_reported_too() -> None:
    text = printed(progress(tally=Tally(requests=1, sent=1, lost=1, errors={"connection refused": 20})))

    assert "0 of 1 events acknowledged" in text
    assert "20 failed: connection refused" in text


def test_what_spoils_the_figures_is_remarked() -> None:
    assert remarks(progress()) == []
    (behind,) = remarks(progress(tally=Tally(unsent=7)))
    assert "7 requests were due and not sent" in behind
    (busy,) = remarks(progress(tally=Tally(busy_s=1.8, ran_s=1.0), plan=plan(processes=2)))
    assert "90% busy" in busy


def test_the_page_needs_no_other_and_its_charts_are_whole(tmp_path: Path) -> None:
    write_page(tmp_path / "new" / "load.html", progress(plan=plan(trackers=["http://localhost:1/<&"])))
    text = (tmp_path / "new" / "load.html").read_text()
    charts = [ElementTree.fromstring(chart) for chart in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]

    assert len(charts) == 3
    assert all(chart.get("aria-label") for chart in charts)
    assert not re.search(r"(src|href)=|url\(|@import|<script", text)
    assert "http://localhost:1/&lt;&amp;" in text
    assert "503 draining" in text


def test_the_page_of_a_load_without_an_answer_is_whole() -> None:
    text = page(progress(tally=Tally(), moments=[]))

    assert len([ElementTree.fromstring(chart) for chart in re.findall(r"<svg.*?</svg>", text)]) == 3


def test_the_view_has_now_and_all_so_far() -> None:
    out = io.StringIO()
    slower = msgspec.structs.replace(progress().moments[0], latency=histogram(100.0))
    Console(file=out, width=120).print(view(progress(moments=[slower])))

    assert "10 events" in out.getvalue()
    assert re.search(r"now .* 100\.", out.getvalue())
    assert "503 draining" in out.getvalue()


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    out = io.StringIO()
    with live_view(Console(file=out, width=120)) as say:
        for second in (1, 5, 6, 9, 10):
            say(progress(tally=Tally(ran_s=float(second))))

    assert [line.split()[0] for line in out.getvalue().splitlines()] == ["5", "10"]


@pytest.mark.parametrize(
    ("most", "top"), [(0.0, "4"), (3.1, "4"), (4.1, "6"), (1_075.0, "1,200"), (0.35, "0.4")]
)
def test_a_scale_ends_at_a_round_number_above_all_values(most: float, top: str) -> None:
    labels = re.findall(r'text-anchor="end"[^>]*>([^<]*)<', line_chart({"events": [(1.0, most)]}, "Events"))

    assert labels[-1] == top
