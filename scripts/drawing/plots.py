"""Plots of the tables in BENCHMARKS.md, so that no plot can disagree with its table."""

import math
import re

from drawing import style
from drawing.style import text

WIDTH = 680
CSS = style.variables() + (
    f"text{{fill:var(--ink);font:13px {style.FONT}}}.title{{font-size:16px;font-weight:bold}}"
    ".faint{fill:var(--faint);font-size:12px}.bold{font-weight:bold}.ours{fill:var(--ours)}.bar{fill:var(--bar)}"
    ".line{stroke:var(--line)}.range{stroke:var(--bar);stroke-width:2}.paper{fill:var(--paper)}"
)


def tables(benchmarks, section, first_cell):
    """The rows of the table under a heading whose first line begins with these cells; a row is a list of cells."""
    page = benchmarks.split(f"\n## {section}\n")[1].split("\n## ")[0]
    for block in re.findall(r"(?:^\|.*\n)+", page, flags=re.M):
        rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines()]
        if rows[0][:len(first_cell)] == first_cell:
            return [rows[0]] + rows[2:]
    raise SystemExit(f"BENCHMARKS.md has no table {first_cell} in {section}")


def svg(height, title, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img">\n<title>{text(title)}</title>\n<style>{CSS}</style>\n'
            f'<rect class="paper" width="{WIDTH}" height="{height}"/>\n' + "\n".join(parts) + "\n</svg>\n")


def label(x, y, string, kind="", anchor="start"):
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{text(string)}</text>'


def processor_time(benchmarks):
    """Each row of the table is a panel with its own scale: from a request of 5 µs to one of 307 ms."""
    head, *rows = tables(benchmarks, "Beside other servers", ["", "ours", "nginx"])
    servers = head[1:5]
    title = "Processor time of the server for each request, with keep-alive unless noted; less is better"
    parts = [label(16, 28, "Processor time of the server for each request", "title"),
             label(16, 48, "Less is better. Each panel has its own scale. With keep-alive unless noted.", "faint")]
    left, bar_width = 84, 170
    for index, row in enumerate(rows):
        x, y = 16 + (index % 2) * 336, 66 + (index // 2) * 124
        unit = "ms" if row[0].startswith("1 GiB") else "µs"
        what = row[0].replace("1 kept connection", "1 connection").replace("a connection each, 64", "64, no keep-alive")
        what = re.sub(r"(\d+) kept", r"\1 connections", what)
        parts.append(label(x, y + 16, f"{what}, {unit}", "bold"))
        values = sorted(zip(map(float, row[1:5]), servers, row[1:5]))
        for place, (value, server, printed) in enumerate(values):
            top = y + 26 + place * 22
            length = bar_width * value / values[-1][0]
            ours = server == "ours"
            parts += [label(x + left - 8, top + 13, "webserver" if ours else server, "bold" if ours else "", "end"),
                      f'<rect class="{"ours" if ours else "bar"}" x="{x + left}" y="{top}" width="{length:.1f}" height="17"/>',
                      label(x + left + length + 6, top + 13, printed, "bold" if ours else "")]
    return svg(66 + math.ceil(len(rows) / 2) * 124 + 8, title, parts)


UNITS = {"µs": 1e-6, "ms": 1e-3, "s": 1.0}


def latency_beside_a_crowd(benchmarks):
    """A point for each percentile, on a logarithmic axis."""
    heading = next(line for line in benchmarks.splitlines() if re.match(r"\| [\d,]+ peers at once \|", line))
    head, *rows = tables(benchmarks, "Beside a crowd", [heading.strip("| ").split(" |")[0]])
    rows = [row for row in rows if row[0].startswith("p50, p99, p99.9, maximum, ")]
    peers = head[0].split()[0]
    conditions = {"alone": "alone", "beside the crowd": f"beside {peers} slow and idle peers",
                  "beside the listings": "beside 32 peers that pipeline\nrequests for a listing of 10,000 names"}
    title = "Latency of one client that requests 1 KiB in a loop over one connection"
    parts = [label(16, 28, title, "title"),
             label(16, 48, "Median, 99th and 99.9th percentile, and maximum. Logarithmic scale.", "faint")]
    left, right, low, high = 30, WIDTH - 40, 1e-5, 1e-1

    def at(seconds):
        return left + (right - left) * math.log(seconds / low) / math.log(high / low)

    bottom = 76 + len(rows) * 92
    for power in range(-5, 0):
        x = at(10.0**power)
        name = f"{10**(power + 6)} µs" if power < -3 else f"{10**(power + 3)} ms"
        parts += [f'<line class="line" x1="{x:.1f}" x2="{x:.1f}" y1="62" y2="{bottom}"/>',
                  label(x, bottom + 18, name, "faint", "middle")]
    for index, row in enumerate(rows):
        y = 84 + index * 92
        what = conditions[row[0].removeprefix("p50, p99, p99.9, maximum, ")].replace("\n", " ")
        parts += [f'<rect class="paper" x="{left - 4}" y="{y - 15}" width="{len(what) * 8 + 8}" height="20"/>',
                  label(left, y, what, "bold")]
        values = [value.split() for value in row[1].split(", ")]
        points = [at(float(value) * UNITS[unit]) for value, unit in values]
        parts.append(f'<line class="range" x1="{points[0]:.1f}" x2="{points[-1]:.1f}" y1="{y + 34}" y2="{y + 34}"/>')
        for place, (x, value) in enumerate(zip(points, values)):
            # In turn above and below, because two may be near each other.
            offset = 24 if place % 2 == 0 else 54
            name = ["median", "p99", "p99.9", "max"][place]
            parts += [f'<circle class="ours" cx="{x:.1f}" cy="{y + 34}" r="5"/>',
                      label(x, y + offset, f"{name} {' '.join(value)}", "", "middle")]
    return svg(bottom + 30, title, parts)


PLOTS = {"processor-time.svg": processor_time, "latency-beside-a-crowd.svg": latency_beside_a_crowd}
