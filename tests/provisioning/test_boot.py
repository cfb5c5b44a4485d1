"""A boot: the order of its steps, enrollment where it is due, and an end at every doubt."""

from __future__ import annotations

import pytest

from softphone.errors import CertificateUntrusted, ConfigurationError, TransportError
from softphone.provisioning import (
    BootPlan,
    Enrollment,
    EnrollmentNeeded,
    HttpsTrust,
    StepKind,
    boot_device,
)
from softphone.provisioning import boot as boot_module
from softphone.security import KeyMaterial
from softphone.trust import (
    Bootstrap,
    CapfOperation,
    CapfRefused,
    FileRefusalReason,
    FileRefused,
    IdentityStore,
    KeyKind,
    ListKind,
    Service,
    TrustBasis,
    der_of,
)
from tests.support.cluster import (
    DEVICE,
    Shelf,
    announced,
    capf,
    content,
    full_shelf,
    identity,
    insecure,
    pin,
    sealed,
    signed,
    signer,
    trust_list,
    web,
)

PLAIN, NAME, SEALED = (f"{DEVICE}.cnf.xml{end}" for end in ("", ".sgn", ".enc.sgn"))
PINNED = Bootstrap(frozenset({pin()}))
CAPF = ("192.0.2.10", 3804)
STRING = KeyMaterial(b"4711")
VERIFIED, ENROLLING, ENROLLED, READY = (
    StepKind.CONFIGURATION_VERIFIED,
    StepKind.ENROLLING,
    StepKind.ENROLLED,
    StepKind.READY,
)


class World:
    """A phone, a shelf, and a CAPF server that is a function."""

    def __init__(self, folder):
        self.folder = folder
        self.shelf = full_shelf()
        self.identities = IdentityStore(folder)
        self.requests = []
        self.plans = []
        self.failure = None
        self.operation = CapfOperation.INSTALL
        self.steps = []
        self.issued = identity()
        self.after = {}

    async def enroll(self, request, plan, store, *, on_progress):
        self.requests.append(request)
        self.plans.append(plan)
        if self.failure is not None:
            raise self.failure
        on_progress("making a key (rsa)")
        if self.operation is CapfOperation.INSTALL:
            store.replace(request.device, self.issued)
            self.shelf.files |= self.after
        return Enrollment(self.operation, plan.servers[0], ("a warning",))

    async def boot(self, **options):
        self.steps = []
        plan = BootPlan(DEVICE, [self.shelf], self.folder, **{"bootstrap": PINNED} | options)
        return await boot_device(plan, self.steps.append)

    def encrypted_after_enrolling(self, *, mode=0):
        """The server asks for an enrollment, and encrypts from then on."""
        self.shelf.files[NAME] = signed(content(capf=CAPF, capf_mode=1).text())
        stub = announced(self.issued, capf=CAPF, capf_mode=mode).stub()
        self.after = {
            NAME: signed(stub, minutes=1),
            SEALED: sealed(content().text(), to=self.issued, minutes=1),
        }

    @property
    def kinds(self):
        return [
            step.kind
            for step in self.steps
            if not step.kind.value.startswith(("list_", "enrollment_"))
        ]


async def in_no_time(seconds):
    """A pause that is only counted by who calls it."""


@pytest.fixture
def world(tmp_path, monkeypatch):
    made = World(tmp_path / "store")
    monkeypatch.setattr(boot_module, "enroll", made.enroll)
    return made


async def test_a_device_whose_configuration_is_whole(world):
    booted = await world.boot()
    assert booted.config.lines[0].name == "alice"
    assert (booted.device, booted.identity, booted.store) == (DEVICE, None, world.folder)
    assert booted.lists.ctl is not None
    assert world.shelf.asked == [f"CTL{DEVICE}.tlv", f"ITL{DEVICE}.tlv", NAME]
    assert world.kinds == [VERIFIED, READY]
    assert world.requests == []


async def test_the_whole_morning(world):
    world.encrypted_after_enrolling()
    booted = await world.boot(string=STRING)
    assert booted.configuration.encrypted
    assert booted.identity == world.issued
    assert world.kinds == [VERIFIED, ENROLLING, ENROLLED, VERIFIED, VERIFIED, READY]
    (request,), (plan,) = world.requests, world.plans
    assert (request.device, request.string, request.identity) == (DEVICE, STRING, None)
    assert plan.servers == (CAPF,)
    assert plan.tls.service is Service.CAPF
    assert plan.tls.listed == (der_of(capf().certificate),)
    assert (plan.tls.store.anchors, plan.tls.store.system) == ((), False)
    enrolled = next(step for step in world.steps if step.kind is ENROLLED)
    assert enrolled.notes == ("a warning",)
    (told,) = [step for step in world.steps if step.kind is StepKind.ENROLLMENT_PROGRESS]
    assert told.sentence == "making a key (rsa)"
    assert world.steps.index(told) == world.steps.index(enrolled) - 1
    assert "issued our certificate, valid until" in enrolled.sentence


async def test_a_list_that_is_trusted_for_its_server_comes_over_https_only(world, tmp_path):
    """The shelf is no HTTPS server: nothing is fetched."""
    plan = BootPlan(DEVICE, [Shelf({})], tmp_path, Bootstrap(verified_server=True))
    with pytest.raises(ConfigurationError, match="HTTPS only"):
        await boot_device(plan)


async def test_the_second_time_nothing_is_done_twice(world):
    world.encrypted_after_enrolling()
    await world.boot(string=STRING)
    booted = await world.boot(bootstrap=Bootstrap())
    assert booted.identity == world.issued
    assert len(world.requests) == 1
    assert world.kinds == [VERIFIED, VERIFIED, READY]


async def test_a_server_that_has_not_caught_up_does_not_have_us_enroll_again(world):
    world.encrypted_after_enrolling(mode=1)
    booted = await world.boot(string=STRING)
    assert booted.configuration.encrypted
    assert len(world.requests) == 1


async def test_a_string_that_is_missing_is_asked_for(world):
    world.encrypted_after_enrolling()
    with pytest.raises(EnrollmentNeeded, match=r"give it as BootPlan\.string"):
        await world.boot()
    assert world.requests == []


async def test_a_device_with_the_right_certificate_goes_on_without_the_string(world):
    world.identities.replace(DEVICE, world.issued)
    stub = announced(world.issued, capf=CAPF, capf_mode=1).stub()
    world.shelf.files |= {NAME: signed(stub), SEALED: sealed(content().text())}
    assert (await world.boot()).configuration.encrypted
    assert StepKind.STRING_WANTED in world.kinds


@pytest.mark.parametrize(("mode", "shows"), [(2, False), (3, True), (4, True)])
async def test_other_ways_to_enroll(world, mode, shows):
    if shows:
        world.identities.replace(DEVICE, identity("CSFOLD"))
    world.encrypted_after_enrolling()
    world.shelf.files[NAME] = signed(content(capf=CAPF, capf_mode=mode).text())
    await world.boot()
    (request,) = world.requests
    assert request.string is None
    assert request.identity == (identity("CSFOLD") if shows else None)


async def test_who_has_no_certificate_to_show_is_told_what_to_do(world):
    world.shelf.files[NAME] = signed(content(capf=CAPF, capf_mode=3).text())
    with pytest.raises(EnrollmentNeeded, match="set an authentication string instead"):
        await world.boot()


async def test_a_file_for_another_certificate_has_the_device_enroll(world):
    world.identities.replace(DEVICE, identity("CSFOLD"))
    stub = announced(world.issued, capf=CAPF).stub()
    world.shelf.files |= {NAME: signed(stub), SEALED: sealed(content().text())}
    booted = await world.boot()
    assert (booted.identity, len(world.requests)) == (world.issued, 1)


async def test_a_file_that_lies_about_its_certificate_has_the_device_enroll_once(world):
    world.identities.replace(DEVICE, identity("CSFOLD"))
    stub = announced(identity("CSFOLD"), capf=CAPF).stub()
    world.shelf.files |= {NAME: signed(stub), SEALED: sealed(content().text())}
    assert (await world.boot()).identity == world.issued
    world.shelf.files[SEALED] = sealed(content().text(), to=identity("CSFBOB"), minutes=1)
    with pytest.raises(FileRefused) as caught:
        await world.boot(wait=in_no_time)
    assert caught.value.refusal is FileRefusalReason.CANNOT_DECRYPT


async def test_while_the_new_certificate_is_not_confirmed_the_old_files_open(world):
    world.identities.replace(DEVICE, identity("CSFOLD"))
    world.identities.replace(DEVICE, world.issued)
    stub = announced(world.issued, capf=CAPF).stub()
    old = sealed(content().text(), to=identity("CSFOLD"))
    world.shelf.files |= {NAME: signed(stub), SEALED: old}
    assert (await world.boot()).configuration.encrypted


async def test_a_key_that_is_locked_opens_the_files_too(world):
    secret = KeyMaterial(b"open sesame")
    world.identities = IdentityStore(world.folder, passphrase=secret)
    world.encrypted_after_enrolling()
    booted = await world.boot(string=STRING, passphrase=secret)
    assert booted.passphrase == secret
    assert b"ENCRYPTED" in (world.folder / f"{DEVICE}.pem").read_bytes()


async def test_nothing_pending_is_told(world):
    world.shelf.files[NAME] = signed(content(capf=CAPF, capf_mode=2).text())
    world.operation = CapfOperation.NONE
    await world.boot()
    step = next(step for step in world.steps if step.kind is ENROLLED)
    assert "has nothing pending for CSFALICE" in step.sentence


async def test_nothing_pending_is_why_an_encrypted_configuration_cannot_be_had(world):
    # As when the string has been used by a boot with another store.
    world.encrypted_after_enrolling(mode=1)
    world.shelf.files |= world.after
    world.operation = CapfOperation.NONE
    why = r"nothing pending for CSFALICE, and .* encrypted: ask"
    with pytest.raises(EnrollmentNeeded, match=why):
        await world.boot(string=STRING)


async def test_an_enrollment_that_is_refused_ends_the_boot(world):
    world.encrypted_after_enrolling()
    world.failure = CapfRefused("no")
    with pytest.raises(CapfRefused):
        await world.boot(string=STRING)
    assert not (world.folder / f"{DEVICE}.last-good").exists()


async def test_an_enrollment_without_a_server_is_told(world):
    world.shelf.files[NAME] = signed(content(capf_mode=2).text())
    with pytest.raises(EnrollmentNeeded, match="names no CAPF server"):
        await world.boot()


async def test_an_rsa_key_is_wanted_where_files_are_encrypted(world):
    world.encrypted_after_enrolling()
    world.issued = identity(DEVICE, KeyKind.EC_P256)
    with pytest.raises(FileRefused, match="RSA key"):
        await world.boot(string=STRING)
    assert StepKind.CONFIGURATION_AWAITED not in world.kinds


# Whom to believe


async def test_an_empty_store_with_nobody_named(world):
    with pytest.raises(FileRefused) as caught:
        await world.boot(bootstrap=Bootstrap())
    assert (caught.value.refusal, caught.value.fingerprint) == (FileRefusalReason.NO_ANCHOR, pin())
    assert NAME not in world.shelf.asked


async def test_a_cluster_without_lists_is_for_devices_that_are_not_secure(world):
    world.shelf = Shelf({PLAIN: insecure().text()})
    booted = await world.boot(bootstrap=Bootstrap())
    assert booted.configuration.basis is None
    assert StepKind.UNPROTECTED in world.kinds
    world.shelf = Shelf({PLAIN: content().text()})
    with pytest.raises(FileRefused) as caught:
        await world.boot(bootstrap=Bootstrap())
    assert caught.value.refusal is FileRefusalReason.NOT_SIGNED


async def test_nobody_is_enrolled_with_at_a_cluster_without_lists(world):
    world.shelf = Shelf({PLAIN: insecure(capf=CAPF, capf_mode=2).text()})
    with pytest.raises(CertificateUntrusted, match="role CAPF"):
        await world.boot(bootstrap=Bootstrap())
    assert world.requests == []


async def test_https_servers_are_known_by_the_lists_once_there_are_any(world):
    trust = HttpsTrust()
    assert trust.settings.listed == ()
    await world.boot(web=trust)
    assert der_of(web().certificate) in trust.settings.listed


async def test_a_list_by_a_new_signer_is_taken_on_the_word_of_tvs(world, monkeypatch):
    tvs = ("192.0.2.20", 2445)
    world.shelf.files[NAME] = signed(content(tvs=tvs).text())
    await world.boot()
    asked = []

    async def signers(asker, downloads, *, within):
        asked.append((asker, list(downloads), within))
        return frozenset({der_of(signer("newcomer").certificate)})

    monkeypatch.setattr(boot_module.TvsAsker, "find_list_signers", signers)
    world.shelf.files[f"CTL{DEVICE}.tlv"] = trust_list(ListKind.CTL, by="newcomer", minutes=5)
    booted = await world.boot(bootstrap=Bootstrap())
    assert booted.lists.ctl.data == world.shelf.files[f"CTL{DEVICE}.tlv"]
    assert world.steps[0].basis is TrustBasis.TVS
    assert len(asked) == 1


# Nobody there


async def test_while_no_server_is_there_the_phone_works_with_what_it_has(world):
    world.encrypted_after_enrolling()
    await world.boot(string=STRING)
    world.shelf.failure = TransportError("nobody there")
    booted = await world.boot(string=STRING)
    assert (booted.configuration.kept, booted.identity) == (True, world.issued)
    assert len(world.requests) == 1
    assert world.kinds == [StepKind.SERVER_AWAY, StepKind.CONFIGURATION_KEPT, READY]


async def test_a_server_that_goes_before_the_encrypted_file_came(world):
    world.encrypted_after_enrolling()
    await world.boot(string=STRING)
    good = world.shelf.files[SEALED]
    failing = world.shelf.fetch_file

    async def fetch_file(name):
        if name == SEALED:
            raise TransportError("gone")
        return await failing(name)

    world.shelf.fetch_file = fetch_file
    booted = await world.boot()
    assert (booted.configuration.kept, booted.configuration.data) == (True, good)


async def test_a_phone_without_anything_needs_a_server(world):
    world.shelf = Shelf(failure=TransportError("nobody there"))
    with pytest.raises(TransportError, match="nobody there"):
        await world.boot()


# Cut anywhere


class Cut(Exception):
    """The process has died."""


@pytest.mark.parametrize("after", range(11))
async def test_a_boot_that_was_cut_after_any_step_is_run_again(world, after):
    world.encrypted_after_enrolling()
    seen = []

    def tell(step):
        seen.append(step)
        if len(seen) == after + 1:
            raise Cut

    plan = BootPlan(DEVICE, [world.shelf], world.folder, bootstrap=PINNED, string=STRING)
    with pytest.raises(Cut):
        await boot_device(plan, tell)
    booted = await world.boot(string=STRING)
    assert (booted.identity, booted.configuration.encrypted) == (world.issued, True)
    # Only who was cut before the certificate came has to enroll again.
    assert len(world.requests) == (2 if seen[-1].kind is StepKind.ENROLLMENT_PROGRESS else 1)


async def test_the_steps_that_a_cut_may_come_after_are_these(world):
    """So that the test above misses none."""
    world.encrypted_after_enrolling()
    await world.boot(string=STRING)
    assert len(world.steps) == 11


async def test_what_is_no_device_name_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="no device name"):
        await boot_device(BootPlan("../x", [Shelf()], tmp_path))


class Publishing:
    """A server that makes the configuration a while after the enrollment; time is counted."""

    def __init__(self, world, name, after):
        self.world, self.name, self.after = world, name, after
        self.late = world.after.pop(name)
        self.waited = []

    async def wait(self, seconds):
        self.waited.append(seconds)
        if sum(self.waited) >= self.after:
            self.world.shelf.files[self.name] = self.late


async def test_a_configuration_that_appears_after_the_enrollment_is_waited_for(world):
    world.encrypted_after_enrolling()
    late = Publishing(world, SEALED, after=9.0)
    booted = await world.boot(string=STRING, wait=late.wait)
    assert booted.configuration.encrypted
    assert late.waited == [1.0, 2.0, 4.0, 5.0]
    awaited = [step for step in world.steps if step.kind is StepKind.CONFIGURATION_AWAITED]
    assert "asked again in 1 s, for 60 s at most (the shelf has no" in awaited[0].sentence
    assert len(awaited) == 4
    assert world.shelf.asked.count(SEALED) == 5
    assert len(world.requests) == 1


async def test_so_is_one_that_is_still_encrypted_to_the_certificate_before(world):
    world.encrypted_after_enrolling()
    stub = announced(identity("CSFNEXT"), capf=CAPF).stub()
    world.after[NAME] = signed(stub, minutes=1)
    late = Publishing(world, SEALED, after=1.0)
    world.shelf.files[SEALED] = sealed(content().text(), to=identity("CSFOLD"))
    assert (await world.boot(string=STRING, wait=late.wait)).configuration.encrypted
    assert late.waited == [1.0]


async def test_the_patience_has_an_end_and_says_what_is_missing(world):
    world.encrypted_after_enrolling()
    late = Publishing(world, SEALED, after=1000.0)
    with pytest.raises(TransportError, match=rf"the shelf has no {SEALED}"):
        await world.boot(string=STRING, wait=late.wait, patience=10.0)
    assert late.waited == [1.0, 2.0, 4.0, 3.0]


async def test_without_an_enrollment_nothing_is_waited_for(world):
    world.encrypted_after_enrolling()
    await world.boot(string=STRING)
    del world.shelf.files[SEALED]
    late = []
    with pytest.raises(TransportError, match=rf"the shelf has no {SEALED}"):
        await world.boot(bootstrap=Bootstrap(), wait=late.append)
    world.operation = CapfOperation.NONE
    world.shelf.files[NAME] = signed(announced(world.issued, capf=CAPF, capf_mode=2).stub())
    with pytest.raises(TransportError, match=rf"the shelf has no {SEALED}"):
        await world.boot(bootstrap=Bootstrap(), wait=late.append)
    assert late == []
