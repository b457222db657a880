"""Sub-keys: the derivation is HKDF as published, and no label's key is another's."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from appliance.keys.derive import Label, derive


def _hkdf_by_hand(root: bytes, info: bytes) -> bytes:
    extracted = hmac.digest(bytes(32), root, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)


@pytest.mark.parametrize("label", list(Label))
def test_a_derived_key_is_hkdf_sha256_of_the_root_and_the_label(label: Label) -> None:
    """Each label's key is what RFC 5869 computes by hand."""
    root = bytes(range(32))

    key = derive(root, label)

    assert _hkdf_by_hand(root, label.value.encode()) == key


def test_no_two_labels_share_a_key() -> None:
    """As many labels as there are give as many keys."""
    keys = {derive(bytes(32), label) for label in Label}

    assert len(Label) == len(keys)


def test_the_labels_never_change() -> None:
    """What was protected under a label stays readable only while its text stays."""
    expected = {
        "LEDGER": "dicom-edge/1/ledger",
        "SECRETS": "dicom-edge/1/secrets",
        "DIGEST": "dicom-edge/1/digest",
        "WRAP": "dicom-edge/1/wrap",
        "TLS": "dicom-edge/1/tls",
        "ACCOUNTS": "dicom-edge/1/accounts",
        "COOKIE": "dicom-edge/1/cookie",
    }

    labels = {label.name: label.value for label in Label}

    assert expected == labels


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_root_of_another_length_is_a_defect(length: int) -> None:
    """Nothing is derived from a root that does not have 32 bytes."""
    with pytest.raises(ValueError, match="32 bytes"):
        derive(bytes(length), Label.LEDGER)
