"""`softphone config show`, `verify` and `decrypt`: configuration files, checked against a store."""

from __future__ import annotations

import contextlib
from pathlib import Path

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.passphrase import passphrase_if_given
from softphone.cli.device.config_table import config_facts, file_facts, show_config
from softphone.cli.device.options import ConfigFileOptions, DecryptConfigOptions
from softphone.diagnostics import mask
from softphone.errors import ConfigurationError
from softphone.operating_system import open_to_read
from softphone.provisioning import (
    ConfigStore,
    VerifiedFile,
    check_device,
    decrypted,
    is_signed,
    last_accepted,
    open_plain,
    parse_device_config,
    verify_file,
)
from softphone.trust import (
    FileRefused,
    Identity,
    IdentityStore,
    TrustLists,
    TrustListStore,
    write_private,
)
from softphone.trust.lists import parse_header

_LARGEST = 1 << 20
_ENDINGS = (".cnf.xml.enc.sgn", ".cnf.xml.sgn", ".cnf.xml")


def resolve_config_file(file: Path, store: Path) -> Path:
    """Return the file to read: for a device name, the device's configuration in the store.

    The encrypted one is preferred, since it is complete.
    """
    if file.name != str(file) or file.exists():
        return file
    found = (store / f"{file.name}{ending}" for ending in _ENDINGS)
    return next((one for one in found if one.is_file()), file)


class ConfigFileQuery:
    """A file, the store to check it against, and the name and device to check it for."""

    def __init__(self, options: ConfigFileOptions) -> None:
        self._options = options
        self.store = options.store
        self.file = resolve_config_file(options.file, options.store)

    @property
    def asked(self) -> str:
        """The name that the file must contain."""
        return self._options.name or self.file.name

    @property
    def owner(self) -> str:
        """The device whose key decrypts it.  Raises ConfigurationError."""
        return check_device(self._options.device or self.asked.partition(".")[0])

    def data(self) -> bytes:
        """The octets of the file.  Raises ConfigurationError."""
        try:
            with open_to_read(self.file) as opened:
                data = opened.read(_LARGEST + 1)
        except OSError as exc:
            raise ConfigurationError(f"{self.file} cannot be read: {exc.strerror}") from exc
        if len(data) > _LARGEST:
            raise ConfigurationError(f"{self.file} is larger than {_LARGEST} bytes")
        return data

    def lists(self) -> TrustLists:
        """The trust lists of the store.  Raises ConfigurationError without a store."""
        if not self.store.is_dir():
            raise ConfigurationError(f"there is no store at {self.store}")
        return TrustListStore(self.store).held()

    async def identities(self) -> tuple[Identity, ...]:
        """The device's identities, the one in use first."""
        secret = await passphrase_if_given(self._options.passphrase, f"the key of {self.owner}")
        store = IdentityStore(self.store, passphrase=secret)
        found = (store.load(self.owner), store.previous(self.owner))
        return tuple(each for each in found if each is not None)


def _verified(question: ConfigFileQuery, data: bytes) -> VerifiedFile:
    """Verify the file by the store.  Raises FileRefused."""
    lists = question.lists()
    kept = None
    if "/" not in question.asked:
        kept = ConfigStore(question.store).load_accepted(question.asked)
    last = last_accepted(kept, question.asked, lists)
    return verify_file(data, question.asked, lists, last=last)


def _words(verified: VerifiedFile) -> str:
    header = verified.header
    return (
        f"{header.filename} is good: signed by {header.signer.subject}, whom the"
        f" {verified.basis.upper()} names as TFTP"
    )


async def verify_one(output: CommandOutput, options: ConfigFileOptions) -> int:
    """Verify a signed file.  Raises FileRefused, ConfigurationError."""
    question = ConfigFileQuery(options)
    data = question.data()
    if not is_signed(data):
        open_plain(data, question.asked)
        question.lists()
        sentence = f"{question.file} is in clear: nobody vouches for it"
        return output.done(sentence, verified=False)
    verified = _verified(question, data)
    facts = file_facts(verified.header, verified)
    output.event("file", **facts)
    output.facts(str(question.file), facts)
    for note in verified.notes:
        output.warn(note)
    return output.done(_words(verified), verified=True)


async def show_file(output: CommandOutput, options: ConfigFileOptions) -> int:
    """Show a file; a refused one is shown as far as it can be read.  Raises FileRefused."""
    question = ConfigFileQuery(options)
    data = question.data()
    if not is_signed(data):
        question.lists()
        _print_configuration(output, data)
        sentence = f"{question.file} is in clear: nobody vouches for it"
        return output.done(sentence, verified=False)
    header = parse_header(data)
    try:
        verified = _verified(question, data)
    except FileRefused:
        facts = file_facts(header, None)
        output.event("file", **facts)
        output.facts(f"{question.file}: not verified; this is what it says", facts)
        if header.content_key is None:
            # The reason for the refusal matters more than a defect of the text.
            with contextlib.suppress(FileRefused):
                _print_configuration(output, data[header.length :])
        raise
    facts = file_facts(header, verified)
    output.event("file", **facts)
    output.facts(f"{question.file}: verified", facts)
    _print_configuration(output, decrypted(verified, await question.identities()))
    return output.done(_words(verified), verified=True)


def _print_configuration(output: CommandOutput, text: bytes) -> None:
    facts = config_facts(parse_device_config(text))
    output.event("configuration", **facts)
    show_config(output, facts)


async def decrypt_one(output: CommandOutput, options: DecryptConfigOptions) -> int:
    """Verify, decrypt, and print or write.  Raises FileRefused, ConfigurationError."""
    question, out = ConfigFileQuery(options), options.out
    data = question.data()
    verified = _verified(question, data)
    text = decrypted(verified, await question.identities())
    if out is not None:
        write_private(out, text)
        return output.done(f"{_words(verified)}; written to {out}", verified=True, path=str(out))
    shown = mask(text.decode("utf-8", "replace"))
    output.event("text", shown, text=shown)
    return output.done(_words(verified), verified=True)
