"""Destinations in the configuration: what all kinds share, and what each kind has of its own. Pure.

Promises: a destination has the keys of its kind and no other; no secret is in any of them, only the paths of files that hold one.
Failures: pydantic's ValidationError, which only `config.check` and `config.load` see and put into plain words.
Limits: whether a file is there is for `secret_files`, whether a peer answers for `destinations test`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from pydantic import Discriminator, Field, PlainValidator, PrivateAttr, Tag, model_validator

from appliance.config.addresses import Host, PeerNetwork, Port
from appliance.config.certificates import ExpectedCertificate, PeerCertificate, PemFile
from appliance.config.header_operations import HeaderOperations
from appliance.config.layout import DEFAULT_LAYOUT, Layout
from appliance.config.names import Calling, Name, SopClass, Title, choose
from appliance.config.problem import quoted, refusal
from appliance.config.quantities import WholeNumber
from appliance.config.remotes import FolderPath, HostKey, Proxy, RemotePath, SecretFile, Url, UserName
from appliance.config.section import Section, one_of
from appliance.config.shaping import Bandwidth, Window
from appliance.core.identity import AETitle

# The default is 4; four times that is as much as one peer should be asked to bear.
_MOST_LANES = 16
# A request is repeated whole when its answer is lost, and its deliveries are claimed in one transaction; ten hide most of the wait.
_MOST_INSTANCES_PER_REQUEST = 25

_KINDS = ("dicom", "stow", "sftp", "folder")


def _kind(own: str) -> PlainValidator:
    """Return the validator of the `kind` of a class of destinations."""

    def read(value: object) -> str:
        word = choose(value, _KINDS)
        if word != own:
            raise refusal(f"must be {quoted(own)}, not {quoted(word)}", "These are the keys of another kind.")
        return word

    return PlainValidator(read)


def _read_transcode(value: object) -> str | None:
    """Return the form of the pixels, or refuse; None is that in which they came."""
    return None if value is None else choose(value, ("jpeg-ls", "uncompressed"))


class AlsoCallsFrom(Section):
    """Another title a destination reports from."""

    ae_title: Title
    address: PeerNetwork | None = None


class Destination(Section):
    """What all kinds share. `id` is what the ledger keeps and never changes; a new destination takes its name as id.

    `never` lists SOP classes that are not sent there, whatever routes say.
    """

    name: Name
    id: Name = Field(default_factory=lambda fields: str(fields["name"]))
    kind: str
    proof: str
    lanes: Annotated[int, PlainValidator(WholeNumber(1, _MOST_LANES))] = 4
    bandwidth: Bandwidth = None
    window: Window = None
    transcode: Annotated[Literal["jpeg-ls", "uncompressed"] | None, PlainValidator(_read_transcode)] = None
    headers: HeaderOperations = ()
    never: tuple[SopClass, ...] = ()

    @property
    def address(self) -> str:
        """Where it is, for people."""
        raise NotImplementedError

    @property
    def separates_sources(self) -> bool:
        """Whether it sees which source an instance came from, so that what it is sent under one title cannot go under another."""
        return False

    def calling_title(self, source: AETitle, box: AETitle) -> AETitle:  # noqa: ARG002 (the source counts where titles are sent)
        """Return the title under which the box sends here what came from `source`: its own where none is sent."""
        return box


class DicomDestination(Destination):
    """A peer that takes C-STORE."""

    kind: Annotated[Literal["dicom"], _kind("dicom")] = "dicom"
    ae_title: Title
    host: Host
    port: Port = 104
    calling_ae: Calling = "source"
    tls: Annotated[Literal["off", "on", "mutual"], one_of("off", "on", "mutual")] = "off"
    certificate: PeerCertificate | None = None
    proof: Annotated[Literal["commitment", "query", "delivered"], one_of("commitment", "query", "delivered")] = "commitment"
    also_calls_from: tuple[AlsoCallsFrom, ...] = ()

    @property
    def address(self) -> str:
        """Where it is, for people."""
        return f"{self.ae_title}@{self.host}:{self.port}"

    def pinned_to(self, address: str) -> Self:
        """Return the same destination, called at this address and at no other, whatever its name leads to."""
        # Its certificate must still be for the name.
        certificate = self.certificate or ExpectedCertificate(name=str(self.host))
        return self.model_copy(update={"host": address, "certificate": certificate})

    @property
    def separates_sources(self) -> bool:
        """Whether it sees which source an instance came from."""
        return self.calling_ae == "source"

    def calling_title(self, source: AETitle, box: AETitle) -> AETitle:
        """Return the title under which the box sends here what came from `source`."""
        match self.calling_ae:
            case "box":
                return box
            case "source":
                return source
            case AETitle() as literal:
                return literal


class StowDestination(Destination):
    """A web service that takes STOW-RS below `url`. Without `authorities` those of [tls] count."""

    kind: Annotated[Literal["stow"], _kind("stow")]
    url: Url
    authorities: tuple[PemFile, ...] = ()
    certificate: PemFile | None = None
    key: PemFile | None = None
    user: UserName | None = None
    password_file: SecretFile | None = None
    token_file: SecretFile | None = None
    proxy: Proxy | None = None
    instances_per_request: Annotated[int, PlainValidator(WholeNumber(1, _MOST_INSTANCES_PER_REQUEST))] = 10
    proof: Annotated[Literal["query", "delivered"], one_of("query", "delivered")] = "delivered"

    # What the server is called where `url` holds the address that its name was found to lead to; no part of the file.
    _authority: str = PrivateAttr(default="")

    @property
    def address(self) -> str:
        """Where it is, for people."""
        return self.url

    @property
    def authority(self) -> str:
        """The name and port by which the server is asked, and for which its certificate must be."""
        return self._authority or urlsplit(self.url).netloc

    def pinned_to(self, address: str) -> Self:
        """Return the same destination, or the proxy before it, called at this address and at no other, whatever its name leads to."""
        shown = f"[{address}]" if ":" in address else address
        if self.proxy is not None:
            return self.model_copy(update={"proxy": f"http://{shown}:{urlsplit(self.proxy).port}"})
        parts = urlsplit(self.url)
        port = "" if parts.port is None else f":{parts.port}"
        copy = self.model_copy(update={"url": urlunsplit(parts._replace(netloc=f"{shown}{port}"))})
        copy._authority = self.authority  # noqa: SLF001 (a copy of its own kind)
        return copy

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Refuse halves of an identity, two identities, and a secret that would cross the network in clear."""
        _both(self.certificate, self.key, "certificate", "key")
        _both(self.user, self.password_file, "user", "password_file")
        if self.token_file is not None and self.user is not None:
            raise refusal("cannot be used together with user", "Remove token_file, or user and password_file.", key="token_file")
        if self.url.startswith("http:"):
            for key in ("authorities", "certificate", "user", "token_file"):
                if getattr(self, key):
                    raise refusal("needs a connection that nobody can read", 'Write the url with "https://".', key=key)
        return self


class SftpDestination(Destination):
    """An account on an SSH server, in whose folder `path` files are laid out as `layout` says."""

    kind: Annotated[Literal["sftp"], _kind("sftp")]
    host: Host
    port: Port = 22
    user: UserName
    password_file: SecretFile | None = None
    key_file: SecretFile | None = None
    host_key: HostKey
    path: RemotePath = "."
    layout: Layout = DEFAULT_LAYOUT
    proof: Annotated[Literal["delivered"], one_of("delivered")] = "delivered"

    @property
    def address(self) -> str:
        """Where it is, for people."""
        return f"{self.user}@{self.host}:{self.port}:{self.path}"

    def pinned_to(self, address: str) -> Self:
        """Return the same destination, called at this address and at no other, whatever its name leads to."""
        return self.model_copy(update={"host": address})

    @model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        """Refuse an account without anything to prove it by, and one with two."""
        if (self.password_file is None) == (self.key_file is None):
            problem = "is missing" if self.key_file is None else "cannot be used together with password_file"
            raise refusal(problem, "Name one file: key_file with a private key, or password_file with a password.", key="key_file")
        return self


class FolderDestination(Destination):
    """A folder of this machine, most often a mounted share, in which files are laid out as `layout` says."""

    kind: Annotated[Literal["folder"], _kind("folder")]
    path: FolderPath
    layout: Layout = DEFAULT_LAYOUT
    proof: Annotated[Literal["delivered"], one_of("delivered")] = "delivered"

    @property
    def address(self) -> str:
        """Where it is, for people."""
        return self.path


def _both(first: object, second: object, name: str, other: str) -> None:
    """Return if both or neither are there; refuse one without the other."""
    if (first is None) != (second is None):
        missing, present = (name, other) if first is None else (other, name)
        raise refusal(f"is missing, and {present} is set", f"Name both, or neither: remove {present}.", key=missing)


def _kind_of(value: object) -> str:
    """Return the kind whose keys a destination is read with; an unknown word is refused by the keys of the usual kind."""
    said = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return said if isinstance(said, str) and said in _KINDS else "dicom"


AnyDestination: TypeAlias = Annotated[
    Annotated[DicomDestination, Tag("dicom")]
    | Annotated[StowDestination, Tag("stow")]
    | Annotated[SftpDestination, Tag("sftp")]
    | Annotated[FolderDestination, Tag("folder")],
    Discriminator(_kind_of),
]
"""A destination of any kind, told apart by `kind`; without `kind` it is a DICOM one."""
