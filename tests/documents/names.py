#!/usr/bin/env python3
"""Prints the public names of Python's websocket-client or wsproto, one a line, for docs/MIGRATING.md to have a row for each.

    python3 -m venv venv && venv/bin/pip install websocket-client==1.9.2 wsproto==1.3.2
    venv/bin/python tests/documents/names.py websocket > tests/documents/websocket-client-1.9.2.txt
    venv/bin/python tests/documents/names.py wsproto > tests/documents/wsproto-1.3.2.txt

The names are read from the source, not imported: functions, classes, their methods and attributes, constants, the parameters of
those that take options, and the keys of websocket-client's dictionaries `options` and `sslopt`.
"""

import ast
import importlib.util
import pathlib
import sys

# The command line program has its own table, by flags.
SKIPPED = {"_wsdump"}
# What takes its options as parameters.
CONFIGURED = {"create_connection", "WebSocket", "WebSocketApp", "run_forever", "frame_buffer", "continuous_frame", "enableTrace"}
DICTIONARIES = {"options", "sslopt"}


def is_public(name):
    return not name.startswith("_")


def parameters(owner, function):
    arguments = function.args
    for argument in arguments.posonlyargs + arguments.args + arguments.kwonlyargs:
        if argument.arg not in ("self", "cls"):
            yield f"{owner}({argument.arg})"


def assigned(statement):
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        yield from target.elts if isinstance(target, ast.Tuple) else [target]


def of_class(path, node):
    for statement in node.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            for target in assigned(statement):
                if isinstance(target, ast.Name) and is_public(target.id):
                    yield f"{path}.{target.id}"
        if isinstance(statement, ast.FunctionDef):
            if is_public(statement.name):
                yield f"{path}.{statement.name}"
            if statement.name in CONFIGURED or statement.name == "__init__" and node.name in CONFIGURED:
                owner = path if statement.name == "__init__" else f"{path}.{statement.name}"
                yield from parameters(owner, statement)
            for inner in ast.walk(statement):
                if isinstance(inner, (ast.Assign, ast.AnnAssign)):
                    for target in assigned(inner):
                        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                            if target.value.id == "self" and is_public(target.attr):
                                yield f"{path}.{target.attr}"


def of_module(module, tree, is_package):
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef) and is_public(statement.name):
            yield f"{module}.{statement.name}"
            yield from of_class(f"{module}.{statement.name}", statement)
        elif isinstance(statement, ast.FunctionDef) and is_public(statement.name):
            yield f"{module}.{statement.name}"
            if statement.name in CONFIGURED:
                yield from parameters(f"{module}.{statement.name}", statement)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            for target in assigned(statement):
                if isinstance(target, ast.Name) and (is_public(target.id) or target.id == "__version__"):
                    yield f"{module}.{target.id}"
        elif isinstance(statement, ast.ImportFrom) and is_package:
            for alias in statement.names:
                # A name of the package's own.
                if alias.asname and alias.asname != alias.name and is_public(alias.asname):
                    yield f"{module}.{alias.asname}"
    for node in ast.walk(tree):
        name = key = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop") and node.args:
            name, key = node.func.value, node.args[0]
        elif isinstance(node, ast.Subscript):
            name, key = node.value, node.slice
        if isinstance(name, ast.Name) and name.id in DICTIONARIES and isinstance(key, ast.Constant):
            yield f"{name.id}[{key.value}]"


def main():
    package = pathlib.Path(importlib.util.find_spec(sys.argv[1]).origin).parent
    names = set()
    for path in package.glob("*.py"):
        if path.stem not in SKIPPED:
            is_package = path.stem == "__init__"
            module = sys.argv[1] if is_package else path.stem
            names.update(of_module(module, ast.parse(path.read_text()), is_package))
    print(*sorted(names), sep="\n")


main()
