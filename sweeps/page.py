"""Write the state of a sweep as a page that reloads itself: nothing listens on a port, and any browser shows it."""

from __future__ import annotations

import time
from pathlib import Path

import jinja2

from lip.errors import InputError
from lip.ledger.filesystem import write_whole, writing
from lip.ledger.ledger import Ledger
from lip.terminal import plain
from sweeps.plan import Plan
from sweeps.search.words import progress as search_progress
from sweeps.status import TrajectoryStatus, counts

RELOAD = 60
"""Seconds after which a browser reads the page again."""

TEMPLATE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="{{ reload }}">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ done }} of {{ total }}: {{ title }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }
progress { width: 100%; height: 1.2em }
td, th { text-align: left; padding: .1em 1.2em .1em 0; vertical-align: top }
.failed { color: #b00020 }
</style>
<h1>{{ title }}</h1>
<progress value="{{ done }}" max="{{ total }}"></progress>
<p>{{ progress }}. {{ states }}. Read {{ now }} from {{ storage }}.</p>
{% for search in searches %}<p>{{ search }}</p>
{% endfor %}
<table>
{% for one in found %}<tr class="{{ one.state }}"><td>{{ one.label|plain }}<td>{{ one.published }}/{{ one.results }}
<td>{{ one.state }}<td>{{ one.detail|plain }}
{% endfor %}</table>
{% for note in notes %}<p>{{ note.host|plain }}{% for tag in note.tags %} <b>{{ tag|plain }}</b>{% endfor %}:
{{ note.note|plain }}</p>
{% endfor %}
"""


def page(plan: Plan, ledger: Ledger, found: list[TrajectoryStatus]) -> str:
    """Return the page: progress, the trajectories that run or have failed, and the notes about runs."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["plain"] = plain
    return environment.from_string(TEMPLATE).render(
        title=plan.sweep.title,
        reload=RELOAD,
        done=plan.counts.published_results,
        total=plan.counts.results,
        progress=plan.counts.progress,
        searches=[search_progress(study) for study in plan.studies],
        states=", ".join(f"{count} {state}" for state, count in counts(found).items()),
        found=[one for one in found if one.state in ("running", "failed")],
        notes=ledger.notes(plan.sweep.name, plan.sweep.profile),
        storage=str(ledger.storage),
        now=time.strftime("%Y-%m-%d %H:%M:%S"),
    )


def write_page(file: Path, plan: Plan, ledger: Ledger, found: list[TrajectoryStatus]) -> None:
    """Write the page, whole or not at all. Raises InputError if that is not possible."""
    if file.is_dir():
        raise InputError(f"--html {file} is a folder; name a file")
    content = page(plan, ledger, found)
    with writing(f"--html {file}", "another file"):
        write_whole(file, content.encode())
