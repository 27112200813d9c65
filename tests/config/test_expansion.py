"""Environment variables in the configuration, and the file that is read again when it changes."""

from pathlib import Path

import pytest

from exporter.config import Config, ConfigFile, Source, parse
from exporter.errors import ConfigError

BASE = Path("/etc/asynctask")
PULP = "sources:\n  - name: pulp\n    api: pulp\n    url: https://pulp.example.com\n"


def read(own: str, rest: str = "", **variables: str) -> Config:
    """A configuration of one source with these lines of its own, and *rest* beside the sources."""
    lines = "".join(f"    {line}\n" for line in own.splitlines())
    return parse(PULP + lines + rest, BASE, variables)


def source(own: str, rest: str = "", **variables: str) -> Source:
    """Its source."""
    return read(own, rest, **variables).sources[0]


def mistakes(own: str, rest: str = "", **variables: str) -> tuple[str, ...]:
    """The mistakes in it."""
    with pytest.raises(ConfigError) as caught:
        read(own, rest, **variables)
    return caught.value.mistakes


def test_both_spellings_and_the_escape() -> None:
    """``$NAME`` and ``${NAME}`` are replaced wherever they stand in a text; ``$$`` is one dollar sign."""
    told = source("labels: {a: '$A-${A}B$$A', b: '${_x1}'}", A="one", _x1="two")
    assert told.labels == {"a": "one-oneB$A", "b": "two"}


def test_every_field_may_hold_one() -> None:
    """Secrets, URLs, paths, durations, patterns, ids, the API's own options and what sources share."""
    told = parse(
        "defaults:\n  deadline: $DEADLINE\n"
        "sources:\n  - name: ${NAME}\n    api: $API\n    url: https://$HOST/base\n"
        "    authorization: {type: Token, credentials: '$TOKEN'}\n"
        "    tls_config: {ca_file: '$FOLDER/ca.pem'}\n"
        "    operation_rules: [{match: '^${PREFIX}.*$', operation: '$PREFIX'}]\n"
        "    static_configs: [{targets: ['$ID']}]\n"
        "    options: {project_id: $ID, workspace: $NAME}\n",
        BASE,
        {"NAME": "factory", "API": "dataarts", "HOST": "example.com", "TOKEN": "s3cret", "FOLDER": "tls"}
        | {"PREFIX": "import", "ID": "0012", "DEADLINE": "4h"},
    ).sources[0]
    assert (told.name, told.api, told.url, told.deadline) == (
        "factory",
        "dataarts",
        "https://example.com/base",
        14400,
    )
    assert told.authorization is not None
    assert told.authorization.credentials is not None
    assert told.authorization.credentials.reveal() == "s3cret"
    assert told.tls_config.ca_file == BASE / "tls/ca.pem"
    assert told.operation_rules[0].match.pattern == "^import.*$"
    assert [watched.id for watched in told.static_ids] == ["0012"]
    assert told.options.project_id == "0012"


def test_numbers_and_truth_values_are_read_as_such() -> None:
    """Where a number, true or false belongs, a variable's text is read as one: in lists and defaults too."""
    told = read(
        "registration: $YES\npolling: {concurrency: '$N'}\nmax_task_series: ${N}",
        "defaults: {max_watched_tasks: $N, polling: {requests_per_second: '$R'}}\n"
        "metrics: {duration_buckets: ['$R', '$N', 60.0]}\n",
        YES="true",
        N="7",
        R="1.5",
    )
    only = told.sources[0]
    assert (only.registration, only.polling.concurrency, only.max_task_series) == (True, 7, 7)
    assert (only.max_watched_tasks, only.polling.requests_per_second) == (7, 1.5)
    assert told.metrics.duration_buckets == (1.5, 7.0, 60.0)


def test_text_stays_text_where_text_belongs() -> None:
    """An id of digits keeps its zeros, and a label that says true is a text."""
    told = source("labels: {a: $A, b: $B}", A="007", B="true")
    assert told.labels == {"a": "007", "b": "true"}


def test_what_is_no_number_is_a_mistake_in_its_place() -> None:
    """As if it were written there; and a number that is written as text stays a mistake."""
    assert mistakes("max_task_series: $N", N="many") == (
        "sources[0].max_task_series: must be a whole number",
    )
    assert mistakes("max_task_series: $N", N="-1") == ("sources[0].max_task_series: must be at least 0",)
    assert mistakes("registration: $N", N="yes") == ("sources[0].registration: must be true or false",)
    assert mistakes("max_task_series: '7'", N="7") == ("sources[0].max_task_series: must be a whole number",)


def test_every_missing_variable_is_told_with_its_place() -> None:
    """All of them at once, and the cure for a dollar sign that was meant as one."""
    assert mistakes("labels: {team: $TEAM}\npolling: {timeout: '${T}'}", EMPTY="") == (
        "sources[0].labels.team: environment variable TEAM is not set; write $$ for a plain $",
        "sources[0].polling.timeout: environment variable T is not set; write $$ for a plain $",
    )


def test_a_variable_that_is_empty_is_set() -> None:
    """It is then the field's own affair whether it may be empty."""
    assert source("labels: {team: '$EMPTY'}", EMPTY="").labels == {"team": ""}
    assert mistakes("keep: '$EMPTY'", EMPTY="") == (
        "sources[0].keep: '' is not a duration such as '30s' or '5m'",
    )


@pytest.mark.parametrize("text", ["${", "a${b", "${}", "${1}", "${a-b}", "${A:-x}"])
def test_a_brace_that_begins_no_name_is_a_mistake(text: str) -> None:
    """Nothing of it is repeated, for it may be a piece of a password."""
    assert mistakes(f"labels: {{team: '{text}'}}", A="1") == (
        "sources[0].labels.team: '${' begins no '${NAME}'; write $$ for a plain $",
    )


@pytest.mark.parametrize("text", ["^import$", "$", "a$ b", "$1", "(x$)", "$-"])
def test_other_dollar_signs_stay(text: str) -> None:
    """So that patterns may end in one."""
    assert source(f"labels: {{team: '{text}'}}").labels == {"team": text}


def test_a_value_is_never_read_as_yaml() -> None:
    """What a variable holds adds no keys, lists or further variables."""
    told = source("labels: {team: $A, more: '$B'}", A="{x: y}, registration: true", B="$A # no comment")
    assert told.labels == {"team": "{x: y}, registration: true", "more": "$A # no comment"}
    assert not told.registration


def test_keys_stay_as_they_are() -> None:
    """A name of a label is no value."""
    assert mistakes("labels: {$A: x}", A="team")[0].startswith("sources[0].labels.$A")


def test_nothing_is_expanded_unless_asked_for() -> None:
    """Without an environment a dollar sign is a dollar sign."""
    assert parse(PULP + "    labels: {team: '$A$$'}\n", BASE).sources[0].labels == {"team": "$A$$"}


def test_a_secret_from_a_variable_is_as_secret_as_any() -> None:
    """It is masked where the configuration is shown."""
    told = read("basic_auth: {username: admin, password: $P}", P="hunter22")
    assert "hunter22" not in told.masked() + repr(told)


def test_the_file_knows_whether_it_changed(tmp_path: Path) -> None:
    """By its text, not its times; since it was read last, well or badly."""
    path = tmp_path / "config.yaml"
    path.write_text(PULP)
    file = ConfigFile(path)
    assert file.has_changed()
    file.load()
    path.write_text(PULP)
    assert not file.has_changed()
    path.write_text("sources: []\n")
    assert file.has_changed()
    with pytest.raises(ConfigError):
        file.load()
    assert not file.has_changed()


def test_a_file_that_is_gone_has_changed_once(tmp_path: Path) -> None:
    """It is told once that it cannot be read, and read again when it is back."""
    path = tmp_path / "config.yaml"
    path.write_text(PULP)
    file = ConfigFile(path, {})
    file.load()
    path.unlink()
    assert file.has_changed()
    with pytest.raises(ConfigError, match="No such file"):
        file.load()
    assert not file.has_changed()
    path.write_text(PULP)
    assert file.has_changed()
