"""What each setting is called and means, in the reader's language: a table, in the order of the page.

Promises: every setting of the sections that are there once has its words; a test insists.
Failures: none.
Limits: docs/configuration.md says more.
"""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

SECTIONS: dict[str, LazyString] = {
    "box": _("Who the box is"),
    "admission": _("Who may send"),
    "retention": _("Room on the disk"),
    "completion": _("When a study is complete"),
    "delivery": _("Deadlines and waits of the sender"),
    "tls": _("TLS"),
    "listen": _("Where the box listens"),
}
"""The sections that are there once."""

_SECONDS = _("In seconds.")
_WAITS = _("First and longest wait in seconds, for example 30, 900.")

WORDS: dict[tuple[str, str], tuple[LazyString, LazyString]] = {
    ("box", "name"): (_("Name of the box"), _("Its host name, on every page: letters, digits and hyphens.")),
    ("box", "ae_title"): (_("AE title"), _("The title that the box always answers to, and calls itself by: at most 16 characters.")),
    ("box", "timezone"): (_("Time zone"), _("Of the days and hours that people see and write, for example Asia/Ho_Chi_Minh.")),
    ("listen", "dicom"): (
        _("Addresses for DICOM"),
        _("With commas between them. 0.0.0.0 is every address of the box. Counts when the box is started again."),
    ),
    ("listen", "dicom_tls"): (
        _("Addresses for DICOM over TLS"),
        _("The registered port is 2762, for example 0.0.0.0:2762. Counts when the box is started again."),
    ),
    ("listen", "web"): (_("Address of these pages"), _("off: no pages at all. Counts when the box is started again.")),
    ("listen", "workers"): (
        _("Receiving processes"),
        _("1 to 16; one for each core of the processor is enough. Counts when the box is started again."),
    ),
    ("tls", "profile"): (_("Profile"), _("bcp195: today's rules. modified: a fixed list of algorithms (PS3.15 B.13).")),
    ("tls", "certificate"): (
        _("File of the certificate"),
        _("Path of a PEM file on the box. Empty: the certificate that the box keeps itself."),
    ),
    ("tls", "key"): (_("File of its private key"), _("Path of a PEM file that only the box can read. Set together with the certificate.")),
    ("tls", "authorities"): (
        _("Files of trusted authorities"),
        _("Paths of PEM files with commas between them: who signs the certificates of scanners and archives."),
    ),
    ("tls", "client_certificates"): (
        _("Certificates of callers"),
        _("required: whoever calls over TLS must show a certificate of a trusted authority."),
    ),
    ("admission", "unknown_sources"): (
        _("Devices that are not listed"),
        _("accept lets any device on the network send images: for demonstrations only."),
    ),
    ("admission", "associations"): (_("Associations at one time"), _("Of all devices together: 1 to 4096.")),
    ("admission", "per_source"): (_("Associations of one scanner"), _("Not more than of all together.")),
    ("admission", "unauthenticated_per_address"): (
        _("Connections from one address"),
        _("Of those that have not said yet who they are."),
    ),
    ("admission", "idle"): (
        _("Silence of a scanner"),
        _("How long an association may be silent, for example 60 min: ultrasound holds one for the whole examination."),
    ),
    ("admission", "blank_called"): (_("Blank called title"), _("true: a caller need not say which title it calls.")),
    ("admission", "largest_object"): (
        _("Largest image"),
        _("A larger one is refused as soon as it is that long, for example 4 GiB. Empty: as large as fits on the disk."),
    ),
    ("completion", "quiet"): (
        _("Quiet time by modality"),
        _("How long nothing new must have come, for example CT = 5 min, US = 30 min."),
    ),
    ("completion", "otherwise"): (_("Quiet time of all others"), _("For example 10 min.")),
    ("retention", "evict_at"): (
        _("Make room from"),
        _("Share of the disk in use, from 0 to 1; below the next. This version makes no room yet: the value is only checked."),
    ),
    ("retention", "refuse_at"): (_("Refuse images from"), _("Share of the disk in use, from 0 to 1, from which new images are refused.")),
    ("retention", "reserve"): (_("Free space to keep"), _("New images are refused below it, for example 5 GiB.")),
    ("delivery", "connect"): (_("To open a connection"), _SECONDS),
    ("delivery", "associate"): (_("For the answer to an association request"), _SECONDS),
    ("delivery", "progress"): (_("Without a byte moving"), _("In seconds, until a transfer is given up and repeated.")),
    ("delivery", "response"): (_("For the answer to an image"), _("In seconds, once the destination has all of it.")),
    ("delivery", "probe"): (_("For a try whether a destination is back"), _SECONDS),
    ("delivery", "dead_hello"): (_("Between such tries"), _SECONDS),
    ("delivery", "throttled"): (_("After a destination said it is busy or full"), _WAITS),
    ("delivery", "refusing"): (_("Between tries while a destination refuses the box"), _SECONDS),
    ("delivery", "soft"): (_("After one image failed for a passing reason"), _WAITS),
    ("delivery", "held"): (_("Between tries of what is held"), _SECONDS),
    ("delivery", "site_rule"): (
        _("When a destination is blamed"),
        _("So many images, of so many studies, must fail alike; and the seconds between single tries from then on: 5, 2, 60."),
    ),
    ("delivery", "proof_after"): (_("Until proof is asked for"), _("In seconds, after the last delivery of a study.")),
    ("delivery", "proof_again"): (
        _("Until an archive is asked again"),
        _("In seconds, after it said once and twice that it does not have an image, for example 600, 3600."),
    ),
    ("delivery", "proof_silence"): (_("Until a silent archive is asked again"), _SECONDS),
}
"""Label and meaning of each setting, by section and key."""
