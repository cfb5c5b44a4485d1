"""CTL and ITL, CUCM's trust lists: reading, signatures, and which list is accepted.

It also has the TLV header and the cryptography that `softphone.provisioning` uses for signed
configuration files.  `softphone.provisioning` fetches the lists, `softphone.trust.keystore` stores
them, `softphone.trust.verification` applies them to a connection, and `softphone.trust.tvs` asks
about a certificate that no list names.

No standard: the format is Cisco's and has no public specification.  Signatures and key transport
are RSA PKCS#1 v1.5 (RFC 8017 sections 8.2 and 7.2).
"""

from __future__ import annotations

from softphone.trust.lists.acceptance import (
    SHA_1_NOTE,
    Acceptance,
    Bootstrap,
    ListPolicy,
    TrustBasis,
    TrustLists,
    TrustListUpdate,
    accept_list,
    accept_list_file,
    check_pins,
    notes_on,
    update_lists,
)
from softphone.trust.lists.file_crypto import (
    DeviceCertificate,
    DeviceKey,
    FileSigner,
    can_encrypt_to,
    decrypt_body,
    device_key,
    encrypt_body,
    read_certificate,
    sign_file_body,
    verify_file_signature,
)
from softphone.trust.lists.tlv import (
    FileHashAlgorithm,
    FileHeader,
    FileHeaderFields,
    FileRefusalReason,
    FileRefused,
    encode_element,
    parse_elements,
    parse_header,
)
from softphone.trust.lists.trust_list import (
    ListKind,
    RecordFields,
    Role,
    TrustList,
    TrustListRecord,
    new_trust_list,
    parse_stored_list,
    parse_trust_list,
    role_names,
    verify_trust_list,
)

__all__ = [
    "SHA_1_NOTE",
    "Acceptance",
    "Bootstrap",
    "DeviceCertificate",
    "DeviceKey",
    "FileHashAlgorithm",
    "FileHeader",
    "FileHeaderFields",
    "FileRefusalReason",
    "FileRefused",
    "FileSigner",
    "ListKind",
    "ListPolicy",
    "RecordFields",
    "Role",
    "TrustBasis",
    "TrustList",
    "TrustListRecord",
    "TrustListUpdate",
    "TrustLists",
    "accept_list",
    "accept_list_file",
    "can_encrypt_to",
    "check_pins",
    "decrypt_body",
    "device_key",
    "encode_element",
    "encrypt_body",
    "new_trust_list",
    "notes_on",
    "parse_elements",
    "parse_header",
    "parse_stored_list",
    "parse_trust_list",
    "read_certificate",
    "role_names",
    "sign_file_body",
    "update_lists",
    "verify_file_signature",
    "verify_trust_list",
]
