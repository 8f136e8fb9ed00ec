import io

from rich.console import Console

from cdk.local.audit import Entry, audit
from cdk.local.freshness import Times
from cdk.local.report import Findings, Loaded, percentile, print_report
from schemas.programs import Totals

SENT = [Entry("p1", f"id-{number:02}", "views") for number in range(30)]


def printed(stored: list[Entry]) -> str:
    findings = Findings(
        audit=audit(acknowledged=SENT, stored=stored, totals={"p1": Totals(views=len(stored))}),
        loaded=Loaded(events=20_000, took_s=10.0, stored_after_s=0.5),
        lone_ms=[100.0],
        single_ms=[1.0, 2.0],
        batch_ms=[5.0],
        changes=[Times(80.0, 3.0)],
    )
    out = io.StringIO()
    print_report(findings, Console(file=out, width=200))
    return out.getvalue()


def test_percentiles_are_by_nearest_rank() -> None:
    values = [float(number) for number in range(100, 0, -1)]

    assert percentile(values, 0.5) == 50.0
    assert percentile(values, 0.99) == 99.0
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.5) == 0.0


def test_a_balanced_ledger_says_so_with_its_rate() -> None:
    text = printed(SENT)

    assert "The load of 20,000 events was acknowledged in 10.0 s (2,000/s)" in text
    assert "The ledger balances: 30 acknowledged" in text


def test_a_ledger_that_does_not_balance_names_events_and_stays_short() -> None:
    text = printed(SENT[:5])

    assert "acknowledged and not stored: id-05 of p1 (views)" in text
    assert "... and 5 more" in text
    assert "The ledger does not balance: 25 findings." in text
