#!/usr/bin/env python3
"""Judge the report of an Autobahn run: by itself, and against the baseline.

usage: check.py [--baseline FILE [--update]] --expect CASES REPORT

CASES is a JSON list of the ids that were selected, REPORT the index.json that
the suite wrote. Every selected case must have a result; its behavior and its
behaviorClose must both be OK (INFORMATIONAL where the suite never says
anything else) and the same as in the baseline. Exit status: 0 when all of that
holds, 1 when not, 2 when a file cannot be read.
"""
import argparse
import collections
import json
import sys

# Whatever the peer does there.
INFORMATIONAL = ("7.1.6", "7.13.1", "7.13.2")
# From good to bad; a word that is not here is worse than all of them.
WORDS = ("OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "UNCLEAN", "WRONG CODE", "FAILED BY CLIENT", "FAILED", "MISSING")


def by_number(case):
    return [int(part) for part in case.split(".")]


def badness(outcome):
    """How bad the worse one of (behavior, behaviorClose) is."""
    return max(WORDS.index(word) if word in WORDS else len(WORDS) for word in outcome)


def is_good(case, outcome):
    return badness(outcome) == 0 or (case in INFORMATIONAL and badness(outcome) == 1)


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def outcomes(report, expected):
    """case -> (behavior, behaviorClose), for the one agent in the report."""
    if len(report) > 1:
        raise ValueError("more than one agent in the report: %s" % ", ".join(report))
    results = next(iter(report.values()), {})
    missing = {"behavior": "MISSING", "behaviorClose": "MISSING"}
    entries = {case: results.get(case, missing) for case in set(expected) | set(results)}
    return {case: (entries[case]["behavior"], entries[case]["behaviorClose"]) for case in sorted(entries, key=by_number)}


def print_table(found):
    sections = collections.defaultdict(collections.Counter)
    for case, outcome in found.items():
        sections[by_number(case)[0]][outcome[0] if is_good(case, outcome) else "bad"] += 1
    print("section   cases      OK  informational  bad")
    for section, row in sorted(sections.items()):
        print("%-7s%8d%8d%15d%5d" % (section, sum(row.values()), row["OK"], row["INFORMATIONAL"], row["bad"]))


def complaints(found, baseline):
    """One line for each case that is bad, or worse than it was, or of which nothing is known."""
    for case, outcome in found.items():
        said = "behavior %s, behaviorClose %s" % outcome
        if not is_good(case, outcome):
            yield "%s: %s" % (case, said)
        elif baseline is None:
            continue
        elif case not in baseline:
            yield "%s: not in the baseline" % case
        elif badness(outcome) > badness(baseline[case]):
            yield "%s: %s; in the baseline it was %s, %s" % (case, said, *baseline[case])


def write(path, found):
    lines = ["  %s: %s" % (json.dumps(case), json.dumps(outcome)) for case, outcome in found.items()]
    with open(path, "w", encoding="utf-8") as f:
        f.write("{\n%s\n}\n" % ",\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report")
    parser.add_argument("--expect", required=True, metavar="CASES")
    parser.add_argument("--baseline", metavar="FILE")
    parser.add_argument("--update", action="store_true", help="write the baseline, if every case is good")
    options = parser.parse_args()

    try:
        found = outcomes(load(options.report), load(options.expect))
        baseline = load(options.baseline) if options.baseline and not options.update else None
    except (OSError, ValueError, KeyError) as error:
        print("check.py: %r" % error, file=sys.stderr)
        return 2

    print_table(found)
    bad = list(complaints(found, baseline))
    for line in bad:
        print("bad: %s" % line)
    print("%d cases, %d good, %d bad" % (len(found), len(found) - len(bad), len(bad)))
    if bad or not found:
        return 1
    if options.update and options.baseline:
        write(options.baseline, found)
        print("written: %s" % options.baseline)
    return 0


if __name__ == "__main__":
    sys.exit(main())
