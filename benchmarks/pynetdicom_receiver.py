"""Stock pynetdicom as its own manual would have it: every data set is written as raw bytes to a file, and answered 0000.

Limits: no file meta, no fsync, no check; it is the floor of what this library costs, not a box.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import Event


def main(directory: Path, port: int) -> None:
    """Receive until killed."""

    def keep(event: Event) -> int:
        # The library's own type is the union of every request there is.
        request: Any = event.request
        (directory / str(request.AffectedSOPInstanceUID)).write_bytes(request.DataSet.getvalue())
        return 0x0000

    ae = AE()
    ae.supported_contexts = AllStoragePresentationContexts
    ae.start_server(("127.0.0.1", port), block=True, evt_handlers=[(evt.EVT_C_STORE, keep)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
