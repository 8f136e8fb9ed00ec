"""`python -m cdk.cost_page`: writes docs/cost.md, what each profile costs a month at each rate."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

import cdk
from cdk import prices
from cdk.billed import FREE, NO_CHARGE
from cdk.cost import bill
from cdk.lines import HOURS, PARTS, Line, Part, total_usd, usd_of
from cdk.prices import Price
from cdk.profiles import ITEMS, PROFILES, Deployment
from cdk.trade_offs import OTHERWISE, TRADE_OFFS
from cdk.traffic import Assumptions, Traffic
from cdk.watching import custom_metrics

PAGE = Path(cdk.__path__[0]).parent / "docs" / "cost.md"
RATES = (10, 100, 1_000, 10_000)
CLICKSTREAM = {10: 71.8, 100: 101.8, 1_000: 528.8}
"""USD a month for ingestion alone, requests of 2 KB, provisioned Kinesis (AWS, "Guidance for Clickstream
Analytics on AWS", Cost)."""
COMPARED = {10: "small", 100: "small", 1_000: "standard"}
COMPARABLE: tuple[Part, ...] = ("taking in", "storing")

HEAD = f"""# What it costs

Written by `make cost` from a model in code (`cdk/cost.py`), and kept up to date by a test. US dollars a
month of {HOURS} hours in {prices.REGION}, at list prices as known on {prices.AS_OF}, without free tiers and
taxes, at a rate of requests that never changes, one event each. A model is no bill: nobody has paid one of
these yet, and what is beyond the fixed lines hangs on what is assumed at the end of this page. Where each
price was read is there, too. Another test holds the model against the templates: every type of resource in
them has a line here, or a reason why not.
"""
READING = """
A rate in brackets is more than the profile's largest number of tasks or its shards take. What dominates is
the largest line. `packed` and `items` are the two stores: [decision 26](decisions/0026-packed-store.md).
"""
COMPARISON = """
## Beside AWS Clickstream

AWS publishes what the ingestion of its Clickstream guidance costs: requests in, and into Kinesis and S3.
The nearest of ours is taking in and storing: load balancer, addresses, answers, tracker, network, event
stream, `persist` and the events table, each event stored and counted once, kept for a month and backed up.
What comes besides has no counterpart there: live core data, and agents that count, match and guard. Their
requests have 2 KB, ours what is assumed at the end of this page; what others would cost comes next.
"""
WHY = """
At a thousand requests a second it is below, at a hundred and at ten it is above. Before the first request
there are a load balancer over two zones with its addresses (${balancer}), two tasks of the smallest size
with theirs (${trackers}) and a shard (${shard}). At ten a second, write units are ${writes} more: a pack then
holds one or two events, and is paid for like a full one. Taking in alone, up to the stream, costs
${taking_in} there. How many programs share the events decides how many write units they take; where many
events come, their size does, too.
"""
READ_ON = """
- **Write units dominate** wherever each event is an item: that is why profiles pack. Longer batches
  (`persist.source.batchingWindowMs`) and fewer shards make larger packs.
- **The workers' state** is paid for by the kilobyte that commits tell. `workers.commitIntervalMs` is what a
  kill makes agents do again; the longer it is, the fewer kilobytes are begun.
- **Answers out to the internet** cost more than the tasks that give them: pixels and `POST /events` answer
  with less for each event than `GET /event`.
- **What the product says of itself** is {metrics} custom metrics, of all tasks together, and lines of the
  log. With the alarms, which look at what AWS measures, too, that is ${watching} even where little is sent.
- **AWS WAF** asks for $0.60 a million requests: at 10,000 a second that would be $15,774, more than all else
  together. No profile has it; a task's own rate limit (`tracker.ratePerAddressPerS`) is free.
- **On demand** (`eventStream.mode=onDemand`) costs several times what shards cost under a steady rate, since
  records count as a kilobyte at least. It is worth that where nobody knows the rate.
- **Provisioned write units** cost two fifths of those on demand under a steady rate. But a table that has
  them has provisioned read units, too, and `persist` reads ten minutes of packs when it starts cold.
- **Secrets** cost $0.40 each, and would cost nothing as parameters of Systems Manager: but CloudFormation can
  neither make an encrypted parameter nor make up its value.
- **A second node of Redis** (${node} in `small`) is for failover. Without it every task would read DynamoDB,
  and no change would arrive at once, until AWS has replaced the first.
- **A stream for touches** costs a shard (${shard}). They could be on the update stream: then `refresh` would
  be called for each click and conversion, and a burst of clicks would delay changes of core data.
"""
NO_LINE = """
Nor have types that are free by nature, as routes and roles are; the two images and the bundles that a
deployment uploads, some hundred megabytes, at cents a month; a domain; and what AWS charges for support.
"""


def page() -> str:
    """The whole page, in Markdown."""
    parts = [
        HEAD,
        *_totals(),
        READING,
        COMPARISON,
        *_comparison(),
        _why(),
        *_otherwise(),
        *_trade_offs(),
        _read_on(),
    ]
    for name, rate in (("small", 10), ("small", 100), ("standard", 1_000), ("large", 10_000)):
        parts += _lines(name, rate)
    return "\n".join([*parts, *_assumptions(), *_prices(), *_without_line()])


def itemised(deployment: Deployment) -> Deployment:
    """The same with an item for each event, stored as soon as it can be."""
    items = msgspec.structs.replace(ITEMS, memory_mb=deployment.persist.memory_mb)
    return msgspec.structs.replace(deployment, persist=items)


def _totals() -> Iterator[str]:
    yield _row("profile, store", *(f"{rate:,}/s" for rate in RATES), "at the highest rate, what dominates")
    yield _rule(len(RATES) + 2)
    for name, deployment in PROFILES.items():
        for store, each in (("packed", deployment), ("items", itemised(deployment))):
            cases = [Traffic(deployment=each, requests_s=rate) for rate in RATES]
            yield _row(f"{name}, {store}", *map(_total, cases), _dominating(cases[-1]))


def _total(traffic: Traffic) -> str:
    usd = f"{total_usd(bill(traffic)):,.0f}"
    return usd if traffic.fits else f"({usd})"


def _dominating(traffic: Traffic) -> str:
    line = max(bill(traffic), key=lambda line: line.usd)
    return f"{line.what}, {line.usd:,.0f}"


def _comparison() -> Iterator[str]:
    yield _row("requests", "AWS Clickstream", "profile", "taking in and storing", *PARTS, "everything")
    yield _rule(5 + len(PARTS))
    for rate, published in CLICKSTREAM.items():
        lines = bill(Traffic(deployment=PROFILES[COMPARED[rate]], requests_s=rate))
        parts = (f"{usd_of(lines, part):,.0f}" for part in PARTS)
        comparable = f"**{usd_of(lines, *COMPARABLE):,.0f}**"
        yield _row(
            f"{rate:,}/s", f"{published:,}", COMPARED[rate], comparable, *parts, f"{total_usd(lines):,.0f}"
        )


def _why() -> str:
    lines = bill(Traffic(deployment=PROFILES["small"], requests_s=10))
    return WHY.format(
        balancer=_sum(lines, "load balancer"),
        trackers=_sum(lines, "tracker"),
        shard=_sum(lines, "event stream, 1 shard"),
        writes=_sum(lines, "writes of events"),
        taking_in=f"{usd_of(lines, 'taking in'):,.0f}",
    )


def _read_on() -> str:
    small = Traffic(deployment=PROFILES["small"], requests_s=10)
    lines = bill(small)
    return READ_ON.format(
        metrics=custom_metrics(small),
        watching=f"{usd_of(lines, 'watching'):,.0f}",
        node=f"{sum(line.usd for line in lines if 'nodes of' in line.what) / 2:,.0f}",
        shard=_sum(lines, "touch stream"),
    )


def _sum(lines: list[Line], what: str) -> str:
    return f"{sum(line.usd for line in lines if what in line.what):,.0f}"


def _trade_offs() -> Iterator[str]:
    yield "\n## What settings are worth\n"
    yield _row("at", "settings", "taking in and storing", "everything", "what it means")
    yield _rule(5)
    for each in TRADE_OFFS:
        lines = bill(each.traffic)
        yield _row(
            f"`{each.profile}`, {each.requests_s:,}/s",
            " ".join(f"`{key}={value}`" for key, value in each.settings.items()),
            f"{usd_of(lines, *COMPARABLE):,.0f}",
            f"{total_usd(lines):,.0f}",
            each.meaning,
        )


def _otherwise() -> Iterator[str]:
    yield "## What assumptions are worth\n"
    yield "Taking in and storing, as above, if one thing is otherwise than this page assumes:\n"
    yield _row("if", *(f"{rate:,}/s, `{profile}`" for rate, profile in COMPARED.items()))
    yield _rule(1 + len(COMPARED))
    for meaning, assume in OTHERWISE:
        bills = (
            bill(Traffic(deployment=PROFILES[profile], requests_s=rate, assume=assume))
            for rate, profile in COMPARED.items()
        )
        yield _row(meaning, *(f"{usd_of(lines, *COMPARABLE):,.0f}" for lines in bills))


def _lines(name: str, rate: int) -> Iterator[str]:
    traffic = Traffic(deployment=PROFILES[name], requests_s=rate)
    lines = bill(traffic)
    yield f"\n## `{name}` at {rate:,} requests/s, line by line\n"
    yield (
        f"{traffic.frames_s:,.0f} records/s on the event stream. `persist` gets"
        f" {traffic.events_per_batch:,.0f} events in a batch, of {traffic.programs_per_batch:,.0f} programs,"
        f" in packs of {traffic.pack_bytes:,.0f} bytes.\n"
    )
    yield _row("part", "line", "USD")
    yield _rule(3)
    for line in sorted(lines, key=_order):
        yield _row(line.part, line.what, f"{line.usd:,.2f}")
    yield _row("", "**everything**", f"**{total_usd(lines):,.2f}**")


def _order(line: Line) -> tuple[int, float]:
    return PARTS.index(line.part), -line.usd


def _assumptions() -> Iterator[str]:
    yield "\n## What is assumed\n"
    yield _row("assumption", "value")
    yield _rule(2)
    for spec in msgspec.inspect.type_info(Assumptions).fields:  # type: ignore[attr-defined]
        yield _row(spec.type.extra_json_schema["description"], f"{spec.default:g}")


def _prices() -> Iterator[str]:
    yield "\n## Prices\n"
    yield "Where none is named, the figure is from memory of AWS's page, and was not read again.\n"
    yield _row("USD", "for a", "by", "read in")
    yield _rule(4)
    own = [value for value in vars(prices).values() if isinstance(value, Price)]
    nodes = [
        msgspec.structs.replace(price, unit=f"{price.unit}, {name}") for name, price in prices.NODES.items()
    ]
    for price in (*own, *nodes):
        yield _row(f"{price.usd:.10f}".rstrip("0").rstrip("."), price.unit, price.page, price.read)
    spot, valkey = (f"{discount:.0%}" for discount in (prices.SPOT_DISCOUNT, prices.VALKEY_DISCOUNT))
    yield f"\nA Spot task costs {spot} less, which moves with supply; a node of Valkey {valkey} less.\n"


def _without_line() -> Iterator[str]:
    yield "## What has no line\n"
    yield _row("type of resource", "why")
    yield _rule(2)
    for kind, reason in FREE.items():
        if reason != NO_CHARGE:
            yield _row(f"`{kind}`", reason)
    yield NO_LINE


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|---" * columns + "|"


def main() -> None:
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
