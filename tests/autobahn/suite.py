#!/usr/bin/env python3
"""Run the Autobahn testsuite on Python 3. Used by run.

usage: suite.py port           make the installed suite Python 3 source
       suite.py cases          print the selected case ids as a JSON list
       suite.py server SPEC    run the fuzzing server until SIGTERM
       suite.py client SPEC    run the fuzzing client once

The release on PyPI is Python 2 source and does not import on Python 3. "port"
rewrites it in place, in its venv: every module is read as latin-1, goes
through the 2to3 fixers and gets the edits below. The test cases then keep byte
strings in str, one char per octet, as Python 2 did, and the class Bytes
converts at the border to autobahn. Every edit must match, so another release
of the suite stops here and does not misbehave later.

Selection: CASES and EXCLUDE in the environment are blank-separated shell
patterns on the whole case id.
"""
import fnmatch
import importlib.util
import json
import os
import pathlib
import re
import sys

SHIM = '''\
"""Python 2 byte strings for the test cases: str with one char per octet."""
import binascii as _binascii


def b(data):
    return data.encode("latin-1") if isinstance(data, str) else bytes(data)


def native(data, case=None):
    # the cases of sections 12 and 13 work on bytes by themselves
    return data if hasattr(case, "TESTDATA") else data.decode("latin-1")


class binascii:
    @staticmethod
    def b2a_hex(data):
        return _binascii.b2a_hex(b(data)).decode("ascii")

    hexlify = b2a_hex


class Bytes:
    """Lets the cases hand str to autobahn's sending methods."""

    def sendFrame(self, opcode, payload=b"", fin=True, rsv=0, mask=None, payload_len=None, chopsize=None, sync=False):
        payload = b(payload)
        if payload_len is not None:
            payload = (payload * (payload_len // len(payload) + 1))[:payload_len]
        super().sendFrame(opcode, payload, fin, rsv, None if mask is None else b(mask), None, chopsize, sync)

    def sendMessage(self, payload, isBinary=False, fragmentSize=None, sync=False, doNotCompress=False):
        super().sendMessage(b(payload), isBinary, fragmentSize, sync, doNotCompress)

    def sendMessageFrameData(self, payload, sync=False):
        return super().sendMessageFrameData(b(payload), sync)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        super().sendCloseFrame(code, None if reasonUtf8 is None else b(reasonUtf8), isReply)
        if isinstance(self.localCloseReason, bytes):
            self.localCloseReason = native(self.localCloseReason)
'''

# file: [(old, new, how often)], applied after 2to3
EDITS = {
    "fuzzing.py": [
        ("import os, json, binascii, time", "from .py2 import Bytes, binascii, b, native\nimport os, json, time", 1),
        ("class FuzzingProtocol:", "class FuzzingProtocol(Bytes):", 1),
        ('def asciiLogData(data, maxlen = 64, replace = False):\n   ellipses = " ..."\n',
         'def asciiLogData(data, maxlen = 64, replace = False):\n   data = b(data)\n   ellipses = b" ..."\n', 1),
        ("p = ''.join(payload)", "p = b''.join(payload)", 1),
        ("self.runCase.onMessage(msg, binary)", "self.runCase.onMessage(native(msg, self.runCase), binary)", 1),
        ("self.runCase.onPong(payload)", "self.runCase.onPong(native(payload, self.runCase))", 1),
        ("json.dumps(case, ", "json.dumps(case, default = native, ", 1),
        ("ll.encode('utf8')", "ll", 1),
        ('c[1])).encode("utf-8"))', 'c[1])))', 1),
    ],
    "wstest.py": [("from . import serializer\n", "", 1)],  # not needed; would import unittest2
    "case/__init__.py": [("from .case9_9_1 import *\n", "", 1)],  # not among the cases
    "case/case.py": [("pickle.dumps(obj1) == pickle.dumps(obj2)", "obj1 == obj2", 1)],
    "case/case10_1_1.py": [("len(self.payload) / self.p.", "len(self.payload) // self.p.", 1)],
    "case/case6_x_x.py": [
        ("v.validate(vss[:i])", 'v.validate(vss[:i].encode("latin-1"))', 1),
        ("(object, Case, )", "(Case, )", 1),
    ],
    "case/case7_7_X.py": [("(object, Case, )", "(Case, )", 1)],
    "case/case7_9_X.py": [("(object, Case, )", "(Case, )", 1)],
    "case/case9_7_X.py": [("(object, Case, )", "(Case, )", 1)],
    "case/case12_x_x.py": [("(object, Case, )", "(Case, )", 2)],
}


def port():
    try:
        from lib2to3 import refactor
    except ImportError:  # gone in Python 3.13; fissix is the same code
        from fissix import refactor

    root = pathlib.Path(importlib.util.find_spec("autobahntestsuite").origin).parent
    if (root / "py2.py").exists():
        sys.exit("already done: %s" % root)
    tool = refactor.RefactoringTool(refactor.get_fixers_from_package(refactor.__package__ + ".fixes"))
    done = {}
    for path in sorted(root.glob("*.py")) + sorted(root.glob("case/*.py")):
        name = path.relative_to(root).as_posix()
        if name.startswith(("wamp", "wsperf")):
            continue
        text = path.read_bytes().decode("latin-1").replace("\r\n", "\n") + "\n"
        text = str(tool.refactor_string(text, str(path)))
        text = re.sub(r"^import binascii$", "from autobahntestsuite.py2 import binascii", text, flags=re.M)
        for old, new, times in EDITS.get(name, ()):
            if text.count(old) != times:
                sys.exit("%s: expected %d times %r, found %d" % (name, times, old, text.count(old)))
            text = text.replace(old, new)
        compile(text, name, "exec", dont_inherit=True)
        done[path] = text
    if not EDITS.keys() <= {p.relative_to(root).as_posix() for p in done}:
        sys.exit("a module to edit is missing in %s" % root)
    for path, text in done.items():
        path.write_text(text, encoding="utf-8")
    (root / "py2.py").write_text(SHIM, encoding="utf-8")


def cases():
    from autobahntestsuite import case
    ids = [".".join(c.__name__[len(case.CaseBasename):].split("_")) for c in case.Cases]

    def select(patterns):
        chosen = set()
        for pattern in patterns.split():
            hits = fnmatch.filter(ids, pattern)
            if not hits:
                sys.exit("no case matches %r" % pattern)
            chosen.update(hits)
        return chosen

    chosen = select(os.environ.get("CASES") or "*") - select(os.environ.get("EXCLUDE") or "")
    if not chosen:
        sys.exit("no case is selected")
    print(json.dumps([i for i in ids if i in chosen]))


def run(mode, spec):
    from autobahntestsuite import fuzzing
    from autobahn.twisted.websocket import listenWS
    from twisted.internet import reactor

    def listen(factory, context):
        # on loopback only (wstest itself binds every interface), and write the
        # report when stopped, so that a client which gave up half-way has one
        reactor.addSystemEventTrigger("before", "shutdown", factory.createReports)
        return listenWS(factory, context, interface="127.0.0.1")

    fuzzing.listenWS = listen
    with open(spec, encoding="utf-8") as f:
        spec = json.load(f)
    if mode == "server":
        fuzzing.startServer(spec, 0)
    else:
        fuzzing.startClient(spec)
    reactor.run()


def main(argv):
    if argv == ["port"]:
        port()
    elif argv == ["cases"]:
        cases()
    elif len(argv) == 2 and argv[0] in ("server", "client"):
        run(*argv)
    else:
        sys.exit(__doc__.strip())


if __name__ == "__main__":
    main(sys.argv[1:])
