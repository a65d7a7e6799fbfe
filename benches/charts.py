#!/usr/bin/env python3
"""Bar charts of what the benches print, as SVG, for light and for dark pages.

    benches/charts.py record NAME   runs the bench and keeps what it prints as docs/figures/NAME.txt, with a head
    benches/charts.py draw          draws docs/figures/NAME-light.svg and NAME-dark.svg of each of these files
    benches/charts.py check         fails where a chart is not the one that its file gives

NAME is one of `comparison`, `instructions`, `scale` and `web_socket_benchmark`. The head of a file says on which machine, when and with which
versions it was made; a chart repeats it. In a document a chart stands as

    <picture>
      <source media="(prefers-color-scheme: dark)" srcset="docs/figures/comparison-dark.svg">
      <img alt="..." src="docs/figures/comparison-light.svg">
    </picture>

Python 3.11 or later, and nothing but its standard library. `python3 -m unittest discover -s benches` tests this file.
"""

import datetime
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "figures"


@dataclass(frozen=True)
class Bar:
    name: str
    length: float
    """In the unit of the chart: all bars of a chart have the same."""
    text: str
    is_ours: bool


@dataclass(frozen=True)
class Group:
    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Chart:
    title: str
    unit: str
    """What a length means."""
    groups: tuple[Group, ...]
    has_legend: bool
    """Whether the bars of each group are of the same names, which are told once."""


@dataclass(frozen=True)
class Bench:
    command: tuple[str, ...]
    directory: Path
    lock: Path
    """The Cargo.lock with the versions of `packages`."""
    packages: tuple[str, ...]
    chart: Callable[[list[str]], Chart]


class Unreadable(Exception):
    """A file of figures that is not what a bench prints."""


# What benches print.


def head_and_output(text):
    """The head of a file as a dictionary, and the lines behind it."""
    head, lines = {}, text.splitlines()
    while lines and lines[0].startswith("# "):
        key, separator, value = lines.pop(0)[2:].partition(": ")
        if not separator:
            raise Unreadable(f"a line of the head without a colon: {key}")
        head[key] = value
    for key in ("machine", "date", "versions", "command"):
        if key not in head:
            raise Unreadable(f"the head does not say: {key}")
    return head, lines


TIME = r"(\d+(?:\.\d+)? (?:ns|us|ms))"
COMPARISON_LINE = re.compile(rf"(.{{29}}) ( cpu|wall) +{TIME} +{TIME} +(\d+\.\d+) +\d")

# The lines of the comparison that are drawn, and what they are called. Those that this crate loses are among them.
COMPARISON_ROWS = {
    "recv_ref text 64 B": "receive 64 B, bursts, borrowed",
    "recv text 64 B": "receive 64 B, bursts, owned",
    "recv_ref Greek 256 B": "receive 256 B of Greek",
    "recv_ref binary 1 MiB": "receive 1 MiB",
    "send text 64 B": "send 64 B, one by one",
    "send batches of 500 x 64 B": "send 64 B, batches of 500",
    "round trip 64 B on one core": "round trip of 64 B, one core",
    "echo binary 1 MiB": "echo of 1 MiB, two cores",
    "tls recv_ref records of 100 B": "TLS: receive records of 100 B",
    "tls recv_ref binary 1 MiB": "TLS: receive 1 MiB",
    "tls send text 64 B": "TLS: send 64 B, one by one",
    "connect": "connect",
}


def comparison(lines):
    """Beside tungstenite: the time of each as a share of tungstenite's."""
    found = {}
    for line in lines:
        if match := COMPARISON_LINE.match(line):
            name, clock, ours, theirs, ratio = match.groups()
            found[name.strip()] = (clock.strip(), ours, theirs, float(ratio))
    groups = []
    for name, label in COMPARISON_ROWS.items():
        if name not in found:
            raise Unreadable(f"the comparison has no line: {name}")
        clock, ours, theirs, ratio = found[name]
        bars = (
            Bar("websocket-sync", ratio, spelled(ours), is_ours=True),
            Bar("tungstenite", 1.0, spelled(theirs), is_ours=False),
        )
        groups.append(Group(label + (", wall" if clock == "wall" else ""), bars))
    unit = "CPU of the client's thread, or wall time, as a share of tungstenite's; less is better"
    return Chart("A message, beside tungstenite", unit, tuple(groups), has_legend=True)


INSTRUCTIONS_LINE = re.compile(r"(.{25}) +(\d+) +(\d+) +(\d+) +\d+\.\d+")


def instructions(lines):
    """Instructions of a message: the core, the whole WebSocket, tungstenite."""
    groups = []
    for line in lines:
        if match := INSTRUCTIONS_LINE.match(line):
            name, core, driver, theirs = match.groups()
            bars = (
                Bar("websocket-sync", int(driver) / int(theirs), driver, is_ours=True),
                Bar("its core alone", int(core) / int(theirs), core, is_ours=True),
                Bar("tungstenite", 1.0, theirs, is_ours=False),
            )
            groups.append(Group(name.strip(), bars))
    if not groups:
        raise Unreadable("no line with instructions")
    return Chart("Instructions of a message in memory", "as a share of tungstenite's; less is better", tuple(groups), has_legend=True)


AMOUNT = r"(\d+(?:\.\d+)? (?:ns|us|ms|KiB|/s))"
RATIO = r"\d+\.\d\d"
SCALE_LINE = re.compile(rf"(.{{35}}) +{AMOUNT} +{AMOUNT} +({RATIO}) +{RATIO} - {RATIO}(?: +(?:{AMOUNT}|{RATIO}))? +{AMOUNT} +({RATIO})")

# The lines of the bench of scale that are drawn, and what they are called.
SCALE_ROWS = {
    "opening, cpu": "open a connection, CPU",
    "wss opening, cpu": "open one with TLS, CPU",
    "failed attempt, refused, cpu": "an attempt that is refused, CPU",
    "message, 1,000 apps, cpu": "a message, 1,000 connections, CPU",
    "message, 19,800 apps, cpu": "a message, 19,800 connections, CPU",
    "memory per app of 19,800": "memory of each of 19,800",
}


def scale(lines):
    """Thousands of connections beside tokio-tungstenite: each cost as a share of its own."""
    found = {}
    for line in lines:
        if match := SCALE_LINE.match(line):
            name, ours, theirs, ratio, _target, small, ratio_to_small = match.groups()
            found[name.strip()] = (ours, theirs, small, float(ratio), float(ratio_to_small))
    groups = []
    for name, label in SCALE_ROWS.items():
        if name not in found:
            raise Unreadable(f"the bench of scale has no line: {name}")
        ours, theirs, small, ratio, ratio_to_small = found[name]
        bars = (
            Bar("websocket-sync", ratio, spelled(ours), is_ours=True),
            Bar("tokio-tungstenite", 1.0, spelled(theirs), is_ours=False),
            Bar("with buffers of 4 KiB", ratio / ratio_to_small, spelled(small), is_ours=False),
        )
        groups.append(Group(label, bars))
    unit = "as a share of tokio-tungstenite's; less is better"
    return Chart("Thousands of connections on one thread", unit, tuple(groups), has_legend=True)


WEB_SOCKET_LINE = re.compile(r"(\S+ \d\S*) +(each|gathered)" + r" +(\d+\.\d+)" * 5)


def web_socket_benchmark(lines):
    """The work of web-socket-benchmark: the median of a round."""
    groups = []
    for line in lines:
        if match := WEB_SOCKET_LINE.match(line):
            name, writes, _send, _echo, _receive, minimum, median = match.groups()
            label = name + (", gathered" if writes == "gathered" else "")
            text = f"{median} ms (least {minimum})"
            groups.append(Group(label, (Bar(label, float(median), text, is_ours=name.startswith("websocket-sync ")),)))
    if not groups:
        raise Unreadable("no line of a crate")
    messages = next((line.split(" messages")[0] for line in lines if " messages of " in line), None)
    if messages is None:
        raise Unreadable("the number of messages is missing")
    title = f"{int(messages):,} messages of 14 B there and back in memory"
    return Chart(title, "ms, median of the rounds; less is better", tuple(groups), has_legend=False)


def spelled(amount):
    """A time of a bench with three digits at most: `1234.5 ns` is `1.23 µs`. Other amounts stay as they are."""
    value, unit = amount.split()
    if unit not in ("ns", "us", "ms"):
        return amount
    nanoseconds = float(value) * {"ns": 1, "us": 1e3, "ms": 1e6}[unit]
    for size, name in ((1e6, "ms"), (1e3, "µs"), (1, "ns")):
        if nanoseconds >= size or size == 1:
            break
    scaled = nanoseconds / size
    return f"{scaled:.{0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2}f} {name}"


BENCHES = {
    "comparison": Bench(
        ("cargo", "bench", "-p", "websocket-sync-tungstenite", "--bench", "comparison"),
        ROOT,
        ROOT / "Cargo.lock",
        ("websocket-sync", "tungstenite"),
        comparison,
    ),
    "instructions": Bench(
        ("cargo", "bench", "-p", "websocket-sync-tungstenite", "--bench", "instructions"),
        ROOT,
        ROOT / "Cargo.lock",
        ("websocket-sync", "tungstenite"),
        instructions,
    ),
    "scale": Bench(
        ("cargo", "run", "--release"),
        ROOT / "benches" / "scale",
        ROOT / "benches" / "scale" / "Cargo.lock",
        ("websocket-sync", "tokio-tungstenite", "tokio"),
        scale,
    ),
    "web_socket_benchmark": Bench(
        ("cargo", "run", "--release"),
        ROOT / "benches" / "web_socket_benchmark",
        ROOT / "benches" / "web_socket_benchmark" / "Cargo.lock",
        ("websocket-sync", "web-socket", "sockudo-ws", "fastwebsockets", "tokio-tungstenite"),
        web_socket_benchmark,
    ),
}


# Charts as SVG. Widths of text are not known here, so columns are wide enough for what is in them.

WIDTH, MARGIN, LABELS, VALUES = 760, 16, 265, 150
BAR, BAR_GAP, GROUP_GAP = 13, 2, 9


@dataclass(frozen=True)
class Colours:
    text: str
    muted: str
    ours: str
    ours_too: str
    others: str
    others_too: str


# Each is readable on the page of its theme; the background is the page's own.
THEMES = {
    "light": Colours("#1f2328", "#59636e", "#0969da", "#80ccff", "#afb8c1", "#d1d9e0"),
    "dark": Colours("#f0f6fc", "#9198a1", "#4493f8", "#1f4f8f", "#656c76", "#3d444d"),
}


def svg(chart, head, colours):
    """The chart as the text of an SVG."""
    longest = max(bar.length for group in chart.groups for bar in group.bars)
    room = WIDTH - 2 * MARGIN - LABELS - VALUES
    body, y = [], MARGIN + 18
    body.append(text_at(MARGIN, y, chart.title, colours.text, size=17, weight="600"))
    y += 20
    body.append(text_at(MARGIN, y, chart.unit, colours.muted))
    y += 12
    if chart.has_legend:
        y += 12
        x = MARGIN
        for index, bar in enumerate(chart.groups[0].bars):
            body.append(rectangle(x, y - 10, 11, 11, colour_of(chart.groups[0], index, colours)))
            body.append(text_at(x + 17, y, bar.name, colours.text))
            x += 17 + 9 * len(bar.name) + 12
        y += 8
    y += 8
    for group in chart.groups:
        height = len(group.bars) * (BAR + BAR_GAP) - BAR_GAP
        body.append(text_at(MARGIN + LABELS - 10, y + height / 2 + 4.5, group.label, colours.text, anchor="end"))
        for index, bar in enumerate(group.bars):
            length = max(room * bar.length / longest, 1)
            body.append(rectangle(MARGIN + LABELS, y, length, BAR, colour_of(group, index, colours)))
            body.append(text_at(MARGIN + LABELS + length + 6, y + BAR - 2, bar.text, colours.text, size=12))
            y += BAR + BAR_GAP
        y += GROUP_GAP
    for line in (f"{head['machine']}, {head['date']}", head["versions"]):
        y += 15
        body.append(text_at(MARGIN, y, line, colours.muted, size=11))
    height = round(y + MARGIN)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img"'
            ' font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
            f"<title>{escape(chart.title)}</title>",
            *body,
            "</svg>\n",
        )
    )


def colour_of(group, index, colours):
    is_ours = group.bars[index].is_ours
    is_first = not any(bar.is_ours == is_ours for bar in group.bars[:index])
    if is_ours:
        return colours.ours if is_first else colours.ours_too
    return colours.others if is_first else colours.others_too


def text_at(x, y, content, colour, size=13, weight="400", anchor="start"):
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(content)}</text>"
    )


def rectangle(x, y, width, height, colour):
    return f'<rect x="{x:g}" y="{y:g}" width="{width:.1f}" height="{height:g}" rx="2" fill="{colour}"/>'


def drawings(name, text):
    """The names of the charts of a file of figures, and what is in them."""
    head, lines = head_and_output(text)
    chart = BENCHES[name].chart(lines)
    return {f"{name}-{theme}.svg": svg(chart, head, colours) for theme, colours in THEMES.items()}


# Commands.


def record(name):
    bench = BENCHES[name]
    print(" ".join(bench.command), file=sys.stderr)
    output = subprocess.run(bench.command, cwd=bench.directory, stdout=subprocess.PIPE, text=True, check=True).stdout
    text = "\n".join(f"# {key}: {value}" for key, value in head_of(bench).items()) + "\n\n" + output.strip("\n") + "\n"
    # What cannot be drawn is not kept.
    drawings(name, text)
    FIGURES.mkdir(exist_ok=True)
    (FIGURES / f"{name}.txt").write_text(text, encoding="utf-8")


def head_of(bench):
    lock = bench.lock.read_text(encoding="utf-8")
    versions = [f"{package} {version_in(lock, package)}" for package in bench.packages]
    compiler = subprocess.run(("rustc", "--version"), stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    directory = "" if bench.directory == ROOT else f"in {bench.directory.relative_to(ROOT).as_posix()}: "
    return {
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "date": datetime.date.today().isoformat(),
        "versions": ", ".join((*versions, " ".join(compiler.split()[:2]))),
        "commit": subprocess.run(("git", "rev-parse", "HEAD"), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip(),
        "command": directory + " ".join(bench.command),
    }


def version_in(lock, package):
    match = re.search(rf'^name = "{re.escape(package)}"\nversion = "([^"]+)"', lock, re.MULTILINE)
    if match is None:
        raise Unreadable(f"Cargo.lock has no {package}")
    return match[1]


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(": ")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, None) or platform.processor() or platform.machine()


def all_drawings():
    for path in sorted(FIGURES.glob("*.txt")):
        for name, content in drawings(path.stem, path.read_text(encoding="utf-8")).items():
            yield FIGURES / name, content


def draw():
    for path, content in all_drawings():
        path.write_text(content, encoding="utf-8")


def check():
    expected = dict(all_drawings())
    for path, content in expected.items():
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            sys.exit(f"{path.relative_to(ROOT)} is not what its figures give: benches/charts.py draw")
    for path in FIGURES.glob("*.svg"):
        # A picture of anything else has another name.
        if path.stem.rpartition("-")[0] in BENCHES and path not in expected:
            sys.exit(f"{path.relative_to(ROOT)} has no figures")


def main(arguments):
    match arguments:
        case ["record", name] if name in BENCHES:
            record(name)
        case ["draw"]:
            draw()
        case ["check"]:
            check()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Unreadable as problem:
        sys.exit(f"charts.py: {problem}")
