"""Settings that nodes and routers share; all come from the environment, read once, in ``__main__``."""

from __future__ import annotations

import json
import re
import ssl
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from redis.asyncio.connection import parse_url

from shared.errors import SettingsError
from shared.http_address import HttpAddress
from shared.inbox_settings import InboxSettings
from shared.origin import checked_origins
from shared.redis_url import RedisUrl

HMAC_ALGORITHMS = ("HS256", "HS384", "HS512")
PUBLIC_KEY_ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
SECRET_MIN_BYTES = 32
REDIS_PORT = 6379
SENTINEL_PORT = 26379
TEN_YEARS = 315_360_000  # s; Redis refuses times that are far beyond, one publish at a time
_IPV6 = re.compile(r'\s*\[[0-9A-Fa-f.]*:[^]"]*\]')  # begins as a list in JSON does


def _split(name: str, value: Any) -> Any:
    """Accept ``a,b`` and ``["a","b"]`` alike."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("[") and not _IPV6.match(value):
        try:
            return json.loads(value)
        except ValueError as exc:
            raise ValueError(f"{name.upper()} begins like JSON and is none: {exc}") from exc
    return [part.strip() for part in value.split(",") if part.strip()]


class CsvSettings(BaseSettings):
    """Reads list settings as comma-separated text or as JSON."""

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: Any) -> Any:
        lists = {name for name, field in cls.model_fields.items() if NoDecode in field.metadata}
        aliases = {cls.model_fields[name].alias or name for name in lists} | lists
        return {key: _split(key, value) if key in aliases else value for key, value in values.items()}


CsvList = Annotated[list[str], NoDecode]
Megabyte = 1024 * 1024


Origins = Annotated[CsvList, AfterValidator(checked_origins)]


def _networks(values: list[str]) -> list[str]:
    for value in values:
        try:
            ip_network(value, strict=False)
        except ValueError:
            raise ValueError(f"{value!r} is neither an address nor a network such as 10.0.0.0/8") from None
    return values


Networks = Annotated[CsvList, AfterValidator(_networks)]


def _host_and_port(text: str, default_port: int) -> tuple[str, int]:
    """Read ``host``, ``host:port`` or ``[::1]:port``."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.path or parts.username:
        raise ValueError
    return parts.hostname, parts.port or default_port


def _hosts_and_ports(addresses: list[str]) -> list[str]:
    for address in addresses:
        try:
            _host_and_port(address, 0)
        except ValueError:
            raise ValueError(f"{address!r} is not host:port") from None
    return addresses


def _readable_file(path: Path) -> Path:
    try:
        path.open("rb").close()
    except OSError as exc:
        raise ValueError(f"{path} cannot be read: {exc.strerror}") from exc
    return path


ReadableFile = Annotated[Path, AfterValidator(_readable_file)]


def _certificates(path: Path) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as exc:
        raise ValueError(f"{path} holds no certificates in PEM") from exc
    return path


CertificatesFile = Annotated[ReadableFile, AfterValidator(_certificates)]


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


class CommonSettings(InboxSettings, CsvSettings):
    """What a node and a router both need."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", populate_by_name=True, frozen=True)

    redis_url: RedisUrl = Field(
        "redis://127.0.0.1:6379/0", pattern=r"^(redis|rediss|unix)://", description="Redis or Valkey, 7.0 or later."
    )
    redis_username: str | None = Field(
        None, description="User of the server's access list (ACL), if it is not in `REDIS_URL`."
    )
    redis_password: SecretStr | None = Field(
        None, description="Its password, if it is not in `REDIS_URL`: any characters, written as they are."
    )
    redis_ca_file: ReadableFile | None = Field(
        None, description="Certificates (PEM) of who signed the server's, for `rediss://`. Default: the system's."
    )
    redis_cert_file: ReadableFile | None = Field(
        None, description="Our own certificate (PEM), if the server asks for one (`tls-auth-clients`)."
    )
    redis_key_file: ReadableFile | None = Field(None, description="The key (PEM) of that certificate.")
    redis_sentinels: Annotated[CsvList, AfterValidator(_hosts_and_ports)] = Field(
        default_factory=list,
        description="Sentinels, `host:port`, comma-separated. If set, they are asked where the master is: host and "
        "port of `REDIS_URL` do not count then; `rediss://` holds for the Sentinels too.",
    )
    redis_sentinel_master: str = Field(
        "mymaster", min_length=1, description="The name under which the Sentinels watch the master."
    )
    redis_sentinel_password: SecretStr | None = Field(
        None, description="The Sentinels' own password, if they have one."
    )
    redis_cluster_nodes: Annotated[CsvList, AfterValidator(_hosts_and_ports)] = Field(
        default_factory=list,
        description="Some servers of a Redis Cluster, `host:port`, comma-separated. If set, they are asked where the "
        "others are: host and port of `REDIS_URL` do not count then; `rediss://` holds for all of them.",
    )
    redis_prefix: str = Field(
        "vsrt", pattern=r"^[A-Za-z0-9_.-]{1,32}$", description="Begins every key and channel; one per cluster."
    )
    redis_timeout: float = Field(
        3.0, gt=0, le=60, description="Seconds without an answer after which a connection to Redis counts as hung."
    )

    redis_allow_eviction: bool = Field(
        False, description="Start even if Redis may evict keys (`maxmemory-policy` other than `noeviction`)."
    )

    jwt_secret: SecretStr | None = Field(None, description="Secret of HS256 tokens, at least 32 bytes.")
    jwt_public_key: SecretStr | None = Field(
        None, description="Public key of RS or ES tokens, PEM (line breaks may be written as \\n)."
    )
    jwt_jwks_url: HttpAddress | None = Field(
        None, description="Where the public keys of RS or ES tokens are found (JWKS)."
    )
    ssl_cert_file: CertificatesFile | None = Field(
        None,
        description="Certificates (PEM) of the authorities that are believed at `JWT_JWKS_URL` and `USER_CHECK_URL`, "
        "instead of the public ones; read at the start. Default: certifi's.",
    )
    jwt_algorithm: str | None = Field(
        None, description="The one algorithm that tokens may have. Default: HS256 with a secret, else RS256."
    )
    jwt_issuer: str | None = Field(None, description="If set, `iss` must be there and equal it.")
    jwt_audience: str | None = Field(None, description="If set, `aud` must be there and contain it.")

    history_length: int = Field(200, ge=1, le=100_000, description="Events kept per user.")
    history_length_shared: int = Field(10_000, ge=1, le=1_000_000, description="Events kept for admins and for all.")
    history_ttl: int = Field(900, ge=1, le=TEN_YEARS, description="Seconds for which events are kept.")
    state_ttl: int = Field(
        3600, ge=1, le=TEN_YEARS, description="Seconds without news after which a transcode is no longer active."
    )
    message_max_bytes: int = Field(64 * 1024, ge=256, description="Largest message, bytes of JSON.")
    http_body_max_bytes: int = Field(Megabyte, ge=1024, description="Largest HTTP body.")

    trusted_proxies: Networks = Field(
        [],
        description="Addresses and networks of proxies, comma-separated, whose `X-Forwarded-For` is believed; "
        "without any, a client's address is the one that connects.",
    )

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)] = Field(
        "INFO", description="Least level that is logged."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`json`, `text`, or `auto`: text on a terminal, else JSON."
    )
    log_user_ids: bool = Field(False, description="Name users in all lines. Without it, only the audit names them.")

    @model_validator(mode="after")
    def _one_kind_of_key(self) -> Self:
        given = [
            name.upper() for name in ("jwt_secret", "jwt_public_key", "jwt_jwks_url") if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are set: choose one")
        if self.jwt_secret is not None and len(self.jwt_secret.get_secret_value().encode()) < SECRET_MIN_BYTES:
            raise ValueError(f"JWT_SECRET is shorter than {SECRET_MIN_BYTES} bytes")
        if self.jwt_public_key is not None and not self.public_key_pem.startswith("-----BEGIN "):
            raise ValueError("JWT_PUBLIC_KEY is not in PEM (-----BEGIN PUBLIC KEY-----)")
        allowed = HMAC_ALGORITHMS if self.jwt_secret is not None else PUBLIC_KEY_ALGORITHMS
        if given and self.algorithm not in allowed:
            raise ValueError(f"JWT_ALGORITHM {self.algorithm} does not go with {given[0]}: {', '.join(allowed)}")
        return self

    @model_validator(mode="after")
    def _one_way_to_redis(self) -> Self:
        url = urlsplit(self.redis_url)
        for name, given, twice in (
            ("USERNAME", self.redis_username, url.username),
            ("PASSWORD", self.redis_password, url.password),
        ):
            if given is not None and twice:
                raise ValueError(f"REDIS_{name} is set, and REDIS_URL has one too: choose one")
        if self.redis_username is not None and self.redis_password is None and not url.password:
            raise ValueError("REDIS_USERNAME is set without REDIS_PASSWORD")
        files = (self.redis_ca_file, self.redis_cert_file, self.redis_key_file)
        if any(files) and url.scheme != "rediss":
            raise ValueError("REDIS_CA_FILE, REDIS_CERT_FILE and REDIS_KEY_FILE go with a REDIS_URL of rediss:// only")
        if (self.redis_cert_file is None) != (self.redis_key_file is None):
            raise ValueError("REDIS_CERT_FILE and REDIS_KEY_FILE belong together: set both, or neither")
        if self.redis_sentinels and url.scheme == "unix":
            raise ValueError("REDIS_SENTINELS tell host and port: REDIS_URL cannot be unix://")
        if self.redis_cluster_nodes:
            self._fits_a_cluster(url)
        return self

    def _fits_a_cluster(self, url: SplitResult) -> None:
        if self.redis_sentinels:
            raise ValueError("REDIS_SENTINELS and REDIS_CLUSTER_NODES are both set: choose one")
        if url.scheme == "unix":
            raise ValueError("REDIS_CLUSTER_NODES tell host and port: REDIS_URL cannot be unix://")
        if parse_url(self.redis_url).get("db"):
            raise ValueError("a Redis Cluster has database 0 only: REDIS_URL names another")

    @property
    def sentinels(self) -> list[tuple[str, int]]:
        return [_host_and_port(address, SENTINEL_PORT) for address in self.redis_sentinels]

    @property
    def cluster_nodes(self) -> list[tuple[str, int]]:
        return [_host_and_port(address, REDIS_PORT) for address in self.redis_cluster_nodes]

    @property
    def trusted(self) -> ssl.SSLContext | bool:
        """Return httpx's ``verify`` for our HTTP clients."""
        return True if self.ssl_cert_file is None else ssl.create_default_context(cafile=self.ssl_cert_file)

    @property
    def has_jwt(self) -> bool:
        return any((self.jwt_secret, self.jwt_public_key, self.jwt_jwks_url))

    @property
    def algorithm(self) -> str:
        return self.jwt_algorithm or ("HS256" if self.jwt_secret is not None else "RS256")

    @property
    def public_key_pem(self) -> str:
        key = self.jwt_public_key
        return key.get_secret_value().replace("\\n", "\n").strip() if key is not None else ""


S = TypeVar("S", bound=BaseSettings)


def read_settings(kind: type[S]) -> S:
    """Read settings from the environment.

    Raises:
        SettingsError: names the setting and what is wrong with it; a secret's value is never shown.
    """
    try:
        return kind()
    except ValidationError as exc:
        lines = []
        for error in exc.errors(include_url=False, include_context=False, include_input=False):
            name = ".".join(str(part) for part in error["loc"][:1]).upper()
            message = error["msg"].removeprefix("Value error, ")
            lines.append(f"{name}: {message}" if name else message)
        raise SettingsError("; ".join(lines)) from exc
    except ValueError as exc:
        raise SettingsError(str(exc)) from exc
