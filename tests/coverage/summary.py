"""What the tests reach of `src`, from the JSON of `cargo llvm-cov report`: a table of directories, and what they do not reach."""

import argparse
import collections
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("report", type=pathlib.Path)
    arguments.add_argument("--missing", metavar="PREFIX", help="list lines and branches that are not reached in these files")
    options = arguments.parse_args()
    files = read(json.loads(options.report.read_text())["data"][0])
    if options.missing is None:
        table(files)
    else:
        missing({name: file for name, file in files.items() if name.startswith(options.missing)})


class File:
    """Counts by position. A generic function has one count for each of its types; here it has their sum."""

    def __init__(self, path):
        self.source = path.read_text().splitlines()
        self.end = code_ends(self.source)
        self.regions = collections.Counter()
        self.branches = collections.defaultdict(lambda: [0, 0])
        self.lines = {}

    def add(self, function):
        for line, column, end, end_column, count, file, _, kind in function["regions"]:
            if kind == 0 and file == 0 and line < self.end:
                self.regions[line, column, end, end_column] += count
        for branch in function.get("branches", []):
            line, column, end, end_column, taken, not_taken, file = branch[:7]
            if file == 0 and line < self.end:
                counts = self.branches[line, column, end, end_column]
                counts[0] += taken
                counts[1] += not_taken

    def count_lines(self, segments):
        """As LLVM does: a line counts as often as the most frequent of the regions that begin in it or last into it."""
        by_line = collections.defaultdict(list)
        for segment in segments:
            by_line[segment[0]].append(segment)
        last = None
        for line in range(1, self.end):
            here = by_line.get(line, [])
            counts = [count for _, _, count, counted, entry, gap in here if counted and entry and not gap]
            if last and last[3] and not last[5]:
                counts.append(last[2])
            if here:
                last = here[-1]
            if counts:
                self.lines[line] = max(counts)

    def text(self, position):
        line, column, end, end_column = position
        return self.source[line - 1][column - 1 : end_column - 1 if end == line else None].strip()


def code_ends(source):
    """The line at which the unit tests of a file begin."""
    for number, line in enumerate(source, 1):
        if re.match(r"#\[cfg\(.*\btest\b.*\)\]$", line) and any(re.match(r"mod \w+ \{", next) for next in source[number : number + 3]):
            return number
    return len(source) + 1


def read(data):
    files = {}
    for file in data["files"]:
        path = pathlib.Path(file["filename"])
        if path.is_relative_to(ROOT / "src") and not re.search(r"/tests(/|\.rs$)", str(path)):
            files[str(path.relative_to(ROOT))] = File(path)
            files[str(path.relative_to(ROOT))].count_lines(file["segments"])
    for function in data["functions"]:
        name = function["filenames"][0].removeprefix(f"{ROOT}/")
        if name in files:
            files[name].add(function)
    return files


def table(files):
    rows = collections.defaultdict(lambda: [0] * 6)
    for name, file in files.items():
        directory = "/".join(name.split("/")[:-1][:3])
        if directory.startswith("src/bin"):
            directory = "src/bin/wsdump"
        elif name.count("/") > 1 and not name.startswith("src/protocol"):
            directory = "/".join(name.split("/")[:2])
        sides = [side for counts in file.branches.values() for side in counts]
        counts = [list(file.lines.values()), list(file.regions.values()), sides]
        for row in (rows[directory], rows["all of src"]):
            for at, values in enumerate(counts):
                row[2 * at] += sum(value > 0 for value in values)
                row[2 * at + 1] += len(values)
    print("| directory | lines | | regions | | branches | |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for directory, row in sorted(rows.items(), key=lambda row: (row[0] == "all of src", row[0])):
        cells = []
        for reached, total in zip(row[::2], row[1::2]):
            cells += [f"{reached} of {total}", f"{100 * reached / total:.1f} %" if total else ""]
        print(f"| `{directory}` | " + " | ".join(cells) + " |")


def missing(files):
    for name, file in sorted(files.items()):
        for line, count in sorted(file.lines.items()):
            if count == 0:
                print(f"{name}:{line}: line: {file.source[line - 1].strip()}")
        for position, (taken, not_taken) in sorted(file.branches.items()):
            if not (taken and not_taken):
                side = "never either" if not taken and not not_taken else "never true" if not taken else "never false"
                print(f"{name}:{position[0]}:{position[1]}: {side}: {file.text(position)}")


if __name__ == "__main__":
    main()
