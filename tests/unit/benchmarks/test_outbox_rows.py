"""What the rows about the outbox make of what they saw: a black hole, an archive that is back, JPEG-LS."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

from benchmarks import black_hole, catch_up, objects, phantoms, transcode
from benchmarks.catch_up import Return
from benchmarks.failures import RunInvalidError
from benchmarks.objects import Kind
from benchmarks.transcode import Transit


def test_a_loss_is_of_the_same_round() -> None:
    """A slow round of the machine slows both boxes and is no loss."""
    figure = black_hole.loss("work", [{"alone": 200.0, "beside a black hole": 190.0}, {"alone": 100.0, "beside a black hole": 95.0}])

    assert [5.0, 5.0] == [round(value, 6) for value in figure.values["ours"]]
    assert figure.parts == {"alone": 150.0, "beside a black hole": 142.5}


def test_a_black_hole_answers_nobody() -> None:
    """It takes a connection and never says a word."""
    with black_hole.black_hole() as port, socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"hello")
        connection.settimeout(0.05)

        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_the_slowest_command_counts_and_a_python_alone_does_not() -> None:
    """The slowest answer of each round is the figure; what a Python takes to start stands beside it."""
    answers = {"queue": [0.2, 0.4], "destinations": [0.3], "status": [0.1], "a Python alone": [0.9]}
    at_rest = {name: [took / 2 for took in answers[name]] for name in answers}

    first, rate, slowest = catch_up.figures("work", [Return(2.5, 400.0, answers, at_rest)])

    assert (first.values["ours"], rate.values["ours"], slowest.values["ours"]) == ([2.5], [400.0], [0.4])
    assert slowest.parts["queue p50"] == pytest.approx(0.3)
    assert slowest.parts["a Python alone worst"] == 0.9
    assert slowest.parts["at rest p50"] == pytest.approx(0.125)


def test_what_jpeg_ls_costs_and_saves_is_beside_plain() -> None:
    """Half the rate is 0.5, a third of the bytes is two thirds saved."""
    rate, saved = transcode.figures("work", [{"plain": Transit(100.0, 900), "jpeg-ls": Transit(50.0, 300)}])

    assert (rate.values["ours"], rate.parts) == ([0.5], {"plain": 100.0, "jpeg-ls": 50.0})
    assert [66.7] == [round(value, 1) for value in saved.values["ours"]]


def test_what_arrives_in_another_form_is_no_result(tmp_path: Path) -> None:
    """A box that sends on what it got has not transcoded."""
    file = tmp_path / "0.dcm"
    file.write_bytes(objects.template(Kind.SMALL).instance())

    transcode.require_form([file], ExplicitVRLittleEndian)
    with pytest.raises(RunInvalidError, match="1 of 1 instances did not arrive"):
        transcode.require_form([file], JPEGLSLossless)


def test_phantoms_are_images_of_twelve_bits() -> None:
    """Air is dark, the body is bright, and there is noise in both."""
    pixels = memoryview(phantoms.pixels(64, air=24, body=1060, noise=14)).cast("H")

    assert len(pixels) == 64 * 64
    assert max(pixels) < 1 << 12
    assert pixels[0] < 100 < pixels[64 * 32 + 32]
    assert len(set(pixels[64 * 32 + 20 : 64 * 32 + 44])) > 10
