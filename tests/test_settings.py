"""What may be set, from where, and what does a wrong setting say?"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.app import key_ring
from nudgebot.settings import BadSettings, Settings, read_settings
from tests.conftest import KEY

TOKEN = "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NUDGEBOT_DATABASE_URL", "mysql://localhost/x"),
        ("NUDGEBOT_DATABASE_URL", "nudgebot.db"),
        ("NUDGEBOT_DATABASE_URL", "sqlite:///"),
        ("NUDGEBOT_DATABASE_URL", "sqlite:///:memory:"),
        ("NUDGEBOT_DATABASE_URL", "sqlite:///file.db?mode=ro"),
        ("NUDGEBOT_SEND_RATE", "0"),
        ("NUDGEBOT_SEND_RATE", "-1"),
        ("NUDGEBOT_SEND_RATE", "fast"),
        ("NUDGEBOT_SEND_RATE", "nan"),
        ("NUDGEBOT_SEND_RATE", "1e9"),
        ("NUDGEBOT_LISTEN", "8080"),
        ("NUDGEBOT_LISTEN", "127.0.0.1:"),
        ("NUDGEBOT_LISTEN", "127.0.0.1:99999"),
        ("NUDGEBOT_LISTEN", "127.0.0.1:8²"),
        ("NUDGEBOT_LISTEN", "yes"),
        ("NUDGEBOT_COUNTRY", "GBR"),
        ("NUDGEBOT_COUNTRY", "44"),
        ("NUDGEBOT_COUNTRY", "ÄÖ"),
        ("NUDGEBOT_BOT_API_URL", "api.telegram.org"),
        ("NUDGEBOT_UNREVIEWED_CONTENT", "yes"),
        ("NUDGEBOT_WEBHOOK_SECRET", "with space"),
        ("NUDGEBOT_WEBHOOK_SECRET", "x" * 257),
        ("NUDGEBOT_WEBHOOK_URL", "bot.example.org/webhook"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_its_variable(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSettings) as wrong:
        read_settings()
    said = str(wrong.value)
    assert said.startswith(f"{variable}: ")
    assert said.endswith(".")
    assert "\n" not in said
    assert "pydantic" not in said


def test_two_wrong_settings_are_said_together(monkeypatch):
    monkeypatch.setenv("NUDGEBOT_LISTEN", "yes")
    monkeypatch.setenv("NUDGEBOT_COUNTRY", "Britain")
    with pytest.raises(BadSettings, match=r"NUDGEBOT_COUNTRY: .*NUDGEBOT_LISTEN: "):
        read_settings()


def test_a_webhook_without_a_secret_is_refused():
    with pytest.raises(BadSettings, match="NUDGEBOT_WEBHOOK_URL needs WEBHOOK_SECRET"):
        read_settings(webhook_url="https://bot.example.org/webhook")


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_it_says_where_one_comes_from_and_what_needs_none(token):
    with pytest.raises(BadSettings, match=r"NUDGEBOT_BOT_TOKEN is not set.*BotFather.*nudgebot rehearse"):
        read_settings(bot_token=token).token()


@pytest.mark.parametrize(
    "token", ["hello", "12345", "12345:", ":abcdefghijkl", "١٢٣٤:abcdefghijkl", "12:abcdef ghijkl", "12:abc/../getMe"]
)
def test_a_token_not_shaped_like_one_is_refused_without_being_shown(token):
    with pytest.raises(BadSettings, match="NUDGEBOT_BOT_TOKEN is not shaped like a token") as wrong:
        read_settings(bot_token=token).token()
    assert token not in str(wrong.value)


@pytest.mark.parametrize("key", ["short", "not base64!"])
def test_a_wrong_key_names_its_variable(key):
    with pytest.raises(BadSettings, match="NUDGEBOT_ENCRYPTION_KEY: "):
        key_ring(read_settings(encryption_key=key))


def test_postgresql_without_a_key_says_how_to_make_one():
    with pytest.raises(BadSettings, match=r"NUDGEBOT_ENCRYPTION_KEY is not set.*openssl rand"):
        key_ring(read_settings(database_url="postgresql://localhost/nudgebot"))


# --- from where -------------------------------------------------------------------------------------------------


def test_settings_come_from_the_environment_the_env_file_and_secret_files(monkeypatch, tmp_path: Path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / ".env").write_text("NUDGEBOT_COUNTRY=gb\nNUDGEBOT_LANGUAGE=pt\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("NUDGEBOT_LANGUAGE", "fr")
    monkeypatch.setenv("NUDGEBOT_BOT_TOKEN_FILE", str(tmp_path / "token"))
    settings = read_settings()
    assert (settings.country, settings.language, settings.token()) == ("GB", "fr", TOKEN)


def test_a_secret_file_may_be_named_in_the_env_file_too(tmp_path: Path):
    (tmp_path / "key").write_text(f"{KEY}\n")
    (tmp_path / ".env").write_text(f"NUDGEBOT_ENCRYPTION_KEY_FILE={tmp_path / 'key'}\n")
    assert read_settings().encryption_key.get_secret_value() == KEY


def test_what_windows_notepad_saves_is_read(tmp_path: Path):
    (tmp_path / ".env").write_bytes("\ufeffNUDGEBOT_COUNTRY=GB\r\nNUDGEBOT_LANGUAGE=pt\r\n".encode())
    assert (read_settings().country, read_settings().language) == ("GB", "pt")


def test_an_env_file_in_another_encoding_says_so(tmp_path: Path):
    (tmp_path / ".env").write_bytes("NUDGEBOT_LANGUAGE=fran\xe7ais\n".encode("latin-1"))
    with pytest.raises(BadSettings, match=r"\.env is not UTF-8"):
        read_settings()


def test_a_secret_file_that_is_not_there_is_named(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("NUDGEBOT_WEBHOOK_SECRET_FILE", str(tmp_path / "missing"))
    with pytest.raises(BadSettings, match="NUDGEBOT_WEBHOOK_SECRET_FILE names a file that cannot be read"):
        read_settings()


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("NUDGEBOT_SEND_RATE", "")
    assert read_settings().send_rate == 25


def test_every_setting_says_what_it_is_for():
    assert all(field.description and field.description.endswith(".") for field in Settings.model_fields.values())


def test_settings_do_not_change_and_do_not_show_their_secrets():
    settings = read_settings(bot_token=TOKEN, encryption_key=KEY, webhook_secret="quite-secret")
    with pytest.raises(Exception, match="frozen"):
        settings.country = "GB"
    for secret in (TOKEN, KEY, "quite-secret"):
        assert secret not in repr(settings)


@given(value=st.text("0123456789:./abc[]-", max_size=20))
def test_whatever_listen_is_set_to_it_is_taken_or_refused_in_a_sentence(value: str):
    try:
        listen = read_settings(listen=value).listen
    except BadSettings as wrong:
        said = str(wrong)
    else:
        said = "" if listen == "off" or 0 <= int(listen.rpartition(":")[2]) < 65536 else listen
    assert not said or said.startswith("NUDGEBOT_LISTEN: ")
