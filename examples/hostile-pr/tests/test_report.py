from expenses import Money, by_category, by_month, format_table, parse_csv
from expenses.cli import main

LINES = ["2026-04-03,food,12.50", "2026-03-01,rent,900", "2026-03-09,food,7.50", "2026-03-10,books,20"]


def test_categories_come_greatest_first_and_equal_ones_by_name():
    assert list(by_category(parse_csv(LINES)).items()) == [
        ("rent", Money(90000)), ("books", Money(2000)), ("food", Money(2000))]


def test_months_come_in_order():
    assert by_month(parse_csv(LINES)) == {"2026-03": Money(92750), "2026-04": Money(1250)}
    assert list(by_month(parse_csv(LINES))) == ["2026-03", "2026-04"]


def test_the_table_is_aligned():
    assert format_table(by_month(parse_csv(LINES))) == "2026-03  927.50\n2026-04   12.50\ntotal    940.00"


def test_the_command_prints_the_table(tmp_path, capsys):
    (tmp_path / "march.csv").write_text("\n".join(LINES))
    assert main([str(tmp_path / "march.csv")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "rent   900.00"


def test_the_command_reports_a_bad_file(tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("nonsense\n")
    assert main([str(tmp_path / "bad.csv")]) == 1
    assert "line 1" in capsys.readouterr().err
