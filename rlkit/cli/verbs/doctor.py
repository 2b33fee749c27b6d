"""`rlkit doctor`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from rlkit.cli.doctor.examine import examine
from rlkit.cli.doctor.findings import Finding, State
from rlkit.config.messages import nearest
from rlkit.core.types import UsageError

SIGNS = {State.ok: "ok", State.absent: "–", State.broken: "!", State.required: "MISSING"}


def main(argv: Sequence[str]) -> int:
    """Print what there is and what is missing; 1 where rlkit cannot do without it.

    Raises:
        UsageError: a word that is not ``output=text`` or ``output=json``.
    """
    output = "text"
    for word in argv:
        key, _, output = word.partition("=")
        if key != "output":
            raise UsageError(f"rlkit doctor takes output=json and nothing else, not {word!r}")
        if output not in ("text", "json"):
            raise UsageError(f"there is no output={output}{nearest(output, ('text', 'json'))}")
    findings = examine()
    lacking = sum(finding.state == State.required for finding in findings)
    print(json.dumps(as_json(findings)) if output == "json" else "\n".join(as_text(findings)))
    return int(lacking > 0)


def as_json(findings: Sequence[Finding]) -> dict[str, object]:
    """Return what ``output=json`` says."""
    ready = all(finding.state != State.required for finding in findings)
    return {"ready": ready, "findings": [{**finding._asdict(), "state": finding.state.value} for finding in findings]}


def as_text(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield a line for each finding, its remedy below it, and what it comes to."""
    width = max(len(finding.topic) for finding in findings)
    for finding in findings:
        yield f"{SIGNS[finding.state]:<7}  {finding.topic:<{width}}  {finding.text}"
        if finding.remedy:
            yield f"{'':<7}  {'':<{width}}  → {finding.remedy}"
    lacking = sum(finding.state == State.required for finding in findings)
    broken = sum(finding.state == State.broken for finding in findings)
    yield ""
    if lacking:
        yield f"not ready: fix {lacking} marked MISSING first"
    else:
        yield "ready to train" + (f"; {broken} marked ! do not work" if broken else "")
