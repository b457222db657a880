"""Locks a process in before it touches what strangers made: no file, no socket, no other process, bounded memory and time.

Promises: after `enter` this process can read and write the descriptors that it has and compute, and nothing else: no new descriptor is ever
given to it, no core is written, nothing it executes gains a privilege. Where the kernel has seccomp, every other system call is refused;
where it lets anybody, the process is in a network of its own, with nothing in it.
Failures: `OSError` where even the limits cannot be set.
Limits: seccomp on x86-64 and 64-bit ARM. `enter` says which walls stand; the limits alone keep out every file and socket as long as no
descriptor is closed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import struct
from dataclasses import dataclass
from typing import Final

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
# Standard input, output and error: what is given to the process, and all that it may ever have.
_DESCRIPTORS = 3

# bpf(2): load a word, compare, return; linux/seccomp.h: what is returned.
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_AT_NUMBER, _AT_ARCHITECTURE = 0, 4
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000

# By machine: its number in linux/audit.h, and the calls that reading, writing, memory, clocks and ending take, with their numbers there. No
# call that opens, connects, forks, executes, signals or looks at another process is among them.
MACHINES: Final = {
    "x86_64": (
        0xC000003E,
        {
            "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
            "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25, "madvise": 28, "getpid": 39,
            "exit": 60, "sigaltstack": 131, "gettid": 186, "futex": 202, "clock_gettime": 228, "clock_nanosleep": 230, "exit_group": 231,
            "set_robust_list": 273, "getrandom": 318, "rseq": 334,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "close": 57, "lseek": 62, "read": 63, "write": 64, "ppoll": 73, "fstat": 80, "exit": 93, "exit_group": 94, "futex": 98,
            "set_robust_list": 99, "clock_gettime": 113, "clock_nanosleep": 115, "sched_yield": 124, "sigaltstack": 132,
            "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "getpid": 172, "gettid": 178, "brk": 214, "munmap": 215,
            "mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233, "getrandom": 278, "rseq": 293,
        },
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """Most bytes of memory (address space), and most seconds of processor time."""

    memory_bytes: int
    cpu_s: int


@dataclass(frozen=True, slots=True)
class Walls:
    """Which walls stand beside the limits."""

    network: bool
    system_calls: bool


def enter(limits: Limits) -> Walls:
    """Lock this process in, for good. It has one thread, and everything that it will need is loaded."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Before the descriptors run out: a namespace needs none, but what it needs may be refused for reasons of its own.
    network = libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    os.closerange(_DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    with contextlib.suppress(ValueError, OSError):
        # A kernel may count others of this user; what it forbids, the next wall forbids too.
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return Walls(network, _filter_calls(libc))


def _filter_calls(libc: ctypes.CDLL) -> bool:
    """Have the kernel refuse every call that is not listed; False where it does not know how."""
    machine = MACHINES.get(platform.machine())
    if machine is None:
        return False
    architecture, calls = machine
    program = [(_LOAD, 0, 0, _AT_ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _AT_NUMBER)]
    for call in calls.values():
        program += [(_EQUAL, 0, 1, call), (_RETURN, 0, 0, _ALLOW)]
    program.append((_RETURN, 0, 0, _REFUSE))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    # struct sock_fprog: a count, and a pointer aligned to its size.
    described = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_ulong(ctypes.addressof(described)), 0, 0) == 0)
