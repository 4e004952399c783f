"""Settings are declared once, and say what is wrong in a sentence."""

from __future__ import annotations

import inspect
from typing import Annotated, ClassVar, Literal

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from napari_globalxai.cli.options import with_settings
from napari_globalxai.errors import InputError
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.declared import (
    Choices,
    OptionName,
    Repeatable,
    SettingsModel,
    Size,
    declared_fields,
    redeclared,
)
from napari_globalxai.settings.execution_settings import ExecutionSettings
from napari_globalxai.settings.explain_settings import ExplainSettings
from napari_globalxai.settings.frame_settings import CohortFrameSettings, FrameSettings
from napari_globalxai.settings.peppr_settings import PepprSettings

ALL = (
    AggregationSettings,
    CohortFrameSettings,
    CohortSettings,
    ExecutionSettings,
    ExplainSettings,
    PepprSettings,
)


class Soup(SettingsModel):
    noun: ClassVar[str] = "soup setting"
    heading: ClassVar[str] = "Soup"

    salt: Annotated[float, OptionName("saltiness")] = Field(
        default=0.5, gt=0, le=2, title="Salt", description="Grams a plate"
    )
    kind: Annotated[str, Choices({"thin": "Water", "thick": "Cream"})] = Field(
        default="thin", title="Kind", description="How it flows"
    )
    herbs: Annotated[tuple[str, ...] | None, Choices(lambda: {"dill": "", "mint": ""})] = Field(
        default=None, title="Herbs", description="What is in it"
    )
    hot: bool = Field(default=True, title="Hot", description="Whether it steams")
    plates: int | None = Field(default=None, ge=1, title="Plates", description="How many")
    extras: dict[str, str] = Field(default_factory=dict, title="Extras", description="By name")
    table: Size = Field(default=Size((1, 2)), title="Table", description="Its sides")
    mood: Literal["good", "bad"] = Field(default="good", title="Mood", description="Of the cook")


@pytest.mark.parametrize("model", ALL)
def test_every_setting_has_a_title_and_a_sentence(model):
    for each in declared_fields(model):
        assert each.title, each.name
        assert len(each.help) > 8, each.name
        assert each.heading != "Settings", each.name
        if each.kind == "choice":
            assert all(each.choices.values()), each.name


def test_options_and_fields_are_declared_once():
    options = [each.option for each in declared_fields(ExplainSettings)]
    assert len(options) == len(set(options))


def test_a_declaration_says_all_that_a_form_needs():
    fields = {each.name: each for each in declared_fields(Soup)}
    salt, herbs, plates = fields["salt"], fields["herbs"], fields["plates"]
    assert (salt.kind, salt.low, salt.high) == ("number", 0, 2)
    assert (salt.low_excluded, salt.high_excluded) == (True, False)
    assert (salt.option, salt.heading) == ("saltiness", "Soup")
    assert (herbs.kind, list(herbs.choices), herbs.optional) == ("names", ["dill", "mint"], True)
    assert (plates.kind, plates.optional, plates.low) == ("whole", True, 1)
    assert fields["extras"].kind == "pairs"
    assert fields["table"].kind == "size"
    assert (fields["mood"].kind, list(fields["mood"].choices)) == ("choice", ["good", "bad"])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"salt": 0}, r"^soup setting salt: 0 is not above 0.0\.$"),
        ({"salt": "much"}, r"^soup setting salt: .*number.*\.$"),
        ({"kind": "solid"}, r"^soup setting kind: 'solid' is not one of thin, thick\.$"),
        ({"herbs": ("dill", "rat")}, r"^soup setting herbs: 'rat' is not one of dill, mint\.$"),
        ({"pepper": 1}, r"^soup setting pepper: there is none of that name, but salt, kind, .*\.$"),
        ({"table": "4"}, r"^soup setting table: '4' is not of the form HEIGHTxWIDTH, .*\.$"),
        ({"table": (0, 3)}, r"^soup setting table: \(0, 3\) is not of the form .*\.$"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(values, sentence):
    with pytest.raises(InputError, match=sentence):
        Soup(**values)


def test_settings_are_changed_by_plain_keywords():
    soup = Soup.of(Soup(salt=1, hot=False), {"hot": True, "table": "3×4"})
    assert (soup.salt, soup.hot, soup.table) == (1, True, (3, 4))
    assert Soup.of(None, {}) == Soup()
    with pytest.raises(InputError, match="soup setting pepper"):
        Soup.of(Soup(), {"pepper": 1})


def test_another_default_keeps_the_declaration():
    class Broth(Soup):
        salt: Annotated[float, OptionName("saltiness")] = redeclared(Soup, "salt", 1.5)

    (salt,) = (each for each in declared_fields(Broth) if each.name == "salt")
    assert (salt.default, salt.title, salt.option, salt.high) == (1.5, "Salt", "saltiness", 2)
    with pytest.raises(InputError, match="soup setting salt"):
        Broth(salt=3)


@pytest.fixture
def command():
    app = typer.Typer()
    got = []

    @app.command()
    @with_settings(soup=Soup)
    def cook(soup: Soup, name: str = "x") -> None:
        """Cook."""
        got.append((name, soup))

    return app, got


def test_options_are_made_from_the_declarations(command):
    app, got = command
    runner = CliRunner()
    said = runner.invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    for text in ("--saltiness", "Grams a plate", "thin or thick", "--no-hot", "dill or mint"):
        assert text in said
    runner.invoke(app, [])
    assert got.pop() == ("x", Soup())
    arguments = ["--saltiness", "1.5", "--kind", "thick", "--herbs", "dill, mint", "--no-hot"]
    more = ["--extras", "a=b", "--extras", "c-d=e=f", "--table", "5x6", "--name", "y"]
    done = runner.invoke(app, arguments + more, catch_exceptions=False)
    assert done.exit_code == 0
    name, soup = got.pop()
    assert name == "y"
    assert soup == Soup(
        salt=1.5,
        kind="thick",
        herbs=("dill", "mint"),
        hot=False,
        extras={"a": "b", "c_d": "e=f"},
        table=(5, 6),
    )
    # What was not given is left to whoever else may fill it in.
    runner.invoke(app, ["--kind", "thick"])
    assert got.pop()[1].given() == {"kind": "thick"}


def test_what_is_refused_is_named_as_the_option_is(command):
    app, _ = command
    with pytest.raises(InputError, match=r"^--saltiness: 3\.0 is not 2\.0 or less\.$"):
        CliRunner().invoke(app, ["--saltiness", "3"], catch_exceptions=False)


def test_a_pair_without_its_sign_is_refused(command):
    app, _ = command
    with pytest.raises(InputError, match=r"--extras a: is not of the form name=value"):
        CliRunner().invoke(app, ["--extras", "a"], catch_exceptions=False)


def test_height_and_width_stand_for_the_size():
    assert FrameSettings(height=3, width=4).size == (3, 4)
    assert FrameSettings(width=4).size == (384, 4)
    assert FrameSettings(size="3x4").height == 3


def test_python_takes_settings_and_keywords():
    from napari_globalxai import align, check_quality, explain, peppr, read_cohort

    for function in (align, check_quality, explain, peppr, read_cohort):
        parameters = inspect.signature(function).parameters
        assert "settings" in parameters
        assert parameters["keywords"].kind is inspect.Parameter.VAR_KEYWORD


class Sauce(SettingsModel):
    taste: Annotated[
        str | tuple[str, ...],
        Choices({"sweet": "", "sour": ""}, "taste", "tastes", ("own:",)),
        Repeatable(),
    ] = Field(default="sweet", description="Of the sauce")


def test_options_that_may_be_given_again():
    (field,) = declared_fields(Sauce)
    assert (field.kind, field.repeatable, field.default) == ("choice", True, "sweet")
    app, got = typer.Typer(), []

    @app.command()
    @with_settings(sauce=Sauce)
    def cook(sauce: Sauce) -> None:
        got.append(sauce.taste)

    runner = CliRunner()
    for arguments in ([], ["--taste", "sour"], ["--taste", "sour", "--taste", "own:x y"]):
        assert runner.invoke(app, arguments).exit_code == 0
    assert got == ["sweet", "sour", ("sour", "own:x y")]
    assert "[default: sweet]" in runner.invoke(app, ["--help"]).output
    for wrong in ("bitter", ("sour", "bitter")):
        with pytest.raises(InputError, match="there is no taste 'bitter'; tastes are sweet, sour"):
            Sauce(taste=wrong)
