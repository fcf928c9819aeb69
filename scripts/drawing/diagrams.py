"""Diagrams from docs/pictures/*.dot, drawn by Graphviz. Its version decides where things lie, so the check does not draw
them again: a drawing names the SHA-256 of what it was made from and of itself."""

import hashlib
import re
import subprocess

from drawing import style

# DejaVu Sans is as wide as Verdana and wider than most: what Graphviz measures has room for what a browser takes.
DEFAULTS = ["-Gfontname=DejaVu Sans", "-Nfontname=DejaVu Sans", "-Efontname=DejaVu Sans", "-Nfontsize=14",
            "-Efontsize=12", "-Nshape=box", "-Nstyle=rounded", "-Nmargin=0.15,0.08", "-Gpad=0.2", "-Granksep=0.6",
            "-Gnodesep=0.5", "-Earrowsize=0.8"]

CSS = style.variables() + (
    f"text{{fill:var(--ink);font-family:{style.FONT}}}"
    ".graph>polygon{fill:var(--paper);stroke:none}"
    ".node path{fill:var(--box);stroke:var(--faint)}"
    ".edge path{stroke:var(--faint)}.edge polygon{fill:var(--faint);stroke:var(--faint)}"
    ".edge text{fill:var(--faint)}"
    ".outside path{fill:var(--paper);stroke:var(--line)}"
    ".main path{stroke:var(--ours);stroke-width:2}"
)


def mark(source, drawing):
    """The last line of a drawing, for the lines before."""
    whole = source + "".join(DEFAULTS) + CSS + drawing
    return f"<!-- SHA-256 of source and drawing: {hashlib.sha256(whole.encode()).hexdigest()} -->\n"


def is_made_from(source, drawing):
    """Whether this drawing is what `draw` once made from this source."""
    start = drawing.rfind("<!--")
    return drawing[start:] == mark(source, drawing[:start])


def draw(source):
    """A drawing of a diagram, as SVG."""
    # Graphviz puts a label at its edge without any space between them.
    spaced = re.sub(r'(?<= -> )(.*label=")(.*?)(?=")', lambda m: m[1] + "".join(
        f"\u00a0\u00a0{line}\\l" for line in m[2].split("\\l") if line), source)
    command = ["dot", "-Tsvg", *DEFAULTS]
    drawing = subprocess.run(command, input=spaced, capture_output=True, text=True, check=True).stdout
    drawing = drawing[drawing.index("<svg"):]
    drawing = re.sub(r"<!--.*?-->\n?|<title>.*?</title>\n?", "", drawing, flags=re.S)
    drawing = re.sub(r' font-family="[^"]*"', "", drawing)
    start, rest = drawing.split(">", 1)
    drawing = f"{start}>\n<style>{CSS}</style>{rest}"
    return drawing + mark(source, drawing)
