"""Chooses who makes the headers that prove who we are."""

from exporter.clock import Clock
from exporter.http.credentials import ConfiguredHeaders, Credentials
from exporter.http.huawei_aksk import HuaweiSignature
from exporter.http.huawei_iam import HuaweiIamTokens
from exporter.http.oauth2 import OAuth2Tokens
from exporter.http.settings import HttpSettings
from exporter.http.tokens import PostTo, TokenHeader


def choose(settings: HttpSettings, clock: Clock, post_to: PostTo) -> Credentials:
    """The credentials that the settings tell of.

    Args:
        settings: at most one of their kinds of authentication is set.
        clock: when tokens end, and what requests are signed with.
        post_to: opens the way to an issuer of tokens.
    """
    configured = ConfiguredHeaders(settings)
    if (oauth2 := settings.oauth2) is not None:
        return TokenHeader(OAuth2Tokens(oauth2, post_to), configured, clock)
    if (iam := settings.huawei_iam) is not None:
        return TokenHeader(HuaweiIamTokens(iam, post_to, clock), configured, clock)
    if settings.huawei_aksk is not None:
        return HuaweiSignature(settings.huawei_aksk, configured, clock)
    return configured
