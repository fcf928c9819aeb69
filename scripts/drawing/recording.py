"""The recording of the programs in a terminal: an asciicast (version 2, for asciinema), and the same as an animated SVG.

What a reader types is written by this script. All else is what the programs write to a terminal, with their timings. What
differs between runs without a meaning is replaced: dates, and the entity tag. Gaps are cut to a second and a half."""

import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
from fcntl import ioctl
from pathlib import Path

from drawing import style
from drawing.style import text

COLUMNS, ROWS = 84, 26
LONGEST_GAP, SHORTEST_GAP = 1.5, 0.2
INTERRUPT = "\x03"
SCENES = [
    ("~/site$ ", "webserver --bind localhost &", None),
    ("~/downloads$ ", "webclient localhost 6789 HelloWorld.html", None),
    ("~/downloads$ ", "webclient -O http://localhost:6789/nothing.html", None),
    ("~/downloads$ ", "webclient -O http://localhost:6789/disk.img", INTERRUPT),
    ("~/downloads$ ", "webclient --continue -O http://localhost:6789/disk.img", None),
]
# The last says that the interrupted download was continued.
EXPECTED = ["listening on http://127.0.0.1:6789/", "HTTP/1.0 200 OK", "404 Not Found", '" 404 ', "^C", '" 206 ']
ALIKE = [
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "Sun, 29 Nov 2026 09:12:00 GMT"),
    (r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", "[29/Nov/2026:09:12:00 +0000]"),
    (r'ETag: "[0-9a-f]+"', 'ETag: "6b9ac28407dca7bed83456d1a7939587"'),
]


def record(programs, site):
    """Runs the scenes with the programs in this directory, and returns the asciicast."""
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        shutil.copytree(site, f"{home}/site")
        Path(f"{home}/downloads").mkdir()
        os.truncate(os.open(f"{home}/site/disk.img", os.O_CREAT | os.O_WRONLY, 0o644), 1 << 30)
        time.sleep(3)  # a file that has just changed has no strong validator, and cannot be continued
        user = "nobody" if os.geteuid() == 0 else None  # a server that runs as root says that it should not
        if user:
            shutil.chown(f"{home}/downloads", user)
        stage = Stage(programs, home, user)
        try:
            for scene in SCENES:
                stage.play(*scene)
            for expected in EXPECTED:
                if expected not in stage.shown(0):
                    raise SystemExit(f"the programs did not write {expected!r}")
            stage.type(SCENES[-1][0], "")
            return stage.cast()
        finally:
            stage.close()


class Stage:
    """A terminal on which programs run, and what it has shown so far."""

    def __init__(self, programs, home, user):
        self.programs, self.home, self.user = programs, home, user
        self.terminal, self.end = pty.openpty()
        ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.events, self.now, self.server = [], 0.0, None

    def play(self, prompt, command, then):
        self.type(prompt, command)
        name, *arguments = command.removesuffix(" &").split()
        directory = prompt.removeprefix("~/").removesuffix("$ ")
        program = subprocess.Popen([self.programs / name, *arguments], cwd=f"{self.home}/{directory}", user=self.user,
                                   stdin=subprocess.DEVNULL, stdout=self.end, stderr=self.end)
        if command.endswith(" &"):
            self.server = program
            self.read(lambda: "Ctrl-C" in self.shown(-1))
        elif then == INTERRUPT:
            self.read(lambda: False, at_most=0.3)  # a fast machine has the whole file in 0.7 s
            self.show("^C\r\n", 0.0)
            program.send_signal(signal.SIGINT)
        if program is not self.server:
            self.read(lambda: program.poll() is not None, at_most=60)
            self.read(lambda: False, at_most=0.3)  # the server's log
        elif program.poll() is not None:
            raise SystemExit(f"{command} failed: {self.shown(-1)}")

    def type(self, prompt, command):
        self.show(prompt, 0.9)
        for word in re.findall(r"\S+ ?", command):
            self.show(word, 0.25)
        if command:
            self.show("\r\n", 0.4)

    def read(self, is_done, at_most=5.0):
        """Shows what the programs write, until this is true and they write no more, or for this many seconds."""
        began = last = time.monotonic()
        while True:
            done = is_done()
            if select.select([self.terminal], [], [], 0.05)[0]:
                time.sleep(0.02)  # what belongs together
                written, now = os.read(self.terminal, 65536).decode(), time.monotonic()
                self.show(written, min(now - last, LONGEST_GAP))
                last = now
            elif done:
                return
            if time.monotonic() - began > at_most:
                return

    def show(self, what, after):
        self.now += after
        self.events.append((self.now, what))

    def shown(self, last):
        return "".join(what for _, what in self.events[last:])

    def cast(self):
        head = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "webserver and webclient"}
        merged = []
        for at, what in self.events:
            if merged and at - merged[-1][0] < SHORTEST_GAP:
                merged[-1][1] += what
            else:
                merged.append([at, what])
        lines = [json.dumps(head)]
        for at, what in merged:
            what = what.replace(self.home, "/home/me")
            for pattern, fixed in ALIKE:
                what = re.sub(pattern, fixed, what)
            lines.append(json.dumps([round(at, 2), "o", what], ensure_ascii=False))
        return "\n".join(lines) + "\n"

    def close(self):
        if self.server:
            self.server.terminate()
            self.server.wait()


class Screen:
    """The part of a terminal that the programs use: lines that wrap and scroll, CR, and moves of the cursor up and down."""

    def __init__(self):
        self.lines, self.row, self.column = [[] for _ in range(ROWS)], 0, 0

    def write(self, what):
        for part in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|\x1b.|[\s\S]", what):
            if part.startswith("\x1b"):
                self.control(part)
            elif part == "\n":
                self.feed()
            elif part == "\r":
                self.column = 0
            elif part >= " ":
                if self.column == COLUMNS:
                    self.column = 0
                    self.feed()
                line = self.lines[self.row]
                line.extend(" " * (self.column + 1 - len(line)))
                line[self.column] = part
                self.column += 1

    def control(self, sequence):
        count = int(re.sub(r"\D", "", sequence) or 1)
        match sequence[-1]:
            case "A":
                self.row = max(self.row - count, 0)
            case "B":
                self.row = min(self.row + count, ROWS - 1)
            case "K":
                line = self.lines[self.row]
                del line[0 if sequence == "\x1b[2K" else self.column:]
            case "m" | "h" | "l":
                pass
            case _:
                raise SystemExit(f"the recording has an unknown control sequence: {sequence!r}")

    def feed(self):
        self.row += 1
        if self.row == ROWS:
            self.lines = self.lines[1:] + [[]]
            self.row -= 1

    def image(self):
        return ["".join(line).rstrip() for line in self.lines]


CELL, LINE, EDGE = 8.43, 19, 14
CSS = style.variables() + (
    f"text{{fill:var(--ink);font:14px {style.MONO};white-space:pre}}.typed{{font-weight:bold;fill:var(--ours)}}"
    ".paper{fill:var(--box);stroke:var(--line)}"
)


def render(cast):
    """An asciicast as an SVG: its images one beneath the other, and a window that jumps from each to the next."""
    _, *events = map(json.loads, cast.splitlines())
    screen, images = Screen(), []
    for at, _, what in events:
        screen.write(what)
        image = screen.image()
        if images and image == images[-1][1]:
            continue
        images.append((at, image))
    total = events[-1][0] + 4
    width, height = round(COLUMNS * CELL) + 2 * EDGE, ROWS * LINE + 2 * EDGE
    lines, frames, steps = {}, [], []
    for index, (at, image) in enumerate(images):
        uses = []
        for row, line in enumerate(image):
            if line:
                number = lines.setdefault(line, len(lines))
                uses.append(f'<use href="#l{number}" y="{index * height + EDGE + (row + 1) * LINE - 5}"/>')
        frames.append("".join(uses))
        steps.append(f"{100 * (at if index else 0) / total:.2f}%{{transform:translateY({-index * height}px)}}")
    last = -(len(images) - 1) * height
    css = CSS + (f"#film{{animation:film {total:.1f}s steps(1) infinite}}@keyframes film{{{''.join(steps)}}}"
                 f"@media(prefers-reduced-motion:reduce){{#film{{animation:none;transform:translateY({last}px)}}}}")
    defined = "\n".join(
        f'<text id="l{number}" x="{EDGE}" class="{"typed" if re.match(r"~/[a-z]+[$]", line) else ""}" '
        f'textLength="{len(line) * CELL:.1f}">{text(line)}</text>' for line, number in lines.items())
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'role="img">\n<title>webserver and webclient in a terminal</title>\n<style>{css}</style>\n'
            f'<defs>\n{defined}\n</defs>\n'
            f'<rect class="paper" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="6"/>\n'
            f'<g id="film">\n' + "\n".join(frames) + "\n</g>\n</svg>\n")
