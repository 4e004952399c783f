"""Queries choose the rows that pandas would, and can do nothing else."""

import numpy as np
import pandas as pd
import pytest

from napari_globalxai.errors import InputError
from napari_globalxai.statistics.query import parse_query
from napari_globalxai.statistics.query_names import in_backticks, quoted

TABLE = pd.DataFrame(
    {
        "site": ["A", "B", "B", None, "C"],
        "age": [50, 61, 72, 60, 39],
        "dose": [0.5, np.nan, 2.0, 3.5, -1.0],
        "patient": ["007", "7", "8", "9", "10"],
        "years of schooling": [1, 2, 3, 4, 5],
        "it's": [1.0, 0.0, np.nan, 1.0, 0.0],
        "marked": [True, False, True, False, True],
        "probability_Gla": [0.1, 0.5, 0.9, 0.49, 0.51],
        "class": ["x", "y", "x", "y", "x"],
        "größe": [1, 2, 3, 4, 5],
    }
)


@pytest.mark.parametrize(
    "text",
    [
        "site == 'B' and age > 60",
        "site != 'B'",
        "not site == 'B'",
        "probability_Gla >= 0.5",
        "`years of schooling` * 2 - 1 > age / 20",
        "site in ['A', 'C'] or dose < -0.5",
        "site not in ('A', 'C')",
        "site == ['A', 'C']",
        "40 < age <= 61",
        "dose != dose",
        "dose == dose and age % 2 == 0",
        "marked",
        "not marked and `class` == 'y'",
        "marked == True",
        "age in [50, 72, -1]",
        "2 ** dose > 3",
        "age // 10 == 6",
        "-dose > 0.9",
        "größe > 3",
        "site >= 'B'",
        "patient == '007'",
        'site == "B"\nand age > 60',
    ],
)
def test_rows_are_those_of_pandas(text: str) -> None:
    # Its other engine neither knows `not in` on text nor chains.
    known = TABLE.assign(site=TABLE["site"].fillna("")) if ">= 'B'" in text else TABLE
    expected = known.query(" ".join(text.split()), engine="python").index

    assert parse_query(text).rows(TABLE).tolist() == expected.tolist()


def test_names_in_backticks_may_hold_quotes_and_text_may_hold_backticks() -> None:
    assert parse_query("`it's` == 1").rows(TABLE).tolist() == [0, 3]
    assert parse_query("site != '`age`' and `age` == 50").rows(TABLE).tolist() == [0]
    assert parse_query("`it's` == 1 and column0 == 1").columns == ("it's", "column0")


@pytest.mark.parametrize("name", ["a`b", "`", "``", "`a b`", "o`clock 'x'", "plain"])
def test_a_backtick_in_a_name_is_doubled(name: str) -> None:
    table = pd.DataFrame({name: [1, 2, 3], "b": [3, 1, 2]})
    text = f"{in_backticks(name)} > 1 and b == 1"
    query = parse_query(text)

    assert query.columns == (name, "b")
    assert query.rows(table).tolist() == [1]
    if name != "plain":
        assert quoted(name) == in_backticks(name)
    # What is shown of it can be asked again.
    with pytest.raises(InputError, match="has ") as caught:
        parse_query(f"{in_backticks(name)} and b == 1").rows(table)
    assert in_backticks(name) in str(caught.value)
    with pytest.raises(InputError, match="which is not there, but ") as caught:
        parse_query("`b!` == 1").rows(table.rename(columns={"b": f"b{name}"}))
    assert in_backticks(f"b{name}") in str(caught.value)


def test_doubled_backticks_are_those_of_pandas() -> None:
    table = pd.DataFrame({"a`b c": [1, 2, 3]})
    text = "`a``b c` > 1"
    # Releases before knew no such names.
    if int(pd.__version__.split(".")[0]) >= 3:
        assert table.query(text, engine="python").index.tolist() == [1, 2]
    assert parse_query(text).rows(table).tolist() == [1, 2]


def test_a_single_backtick_in_a_name_is_told_how_to_double_it() -> None:
    for text in ("`a`b` == 1", "`age == 1"):
        with pytest.raises(InputError, match="backticks, where one that a name holds is doubled"):
            parse_query(text)
    with pytest.raises(InputError, match=r"in backticks\.$"):
        parse_query("age >")


def test_a_column_of_yes_no_and_gaps_is_equal_to_nothing_where_it_is_missing() -> None:
    table = pd.DataFrame({"seen": [True, None, False]})

    assert parse_query("seen == True").rows(table).tolist() == [0]
    assert parse_query("seen == False").rows(table).tolist() == [2]
    assert parse_query("seen != seen").rows(table).tolist() == [1]


def test_large_whole_numbers_are_compared_exactly() -> None:
    table = pd.DataFrame({"id": [2**53, 2**53 + 1]})

    assert parse_query(f"id == {2**53 + 1}").rows(table).tolist() == [1]
    # As whole numbers of 64 bits this would be less than nothing.
    assert parse_query("id * 4096 > 0").rows(table).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("__import__('os').system('true')", "something else"),
        ("age.__class__ == 1", "something else"),
        ("age[0] == 1", "something else"),
        ("(lambda: 1)() == 1", "something else"),
        ("[a for a in age] == 1", "something else"),
        ("(age := 3) == 3", "something else"),
        ("f'{age}' == '3'", "something else"),
        ("@age > 3", "cannot be read"),
        ("age > 3; age", "cannot be read"),
        ("age > 3)\n(1", "cannot be read"),
        ("age > 3)(1", "something else"),
        ("age >", "cannot be read"),
        ("class == 'x'", "backticks"),
        ("age > 3 & marked", "write and"),
        ("~marked", "write not"),
        ("age is None", "write =="),
        ("age == None", "constant None"),
        ("site == b'A'", "constant"),
        ("age == 1j", "constant"),
        ("age in [dose, 3]", "write them out"),
        ("age in site", "in without a list"),
        ("[1, 2] == age", "list"),
        ("age < [1, 2]", "by size"),
        ("age", "yes or no"),
        ("site", "yes or no"),
        ("3", "yes or no"),
        ("age and marked", "'age' where yes or no"),
        ("`years of schooling` or marked", "'`years of schooling`' where"),
        ("site > 3", "compares text, such as 'A', with numbers"),
        ("age == '50'", "compares text"),
        ("marked == 'True'", "write True and False without quotes"),
        ("patient == 7", "compares text, such as '007'"),
        ("patient in [7, 8]", "compares text, such as '007'"),
        ("site * 2 == 'AA'", "calculates"),
        ("marked + 1 > 1", "calculates"),
        ("sit == 'A'", "`site`"),
        ("Age > 3", "`age`"),
        ("", "empty"),
        ("age == " + "9" * 30, "too large"),
        ("age == " + "9" * 5000, "characters"),
        ("(" * 1500 + "age" + ")" * 1500 + " > 3", "deep"),
        ("not " * 990 + "marked", "deep"),
        ("\0", "cannot be read"),
    ],
)
def test_all_else_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(InputError, match="query") as caught:
        parse_query(text).rows(TABLE)

    message = str(caught.value)
    assert words in message or (words == "deep" and "cannot be read" in message)
    assert "\n" not in message.replace(repr(text), "")


@pytest.mark.parametrize(
    ("values", "asked", "why"),
    [
        (["7", "60", "100", "unknown"], "60", "'7' and '60' are texts"),
        (["70", "60", "unknown"], "60", "'unknown' stands among such as '70'"),
        (["7", "60,5", "100"], "60", "'7' and '60,5' are texts"),
        (["10%", "5%"], "6%", "'10%' and '5%' are texts"),
        (["visit 2", "visit 10"], "visit 3", "'visit 2' and 'visit 10' are texts"),
        (["A", "B"], "5", "'A' stands among such as '5'"),
        (["31.01.2020", "01.02.2021"], "01.01.2021", "'31.01.2020' is a date that does not begin"),
        (["2020-01-31", "3/4/22"], "2021-01-01", "'3/4/22' is a date that does not begin"),
        (["2020-01-31", "2019-3-15"], "2021-01-01", "'2020-01-31' and '2019-3-15' are texts"),
        (["01-Jan-2020", "01-Feb-2021"], "01-Mar-2020", "does not begin with the year"),
        (["60+", "7"], "50", "'60+' and '7' are texts"),
        (["2020-01-31", "2020/02/01"], "2021-01-01", "of two forms"),
        (["2020-01-31", "unknown"], "2021-01-01", "'unknown' stands among such as '2020-01-31'"),
    ],
)
def test_numbers_and_dates_are_not_put_in_the_order_of_their_letters(
    values: list[str], asked: str, why: str
) -> None:
    table = pd.DataFrame({"value": [*values, None]})
    for sign in ("<", "<=", ">", ">="):
        with pytest.raises(InputError, match=r"images\.csv") as caught:
            parse_query(f"value {sign} '{asked}'").rows(table)
        assert why in str(caught.value)
    assert parse_query(f"value == '{values[0]}'").rows(table).tolist() == [0]


@pytest.mark.parametrize(
    ("values", "asked", "later"),
    [
        (["2020-01-31", "2021-02-01", "2021-01-01"], "2021-01-01", [1]),
        (["2020-01-31", "2021-02-01", "2021-01-01"], "2021", [1, 2]),
        (["2020-01-31T10:00", "2021-02-01T09:30"], "2021-01-01", [1]),
        (["mild", "severe", "moderate"], "mild", [1, 2]),
        (["1a", "2b", "3a"], "2a", [1, 2]),
    ],
)
def test_words_and_dates_that_begin_with_the_year_have_an_order(
    values: list[str], asked: str, later: list[int]
) -> None:
    table = pd.DataFrame({"value": [*values, None]})

    assert parse_query(f"value > '{asked}'").rows(table).tolist() == later


@pytest.mark.parametrize("odd", ["unknown", "60,5", "60+"])
def test_a_column_that_one_text_keeps_from_being_numbers_names_it(odd: str) -> None:
    table = pd.DataFrame({"age": ["7", odd, "100", None]})

    with pytest.raises(InputError, match="column is one of numbers") as caught:
        parse_query("age > 60").rows(table)
    assert repr(odd) in str(caught.value)


def test_what_grows_without_end_ends_at_infinity() -> None:
    assert parse_query("9 ** 9 ** 9 ** 9 > age").rows(TABLE).tolist() == [0, 1, 2, 3, 4]
    assert parse_query("age / 0 > 1").rows(TABLE).tolist() == [0, 1, 2, 3, 4]


def test_values_that_no_image_has_are_remarked() -> None:
    query = parse_query("site in ['a', 'B'] and age != -40 and `years of schooling` == 9")

    assert query.remarks(TABLE) == [
        "no image has site 'a', but 'A', 'B', 'C'",
        "no image has age -40, but 50, 61, 72, 60, 39",
        "no image has years of schooling 9, but 1, 2, 3, 4, 5",
    ]
    assert parse_query("site == 'B' and dose > 9").remarks(TABLE) == []


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("age / dose > 20", ": b.png, d.png are among those chosen; dose != 0 leaves them out"),
        ("age // (dose * `in mg`) >= 20", "(dose * `in mg`)"),
        ("not age % dose < 5", "age % dose: b.png, d.png are among"),
        ("dose != 0 and age / dose > 20", ""),
        ("age / dose < 100", ""),
        ("age / 2 > 1", ""),
        ("age / 0 > 1", "age / 0: all images are among those chosen"),
    ],
)
def test_a_division_by_zero_that_chooses_images_is_remarked(text: str, images: str) -> None:
    table = pd.DataFrame(
        {
            "file": ["a.png", "b.png", "c.png", "d.png"],
            "age": [60, 70, 80, 90],
            "dose": [2.0, 0.0, np.nan, 0.0],
            "in mg": [1, 1, 1, 1],
        }
    )
    query = parse_query(text)

    # As pandas chooses them.
    assert query.rows(table).tolist() == table.query(text, engine="python").index.tolist()
    remarks = query.remarks(table)
    assert len(remarks) == bool(images)
    assert all("division by zero in " in each and images in each for each in remarks)
    if images and "0 leaves" in remarks[0]:
        mended = f"{text} and {remarks[0].split('; ')[1].removesuffix(' leaves them out')}"
        assert parse_query(mended).remarks(table) == []


def test_the_mask_has_a_value_for_every_row_even_of_a_constant() -> None:
    assert parse_query("True").mask(TABLE).tolist() == [True] * len(TABLE)
    assert parse_query("1 > 2").mask(TABLE).tolist() == [False] * len(TABLE)
