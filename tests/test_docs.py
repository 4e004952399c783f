"""What the pages tell people to type is there: commands, options, names of Python."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer

import napari_globalxai as gx
import napari_globalxai.settings
from napari_globalxai.cli.commands import app
from napari_globalxai.runs.run import Run
from napari_globalxai.settings.declared import SettingsModel

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "sample_data/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
OPTION = re.compile(r"--[a-z][a-z-]*")
COMMANDS = typer.main.get_command(app).commands
# Of the scripts beside the package.
OTHERS = {
    option
    for folder in ("benchmarks", "docs", "scripts", "sample_data/scripts", "tests")
    for script in (ROOT / folder).rglob("*.py")
    for option in re.findall(r"add_argument\(\s*\"(--[a-z-]+)", script.read_text(encoding="utf-8"))
}
OF_A_RUN = {"folder", "labels", "record"}


def options_of(name):
    """Options of a command, with those that turn one off."""
    every = [each for each in COMMANDS[name].params if each.param_type_name == "option"]
    return {each for option in every for each in (*option.opts, *option.secondary_opts)}


ALL_OPTIONS = set().union(*map(options_of, COMMANDS), {"--help", "--version"})


def blocks(page, *languages):
    """Blocks of code of a page."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [text for language, text in found if language in languages]


def commands_of(page):
    """Words of each call of our command in the shell blocks of a page, without its name."""
    found = []
    for block in blocks(page, "sh", "bash", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["napari-globalxai"]:
                found.append(words[1:])
            elif words[:3] == ["python", "-m", "napari_globalxai"]:
                found.append(words[3:])
    return found


SHOWN = [(page, words) for page in PAGES for words in commands_of(page)]


def test_there_is_something_to_look_at():
    assert len(SHOWN) > 30
    assert {words[0] for _, words in SHOWN} >= {"explain", "peppr", "audit", "report", "contrast"}


@pytest.mark.parametrize(
    ("page", "words"), [pytest.param(*each, id=f"{each[0].stem}:{each[1][0]}") for each in SHOWN]
)
def test_each_command_that_is_shown_is_understood(page, words):
    """Parsed by the command itself, which is not run."""
    name, *arguments = words
    with COMMANDS[name].make_context(name, list(arguments)) as context:
        assert context.params


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_in_the_text_are_there(page):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for code in CODE.findall(text):
        first = code.removeprefix("napari-globalxai ").split()[:1]
        known = options_of(first[0]) if first and first[0] in COMMANDS else ALL_OPTIONS | OTHERS
        unknown = set(OPTION.findall(code)) - known
        assert not unknown, f"{page.name}: `{code}`"


def keywords():
    """Every field of every class of settings: what a function of ours takes as plain keywords."""
    import importlib
    import pkgutil

    for module in pkgutil.iter_modules(napari_globalxai.settings.__path__):
        importlib.import_module(f"napari_globalxai.settings.{module.name}")
    classes = [SettingsModel]
    for each in classes:
        classes += each.__subclasses__()
    return {name for each in classes for name in each.model_fields} | {"height", "width"}


def wrong_names(tree):
    """What a piece of Python uses of us that is not there."""
    import inspect

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "gx" and not hasattr(gx, node.attr):
                yield f"gx.{node.attr}"
            if node.value.id == "run" and not (hasattr(Run, node.attr) or node.attr in OF_A_RUN):
                yield f"run.{node.attr}"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("napari_globalxai"):
            module = __import__(node.module, fromlist=["x"])
            yield from (each.name for each in node.names if not hasattr(module, each.name))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("gx."):
            function = getattr(gx, node.func.attr, None)
            if not inspect.isfunction(function):
                continue
            taken = set(inspect.signature(function).parameters) | keywords()
            yield from (each.arg for each in node.keywords if each.arg and each.arg not in taken)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_in_python_are_there(page):
    for block in blocks(page, "python", "py"):
        assert not list(wrong_names(ast.parse(block))), page.name


def test_a_wrong_page_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\nnapari-globalxai explain a.csv --nonsense 3\n```\n\n`peppr --worker 2`\n"
    )
    ((name, *arguments),) = commands_of(page)
    with pytest.raises(Exception, match="No such option"):
        COMMANDS[name].make_context(name, arguments)
    with pytest.raises(AssertionError, match="--worker"):
        test_options_in_the_text_are_there(page)
    wrong = ast.parse("gx.explian()\nrun.map('a')\ngx.explain('a', worker=2)")
    assert sorted(wrong_names(wrong)) == ["gx.explian", "run.map", "worker"]


def test_the_start_fits_two_screens():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 90


def test_every_page_is_on_the_site():
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert not [page.name for page in (ROOT / "docs").glob("*.md") if page.name not in site]
