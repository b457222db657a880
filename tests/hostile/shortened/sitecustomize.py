"""Shorter deadlines for a box under test; Python imports this module at the start of a daemon when its folder is on PYTHONPATH.

The product has no setting for these on purpose; that the shipped values are what hostile-inputs.md asks for is tested beside the rows.
"""

import sys

if "receiver" in sys.orig_argv:
    import socket
    from pathlib import Path

    # The package that these tests stand beside, as `python -m` will find it; it has not looked yet.
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

    from appliance.dimse import acceptor, upper_layer

    # establish_s and progress_s instead of 30 s and 60 s: a row then takes seconds. Longer than a busy test machine ever pauses.
    acceptor.Deadlines.__init__.__defaults__ = (2.0, 2.0)
    # A pulled cable is noticed within three seconds instead of sixty.
    upper_layer._KEEPALIVE = ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2))
    upper_layer._USER_TIMEOUT_MS = 3000

if "web" in sys.orig_argv:
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

    from webui.serving import waiting_room

    # handshake_s, request_s, idle_s, leaving_s and most: 2 s instead of 10 s to say something.
    waiting_room.Patience.__init__.__defaults__ = (2.0, 2.0, 30.0, 2.0, 600)
