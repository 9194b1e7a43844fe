"""Say in words which feeds can be reached and by which hosts, or why not and what to do."""

from collections.abc import Mapping

from marketprism.local.reachability import NAMES, Attempt, Reach
from schemas.feeds import FEEDS

_WIDTH = max(map(len, FEEDS))
_ADVICE = (
    "Set a proxy with MARKETPRISM_PROXIES, or another host with MARKETPRISM_ENDPOINTS.\n"
    "`marketprism doctor` tries each; docs/ingest.md explains them."
)


def describe(reach: Reach) -> str:
    """Return one line: the hosts and proxies that work, of sockets and of REST, with their times, or why none does."""
    if reach.missing:
        return f"{reach.feed:<{_WIDTH}}  cannot be reached: {_reasons(reach.missing)}"
    ways = (f"{each.uplink} ({each.seconds * 1000:.0f} ms)" for each in reach.used)
    return f"{reach.feed:<{_WIDTH}}  can be reached: {', '.join(ways)}"


def shortly(reach: Reach) -> str:
    """Return in a few words why a feed cannot be reached; empty if it can."""
    if not reach.missing:
        return ""
    first = reach.missing[0]
    problem, _, _ = first.failure.partition(" (")  # what to check, which is said when the run starts
    return f"{NAMES[first.where]}: {problem}" if reach.used else problem


def verdict(problems: Mapping[str, str]) -> str:
    """Return what follows from trying all feeds: what goes on, and what to do."""
    failing, total = sum(map(bool, problems.values())), len(problems)
    if not failing:
        return f"All {total} feeds can be reached." if total > 1 else "The feed can be reached."
    if failing < total:
        return f"{total - failing} of {total} feeds can be reached. Retrying the others.\n{_ADVICE}"
    return (
        "No feed can be reached. MarketPrism keeps trying, and starts with each feed as soon as it can.\n"
        f"{_ADVICE}\nCtrl-C stops it. `make demo` needs no exchange."
    )


def _reasons(attempts: list[Attempt]) -> str:
    """Return the reasons, each with the address that failed first for it, and how many others did so too."""
    parts = []
    for failure in dict.fromkeys(each.failure for each in attempts):
        first, *others = [each.uplink for each in attempts if each.failure == failure]
        more = f" and {len(others)} other{'s' if others[1:] else ''}" if others else ""
        parts.append(f"{failure}: {first}{more}")
    return "; ".join(parts)
