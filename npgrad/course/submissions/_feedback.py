"""What people read: a page for each submission, the table of points, and the summary of a class."""

import base64
import csv
import io
import re
from collections import Counter
from html import escape
from importlib.resources import files

from npgrad.course.grading import QUESTIONS
from npgrad.course.submissions._maps import strip

STYLE = """
.points { float: right; font-variant-numeric: tabular-nums; }

.full { color: #2e7d4f; } .some { color: #a86a00; } .none { color: #b3372b; }

@media (prefers-color-scheme: dark) { .full { color: #7cc79a; } .some { color: #e0b25c; } .none { color: #f08a7e; } }

figure { margin: .8rem 0 0; } figcaption { font-size: .85rem; opacity: .75; }
.pair { display: flex; flex-wrap: wrap; gap: 1.2rem; }
.pair img { display: block; border-radius: 4px; max-width: 100%; }
.name { margin: .8rem 0 -.5rem; font-weight: 600; }
.missing { display: grid; place-items: center; height: 160px; max-width: 100%; border: 1px dashed; border-radius: 4px;
  box-sizing: border-box; opacity: .6; }

table { border-collapse: collapse; }
td, th { padding: .15rem .8rem .15rem 0; text-align: left; vertical-align: top; }
"""
BINS = 10  # of the distribution of points


def page(record, maps):
    """The feedback on one submission as HTML.

    Parameters
    ----------
    record : dict
        The submission's record.
    maps : dict
        {question: [(title, the student's tiles or None, the right tiles)]}.

    Returns
    -------
    str
    """
    parts = [f"<h1>{escape(record['submission'])}</h1>"]
    parts.append(f"<p>{record['got']} of {record['total']} points</p>")
    if record["refused"]:
        parts.append(f"<section><h2>Not graded</h2><p>{escape(record['refused'])}</p></section>")
    for result in record["questions"]:
        parts.append(_question(result, maps.get(result["id"], ())))
    for title, cells in (
        ("Cells that raised an error", record["failed_cells"]),
        ("Cells that did not end", record["stopped_cells"]),
    ):
        if cells:
            rows = "".join(
                f"<tr><td>{escape(cell)}</td><td>{escape(why)}</td></tr>" for cell, why in cells.items()
            )
            parts.append(f"<section><h2>{title}</h2><table>{rows}</table></section>")
    return _document(record["submission"], parts)


def _question(result, rows):
    got, points = result["got"], result["points"]
    color = "full" if got == points else "some" if got else "none"
    title = QUESTIONS[result["id"]].title
    lines = [
        f'<section><h2>{result["id"]} {escape(title)} <span class="points {color}">{got} of {points}</span></h2>'
    ]
    lines += [f"<p>{escape(line)}</p>" for line in result["message"].splitlines()]
    for name, yours, right in rows:
        mine = _figure(yours, "yours") if yours else _missing(right)
        lines.append(
            f'<p class="name">{escape(name)}</p><div class="pair">{mine}{_figure(right, "right")}</div>'
        )
    return "\n".join([*lines, "</section>"])


def _figure(tiles, caption):
    file = io.BytesIO()
    strip(tiles).save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _missing(right):
    """A frame as large as the right map, in place of a student's that cannot be shown."""
    width = strip(right).width
    return (
        f'<figure><div class="missing" style="width:{width}px">nothing to show</div>'
        "<figcaption>yours</figcaption></figure>"
    )


def _document(title, parts):
    css = files("npgrad.pages").joinpath("page.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{css}{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>"
    )


def grades(records, similar):
    """The table of points as CSV: a row for each submission, a column for each question that any of them has."""
    asked = {result["id"] for record in records for result in record["questions"]}
    columns = [name for name in QUESTIONS if name in asked]
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["submission", *columns, "total", "of", "similarity", "most_similar_to", "note"])
    for record in records:
        got = {result["id"]: result["got"] for result in record["questions"]}
        value, other = similar[record["submission"]]
        row = [record["submission"], *(got.get(name, "") for name in columns), record["got"], record["total"]]
        row += [f"{value:.2f}", other, record["refused"] or ""]
        table.writerow([_cell(each) for each in row])
    return file.getvalue()


def _cell(value):
    """A value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def summary(records):
    """The summary of a class: {"submissions", "mean", "distribution", "questions"}.

    distribution: how many submissions have 0 to 10, ..., 90 to 100 % of their points. questions: for each, the mean
    points, how many have full points, and the most frequent diagnoses.
    """
    shares = [record["got"] / record["total"] if record["total"] else 0 for record in records]
    distribution = [0] * BINS
    for share in shares:
        distribution[min(int(share * BINS), BINS - 1)] += 1
    questions = {}
    for name, question in QUESTIONS.items():
        results = [each for record in records for each in record["questions"] if each["id"] == name]
        if results:
            reasons = Counter(
                line for each in results for line in {_reason(text) for text in each["message"].splitlines()}
            )
            ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
            questions[name] = {
                "title": question.title,
                "points": question.points,
                "mean": round(sum(each["got"] for each in results) / len(results), 2),
                "full": sum(each["got"] == each["points"] for each in results),
                "submissions": len(results),
                "diagnoses": [{"text": text, "submissions": count} for text, count in ordered[:5]],
            }
    mean = round(sum(shares) / len(shares), 4) if shares else 0.0
    return {"submissions": len(records), "mean": mean, "distribution": distribution, "questions": questions}


def _reason(line):
    """A diagnosis without the case that it was found in, which is in parentheses at its end, and without numbers."""
    depth, begin = 0, len(line)
    while line.endswith(")") and begin > 0:
        begin -= 1
        depth += {")": 1, "(": -1}.get(line[begin], 0)
        if depth == 0:
            break
    text = line[:begin].rstrip() or line
    return re.sub(r"\d+(\.\d+)?(e-?\d+)?", "#", text)


def summary_page(found):
    """The summary as HTML."""
    most = max(found["distribution"], default=0) or 1
    bars = ""
    for i, n in enumerate(found["distribution"]):
        style = f"width:{100 * n / most:.0f}%" if n else "visibility:hidden"
        bars += f'<span>{10 * i} to {10 * i + 10} %</span><i style="{style}"></i><span>{n}</span>'
    parts = [
        "<h1>Grades</h1>",
        f"<p>{found['submissions']} submissions, {found['mean']:.1%} of the points on average</p>",
        f'<section><h2>Distribution</h2><div class="bars">{bars}</div></section>',
    ]
    hardest = sorted(found["questions"].items(), key=lambda item: item[1]["mean"] / item[1]["points"])
    for name, each in hardest:
        rows = "".join(
            f"<tr><td>{reason['submissions']}</td><td>{escape(reason['text'])}</td></tr>"
            for reason in each["diagnoses"]
        )
        parts.append(
            f'<section><h2>{name} {escape(each["title"])} <span class="points">{each["mean"]:g} of '
            f"{each['points']}</span></h2><p>{each['full']} of {each['submissions']} have full points</p>"
            f"<table>{rows}</table></section>"
        )
    return _document("Grades", parts)
