"""Draws mutants of each area, compiles them into one build, and runs the tests of the area on each: see ../MUTANTS.md."""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
WORK = TARGET / "mutants"
# The source as it was at the beginning, the same with the mutants in it, and what is built.
SOURCE, MUTATED, TREE = WORK / "source", WORK / "mutated", WORK / "tree"

# The files of an area, its unit tests (`lib`) by filters, and all its tests, those first that catch the most in the least time.
AREAS = {
    "protocol": (
        ["src/protocol/**/*.rs", "src/buffer.rs"],
        "protocol:: buffer::",
        "lib vectors wsproto_frames wsproto_connection wsproto_handshake wsproto_extensions wsproto_deflate headers errors "
        "lenient_handshake deflate limits core",
    ),
    "websocket": (
        ["src/websocket/**/*.rs"],
        "websocket::",
        "echo lib sending_rules nonblocking closing peers_close driver_faults receive_deadlines closing_deadlines limits opening "
        "headers redirects threads deflate trace deadlines faults test_kit errors vectors allocations app_task tls pending_upgrade",
    ),
    "net": (
        ["src/net/deadline.rs", "src/net/poll.rs", "src/net/send_timer.rs", "src/net/transport.rs", "src/net/proxy/**/*.rs"],
        "net::deadline net::poll net::send_timer net::transport net::proxy net::tests::sockets net::tests::stalls",
        "net_opening lib proxies opening dialling deadlines nonblocking",
    ),
    "app": (
        ["src/app/**/*.rs"],
        "app:: --skip simulation --skip schedules",
        "parity app app_outbox app_task app_endings lib app_reconnect app_keepalive app_liveness many_apps",
    ),
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("seed", type=int)
    arguments.add_argument("--area", action="append", choices=AREAS, help="only this one; may be repeated")
    arguments.add_argument("--count", type=int, default=40, help="mutants of an area; three times as many of protocol")
    arguments.add_argument("--jobs", type=int, default=2, help="mutants that run at a time")
    arguments.add_argument("--only", type=int, action="append", help="only the mutant of this number of the sample")
    options = arguments.parse_args()
    areas = options.area or list(AREAS)

    copy_files(ROOT, SOURCE)
    sample = {area: draw(area, options.seed, options.count * (3 if area == "protocol" else 1)) for area in areas}
    number(sample)
    dropped = compile_sample(sample)
    programs = build(areas)
    for area in areas:
        usual = baseline(area, programs, options.jobs)
        report(area, options, sample[area], dropped, run_area(area, sample[area], dropped, programs, usual, options))


def draw(area, seed, count):
    """The sample of an area: the same for the same seed and source."""
    command = ["cargo", "mutants", "--list", "--json", "--no-config", "--colors", "never", "--exclude", "**/fuzzing.rs"]
    for files in AREAS[area][0]:
        command += ["--file", files]
    listed = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    # Tests that are files of their own, or are shared by path with tests elsewhere, are listed as if they were source.
    listed = [mutant for mutant in listed if mutant["file"].startswith("src/") and "/tests/" not in mutant["file"]]
    random.Random(f"{seed} {area}").shuffle(listed)
    print(f"{area}: {min(count, len(listed))} of {len(listed)} mutants, seed {seed}", flush=True)
    return listed[:count]


def number(sample):
    for start, mutants in zip(range(1000, 10000, 1000), sample.values()):
        for id, mutant in enumerate(mutants, start):
            mutant["id"] = id


def compile_sample(sample):
    """Writes the mutants into a copy of the source, and leaves out those that do not compile, with the reason."""
    mutants = {mutant["id"]: mutant for area in sample.values() for mutant in area}
    dropped = {}
    while True:
        copy_files(SOURCE, MUTATED)
        left = [mutant for id, mutant in mutants.items() if id not in dropped]
        written = subprocess.run(
            ["cargo", "run", "-q", "--manifest-path", ROOT / "tests/mutants/switch/Cargo.toml", "--", MUTATED],
            env=os.environ | {"CARGO_TARGET_DIR": str(WORK / "switch")},
            input=json.dumps(left).encode(), stdout=subprocess.PIPE, check=True,
        ).stdout.split()
        for mutant in left:
            if str(mutant["id"]).encode() not in written:
                dropped[mutant["id"]] = "no switch"
        copy_files(MUTATED, TREE)
        wrong = wrong_mutants(cargo("check", "--lib"), left)
        if not wrong:
            return dropped
        dropped |= dict.fromkeys(wrong, "unviable")


def copy_files(source, copy):
    """Only what differs is written, so that a build can go on from the last one."""
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    for name in [*files.decode().splitlines(), "src/mutant_switch.rs"]:
        old, new = source / name, copy / name
        if not old.is_file():
            continue
        new.parent.mkdir(parents=True, exist_ok=True)
        if not new.exists() or new.read_bytes() != old.read_bytes():
            shutil.copyfile(old, new)


def cargo(*arguments):
    command = ["cargo", *arguments, "--all-features", "--message-format=json"]
    # A directory of its own: cargo knows a package by its path within the workspace, and would take what it has built of the copy for
    # what it would build of the source, or the other way round.
    environment = os.environ | {"CARGO_INCREMENTAL": "1", "CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_TARGET_DIR": str(WORK / "target")}
    result = subprocess.run(command, cwd=TREE, env=environment, stdout=subprocess.PIPE)
    return [json.loads(line) for line in result.stdout.decode().splitlines() if line.startswith("{")]


def wrong_mutants(messages, mutants):
    """The mutants on whose lines the compiler found an error, or else those of the function that the error is in."""
    wrong = set()
    errors = [message["message"] for message in messages if message.get("reason") == "compiler-message"]
    for error in errors:
        if error["level"] != "error" or not error["spans"]:
            continue
        text = "\n".join(line["text"] for span in error["spans"] for line in span["text"])
        found = {int(id) for id in re.findall(r"mutant_switch::active\((\d+)\)", text)}
        for span in error["spans"]:
            if not found:
                found = {mutant["id"] for mutant in mutants if mutant["file"] == span["file_name"] and contains(mutant, span)}
        if not found:
            sys.exit("an error that no mutant explains:\n" + error["rendered"])
        wrong |= found
    return wrong


def contains(mutant, span):
    function = (mutant["function"] or mutant)["span"]
    return function["start"]["line"] <= span["line_start"] <= function["end"]["line"]


def build(areas):
    tests = {test for area in areas for test in AREAS[area][2].split()} - {"lib"}
    messages = cargo("test", "--no-run", "--lib", *(f"--test={test}" for test in sorted(tests)))
    programs = {
        "lib" if "lib" in message["target"]["kind"] else message["target"]["name"]: message["executable"]
        for message in messages
        if message.get("reason") == "compiler-artifact" and message.get("executable") and message["profile"]["test"]
    }
    missing = (tests | {"lib"}) - programs.keys()
    if missing:
        errors = [message["message"]["rendered"] for message in messages if message.get("reason") == "compiler-message"]
        sys.exit(f"not built: {sorted(missing)}\n" + "".join(errors[:5]))
    return programs


def steps(area, programs):
    """Each program with the filters of its tests."""
    _, filters, tests = AREAS[area]
    return [(test, [programs[test], *(filters.split() if test == "lib" else [])]) for test in tests.split()]


def run_tests(command, mutant, limit):
    """`passed`, `timeout`, or the names of the tests that failed: with a mutant, the first."""
    environment = os.environ | ({"MUTANT": str(mutant)} if mutant is not None else {})
    process = subprocess.Popen(
        command, cwd=TREE, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True, text=True, errors="replace",
    )
    late = threading.Event()

    def end():
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(limit, end)
    timer.start()
    failed = []
    with process:
        for line in process.stdout:
            failed += re.findall(r"^test (\S+).* FAILED$", line)
            if failed and mutant is not None:
                os.killpg(process.pid, signal.SIGKILL)
                break
    timer.cancel()
    if failed:
        return failed
    if late.is_set():
        return "timeout"
    return "passed" if process.returncode == 0 else ["(aborted)"]


def baseline(area, programs, jobs):
    """How long each program takes without a mutant, and what fails even so."""

    def run(step):
        name, command = step
        began = time.monotonic()
        result = run_tests(command, None, 900)
        seconds = time.monotonic() - began
        print(f"  {area} {name}: {seconds:.1f} s without a mutant {result if result != 'passed' else ''}", flush=True)
        return name, (seconds, result if isinstance(result, list) else [])

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return dict(pool.map(run, steps(area, programs)))


def run_area(area, mutants, dropped, programs, usual, options):
    chosen = [mutant for mutant in mutants if mutant["id"] not in dropped and (not options.only or mutant["id"] in options.only)]

    def run(mutant):
        outcome = run_mutant(area, mutant["id"], programs, usual)
        print(f"  {mutant['id']} {outcome[0]} {outcome[1]}: {mutant['name']}", flush=True)
        return mutant["id"], outcome

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        return dict(pool.map(run, chosen))


def run_mutant(area, id, programs, usual):
    for name, command in steps(area, programs):
        seconds, failing = usual[name]
        skipped = [argument for test in failing for argument in ("--skip", test)]
        limit = max(60, 5 * seconds)
        result = run_tests(command + skipped, id, limit)
        if result == "passed":
            continue
        if result == "timeout":
            return "timeout", name
        # A test that fails by chance on a busy machine does not fail again alone.
        for test in result[:4]:
            again = command if test == "(aborted)" else [command[0], "--exact", test]
            if run_tests(again, id, limit) != "passed":
                return "caught", f"{name} {test}"
    return "missed", ""


def report(area, options, mutants, dropped, outcomes):
    counts = collections.Counter(outcome for outcome, _ in outcomes.values())
    counts.update(reason for id, reason in dropped.items() if any(mutant["id"] == id for mutant in mutants))
    print(f"{area}: " + ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())), flush=True)
    for mutant in mutants:
        outcome = outcomes.get(mutant["id"], (dropped.get(mutant["id"], ""), ""))[0]
        if outcome in ("missed", "timeout", "no switch"):
            print(f"- {mutant['id']} {outcome}: {mutant['name']}", flush=True)
    rows = [mutant | {"outcome": outcomes.get(mutant["id"], (dropped.get(mutant["id"], "not run"), ""))} for mutant in mutants]
    (WORK / f"{area}-{options.seed}.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
