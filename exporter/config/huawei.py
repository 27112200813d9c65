"""The two ways to tell Huawei Cloud who we are: a token of its IAM, or an access key that signs."""

from typing import Self

from pydantic import Field, model_validator

from exporter.config.connection import Connection, as_settings
from exporter.config.section import Section, mistakes_at
from exporter.config.values import FilePath, HeaderValue, IamUrl, SecretText
from exporter.http import settings
from exporter.http.huawei_iam import TOKENS_PATH

PASSWORD_LOGIN = ("username", "password", "password_file", "domain_name")
"""What tells a user of an account; excludes `KEY_LOGIN`."""
KEY_LOGIN = ("access_key", "access_key_file", "secret_key", "secret_key_file")
"""What tells an access key; excludes `PASSWORD_LOGIN`."""


class HuaweiIam(Connection):
    """A token from Huawei Cloud's IAM, sent as `X-Auth-Token`.

    The login takes user name, password and account, or an access key instead. A token is fetched when it is
    first needed, and again before it ends and when it is refused. After a refused login the next one waits
    five minutes, for the IAM locks users and keys out.
    """

    auth_url: IamUrl
    """The IAM of the region, such as `https://iam.eu-west-101.myhuaweicloud.eu`; it may end in `/v3`."""
    username: str | None = Field(default=None, min_length=1)
    """The user's name. Needs `domain_name` and a password."""
    password: SecretText | None = None
    """The user's password."""
    password_file: FilePath | None = None
    """A file with the user's password; read at each login."""
    domain_name: str | None = Field(default=None, min_length=1)
    """The name of the account that the user belongs to."""
    access_key: HeaderValue | None = Field(default=None, min_length=1)
    """The id of an access key (AK), which takes the place of the user. Needs a secret access key."""
    access_key_file: FilePath | None = None
    """A file with the access key's id; read at each login."""
    secret_key: SecretText | None = None
    """The secret access key (SK). It is sent to the IAM, as a password is."""
    secret_key_file: FilePath | None = None
    """A file with the secret access key; read at each login."""
    project_name: str | None = None
    """The project that the token is for, by its name, such as `eu-west-101`."""
    project_id: str | None = None
    """The project that the token is for, by its id. Excludes `project_name`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("password", "access_key", "secret_key"):
            self.only_one_of(name, f"{name}_file")
        self._check_login()
        self.only_one_of("project_name", "project_id")
        if not (self.project_name or self.project_id):
            raise ValueError("needs project_name or project_id")
        return self

    def _check_login(self) -> None:
        by_password, by_key = (
            [name for name in names if getattr(self, name) is not None]
            for names in (PASSWORD_LOGIN, KEY_LOGIN)
        )
        if by_password and by_key:
            raise ValueError(f"{by_password[0]} and {by_key[0]} are of two kinds of login; keep one")
        if by_key:
            self.one_of("access_key", "access_key_file")
            self.one_of("secret_key", "secret_key_file")
        elif by_password:
            missing = [name for name in ("username", "domain_name") if getattr(self, name) is None]
            if missing:
                raise mistakes_at({(name,): "is required" for name in missing})
            self.one_of("password", "password_file")
        else:
            raise ValueError("needs username, password and domain_name, or access_key and secret_key")

    @property
    def settings(self) -> settings.HuaweiIam:
        """What fetches the tokens is set up with."""
        url = self.auth_url.removesuffix("/v3") + TOKENS_PATH
        return as_settings(settings.HuaweiIam, self, endpoint=self.connection_settings(url))


class HuaweiAkSk(Section):
    """An access key of Huawei Cloud (AK/SK), with which each request is signed. The clock must be right."""

    access_key: HeaderValue | None = Field(default=None, min_length=1)
    """The access key's id (AK)."""
    access_key_file: FilePath | None = None
    """A file with the access key's id; read on each use."""
    secret_key: SecretText | None = None
    """The secret access key (SK)."""
    secret_key_file: FilePath | None = None
    """A file with the secret access key; read on each use."""
    security_token: SecretText | None = None
    """The security token that comes with a temporary access key."""
    security_token_file: FilePath | None = None
    """A file with the security token; read on each use."""
    project_id: HeaderValue | None = None
    """The project's id, sent as `X-Project-Id`: wanted for the keys of subprojects."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("access_key", "secret_key", "security_token"):
            self.only_one_of(name, f"{name}_file")
        for name in ("access_key", "secret_key"):
            self.one_of(name, f"{name}_file")
        return self

    @property
    def settings(self) -> settings.HuaweiAkSk:
        """What signs the requests is set up with."""
        return as_settings(settings.HuaweiAkSk, self)
