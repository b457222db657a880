"""The shape of the code: sizes, names, and what is never written (style.md, House rules)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.support import source
from tests.support.source import Module

_MODULE_LINES = 350
_FUNCTION_LINES = 60
_NO_NOUN = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "tools"}
_LOG_METHODS = {"debug", "info", "warning", "error", "critical", "exception"}
_LOGGERS = {"log", "logger", "_log", "_logger"}
_EVENT = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+")
# In a comment of its own, or behind the one that tells the linter.
_BOUNDARY = re.compile(r"#.*\bboundary: \S")
_BROAD = {"Exception", "BaseException"}
# What can run code that a file or a peer brought, or read it as objects.
_FORBIDDEN_IMPORTS = {"pickle", "marshal", "shelve", "dill", "yaml", "tarfile", "zipfile", "pynetdicom.apps"}
# An archive is written there and never opened.
_WRITES_ARCHIVES = {("webui.exporting", "zipfile")}
_FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
_PATIENT_FIELDS = {"patient_name", "patient_id", "birth_date", "patient_birth_date"}


def test_modules_are_short() -> None:
    """No module of the product is longer than 350 lines."""
    assert [f"{module.where}: {len(module.lines)}" for module in source.product() if len(module.lines) > _MODULE_LINES] == []


def test_functions_are_short() -> None:
    """No function of the product is longer than 60 lines."""
    long = [
        f"{module.where}:{function.lineno} {function.name}: {length}"
        for module in source.product()
        for function in module.functions()
        if (length := (function.end_lineno or function.lineno) - function.lineno + 1) > _FUNCTION_LINES
    ]
    assert long == []


def test_every_module_has_a_noun() -> None:
    """No module is called utils, helpers, common or misc: what has no noun has no file."""
    assert [module.where for module in source.product() if _NO_NOUN & set(module.name.split("."))] == []


def test_broad_excepts_are_boundaries_and_say_so() -> None:
    """Whoever catches everything and does not pass it on says on the line, or beside it, why this is a boundary."""
    silent = []
    for module in source.product():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node) and not _passes_on(node):
                around = module.lines[node.lineno - 2 : node.lineno + 1]
                if not any(_BOUNDARY.search(line) for line in around):
                    silent.append(f"{module.where}:{node.lineno}")
    assert silent == []


def test_nothing_is_global() -> None:
    """No function changes a module's state with `global`."""
    assert _found(ast.Global) == []


def test_log_events_are_constants() -> None:
    """Every log event is a constant dotted name with fields beside it, never text put together."""
    wrong = []
    for module in source.product():
        for call in _log_calls(module):
            event = call.args[0] if call.args else None
            if not (isinstance(event, ast.Constant) and isinstance(event.value, str) and _EVENT.fullmatch(event.value)):
                wrong.append(f"{module.where}:{call.lineno}")
    assert wrong == []


def test_log_events_have_no_patient_fields() -> None:
    """No log event has a field that is named like what identifies a patient."""
    wrong = [
        f"{module.where}:{call.lineno} {field.arg}"
        for module in source.product()
        for call in _log_calls(module)
        for field in call.keywords
        if field.arg in _PATIENT_FIELDS
    ]
    assert wrong == []


def test_nothing_that_runs_what_it_reads_is_imported() -> None:
    """No pickle, no YAML loader, no archive extraction, nothing of pynetdicom's applications."""
    wrong = [
        f"{module.where}:{line} {name}"
        for module in source.product()
        for name, line in module.imports()
        if any(name == forbidden or name.startswith(f"{forbidden}.") for forbidden in _FORBIDDEN_IMPORTS)
        and (module.name, name) not in _WRITES_ARCHIVES
    ]
    assert wrong == []


def test_no_string_is_ever_run() -> None:
    """No shell string, no eval, no exec, no os.system."""
    wrong = []
    for module in source.product():
        calls = (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
        wrong += [f"{module.where}:{call.lineno}" for call in calls if _has_shell(call) or _runs_text(call)]
    assert wrong == []


def test_every_test_says_in_one_sentence_what_holds() -> None:
    """Every test has a docstring of one paragraph that ends like a sentence: it is what the report shows."""
    silent = []
    for module in source.tests():
        for function in module.functions():
            if function.name.startswith("test_"):
                said = (ast.get_docstring(function) or "").strip()
                if not said.endswith(".") or "\n\n" in said:
                    silent.append(f"{module.where}:{function.lineno} {function.name}")
    assert silent == []


def test_the_rules_see_what_they_forbid() -> None:
    """The rules of this file find each fault in a text made of them, so that their silence means something."""
    tree = ast.parse(
        "try:\n    log.info(f'x')\nexcept (ValueError, Exception):\n    pass\nsubprocess.run('ls', shell=True)\nos.system('ls')\n"
    )
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]

    assert sum(_is_broad(node) for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)) == 1
    assert sum(_is_log_call(call) for call in calls) == 1
    assert sum(_has_shell(call) or _runs_text(call) for call in calls) == 2


def _found(kind: type[ast.AST]) -> list[str]:
    return [
        f"{module.where}:{getattr(node, 'lineno', 0)}"
        for module in source.product()
        for node in ast.walk(module.tree)
        if isinstance(node, kind)
    ]


def _is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(name, ast.Name) and name.id in _BROAD for name in caught)


def _passes_on(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _log_calls(module: Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.Call) and _is_log_call(node))


def _is_log_call(call: ast.Call) -> bool:
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in _LOG_METHODS:
        return False
    owner = function.value
    return (isinstance(owner, ast.Name) and owner.id in _LOGGERS) or (isinstance(owner, ast.Attribute) and owner.attr in _LOGGERS)


def _has_shell(call: ast.Call) -> bool:
    return any(
        field.arg == "shell" and not (isinstance(field.value, ast.Constant) and field.value.value is False) for field in call.keywords
    )


def _runs_text(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in _FORBIDDEN_CALLS
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and (function.value.id, function.attr) in {("os", "system"), ("os", "popen"), ("shutil", "unpack_archive")}
    )
