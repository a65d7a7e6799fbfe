#!/usr/bin/env python3
"""A picture of `wsdump` at work: drives the program on a pseudo-terminal and draws what is on the screen as SVG.

    cargo build --release --features cli
    benches/recording.py [PROGRAM]      draws docs/figures/wsdump.svg; PROGRAM is target/release/wsdump unless it is given

The server is `wsdump --listen`, on this machine. Unix, Python 3.11 or later, and nothing but its standard library.
`python3 -m unittest discover -s benches` tests this file.
"""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from dataclasses import dataclass, replace
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "figures" / "wsdump.svg"

ADDRESS = "127.0.0.1:9001"
COLUMNS = 84
SECONDS = 20


@dataclass(frozen=True)
class Step:
    typed: str
    """A line at the prompt of the program."""
    expected: str
    """What the program says then."""


@dataclass(frozen=True)
class Scene:
    command: str
    """A line of a shell."""
    steps: tuple[Step, ...] = ()


SCENES = (
    Scene(
        f"wsdump -v ws://{ADDRESS}/",
        (
            Step("Hello", "< text: Hello"),
            Step("/ping", "Round trip: "),
            Step("/binary 00ff7a", "< binary: "),
            Step("/close 1000 bye", "connection is over"),
        ),
    ),
    Scene(f"echo hello | wsdump -r ws://{ADDRESS}/ | tr a-z A-Z"),
    Scene("wsdump ws://127.0.0.1:9/"),
)


# The screen.


@dataclass(frozen=True)
class Style:
    colour: str | None = None
    is_bold: bool = False


PLAIN = Style()
BASIC = (
    "#484f58 #ff7b72 #3fb950 #d29922 #58a6ff #bc8cff #39c5cf #b1bac4 "
    "#6e7681 #ffa198 #56d364 #e3b341 #79c0ff #d2a8ff #56d4dd #f0f6fc"
).split()
CUBE = (0, 95, 135, 175, 215, 255)


def colour_of(number):
    """A colour of xterm's 256."""
    if number < 16:
        return BASIC[number]
    if number < 232:
        number -= 16
        return "#" + "".join(f"{CUBE[level]:02x}" for level in (number // 36, number // 6 % 6, number % 6))
    return "#" + 3 * f"{8 + 10 * (number - 232):02x}"


class Screen:
    """A terminal that is as long as what is written to it. A sequence that it does not know is an error."""

    SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")

    def __init__(self, columns):
        self.columns = columns
        self.rows = [[]]
        self.row = self.column = 0
        self.style = PLAIN

    def write(self, text):
        position = 0
        while position < len(text):
            character = text[position]
            if character == "\x1b":
                match = self.SEQUENCE.match(text, position)
                if match is None:
                    raise ValueError(f"not a sequence that is known: {text[position : position + 12]!r}")
                self.control(match[1], match[2])
                position = match.end()
                continue
            position += 1
            match character:
                case "\r":
                    self.column = 0
                case "\n":
                    self.down(1)
                case "\b":
                    self.column = max(self.column - 1, 0)
                case "\x07":
                    pass
                case _:
                    self.put(character)

    def put(self, character):
        if self.column == self.columns:
            self.column = 0
            self.down(1)
        row = self.rows[self.row]
        row.extend([(" ", PLAIN)] * (self.column + 1 - len(row)))
        row[self.column] = (character, self.style)
        self.column += 1

    def down(self, count):
        self.row += count
        while len(self.rows) <= self.row:
            self.rows.append([])

    def control(self, parameters, final):
        if parameters.startswith("?"):
            # Modes: bracketed paste, synchronized output, the cursor.
            if final not in "hl":
                raise ValueError(f"not a mode: {parameters}{final}")
            return
        numbers = [int(number or 0) for number in parameters.split(";")]
        count = max(numbers[0], 1)
        match final:
            case "A":
                self.row = max(self.row - count, 0)
            case "B":
                self.down(count)
            case "C":
                self.column = min(self.column + count, self.columns - 1)
            case "D":
                self.column = max(self.column - count, 0)
            case "G":
                self.column = count - 1
            case "K" if numbers[0] == 0:
                del self.rows[self.row][self.column :]
            case "K" if numbers[0] == 2:
                self.rows[self.row].clear()
            case "J" if numbers[0] == 0:
                del self.rows[self.row][self.column :]
                del self.rows[self.row + 1 :]
            case "m":
                self.paint(numbers)
            case _:
                raise ValueError(f"not a sequence that is known: {parameters}{final}")

    def paint(self, numbers):
        numbers = iter(numbers)
        for number in numbers:
            match number:
                case 0:
                    self.style = PLAIN
                case 1:
                    self.style = replace(self.style, is_bold=True)
                case 22:
                    self.style = replace(self.style, is_bold=False)
                case 38 if next(numbers, None) == 5:
                    self.style = replace(self.style, colour=colour_of(next(numbers)))
                case 39:
                    self.style = replace(self.style, colour=None)
                case _ if 30 <= number <= 37:
                    self.style = replace(self.style, colour=BASIC[number - 30])
                case _ if 90 <= number <= 97:
                    self.style = replace(self.style, colour=BASIC[number - 90 + 8])
                case _:
                    raise ValueError(f"not a colour that is known: {number}")

    def runs(self):
        """Of each row, what is of one style: its column, its text, its style. Blanks at either end are left out."""
        for row in self.rows:
            runs, start = [], 0
            for end in range(1, len(row) + 1):
                if end == len(row) or row[end][1] != row[start][1]:
                    text = "".join(character for character, _ in row[start:end])
                    if stripped := text.strip():
                        runs.append((start + text.index(stripped), stripped, row[start][1]))
                    start = end
            yield runs


# The picture. It has its own background, and so is the same on light and on dark pages.

SIZE, LINE, MARGIN = 14, 20, 16
# Of the letters of a monospaced font; `textLength` makes those of any font so wide.
CELL = 8.4
BACKGROUND, EDGE, TEXT = "#0d1117", "#30363d", "#e6edf3"


def svg(screen, title):
    rows = list(screen.runs())
    while rows and not rows[-1]:
        rows.pop()
    width, height = round(screen.columns * CELL + 2 * MARGIN), len(rows) * LINE + 2 * MARGIN
    body = []
    for number, runs in enumerate(rows):
        y = MARGIN + number * LINE + 15
        for column, text, style in runs:
            weight = ' font-weight="700"' if style.is_bold else ""
            body.append(
                f'<text x="{MARGIN + column * CELL:.1f}" y="{y}" textLength="{len(text) * CELL:.1f}" lengthAdjust="spacingAndGlyphs"'
                f' fill="{style.colour or TEXT}"{weight} xml:space="preserve">{escape(text)}</text>'
            )
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img"'
            f' font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, Liberation Mono, monospace" font-size="{SIZE}">',
            f"<title>{escape(title)}</title>",
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="{BACKGROUND}" stroke="{EDGE}"/>',
            *body,
            "</svg>\n",
        )
    )


# The program on a pseudo-terminal.


class Terminal:
    def __init__(self, command, environment):
        self.ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, COLUMNS))
        self.program = subprocess.Popen(
            ("sh", "-c", command), stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.deadline = time.monotonic() + SECONDS

    def piece(self, seconds):
        """What comes within the time: nothing if nothing does, `None` at the end."""
        if not select.select([self.ours], [], [], max(seconds, 0))[0]:
            return b""
        try:
            return os.read(self.ours, 65536) or None
        except OSError:
            # Linux's way to say that nobody has the other end open.
            return None

    def until(self, expected):
        """What comes until this is there, and what follows at once: the prompt that is drawn again."""
        heard = b""
        while expected.encode() not in heard:
            piece = self.piece(self.deadline - time.monotonic())
            if not piece:
                raise TimeoutError(f"{expected!r} did not come, but {heard!r}")
            heard += piece
        while piece := self.piece(0.3):
            heard += piece
        return heard

    def type(self, line):
        os.write(self.ours, line.encode() + b"\r")

    def rest(self):
        heard = b""
        while (piece := self.piece(self.deadline - time.monotonic())) is not None:
            if not piece:
                raise TimeoutError(f"the program does not end, after {heard!r}")
            heard += piece
        return heard

    def close(self):
        if self.program.poll() is None:
            os.killpg(self.program.pid, signal.SIGKILL)
        self.program.wait()
        os.close(self.ours)


def play(scene, screen, environment):
    screen.write("\x1b[38;5;245m$\x1b[0m " + scene.command + "\r\n")
    terminal = Terminal(scene.command, environment)
    try:
        heard = terminal.until("> ") if scene.steps else b""
        for step in scene.steps:
            terminal.type(step.typed)
            heard += terminal.until(step.expected)
        screen.write((heard + terminal.rest()).decode())
    finally:
        terminal.close()
    if screen.column > 0:
        screen.write("\r\n")


def recording(program):
    # Nothing of the user's own is in the picture: no history, no proxy.
    environment = {"PATH": f"{program.parent}:{os.environ['PATH']}", "TERM": "xterm-256color", "HOME": "/nonexistent"}
    server = subprocess.Popen((program, "--listen", ADDRESS), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    try:
        if not server.stdout.readline().startswith(b"Listening"):
            raise RuntimeError(f"wsdump does not listen on {ADDRESS}")
        screen = Screen(COLUMNS)
        for number, scene in enumerate(SCENES):
            if number > 0:
                screen.write("\r\n")
            play(scene, screen, environment)
        return svg(screen, "wsdump in a terminal: " + "; ".join(scene.command for scene in SCENES))
    finally:
        server.kill()
        server.wait()


def main(arguments):
    program = Path(arguments[0] if arguments else ROOT / "target" / "release" / "wsdump").resolve()
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(recording(program), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
